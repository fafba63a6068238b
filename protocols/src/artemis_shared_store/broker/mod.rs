//! A broker, `live` or `backup`: what it knows, and which part of it handles what.

mod activation;
mod failback;
mod serving;

use std::collections::BTreeMap;
use std::sync::Arc;

use sim_core::{ConnectionEvent, ConnectionId, Constant, NodeId};

use super::mount::Mount;
use super::store::Journal;
use super::{Event, Message, Node, Phase, Settings, Timer};
use crate::transitions::StateMachine;

type Context<'a> = sim_core::Context<'a, Node>;

/// A broker.
#[derive(Clone, Debug, Hash)]
pub struct Broker {
    settings: Constant<Arc<Settings>>,
    me: NodeId,
    phase: Phase,
    /// `None` only before the start.
    mount: Option<Mount>,
    /// Counts activations of this process, so that the end of an abandoned load is recognised.
    activation: u32,
    /// The lock file's time stamp as this activation has set it.
    touched: u64,
    /// What this activation has read and written.
    journal: Journal,
    /// Journal writes that the store has not answered: by position, the message and the clients to tell.
    appends: BTreeMap<u64, Append>,
    /// The backup of this node id, as the topology has it; may be this broker.
    announced: Option<Announced>,
    /// The connection on which this broker announces itself to the serving one.
    announcer: Option<ConnectionId>,
    /// Whether another broker has been found serving since this one started.
    returning: bool,
    /// Whether this activation waits for an announcement before it fails back.
    awaiting_announcement: bool,
}

#[derive(Clone, Debug, Hash)]
struct Append {
    value: u64,
    clients: Vec<ConnectionId>,
}

/// An entry of the topology.
#[derive(Clone, Copy, Debug, Hash)]
struct Announced {
    backup: NodeId,
    /// The connection that keeps it there; none for a broker's own entry.
    by: Option<ConnectionId>,
}

impl Broker {
    /// A broker that has not started.
    pub fn new(settings: Constant<Arc<Settings>>, me: NodeId) -> Self {
        Broker {
            settings,
            me,
            phase: Phase::Mounting,
            mount: None,
            activation: 0,
            touched: 0,
            journal: Journal::default(),
            appends: BTreeMap::new(),
            announced: None,
            announcer: None,
            returning: false,
            awaiting_announcement: false,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The connection to the store.
    pub fn mounted_on(&self, connection: ConnectionId) -> bool {
        self.mount.as_ref().is_some_and(|mount| mount.is_on(connection))
    }

    pub(super) fn role(&self) -> &'static str {
        match self.phase {
            Phase::Mounting | Phase::Probing | Phase::Requesting | Phase::AwaitingBackup => "STARTING",
            Phase::AwaitingPrimary => "AWAITING-PRIMARY",
            Phase::Passive | Phase::Verifying => "BACKUP",
            Phase::Claiming | Phase::Loading => "ACTIVATING",
            Phase::Live => "LIVE",
            Phase::HandingOver | Phase::ShuttingDown => "STOPPING",
            Phase::AwaitingPeer => "AWAITING-LIVE",
        }
    }

    pub(super) fn start(&mut self, ctx: &mut Context) {
        // Acceptors open last, when there is something to serve.
        ctx.listen(false);
        self.mount = Some(Mount::open(self.settings.store, ctx));
        ctx.set_timer(Timer::Renew, self.settings.config.lock_lease / 3);
    }

    pub(super) fn message(&mut self, from: NodeId, message: Message, ctx: &mut Context) {
        match message {
            Message::Send { value } => self.send(value, ctx),
            Message::NodeAnnounced => self.announcement(from, ctx),
            answer => {
                if self.mount.as_mut().is_some_and(|mount| mount.answered(&answer)) {
                    self.answered(answer, ctx);
                }
            }
        }
    }

    fn answered(&mut self, answer: Message, ctx: &mut Context) {
        match answer {
            Message::Locked(lock, granted) => self.locked(lock, granted, ctx),
            Message::Unlocked(lock) => self.unlocked(lock, ctx),
            Message::State(state) => self.state_read(state, ctx),
            Message::StateWritten(state) => self.state_written(state, ctx),
            Message::Touched(modified) => self.lock_file_touched(modified, ctx),
            Message::Times(modified) => self.monitored(modified, ctx),
            Message::Records { values, .. } => self.journal_read(&values, ctx),
            Message::Appended { position } => self.appended(position, ctx),
            Message::Refused { .. } => self.lock_lost(ctx),
            other => unreachable!("{other:?} answers nothing"),
        }
    }

    pub(super) fn timer(&mut self, timer: Timer, ctx: &mut Context) {
        match timer {
            Timer::Poll => self.poll(ctx),
            Timer::Renew => {
                ctx.set_timer(Timer::Renew, self.settings.config.lock_lease / 3);
                self.mount().tell(Message::Renew, ctx);
            }
            Timer::Remount => self.mount().reopen(ctx),
            Timer::Announce => self.announce(ctx),
            Timer::Loaded(activation) => self.loaded(activation, ctx),
            Timer::Monitor => self.monitor(ctx),
            Timer::MonitorTimeout => self.lock_lost(ctx),
            Timer::FailbackCheck => self.check_for_failback(ctx),
            Timer::AnnouncementWait => self.announcement_overdue(ctx),
            Timer::FailbackDelay => self.become_backup(ctx),
            Timer::NextSend | Timer::CallTimeout | Timer::Reconnect => unreachable!("{timer:?} is a client's"),
        }
    }

    pub(super) fn connection(&mut self, event: ConnectionEvent, ctx: &mut Context) {
        match event {
            ConnectionEvent::Opened(id) if self.mounted_on(id) => self.mounted(ctx),
            ConnectionEvent::Refused(id, _) | ConnectionEvent::Closed(id, _) if self.mounted_on(id) => {
                self.mount().lost();
                ctx.set_timer(Timer::Remount, self.settings.config.retry_interval);
            }
            ConnectionEvent::Opened(id) => self.announcer_open(id, ctx),
            ConnectionEvent::Refused(id, _) => self.announcer_closed(id, ctx),
            ConnectionEvent::Closed(id, _) => {
                self.announcer_closed(id, ctx);
                self.member_down(id);
                self.client_gone(id);
            }
            // A broker that does not serve must not keep anyone waiting.
            ConnectionEvent::Accepted(id) if self.phase != Phase::Live => ctx.close(id),
            ConnectionEvent::Accepted(_) | ConnectionEvent::Writable(_) => {}
        }
    }

    fn mounted(&mut self, ctx: &mut Context) {
        self.mount().opened(ctx);
        if self.phase == Phase::Mounting {
            if self.me == self.settings.live {
                self.phase.step(Event::LiveMounted);
            } else {
                self.phase.step(Event::BackupMounted);
            }
            self.poll(ctx);
        }
    }

    /// Stops serving: clients are told by the end of their connections.
    fn close_clients(&mut self, ctx: &mut Context) {
        ctx.listen(false);
        let mounted: Vec<ConnectionId> = ctx.connections().iter().map(|c| c.id).collect();
        for id in mounted.into_iter().filter(|&id| !self.mounted_on(id)) {
            ctx.close(id);
        }
        self.appends.clear();
        self.announced = None;
        self.awaiting_announcement = false;
        for timer in [Timer::Monitor, Timer::MonitorTimeout, Timer::AnnouncementWait] {
            ctx.cancel_timer(timer);
        }
        if !self.settings.defects.checker_not_stopped {
            ctx.cancel_timer(Timer::FailbackCheck); // ARTEMIS-1842
        }
    }

    /// Starts all over, as after a restart of the process.
    fn restart(&mut self, ctx: &mut Context) {
        self.phase.step(Event::LockLost);
        self.close_clients(ctx);
        let connections: Vec<ConnectionId> = ctx.connections().iter().map(|c| c.id).collect();
        connections.into_iter().for_each(|id| ctx.close(id));
        for timer in [Timer::Poll, Timer::Remount, Timer::Announce] {
            ctx.cancel_timer(timer);
        }
        *self = Broker { activation: self.activation, ..Broker::new(self.settings.clone(), self.me) };
        self.start(ctx);
    }

    fn mount(&mut self) -> &mut Mount {
        self.mount.as_mut().expect("a broker that has started has a mount")
    }
}
