//! What actors log is stamped with virtual time and the name of the node, when somebody listens.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sim_core::{Actor, Context, NodeId, Schedule, Setup, World};

#[derive(Clone, Hash)]
struct Talker;

impl Actor for Talker {
    type Message = ();
    type Timer = ();
    type Record = ();
    type Command = ();

    fn on_start(&mut self, _: &[()], ctx: &mut Context<Self>) {
        ctx.set_timer((), Duration::from_millis(1500));
    }
    fn on_message(&mut self, _: NodeId, (): (), _: &mut Context<Self>) {}
    fn on_timer(&mut self, (): (), _: &mut Context<Self>) {
        tracing::warn!(attempt = 3, "nobody answers");
    }
}

/// A place to write to that outlives its writers.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn run() -> u64 {
    let setup = Arc::new(Setup::new(["alpha", "beta"], |_| Talker));
    let mut world = World::new(&setup, &Arc::new(Schedule::seeded(1)));
    while world.next_event_at().is_some() {
        world.step();
    }
    world.trace_hash()
}

#[test]
fn a_log_line_says_when_and_where_it_was_written_and_listening_changes_nothing() {
    let silent = run();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::INFO)
        .finish();
    let heard = tracing::subscriber::with_default(subscriber, run);
    assert_eq!(heard, silent);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let expected = [
        " WARN event{at=1.5s node=\"alpha\" number=3}: logging: nobody answers attempt=3",
        " WARN event{at=1.5s node=\"beta\" number=4}: logging: nobody answers attempt=3",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
