//! What a node embeds to ask boards for something: it asks again, and gives up in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sim_core::{Actor, Context, NodeId};

use super::{Action, Message, Refusal, Timer};

/// An actor that embeds a remote.
pub trait RemoteHost: Actor<Message: From<Message>, Timer: From<Timer>> {}
impl<A: Actor<Message: From<Message>, Timer: From<Timer>>> RemoteHost for A {}

/// The settings of a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteConfig {
    /// How long it waits for an answer before it asks again.
    pub patience: Duration,
    /// How often it asks.
    pub tries: u32,
}

impl Default for RemoteConfig {
    /// One second, three times.
    fn default() -> Self {
        RemoteConfig { patience: Duration::from_secs(1), tries: 3 }
    }
}

/// Requests to boards that are not answered yet. `T` is what the owner gives along with each.
#[derive(Clone, Debug, Hash)]
pub struct Remote<T> {
    config: RemoteConfig,
    latest: u64,
    open: BTreeMap<u64, Open<T>>,
}

#[derive(Clone, Debug, Hash)]
struct Open<T> {
    board: NodeId,
    action: Action,
    call: T,
    tries: u32,
}

impl<T> Remote<T> {
    /// A remote that has asked for nothing.
    pub fn new(config: RemoteConfig) -> Self {
        Remote { config, latest: 0, open: BTreeMap::new() }
    }

    /// Asks a board for something.
    pub fn ask<A: RemoteHost>(&mut self, board: NodeId, action: Action, call: T, ctx: &mut Context<A>) {
        // The clock makes it larger than any that an earlier process of this node has used.
        let id = (self.latest + 1).max(ctx.now().as_nanos());
        self.latest = id;
        self.open.insert(id, Open { board, action, call, tries: 0 });
        self.send(id, ctx);
    }

    fn send<A: RemoteHost>(&mut self, id: u64, ctx: &mut Context<A>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.tries += 1;
        ctx.send(open.board, Message::PowerRequest { id, action: open.action }.into());
        ctx.set_timer(Timer::Patience(id).into(), self.config.patience);
    }

    /// An answer has arrived. What the owner gave along, and what the board said; `None` if it came too late.
    pub fn on_message<A: RemoteHost>(
        &mut self,
        message: Message,
        ctx: &mut Context<A>,
    ) -> Option<(T, Result<Arc<str>, Refusal>)> {
        let Message::PowerAnswer { id, said } = message else { panic!("{message:?} was sent to a remote") };
        let open = self.open.remove(&id)?;
        ctx.cancel_timer(Timer::Patience(id).into());
        Some((open.call, said))
    }

    /// A board has not answered. What the owner gave along if that is final.
    pub fn on_timer<A: RemoteHost>(
        &mut self,
        timer: Timer,
        ctx: &mut Context<A>,
    ) -> Option<(T, Result<Arc<str>, Refusal>)> {
        let Timer::Patience(id) = timer else { panic!("remotes do not arm {timer:?}") };
        if self.open.get(&id)?.tries < self.config.tries {
            self.send(id, ctx);
            return None;
        }
        self.open.remove(&id).map(|open| (open.call, Err(Refusal::NoAnswer)))
    }
}
