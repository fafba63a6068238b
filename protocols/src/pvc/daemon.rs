//! The daemon of a node: its parts, how it starts, and how it takes a lost connection. What the parts do is in files of
//! their own.

use std::collections::BTreeMap;
use std::time::Duration;

use sim_core::{ConnectionEvent, Context, Instant, NodeId};

use super::addresses::Addresses;
use super::contention::Contention;
use super::fence::PowerCall;
use super::keepalive::Keepalive;
use super::layout::{NONE, NodeInfo, PRIMARY, SharedRef};
use super::machines::Machine;
use super::message::{Call, Command, Timer, Trouble};
use super::monitor::Monitor;
use super::protocol::Node;
use super::shutdown::Shutdown;
use super::state::{Router, Step};
use super::transition::Transition;
use crate::services::coordination::{
    self, Answer, Client, ClientConfig, Error, Event, LockId, Mode, Op, Request, SessionChange, Text,
};
use crate::services::power::{self, Remote, RemoteConfig};
use crate::transitions::StateMachine;

/// What a handler of a daemon uses.
pub(super) type Ctx<'a> = Context<'a, Node>;

/// Where a daemon is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// It has not announced itself.
    Starting,
    /// `run`.
    Run,
    /// `shutdown`.
    Shutdown,
}

/// The daemon of a coordinator or a hypervisor.
#[derive(Clone, Debug, Hash)]
pub struct Daemon {
    pub(super) shared: SharedRef,
    me: usize,
    pub(super) zk: Client<Call>,
    pub(super) ipmi: Remote<PowerCall>,
    pub(super) life: Life,
    pub(super) router: Router,
    /// Whether the listener for changes of the session is registered.
    listener: bool,
    /// Whether a new session is being opened in place of a lost one.
    reopening: bool,
    /// When the process started.
    pub(super) since: Instant,
    /// Whether what takes time at start is done.
    started: bool,
    /// How often an operator has asked for this node to be the primary.
    orders: u32,
    pub(super) keepalive: Keepalive,
    pub(super) contention: Option<Contention>,
    /// The version of the primary key when it was last seen to name this node.
    pub(super) named_at: u32,
    pub(super) transition: Option<Transition>,
    /// Counts what is numbered.
    pub(super) serial: u32,
    pub(super) addresses: Addresses,
    pub(super) monitor: Monitor,
    pub(super) machines: BTreeMap<u16, Machine>,
    pub(super) shutdown: Option<Shutdown>,
    /// What does not work, and until when.
    troubles: BTreeMap<Trouble, Instant>,
}

impl Daemon {
    pub(super) fn new(shared: &SharedRef, id: NodeId) -> Self {
        let config = &shared.config;
        let client = ClientConfig {
            session_timeout: config.session_timeout,
            first_retry: Duration::from_millis(100).min(config.reconnect_wait),
            last_retry: config.reconnect_wait,
        };
        Daemon {
            shared: shared.clone(),
            me: shared.nodes.iter().position(|node| node.id == id).expect("every node with a daemon is listed"),
            zk: Client::new(shared.service, client),
            ipmi: Remote::new(RemoteConfig { patience: config.ipmi_patience, ..RemoteConfig::default() }),
            life: Life::Starting,
            router: Router::Init,
            listener: true,
            reopening: false,
            since: Instant::ZERO,
            started: false,
            orders: 0,
            keepalive: Keepalive::default(),
            contention: None,
            named_at: 0,
            transition: None,
            serial: 0,
            addresses: Addresses::default(),
            monitor: Monitor::default(),
            machines: BTreeMap::new(),
            shutdown: None,
            troubles: BTreeMap::new(),
        }
    }

    /// Its router's state.
    pub fn router(&self) -> Router {
        self.router
    }

    /// Where it is in its life.
    pub fn life(&self) -> Life {
        self.life
    }

    /// How often an operator has asked for it to be the primary.
    pub fn orders(&self) -> u32 {
        self.orders
    }

    /// Whether its session with the coordination service is sure to be valid when its clock reads `now`.
    pub fn trusts_session(&self, now: Instant) -> bool {
        self.zk.trusts(now)
    }

    pub(super) fn info(&self) -> &NodeInfo {
        &self.shared.nodes[self.me]
    }

    pub(super) fn name(&self) -> &Text {
        &self.info().name
    }

    pub(super) fn is_coordinator(&self) -> bool {
        self.info().coordinator
    }

    /// The next number for something that is numbered.
    pub(super) fn next_serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }

    /// What the primary key was last seen to hold, and its version.
    pub(super) fn primary_seen(&self) -> Option<(Text, u32)> {
        self.zk.seen(PRIMARY).value().map(|(text, version)| (text.clone(), version))
    }

    /// Whether the primary key was last seen to name this node.
    pub(super) fn is_named(&self) -> bool {
        self.zk.seen(PRIMARY).value().is_some_and(|(text, _)| text == self.name())
    }

    pub(super) fn has_trouble(&self, trouble: Trouble, ctx: &Ctx) -> bool {
        self.trouble_until(trouble, ctx).is_some()
    }

    pub(super) fn trouble_until(&self, trouble: Trouble, ctx: &Ctx) -> Option<Instant> {
        self.troubles.get(&trouble).copied().filter(|&until| ctx.now() < until)
    }

    /// Asks the coordination service. Without a connection nothing is asked: whoever waits is begun again when there is
    /// one.
    pub(super) fn ask(&mut self, request: Request, call: Call, ctx: &mut Ctx) {
        self.zk.request(request, call, ctx);
    }

    pub(super) fn read(&mut self, paths: Vec<Text>, call: Call, ctx: &mut Ctx) {
        self.ask(Request::Read { paths, watch: false }, call, ctx);
    }

    pub(super) fn write(&mut self, ops: Vec<Op>, call: Call, ctx: &mut Ctx) {
        self.ask(Request::Transaction(ops), call, ctx);
    }

    pub(super) fn on_start(&mut self, ctx: &mut Ctx) {
        self.since = ctx.now();
        let paths = &self.shared.paths;
        let mut observed = vec![paths.primary.clone(), paths.maintenance.clone()];
        observed.extend(self.shared.vms.iter().map(|vm| vm.record.clone()));
        let networks = paths.networks.clone();
        self.zk.start(ctx);
        // There is no connection yet: they are read, and read again, whenever there is one.
        self.zk.observe(observed, ctx);
        self.zk.observe_children(networks, ctx);
        ctx.run_job(self.shared.config.startup_time, Timer::Started);
    }

    pub(super) fn on_coordination(&mut self, message: coordination::Message, ctx: &mut Ctx) {
        let events = self.zk.on_message(message, ctx);
        self.events(events, ctx);
    }

    pub(super) fn on_connection(&mut self, event: ConnectionEvent, ctx: &mut Ctx) {
        let events = self.zk.on_connection(event, ctx);
        self.events(events, ctx);
    }

    pub(super) fn on_power(&mut self, message: power::Message, ctx: &mut Ctx) {
        if let Some((call, said)) = self.ipmi.on_message(message, ctx) {
            self.board_answered(call, said, ctx);
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, ctx: &mut Ctx) {
        match timer {
            Timer::Coordination(timer) => {
                let events = self.zk.on_timer(timer, ctx);
                self.events(events, ctx);
            }
            Timer::Power(timer) => {
                if let Some((call, said)) = self.ipmi.on_timer(timer, ctx) {
                    self.board_answered(call, said, ctx);
                }
            }
            Timer::Started => {
                self.started = true;
                self.announce(ctx);
            }
            Timer::Keepalive => self.keepalive_due(ctx),
            Timer::Collected(number, collector, outcome) => self.collected(number, collector, outcome, ctx),
            Timer::Join(number) => self.joined(number, ctx),
            Timer::QueueRead(number) => self.queue_read(number, ctx),
            Timer::ContendAgain => self.consider_key(ctx),
            Timer::TransitionDelay => self.act_on_key(ctx),
            Timer::Transition(number) => self.transition_goes_on(number, ctx),
            Timer::ServicesUp(number) => self.addresses.services_up(number),
            Timer::Fence(target) => self.fence_goes_on(target, ctx),
            Timer::VmRetry(vm) => self.consider_vm(vm, ctx),
            Timer::Migrated(vm) => self.migrated(vm, ctx),
            Timer::Shutdown => self.shutdown_waited(ctx),
        }
    }

    pub(super) fn on_command(&mut self, command: Command, ctx: &mut Ctx) {
        let (name, key) = (self.name().clone(), self.shared.paths.primary.clone());
        match command {
            Command::BecomePrimary if self.is_coordinator() && self.life == Life::Run => {
                self.orders += 1;
                self.write(vec![Op::Set { path: key, data: name, version: None }], Call::Ignored, ctx);
            }
            Command::BecomeSecondary => {
                if let Some((value, version)) = self.primary_seen()
                    && value == name
                {
                    let op = Op::Set { path: key, data: NONE.into(), version: Some(version) };
                    self.write(vec![op], Call::Ignored, ctx);
                }
            }
            Command::Shutdown => self.shut_down(ctx),
            Command::Maintenance(on) => {
                let op = Op::Set {
                    path: self.shared.paths.maintenance.clone(),
                    data: if on { "true" } else { "false" }.into(),
                    version: None,
                };
                self.write(vec![op], Call::Ignored, ctx);
            }
            Command::CreateNetwork => {
                let number = self.next_serial();
                let path = format!("{}/net-by-{name}-{number}", self.shared.paths.networks);
                let op = Op::Create { path: path.into(), data: "".into(), mode: Mode::Persistent };
                self.write(vec![op], Call::Ignored, ctx);
            }
            Command::Trouble(trouble) => {
                self.troubles.insert(trouble, ctx.now() + self.shared.config.trouble_time);
            }
            Command::BecomePrimary | Command::Board(_) => {} // Not this node's business.
        }
    }

    fn events(&mut self, events: Vec<Event<Call>>, ctx: &mut Ctx) {
        for event in events {
            match event {
                Event::Session(change) => self.session_changed(change, ctx),
                Event::Reply { call, result } => self.replied(call, result, ctx),
                Event::Observed(path) if &*path == PRIMARY => self.consider_key(ctx),
                Event::Observed(path) => {
                    if let Some(vm) = self.shared.vms.iter().position(|vm| vm.record == path) {
                        self.consider_vm(vm as u16, ctx);
                    }
                }
                Event::ChildrenObserved(_) => self.networks_changed(),
                Event::Locked(lock) => self.locked(lock, ctx),
                Event::LockTimedOut(lock) => self.lock_timed_out(lock, ctx),
                // The connection went with it, and everything that needed it.
                Event::LockLost(_) => {}
                Event::Watch { .. } => unreachable!("a daemon watches nothing but what it observes"),
            }
        }
    }

    fn replied(&mut self, call: Call, result: Result<Answer, Error>, ctx: &mut Ctx) {
        // Nobody goes on without a connection; when it is back, everything is begun anew.
        if result == Err(Error::ConnectionLoss) {
            return;
        }
        match call {
            Call::Ignored => {}
            Call::Resync => self.resume(ctx),
            Call::Announce => self.announced(ctx),
            Call::Keepalive(number, step) => self.keepalive_replied(number, step, result, ctx),
            Call::Contend(step) => self.contention_replied(step, result, ctx),
            Call::Transition(number) => self.transition_announced(number, ctx),
            Call::Scan => self.scanned(result, ctx),
            Call::Fence(target, step) => self.fence_replied(target, step, result, ctx),
            Call::Recovery(step) => self.recovery_replied(step, result, ctx),
            Call::Vm(vm, step) => self.vm_replied(vm, step, result, ctx),
            Call::Shutdown(step) => self.shutdown_replied(step, result, ctx),
        }
    }

    fn locked(&mut self, lock: LockId, ctx: &mut Ctx) {
        if self.contention.as_ref().is_some_and(|contention| contention.lock == Some(lock)) {
            self.contention_locked(ctx);
        } else if self.monitor.lock == Some(lock) {
            self.scan(ctx);
        } else {
            self.transition_locked(lock, ctx);
        }
    }

    fn lock_timed_out(&mut self, lock: LockId, ctx: &mut Ctx) {
        if self.contention.as_ref().is_some_and(|contention| contention.lock == Some(lock)) {
            self.contention_lost(ctx);
        } else if self.monitor.lock == Some(lock) {
            self.monitor.lock = None; // Somebody else fences.
        } else {
            self.transition_lock_timed_out(lock, ctx);
        }
    }

    /// What the listener does that is registered with the session.
    fn session_changed(&mut self, change: SessionChange, ctx: &mut Ctx) {
        match change {
            SessionChange::Connected { .. } => {
                if self.listener || self.reopening {
                    self.reopening = false;
                    ctx.mark("connected");
                    // It is answered after everything that is observed was read again.
                    self.read(vec![self.shared.paths.primary.clone()], Call::Resync, ctx);
                }
            }
            SessionChange::Suspended if self.listener => {
                ctx.mark("connection-lost");
                self.keepalive.abort();
                self.abort_contention(ctx);
                self.suspend_transition(ctx);
                self.abort_monitor(ctx);
                self.suspend_machines();
            }
            SessionChange::Lost if self.listener => {
                ctx.mark("session-lost");
                self.reopening = true;
                // Defect e0cb4a58: the listener was that of the session that is gone.
                self.listener = !self.shared.defects.e0cb4a58;
                self.zk.start(ctx);
            }
            SessionChange::Suspended | SessionChange::Lost => {}
        }
    }

    /// The connection is there, and what is observed is known.
    fn resume(&mut self, ctx: &mut Ctx) {
        if self.life == Life::Starting {
            return self.announce(ctx);
        }
        self.keepalive_due(ctx);
        self.resume_transition(ctx);
        self.consider_key(ctx);
        for vm in 0..self.shared.vms.len() as u16 {
            self.consider_vm(vm, ctx);
        }
        self.resume_shutdown(ctx);
    }

    /// Tells everybody that the daemon is there, once it has started and can.
    fn announce(&mut self, ctx: &mut Ctx) {
        if !self.started || self.life != Life::Starting || self.primary_seen().is_none() {
            return;
        }
        let info = self.info();
        let router = if info.coordinator { Router::Secondary } else { Router::Client };
        let set = |path: &Text, data: &str| Op::Set { path: path.clone(), data: data.into(), version: None };
        let ops = vec![
            set(&info.daemon_state, "init"),
            set(&info.router_state, router.word()),
            set(&info.domain_state, "ready"),
        ];
        self.write(ops, Call::Announce, ctx);
    }

    fn announced(&mut self, ctx: &mut Ctx) {
        if self.life != Life::Starting {
            return;
        }
        self.life = Life::Run;
        self.router.step(if self.is_coordinator() { Step::Announced } else { Step::Joined });
        // Defect PVC-L7: whoever starts and finds no primary makes itself one.
        if self.shared.defects.pvc_l7
            && self.is_coordinator()
            && self.primary_seen().is_some_and(|(value, _)| &*value == NONE)
        {
            let op = Op::Set { path: self.shared.paths.primary.clone(), data: self.name().clone(), version: None };
            self.write(vec![op], Call::Ignored, ctx);
        }
        self.keepalive_due(ctx);
        // Defect 331027d1: what was seen while the state was not known yet is not looked at again, if it was `none`.
        if !self.shared.defects.x331027d1 || self.is_named() {
            self.consider_key(ctx);
        }
        for vm in 0..self.shared.vms.len() as u16 {
            self.consider_vm(vm, ctx);
        }
    }
}
