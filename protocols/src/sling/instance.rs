//! An instance: its life from the first request for a lease to the last, and which part of it handles what.

use std::sync::Arc;
use std::time::Duration;

use sim_core::{Constant, Context, Instant, NodeId};

use super::listener::{Listener, ListenerId, Sender};
use super::manager::Manager;
use super::node::{Command, Node, Record, Shared, Timer};
use super::pool::Pool;
use super::reader::{Reader, Reading, Source, election_id, id_map, properties};
use super::state::{Happening, Stage};
use super::sync::{Chain, Part};
use super::view::{ElectionId, SlingId, TopologyView};
use crate::services::repository::{Client, ClusterNodeId, Descriptor, Event, Message, Value};
use crate::transitions::StateMachine;

/// An instance of Sling with its discovery.
#[derive(Clone, Debug, Hash)]
pub struct Instance {
    pub(super) shared: Constant<Arc<Shared>>,
    pub(super) name: SlingId,
    /// Whether it waits for an operator to start it for the first time.
    waits: bool,
    pub(super) stage: Stage,
    pub(super) client: Client,
    /// The descriptor that was read last.
    pub(super) descriptor: Option<Descriptor>,
    /// The leader election id of this activation.
    pub(super) election: Option<ElectionId>,
    /// What is still to be written before discovery can be active, and the commit that is being waited for.
    startup: (Step, Option<u64>),
    /// Whether the next step will take long.
    stall: bool,
    /// Whether a sync token has been written since discovery was activated.
    pub(super) has_token: bool,
    /// The version of its properties.
    properties: u64,
    reader: Reader,
    pub(super) manager: Manager,
    pub(super) sender: Sender,
    pub(super) listeners: Vec<Listener>,
    pub(super) chain: Chain,
    pub(super) pool: Pool,
}

/// The steps of a start, each of which takes its time and then writes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// Takes back the leader election id of an earlier life.
    Withdraw,
    /// Writes who it is.
    IdMap,
    /// Writes its leader election id.
    Election,
    /// Activates discovery.
    Activate,
}

impl Instance {
    pub(super) fn new(shared: Constant<Arc<Shared>>, node: NodeId, waits: bool) -> Self {
        let name = SlingId(u64::from(node.0) + 1);
        let config = &shared.config;
        Instance {
            name,
            waits,
            stage: Stage::Dormant,
            client: Client::new(shared.repository, name.0, config.repository()),
            descriptor: None,
            election: None,
            startup: (Step::Withdraw, None),
            stall: false,
            has_token: false,
            properties: 0,
            reader: Reader::default(),
            manager: Manager::default(),
            sender: Sender::default(),
            listeners: (0..config.listeners).map(|id| Listener::new(ListenerId(id))).collect(),
            chain: Chain::new(config),
            pool: Pool::default(),
            shared,
        }
    }

    /// Its lasting name.
    pub fn name(&self) -> SlingId {
        self.name
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Its half of the repository.
    pub fn repository(&self) -> &Client {
        &self.client
    }

    /// The leader election id of its present activation.
    pub fn election(&self) -> Option<ElectionId> {
        self.election.filter(|_| self.stage == Stage::Active)
    }

    /// Its listeners.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Whether it has its lease but has not written all that others need, up to the first sync token.
    pub fn is_starting(&self) -> bool {
        self.stage == Stage::Starting || self.stage == Stage::Active && !self.has_token
    }

    /// Whether it is to be found in the views of all others once nothing breaks any more.
    pub fn is_member(&self) -> bool {
        !matches!(self.stage, Stage::Dormant | Stage::Stopping | Stage::Stopped)
    }

    /// Whether it has been through a sync since its discovery was activated.
    pub fn is_established(&self) -> bool {
        self.manager.is_established()
    }

    /// Those for whom it waits: whose tokens are missing, or who make its view undefined.
    pub fn waits_for(&self) -> Vec<ClusterNodeId> {
        if self.stage != Stage::Active || !self.manager.is_changing() {
            return Vec::new();
        }
        match self.manager.pending() {
            Some(_) => self.late_members(),
            None => self.reader.missing().into_iter().collect(),
        }
    }

    /// The topology that all of its listeners have, if they have one and it is the one that the instance goes by.
    pub fn agreed(&self) -> Option<&TopologyView> {
        let view = self.manager.current()?;
        let mut listeners = self.listeners.iter().filter(|listener| listener.registered);
        listeners.all(|l| l.current.as_ref().is_some_and(|current| current.is_like(view))).then_some(view)
    }

    /// A sync that runs although it was cancelled or discovery is not active, in words.
    pub fn stray_sync(&self) -> Option<String> {
        let stray = self.chain.running().find(|e| self.stage != Stage::Active || !self.chain.can_execute(e))?;
        Some(format!("the sync of number {} runs, but was cancelled", stray.view.seq))
    }

    pub(super) fn on_start(&mut self, disk: &[Record], ctx: &mut Context<Node>) {
        if !self.waits || disk.contains(&Record::Started) {
            self.start(ctx);
        }
    }

    fn start(&mut self, ctx: &mut Context<Node>) {
        self.stage.step(Happening::Started);
        self.client.acquire(ctx);
    }

    /// Whether the process may handle an event. If its lease has ended it ends as well, whatever it was about to do.
    pub(super) fn may_go_on(&mut self, ctx: &mut Context<Node>) -> bool {
        let is_over = self.client.is_over(ctx.now());
        if is_over {
            self.fenced(ctx);
        }
        !is_over
    }

    fn fenced(&mut self, ctx: &mut Context<Node>) {
        ctx.mark("lease-lost");
        self.stage.step(Happening::Fenced);
        ctx.halt();
    }

    pub(super) fn on_message(&mut self, message: Message, ctx: &mut Context<Node>) {
        let event = self.client.on_message(message, ctx);
        self.on_repository(event, ctx);
    }

    fn on_repository(&mut self, event: Option<Event>, ctx: &mut Context<Node>) {
        match event {
            Some(Event::Opened) => {
                ctx.mark("lease-acquired");
                self.stage.step(Happening::LeaseAcquired);
                // Before anything that takes its time: others must not take it for what it was in its last life.
                // SLING-L4: it left that as it was.
                let left = self.client.read(election_id(self.name)).is_some_and(|id| id != ElectionId::WITHDRAWN);
                if left && !self.shared.defects.sling_l4 {
                    self.client.commit(election_id(self.name), ElectionId::WITHDRAWN, ctx);
                }
                self.begin_step(Step::IdMap, ctx);
            }
            Some(Event::Committed(number)) => {
                if let (step, Some(awaited)) = self.startup
                    && number >= awaited
                    && self.stage == Stage::Starting
                {
                    match step {
                        Step::IdMap => self.begin_step(Step::Election, ctx),
                        _ => self.begin_step(Step::Activate, ctx),
                    }
                }
                self.on_stored(number, ctx);
            }
            Some(Event::Descriptor(new)) if self.descriptor.as_ref().is_none_or(|old| old.seq <= new.seq) => {
                self.descriptor = Some(new);
                self.check_for_topology_change(ctx);
            }
            Some(Event::Released) => {
                self.stage.step(Happening::LeaseReleased);
                ctx.halt();
            }
            Some(Event::Fenced) => self.fenced(ctx),
            Some(Event::Descriptor(_)) | None => {} // Nothing, or nothing new.
        }
    }

    pub(super) fn on_timer(&mut self, timer: Timer, ctx: &mut Context<Node>) {
        match timer {
            Timer::Repository(timer) => {
                let event = self.client.on_timer(timer, ctx);
                self.on_repository(event, ctx);
            }
            Timer::Startup => self.end_step(ctx),
            Timer::Reactivate => self.reactivate(ctx),
            Timer::Poll => {
                self.client.read_view(ctx);
                ctx.set_timer(Timer::Poll, self.shared.config.discovery_lite_check_interval);
            }
            Timer::Delayed(generation) => self.delay_over(generation, ctx),
            Timer::Called => self.called(ctx),
            Timer::Check(part) => self.check(part, ctx),
            Timer::Handover(thread) => self.handed_over(thread, ctx),
            Timer::JoinerDelay => self.joiner_delay_over(ctx),
            Timer::ClientJob => self.client_job(ctx),
        }
    }

    pub(super) fn on_command(&mut self, command: Command, ctx: &mut Context<Node>) {
        match (command, self.stage) {
            (Command::Start, Stage::Dormant) => {
                ctx.write(Record::Started);
                ctx.sync();
                self.start(ctx);
            }
            (Command::Stop, Stage::Starting | Stage::Active | Stage::Inactive) => {
                if self.stage == Stage::Active {
                    self.deactivate(ctx);
                }
                self.stage.step(Happening::StopCalled);
                self.client.release(ctx);
            }
            (Command::Stop, Stage::Dormant | Stage::Acquiring) => {
                // What the repository grants to a process that has gone runs out by itself.
                self.stage.step(Happening::Fenced);
                ctx.halt();
            }
            (Command::Deactivate, Stage::Active) => self.deactivate_discovery(ctx),
            (Command::Activate, Stage::Inactive) => self.reactivate(ctx),
            (Command::RestartDiscovery, Stage::Active) => {
                self.deactivate_discovery(ctx);
                ctx.set_timer(Timer::Reactivate, self.shared.config.discovery_restart_time);
            }
            (Command::ChangeProperties, Stage::Active) => {
                self.properties += 1;
                self.client.commit(properties(self.name), Value([self.properties, 0, 0]), ctx);
            }
            (Command::StallStart, Stage::Dormant | Stage::Acquiring) => self.stall = true,
            (Command::StallStart, Stage::Starting) if self.startup.1.is_none() => self.stall_step(ctx),
            (Command::StallStart, Stage::Starting) => self.stall = true,
            (Command::StallListener, _) => self.sender.stall = true,
            (Command::BindListener, _) => self.register_listener(ctx),
            (Command::UnbindListener, _) => self.unregister_listener(),
            // It has been done already, or is not possible now; or it is for the repository.
            _ => {}
        }
    }

    /// Begins a step of the start.
    fn begin_step(&mut self, step: Step, ctx: &mut Context<Node>) {
        self.startup = (step, None);
        let config = &self.shared.config;
        let longer = config.startup_step_max - config.startup_step_min + Duration::from_nanos(1);
        let time = config.startup_step_min + ctx.random_duration(longer);
        match std::mem::take(&mut self.stall) {
            true => self.stall_step(ctx),
            false => ctx.set_timer(Timer::Startup, time),
        }
    }

    fn stall_step(&mut self, ctx: &mut Context<Node>) {
        ctx.mark("start-stalled");
        ctx.set_timer(Timer::Startup, self.shared.config.startup_stall);
    }

    /// A step has taken its time; now it writes.
    fn end_step(&mut self, ctx: &mut Context<Node>) {
        if self.stage != Stage::Starting {
            return; // It was stopped meanwhile.
        }
        match self.startup.0 {
            Step::Withdraw => panic!("an old leader election id is taken back at once"),
            Step::IdMap => {
                let lease = self.client.lease().expect("an instance that is starting has a lease");
                let written = self.client.commit(id_map(lease.node), Value([self.name.0, 0, 0]), ctx);
                self.startup.1 = Some(written);
            }
            Step::Election => self.announce_election(ctx),
            Step::Activate => self.activate(ctx),
        }
    }

    fn announce_election(&mut self, ctx: &mut Context<Node>) {
        let start = ctx.wall_clock().as_nanos();
        let election = ElectionId { prefix: self.shared.config.leader_election_prefix, start, sling_id: self.name };
        self.election = Some(election);
        let written = self.client.commit(election_id(self.name), election.document(), ctx);
        self.startup = (Step::Election, Some(written));
    }

    fn activate(&mut self, ctx: &mut Context<Node>) {
        ctx.mark("discovery-activated");
        self.startup.1 = None;
        self.stage.step(Happening::Activated);
        self.has_token = false;
        self.reader = Reader::default();
        self.handle_activated(ctx);
        ctx.set_timer(Timer::Poll, Duration::ZERO);
        if !self.shared.config.client_job_interval.is_zero() {
            ctx.set_timer(Timer::ClientJob, self.shared.config.client_job_interval);
        }
    }

    fn deactivate(&mut self, ctx: &mut Context<Node>) {
        self.stage.step(Happening::Deactivated);
        ctx.cancel_timer(Timer::Poll);
        ctx.cancel_timer(Timer::ClientJob);
        self.pool = Pool::default();
        self.handle_deactivated(ctx);
    }

    fn deactivate_discovery(&mut self, ctx: &mut Context<Node>) {
        ctx.mark("discovery-deactivated");
        self.deactivate(ctx);
    }

    fn reactivate(&mut self, ctx: &mut Context<Node>) {
        if self.stage == Stage::Inactive {
            self.stage.step(Happening::Reactivated);
            self.announce_election(ctx);
        }
    }

    /// Reads the topology once more.
    pub(super) fn read_topology(&mut self, now: Instant) -> Reading {
        let Some(descriptor) = &self.descriptor else { return Reading::Undefined };
        let source = Source { client: &self.client, descriptor, has_token: self.has_token, now };
        self.reader.read(&source, &self.shared.config, self.shared.defects)
    }

    /// The topology that the descriptor and the documents make, whatever has come of it so far.
    fn check_for_topology_change(&mut self, ctx: &mut Context<Node>) {
        if self.stage != Stage::Active {
            return;
        }
        match self.read_topology(ctx.now()) {
            Reading::View(view) => self.handle_new_view(Arc::new(view), ctx),
            Reading::Undefined => self.handle_changing(None, ctx),
            Reading::Outdated => {}
        }
    }

    /// The view that a sync is going on for.
    pub(super) fn synced_view(&self, part: Part) -> Option<&Arc<TopologyView>> {
        self.chain.checks.get(&part).map(|check| &check.execution.view)
    }

    /// The role for timelines.
    pub(super) fn role(&self) -> &'static str {
        match self.stage {
            Stage::Dormant => "dormant",
            Stage::Acquiring => "acquiring",
            Stage::Starting => "starting",
            Stage::Active => self.manager.role(),
            Stage::Inactive => "deactivated",
            Stage::Stopping => "stopping",
            Stage::Stopped => "stopped",
        }
    }
}
