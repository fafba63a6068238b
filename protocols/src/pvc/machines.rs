//! The virtual machines of a node: it starts those that belong to it, and moves them away before it shuts down.
//!
//! A machine runs only on a node that has claimed it: in one transaction the node confirms the machine's record, as it
//! was when the node looked, and takes the lock of its storage.

use super::daemon::{Ctx, Daemon, Life};
use super::layout::Placement;
use super::message::{Call, Timer, Trouble};
use crate::services::coordination::{Answer, Error, Mode, Op, Stat, Text};

/// For what a machine waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its record and its storage's lock to be read.
    Look,
    /// Its claim to be taken.
    Claim,
    /// Its migration to be announced.
    Announce,
    /// Its new node to be written.
    HandOver,
}

/// A virtual machine, as far as this node has to do with it.
#[derive(Clone, Debug, Default, Hash)]
pub struct Machine {
    running: bool,
    /// What is under way.
    step: Option<Step>,
}

impl Daemon {
    /// The numbers of the virtual machines that run here.
    pub fn running_vms(&self) -> impl Iterator<Item = u16> + '_ {
        self.machines.iter().filter(|(_, machine)| machine.running).map(|(&vm, _)| vm)
    }

    /// Where a machine was last seen to belong, and the version of its record.
    pub(super) fn placement_seen(&self, vm: u16) -> Option<(Placement, u32)> {
        let (text, version) = self.zk.seen(&self.paths_of(vm).record).value()?;
        Some((Placement::read(text)?, version))
    }

    /// Whether a machine is on its way here: it is there already, paused.
    pub(super) fn has_incoming(&self) -> bool {
        let to_here =
            |vm| matches!(self.placement_seen(vm), Some((Placement::Migrate(_, to), _)) if to == *self.name());
        (0..self.shared.vms.len() as u16).any(to_here)
    }

    pub(super) fn write_placement(&mut self, vm: u16, placement: &Placement, version: u32, call: Call, ctx: &mut Ctx) {
        let path = self.paths_of(vm).record.clone();
        self.write(vec![Op::Set { path, data: placement.text(), version: Some(version) }], call, ctx);
    }

    /// A machine's record was seen to change: starts the machine, or stops it.
    pub(super) fn consider_vm(&mut self, vm: u16, ctx: &mut Ctx) {
        let Some((placement, _)) = self.placement_seen(vm) else { return };
        let here = *placement.host() == *self.name();
        let machine = self.machines.entry(vm).or_default();
        if machine.running && (!here || matches!(placement, Placement::Recovering(_))) && machine.step.is_none() {
            machine.running = false; // Somebody has given it away.
            ctx.mark("vm-stopped");
        }
        // A migration that its node did not live to finish begins anew with the machine on that node.
        let wanted = here && !matches!(placement, Placement::Recovering(_));
        if wanted && !machine.running && machine.step.is_none() && self.life == Life::Run && self.zk.is_connected() {
            machine.step = Some(Step::Look);
            let paths = self.paths_of(vm);
            let paths = vec![paths.record.clone(), paths.storage.clone()];
            self.read(paths, Call::Vm(vm, Step::Look), ctx);
        }
    }

    pub(super) fn vm_replied(&mut self, vm: u16, step: Step, result: Result<Answer, Error>, ctx: &mut Ctx) {
        let machine = self.machines.entry(vm).or_default();
        if machine.step != Some(step) {
            return;
        }
        machine.step = None;
        match (step, result) {
            (Step::Look, Ok(Answer::Read(read))) => self.claim_vm(vm, read, ctx),
            (Step::Claim, Ok(_)) => {
                machine.running = true;
                ctx.mark("vm-started");
                self.consider_vm(vm, ctx);
            }
            (Step::Announce, Ok(_)) => {
                machine.step = Some(step);
                let config = &self.shared.config;
                let time = match self.has_trouble(Trouble::MigrationHangs, ctx) {
                    true => config.vm_migration_timeout.min(config.trouble_time),
                    false => config.vm_migration_time.min(config.vm_migration_timeout),
                };
                ctx.run_job(time, Timer::Migrated(vm));
            }
            (Step::HandOver, Ok(_)) => ctx.mark("vm-migrated"),
            // The record has changed, or the storage is locked.
            (Step::Claim, Err(_)) => ctx.set_timer(Timer::VmRetry(vm), self.shared.config.vm_retry),
            (Step::Announce | Step::HandOver, Err(_)) => {}
            (step, result) => panic!("{step:?} of a virtual machine was answered by {result:?}"),
        }
        self.shutdown_goes_on(ctx);
    }

    /// Takes the lock of its storage, or takes it over from an earlier process of this node.
    fn claim_vm(&mut self, vm: u16, read: Vec<Option<(Text, Stat)>>, ctx: &mut Ctx) {
        let mut read = read.into_iter();
        let (Some(Some((text, stat))), Some(storage)) = (read.next(), read.next()) else { return };
        let name = self.name().clone();
        match Placement::read(&text) {
            Some(Placement::Start(host) | Placement::Migrate(host, _)) if host == name => {}
            _ => return, // It has been given away; that will be seen.
        }
        let path = self.paths_of(vm).storage.clone();
        let take = match storage {
            None => Op::Create { path, data: name.clone(), mode: Mode::Persistent },
            Some((owner, stat)) if owner == name => Op::Set { path, data: owner, version: Some(stat.version) },
            Some(_) => return ctx.set_timer(Timer::VmRetry(vm), self.shared.config.vm_retry),
        };
        let confirm = Op::Set {
            path: self.paths_of(vm).record.clone(),
            data: Placement::Start(name).text(),
            version: Some(stat.version),
        };
        self.machines.entry(vm).or_default().step = Some(Step::Claim);
        self.write(vec![confirm, take], Call::Vm(vm, Step::Claim), ctx);
    }

    /// Begins to move a machine to another node.
    pub(super) fn migrate(&mut self, vm: u16, to: Text, ctx: &mut Ctx) {
        let Some((_, version)) = self.placement_seen(vm) else { return };
        let placement = Placement::Migrate(self.name().clone(), to);
        let machine = self.machines.entry(vm).or_default();
        machine.step = Some(Step::Announce);
        self.write_placement(vm, &placement, version, Call::Vm(vm, Step::Announce), ctx);
    }

    /// Its memory is copied: it stops here, and only then its new node is told.
    pub(super) fn migrated(&mut self, vm: u16, ctx: &mut Ctx) {
        let seen = self.placement_seen(vm);
        let Some(machine) = self.machines.get_mut(&vm).filter(|machine| machine.step == Some(Step::Announce)) else {
            return;
        };
        let Some((Placement::Migrate(_, to), version)) = seen else { return };
        machine.step = None;
        self.hand_over(vm, to, version, ctx);
    }

    /// Gives a machine to another node. It does not run here from this moment on.
    pub(super) fn hand_over(&mut self, vm: u16, to: Text, version: u32, ctx: &mut Ctx) {
        let machine = self.machines.entry(vm).or_default();
        (machine.running, machine.step) = (false, Some(Step::HandOver));
        let path = self.paths_of(vm).storage.clone();
        self.write(vec![Op::Delete { path, version: None }], Call::Ignored, ctx);
        self.write_placement(vm, &Placement::Start(to), version, Call::Vm(vm, Step::HandOver), ctx);
    }

    /// Whether something is under way with a machine of this node.
    pub(super) fn is_busy_with_vms(&self) -> bool {
        self.machines.values().any(|machine| machine.step.is_some())
    }

    /// The machines that belong to this node, running or not, and whether they run.
    pub(super) fn own_vms(&self) -> Vec<(u16, bool, u32)> {
        let own = |vm: u16| {
            let running = self.machines.get(&vm).is_some_and(|machine| machine.running);
            match self.placement_seen(vm) {
                Some((Placement::Start(host) | Placement::Migrate(host, _), version)) if host == *self.name() => {
                    Some((vm, running, version))
                }
                _ => None,
            }
        };
        (0..self.shared.vms.len() as u16).filter_map(own).collect()
    }

    /// The connection is lost: what was asked for is in doubt, and is looked at again when it is back. What runs, runs.
    pub(super) fn suspend_machines(&mut self) {
        for machine in self.machines.values_mut() {
            machine.step = None;
        }
    }
}
