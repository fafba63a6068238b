//! Actors as real processes, on [tokio](https://docs.rs/tokio): real sockets, the clock of the machine, a directory as disk.
//!
//! The actor is the one that was simulated, and so is the world around it, of which only this node is alive: it
//! [follows](crate::World) what the sockets, the clock and the disk bring, and what the actor asks for is done with them.
//!
//! # What is different from a simulation
//! * A connection is there as soon as the system below the peer has accepted it, whether or not its process is awake.
//! * Messages have the size that they really have. [`Kind::bytes`] counts against send buffers, as everywhere; a message that
//!   is longer than any may be ([`MAX_VALUE`](super::frame::MAX_VALUE)) is not sent, and breaks its connection.
//! * Each process draws random numbers and names connections from a place of its own in the node's stream, as a machine
//!   that remembers nothing but its disk must.
//! * Time can be made to pass faster ([`Options::speed`]). Everything that the protocol times is then in the protocol's time,
//!   and the network and the disk look that much slower to it.

mod disk;
mod network;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::net::{TcpListener, TcpSocket, UdpSocket};
use ::tokio::sync::mpsc;
use ::tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use ::tokio::time::{sleep, timeout};

pub use disk::{Found, find, tear};
use network::{INBOX, Incoming, Link, Network};

use super::record::{Came, Note, Said, Stamp, Told};
use crate::state_hash::hasher;
use crate::world::{Departure, Occurrence};
use crate::{
    Actor, CloseReason, ConnectionEvent, ConnectionId, Effect, Instant, Kind, NodeId, Schedule, Setup, Wire, World,
};

/// How long a process that has stopped waits for its peers to take what it has sent.
const LINGER: Duration = Duration::from_millis(500);

/// How a process is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which node it is.
    pub node: NodeId,
    /// Where each node listens, this one included, for TCP and UDP alike; by number.
    pub addresses: Vec<SocketAddr>,
    /// Its disk.
    pub directory: PathBuf,
    /// Tells this cluster from others that use the same addresses: what belongs to another run is dropped.
    pub run: u64,
    /// Whether it says when it is ready, and begins when it is told to.
    pub supervised: bool,
    /// How many seconds pass for the protocol in one of the machine's; greater than zero.
    pub speed: f64,
}

/// Who hears what a process does.
pub trait Observer {
    /// It has something to say.
    ///
    /// # Errors
    /// If nobody listens any more: the process stops.
    fn say(&mut self, said: &Said) -> io::Result<()>;

    /// Its role has changed.
    fn role(&mut self, at: Instant, role: &'static str) {
        let _ = (at, role);
    }

    /// It has set a mark.
    fn mark(&mut self, at: Instant, mark: &'static str) {
        let _ = (at, mark);
    }
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The actor stopped it.
    Halted,
    /// Nobody listens to it any more.
    Alone,
}

/// Runs one actor of a cluster as this process, until it stops. `told` is what a supervisor says to it; a process without one
/// is given a channel that stays silent.
///
/// # Errors
/// If its address, its disk or its observer cannot be used.
///
/// # Panics
/// If the actor panics, after that has been noted.
pub fn run<A: Actor>(
    setup: &Arc<Setup<A>>,
    schedule: &Schedule,
    wire: &Wire<A>,
    options: &Options,
    observer: &mut dyn Observer,
    told: mpsc::Receiver<Told>,
) -> io::Result<Ending> {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut process = Process::start(setup, schedule, wire, options, observer, told).await?;
        process.live().await
    })
}

/// The time of a process.
#[derive(Clone, Copy)]
struct Clock {
    at_start: Instant,
    started: std::time::Instant,
    speed: f64,
}

impl Clock {
    fn now(&self) -> Instant {
        self.at_start + self.started.elapsed().mul_f64(self.speed)
    }

    /// How long the machine takes until then.
    fn until(&self, at: Instant) -> Duration {
        at.since(self.now()).div_f64(self.speed)
    }
}

/// Everything that can come to a process.
enum Event {
    Incoming(Incoming),
    Synced(disk::Ended),
    Told(Option<Told>),
    /// Something may be due.
    Time,
}

struct Process<'a, A: Actor> {
    node: NodeId,
    wire: &'a Wire<A>,
    observer: &'a mut dyn Observer,
    clock: Clock,
    world: World<A>,
    role: &'static str,
    /// Of the next note.
    stamp: Stamp,
    /// Until when the actor's one thread is occupied.
    busy_until: Instant,
    disk: disk::Disk,
    network: Rc<Network>,
    socket: Rc<UdpSocket>,
    links: BTreeMap<ConnectionId, Link>,
    /// Accepts connections, while it does.
    listener: Option<JoinHandle<()>>,
    inbox: mpsc::Receiver<Incoming>,
    synced: mpsc::UnboundedReceiver<disk::Ended>,
    told: mpsc::Receiver<Told>,
    /// What has happened without anybody else.
    own: VecDeque<Incoming>,
    /// What the supervisor asked for while the actor was busy.
    asked: VecDeque<Told>,
}

impl<'a, A: Actor> Process<'a, A> {
    async fn start(
        setup: &Arc<Setup<A>>,
        schedule: &Schedule,
        wire: &'a Wire<A>,
        options: &Options,
        observer: &'a mut dyn Observer,
        told: mpsc::Receiver<Told>,
    ) -> io::Result<Self> {
        let Options { node, addresses, directory, run, supervised, speed } = options;
        let node = *node;
        let (ended, synced) = mpsc::unbounded_channel();
        let disk = disk::Disk::open(directory, move |sync| _ = ended.send(sync));
        let disk = disk.map_err(|error| explain(error, format!("cannot use {} as a disk", directory.display())))?;
        let patience = setup.network.connection_timeout.div_f64(*speed);
        let (sender, inbox) = mpsc::channel(INBOX);
        let network = Network::new(*run, node, addresses.clone(), patience, sender);
        let address = addresses[node.index()];
        let socket = UdpSocket::bind(address).await;
        let socket = Rc::new(socket.map_err(|error| explain(error, format!("cannot listen at {address} (UDP)")))?);
        spawn_local(network.clone().receive(socket.clone()));
        // What there is of a network is real.
        let mut bare = Setup::clone(setup);
        bare.network.latency = (Duration::ZERO, Duration::ZERO);
        (bare.network.loss, bare.network.duplication, bare.network.bandwidth) = (0.0, 0.0, None);
        let mut world = World::new(&Arc::new(bare), &Arc::new(schedule.clone()));
        world.follow_others(true);
        world.take_scheduled().for_each(drop);
        let mut process = Process {
            node,
            wire,
            observer,
            clock: Clock { at_start: Instant::ZERO, started: std::time::Instant::now(), speed: *speed },
            world,
            role: "",
            stamp: Stamp { process: disk.process, number: 0 },
            busy_until: Instant::ZERO,
            disk,
            network,
            socket,
            links: BTreeMap::new(),
            listener: None,
            inbox,
            synced,
            told,
            own: VecDeque::new(),
            asked: VecDeque::new(),
        };
        process.listen(true).await?;
        if *supervised {
            // Each piece fits into a frame, as each record does.
            let records = process.disk.found.records.iter();
            records.clone().try_for_each(|record| process.observer.say(&Said::Found(vec![record.clone()])))?;
            process.observer.say(&Said::Ready)?;
            let Some(Told::Begin { now }) = process.told.recv().await else {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, "there is nobody to say when it begins"));
            };
            process.clock = Clock { at_start: now, started: std::time::Instant::now(), speed: *speed };
        }
        Ok(process)
    }

    /// Handles whatever comes, until the actor stops the process or nobody listens to it any more.
    async fn live(&mut self) -> io::Result<Ending> {
        let disk = self.disk.found.records.clone();
        self.take_up(Came::Start { disk }).await?;
        while self.world.is_up(self.node) {
            let event = self.next().await;
            match event {
                Event::Told(None) => return Ok(Ending::Alone),
                Event::Told(Some(told)) => self.hear(told).await?,
                Event::Synced(disk::Ended { token, ok, length }) => {
                    self.take_up(Came::Synced { token, ok, length }).await?;
                }
                Event::Incoming(incoming) => self.arrive(incoming).await?,
                Event::Time => {
                    if self.busy_until <= self.clock.now()
                        && let Some((_, due)) = self.world.take_due(self.clock.now())
                    {
                        let came = match due {
                            Occurrence::Timer(timer) => Came::Timer(self.wire.timer.write(&timer)),
                            Occurrence::Job(timer) => Came::Job(self.wire.timer.write(&timer)),
                            _ => unreachable!("nothing else is due at a node"),
                        };
                        self.take_up(came).await?;
                    }
                }
            }
        }
        // In good order: what was sent is handed to the system below, which goes on when the process is gone.
        let links = std::mem::take(&mut self.links);
        let closing: Vec<_> = links.into_values().map(Link::finish).collect();
        _ = timeout(LINGER, async {
            for link in closing {
                _ = link.await;
            }
        })
        .await;
        Ok(Ending::Halted)
    }

    /// Waits for the next event that the process can take up. Whoever supervises it is heard even while it is busy. Of a timer
    /// that is due and a message that is there either may come first, as nobody knows which was earlier: a process that was
    /// stopped for long may hear old messages before it notices how late it is.
    async fn next(&mut self) -> Event {
        let busy = self.busy_until > self.clock.now();
        let due = if busy { Some(self.busy_until) } else { self.world.next_event_at() };
        let wait = due.map(|at| self.clock.until(at));
        if !busy && let Some(told) = self.asked.pop_front() {
            return Event::Told(Some(told));
        }
        if !busy && let Some(incoming) = self.own.pop_front() {
            return Event::Incoming(incoming);
        }
        // For what the sockets have to arrive, however much else is due.
        yield_now().await;
        ::tokio::select! {
            told = self.told.recv() => Event::Told(told),
            () = sleep(wait.unwrap_or_default()), if wait.is_some() => Event::Time,
            Some(sync) = self.synced.recv(), if !busy => Event::Synced(sync),
            Some(incoming) = self.inbox.recv(), if !busy => Event::Incoming(incoming),
        }
    }

    /// The supervisor has said something.
    async fn hear(&mut self, told: Told) -> io::Result<()> {
        match told {
            Told::Clock { question } => self.observer.say(&Said::Clock { question, now: self.clock.now() }),
            Told::Command(_) | Told::Fault { .. } if self.busy_until > self.clock.now() => {
                self.asked.push_back(told);
                Ok(())
            }
            Told::Command(command) => self.take_up(Came::Command(command)).await,
            Told::Fault { place, begins } => self.suffer(place, begins).await,
            Told::Begin { .. } | Told::Switched => Ok(()),
        }
    }

    /// A fault begins or ends that this process brings about by itself.
    async fn suffer(&mut self, place: u32, begins: bool) -> io::Result<()> {
        self.take_up(Came::Fault { place, begins }).await?;
        if let Some((a, b)) = self.world.reset_by(place) {
            let broken = self.links.iter().filter(|(_, link)| [a, b].contains(&link.peer)).map(|(id, _)| *id);
            self.own.extend(broken.map(|id| Incoming::Closed(id, CloseReason::Reset)));
        }
        Ok(())
    }

    async fn arrive(&mut self, incoming: Incoming) -> io::Result<()> {
        let peer_of = |links: &BTreeMap<ConnectionId, Link>, id: &ConnectionId| links.get(id).map(|link| link.peer);
        match incoming {
            Incoming::Datagram { from, sent, message } => {
                self.take_up(Came::Message { from, sent, via: None, message }).await?;
            }
            Incoming::Accepted { from, id, link } => {
                // One that the peer was let in for before the process stopped listening.
                if self.listener.is_some() && !self.links.contains_key(&id) {
                    self.links.insert(id, link);
                    let event = ConnectionEvent::Accepted(id);
                    self.take_up(Came::Connection { peer: from, event }).await?;
                }
            }
            Incoming::Opened(id) => {
                if let Some(peer) = peer_of(&self.links, &id) {
                    self.take_up(Came::Connection { peer, event: ConnectionEvent::Opened(id) }).await?;
                }
            }
            Incoming::Refused(id, reason) => {
                if let Some(Link { peer, .. }) = self.links.remove(&id) {
                    self.take_up(Came::Connection { peer, event: ConnectionEvent::Refused(id, reason) }).await?;
                }
            }
            Incoming::Closed(id, reason) => {
                if let Some(Link { peer, .. }) = self.links.remove(&id) {
                    self.take_up(Came::Connection { peer, event: ConnectionEvent::Closed(id, reason) }).await?;
                }
            }
            Incoming::Message { id, sent, message } => {
                // What comes on a connection that the process has closed meanwhile is nobody's.
                if let Some(peer) = peer_of(&self.links, &id) {
                    self.take_up(Came::Message { from: peer, sent, via: Some(id), message }).await?;
                }
            }
            Incoming::Consumed { id, bytes } => {
                let buffered = self.world.connections(self.node).iter().find(|c| c.id == id).map(|c| c.buffered);
                match buffered {
                    None => {}
                    Some(buffered) if bytes <= buffered => self.take_up(Came::Consumed { id, bytes }).await?,
                    Some(_) => self.own.push_back(Incoming::Closed(id, CloseReason::Reset)),
                }
            }
        }
        Ok(())
    }

    /// Notes what has come, lets the actor handle it, and does what it asked for.
    async fn take_up(&mut self, came: Came) -> io::Result<()> {
        let Some(occurrence) = came.occurrence(self.stamp.process, self.wire) else {
            // A peer that speaks another dialect, or a disk that another program wrote.
            return match came {
                Came::Start { .. } => {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "the disk holds what this protocol did not write"))
                }
                Came::Message { via: Some(id), .. } => {
                    self.own.push_back(Incoming::Closed(id, CloseReason::Reset));
                    Ok(())
                }
                _ => Ok(()),
            };
        };
        let consumed = match &occurrence {
            Occurrence::Message { message, via: Some(id), .. } => Some((*id, u64::from(message.bytes()))),
            _ => None,
        };
        let began = self.clock.now();
        let world = &mut self.world;
        let handled = catch_unwind(AssertUnwindSafe(|| world.follow(began, began, self.node, occurrence, 0)));
        let state = match &handled {
            Ok(_) => Some(state_hash(self.world.actor(self.node))),
            Err(_) => None,
        };
        let came = match came {
            // It has been said.
            Came::Start { .. } => Came::Start { disk: Vec::new() },
            came => came,
        };
        let note = Note { stamp: self.stamp, began, ended: self.clock.now(), came, state };
        // Before anything that comes of it can be seen elsewhere.
        self.observer.say(&Said::Note(note))?;
        if let Err(panic) = handled {
            std::panic::resume_unwind(panic as Box<dyn Any + Send>);
        }
        if let Some((id, bytes)) = consumed
            && let Some(link) = self.links.get(&id)
        {
            link.consumed(bytes);
        }
        let sent = self.stamp;
        self.stamp.number += 1;
        for effect in self.world.take_effects() {
            self.carry_out(effect, sent).await?;
        }
        let slow_by = self.world.slow_by(self.node);
        if !slow_by.is_zero() {
            self.busy_until = self.busy_until.max(self.clock.now()) + slow_by;
        }
        let role = self.world.actor(self.node).map_or("", A::role);
        if std::mem::replace(&mut self.role, role) != role {
            self.observer.role(began, role);
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect<A>, sent: Stamp) -> io::Result<()> {
        match effect {
            Effect::Send { to, message } => {
                let departure = self.world.depart(self.node, to, &message);
                if let Some(datagram) = self.network.datagram(sent, self.wire.message.write(&message)) {
                    match departure {
                        Departure::Lost | Departure::Dropped => {}
                        Departure::After(wait) => self.send_datagram(to, wait, datagram),
                        Departure::Twice(first, second) => {
                            self.send_datagram(to, first, datagram.clone());
                            self.send_datagram(to, second, datagram);
                        }
                    }
                }
            }
            Effect::Connect { peer, id } => {
                let link = self.network.connect(peer, id, sent);
                self.links.insert(id, link);
            }
            Effect::SendOn { id, message } => {
                let Some(link) = self.links.get(&id) else { return Ok(()) };
                let retransmitted = self.world.setup().network.retransmission_timeout;
                let wait = match self.world.depart(self.node, link.peer, &message) {
                    Departure::After(wait) | Departure::Twice(wait, _) => wait,
                    // It can only be lost together with the connection.
                    Departure::Dropped => {
                        self.own.push_back(Incoming::Closed(id, CloseReason::Reset));
                        return Ok(());
                    }
                    Departure::Lost => retransmitted,
                };
                let wait = wait.div_f64(self.clock.speed);
                let queued = link.send(sent, wait, self.wire.message.write(&message));
                let buffered = self.world.connections(self.node).iter().find(|c| c.id == id).map_or(0, |c| c.buffered);
                let capacity = self.world.setup().network.buffer.capacity;
                if queued.is_none_or(|queued| queued.max(buffered) > capacity) {
                    self.own.push_back(Incoming::Closed(id, CloseReason::Overflow));
                }
            }
            Effect::Close(id) => _ = self.links.remove(&id).map(Link::finish),
            Effect::Listen(listening) => self.listen(listening).await?,
            Effect::Write(record) => self.disk.append(self.wire.record.write(&record)),
            Effect::Truncate => self.disk.truncate(),
            Effect::Sync(token) => self.disk.sync(token),
            Effect::Busy(duration) => self.busy_until = self.busy_until.max(self.clock.now()) + duration,
            Effect::Mark(mark) => self.observer.mark(self.clock.now(), mark),
            Effect::Power { node, on } => {
                self.observer.say(&Said::Power { node, on })?;
                self.wait_for_switch().await?;
            }
            // The world has armed them, noted them, or stopped the process.
            Effect::SetTimer(..) | Effect::CancelTimer(_) | Effect::RunJob(..) | Effect::Record(_) | Effect::Halt => {}
        }
        Ok(())
    }

    fn send_datagram(&self, to: NodeId, wait: Duration, datagram: Vec<u8>) {
        let (socket, address) = (self.socket.clone(), self.network.peers[to.index()]);
        // As with any datagram, nobody knows whether it arrives.
        if wait.is_zero() {
            _ = socket.try_send_to(&datagram, address);
        } else {
            let wait = wait.div_f64(self.clock.speed);
            spawn_local(async move {
                sleep(wait).await;
                _ = socket.try_send_to(&datagram, address);
            });
        }
    }

    /// A power board answers when it has switched, not before.
    async fn wait_for_switch(&mut self) -> io::Result<()> {
        let mut later = Vec::new();
        loop {
            match self.told.recv().await {
                Some(Told::Switched) => break,
                Some(Told::Clock { question }) => {
                    self.observer.say(&Said::Clock { question, now: self.clock.now() })?;
                }
                Some(told) => later.push(told),
                None => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "there is nobody who switches power")),
            }
        }
        for told in later {
            Box::pin(self.hear(told)).await?;
        }
        Ok(())
    }

    /// Accepts connections from now on, or lets the system below refuse them.
    async fn listen(&mut self, listening: bool) -> io::Result<()> {
        if !listening {
            if let Some(listener) = self.listener.take() {
                listener.abort();
                // Until the socket is closed, for the address to be free when it is wanted again.
                _ = listener.await;
            }
        } else if self.listener.is_none() {
            let address = self.network.peers[self.node.index()];
            let listener = bind(address);
            let listener = listener.map_err(|error| explain(error, format!("cannot listen at {address} (TCP)")))?;
            self.listener = Some(spawn_local(self.network.clone().accept(listener)));
        }
        Ok(())
    }
}

/// Listens where an earlier process may have listened a moment ago.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

/// A hash of an actor's state, the same in every process of the same program; zero if it is gone.
pub(crate) fn state_hash<A: Actor>(actor: Option<&A>) -> u64 {
    let Some(actor) = actor else { return 0 };
    let mut hash = hasher();
    actor.hash(&mut hash);
    hash.finish()
}

fn explain(error: io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
