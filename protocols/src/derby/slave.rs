//! The slave's side: booting, following the master's log, and what its operator can ask. Taking over is in `takeover.rs`.

use std::time::Duration;

use sim_core::{ConnectionId, Instant, NodeId};

use super::database::{Ctx, Durable, Server};
use super::log::{Body, Entry, Log};
use super::message::{Command, Message, Problem, Promotion, Record, Timer};
use super::state::{Happening, Phase};
use super::takeover::{Recovery, Tell};

/// What a slave knows of replication.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Slave {
    /// The connection to the master.
    pub master: Option<ConnectionId>,
    /// When the master was last heard.
    heard: Instant,
    /// Whether connections of a master are accepted.
    server_socket: bool,
    /// Whether the log is open to be redone as it arrives.
    pub log_file: bool,
    /// What is to be done if the master turns out not to be connected.
    asked: Option<Command>,
    /// Whether the operator has made sure that the master serves nobody.
    master_is_fenced: bool,
    pub recovery: Option<Recovery>,
    /// Whom to tell that this database serves.
    pub tell: Option<Tell>,
    pub promotion: Option<Promotion>,
    /// Commands that were refused because the master seemed to be connected, and how long it had been silent.
    refused: (u64, Duration),
}

impl Server {
    /// The connection to the master, if this is a slave that has one.
    pub fn master_link(&self) -> Option<ConnectionId> {
        self.slave.master
    }

    /// How it came to serve, if this is a slave that does.
    pub fn promotion(&self) -> Option<Promotion> {
        self.slave.promotion
    }

    /// How many commands were refused because the master seemed to be connected, and for how long it had been silent
    /// at the last.
    pub fn refused_as_connected(&self) -> (u64, Duration) {
        self.slave.refused
    }

    /// What a slave holds that its end, or its promotion, releases.
    pub fn handles(&self) -> Vec<String> {
        let mut handles = Vec::new();
        if self.slave.server_socket && self.phase == Phase::Stopped {
            handles.push("the server socket".to_owned());
        }
        if self.slave.log_file {
            handles.push("the log file that it redoes".to_owned());
        }
        handles
    }

    pub(super) fn boot_slave(&mut self, disk: &[Record], ctx: &mut Ctx<'_>) {
        self.slave.server_socket = true;
        self.slave.heard = ctx.now();
        let promotion = disk.iter().rev().find_map(|record| match record {
            Record::Promoted(promotion) => Some(*promotion),
            _ => None,
        });
        match promotion {
            Some(_) => {
                self.slave.promotion = promotion;
                self.phase = Phase::Promoted;
                self.undo(ctx);
            }
            None => self.slave.log_file = true,
        }
    }

    // Its master.

    pub(super) fn on_accepted(&mut self, peer: NodeId, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if peer == self.shared.master && !self.slave.server_socket {
            ctx.close(id);
        }
    }

    pub(super) fn on_master_closed(&mut self, id: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.slave.master == Some(id) {
            self.slave.master = None;
            if self.slave.asked.is_some() {
                self.on_not_connected(ctx);
            }
        }
    }

    /// Notes a sign of life if the message that is being handled came from the master on the connection in use.
    pub(super) fn is_master(&mut self, ctx: &Ctx<'_>) -> bool {
        let is_master = ctx.via().is_some() && ctx.via() == self.slave.master;
        if is_master {
            self.slave.heard = ctx.now();
        }
        is_master
    }

    pub(super) fn answer(&self, via: ConnectionId, ctx: &mut Ctx<'_>) {
        ctx.send_on(via, Message::Ack { position: self.log.position() });
    }

    pub(super) fn on_initiate_version(&mut self, version: u32, ctx: &mut Ctx<'_>) {
        let Some(via) = ctx.via() else { return };
        let problem = match self.phase {
            Phase::Pre | Phase::Slave if version == self.config().slave_version => None,
            Phase::Pre | Phase::Slave => Some(Problem::Version),
            _ => Some(Problem::NotASlave),
        };
        if let Some(problem) = problem {
            ctx.send_on(via, Message::Error { problem });
            return;
        }
        // A master that connects anew has lost the old connection, whatever this side knows of it.
        if let Some(old) = self.slave.master.replace(via)
            && old != via
        {
            ctx.close(old);
        }
        self.slave.heard = ctx.now();
        self.answer(via, ctx);
    }

    pub(super) fn on_initiate_instant(&mut self, ctx: &mut Ctx<'_>) {
        if self.is_master(ctx)
            && let Some(via) = ctx.via()
        {
            self.answer(via, ctx);
            if self.phase == Phase::Pre {
                ctx.set_timer(Timer::Booted, self.config().slave_boot_time);
            }
        }
    }

    pub(super) fn on_booted(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase == Phase::Pre {
            self.step(Happening::Booted);
            ctx.mark("slave-mode");
        }
    }

    pub(super) fn on_log(&mut self, entries: &[Entry], ctx: &mut Ctx<'_>) {
        if !self.is_master(ctx) || !matches!(self.phase, Phase::Pre | Phase::Slave) {
            return;
        }
        for entry in entries {
            let own = self.log.append(entry.body, entry.length);
            ctx.write(Record::Log(own));
            if own.instant != entry.instant {
                ctx.mark("slave-out-of-sync");
                if let Some(via) = ctx.via() {
                    ctx.send_on(via, Message::Error { problem: Problem::OutOfSync });
                }
                return self.stop_slave(ctx);
            }
            if entry.body == Body::Checkpoint {
                ctx.mark("slave-log-pruned");
                self.prune(entry.instant, ctx);
            }
        }
        ctx.sync();
    }

    pub(super) fn on_stop(&mut self, ctx: &mut Ctx<'_>) {
        if self.is_master(ctx) && matches!(self.phase, Phase::Pre | Phase::Slave) {
            self.stop_slave(ctx);
        }
    }

    pub(super) fn on_copy(&mut self, records: &[Record], ctx: &mut Ctx<'_>) {
        let Some(via) = ctx.via() else { return };
        if !matches!(self.phase, Phase::Pre | Phase::Slave | Phase::Prepared) {
            ctx.send_on(via, Message::Error { problem: Problem::NotASlave });
            return;
        }
        self.step(Happening::Copied);
        self.refuse_asked(ctx);
        self.slave.recovery = None;
        ctx.cancel_timer(Timer::Booted);
        self.log = Log::recover(records);
        ctx.truncate();
        records.iter().for_each(|&record| ctx.write(record));
        self.make_durable(Durable::Copy(via), ctx);
    }

    pub(super) fn on_copy_durable(&mut self, via: ConnectionId, ctx: &mut Ctx<'_>) {
        ctx.mark("slave-copied");
        self.answer(via, ctx);
    }

    // The operator.

    pub(super) fn slave_command(&mut self, command: Command, ctx: &mut Ctx<'_>) -> bool {
        match command {
            Command::Stop | Command::Shutdown if matches!(self.phase, Phase::Pre | Phase::Slave) => {
                self.ask_whether_connected(Command::Stop, ctx);
                true
            }
            Command::SlaveFailover if matches!(self.phase, Phase::Slave | Phase::Prepared) => {
                self.ask_whether_connected(command, ctx);
                true
            }
            Command::ConfirmFenced => {
                self.slave.master_is_fenced = true;
                if matches!(self.operation, Some((_, Command::ConfirmFenced))) {
                    self.finish_operation();
                }
                true
            }
            Command::StartSlave if self.phase == Phase::Stopped => {
                self.step(Happening::SlaveStarted);
                self.slave.server_socket = true;
                self.slave.log_file = true;
                self.finish_operation();
                true
            }
            _ => false,
        }
    }

    /// A slave is stopped, or takes over on its own, only if it is not connected.
    fn ask_whether_connected(&mut self, command: Command, ctx: &mut Ctx<'_>) {
        self.slave.asked = Some(command);
        let Some(master) = self.slave.master else {
            let rest = ctx.random_duration(self.config().accept_timeout);
            return ctx.set_timer(Timer::Accept, rest);
        };
        // DERBY-3527: a socket that was not closed was connected.
        if self.shared.defects.derby_3527 {
            return self.on_connected(ctx);
        }
        ctx.send_on(master, Message::Ping);
        ctx.set_timer(Timer::Ping, self.config().ping_timeout);
    }

    /// The master's side of it.
    pub(super) fn on_ping(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(via) = ctx.via() {
            ctx.send_on(via, Message::Pong);
        }
    }

    pub(super) fn on_pong(&mut self, ctx: &mut Ctx<'_>) {
        if self.is_master(ctx) && self.slave.asked.is_some() {
            self.on_connected(ctx);
        }
    }

    fn on_connected(&mut self, ctx: &mut Ctx<'_>) {
        ctx.cancel_timer(Timer::Ping);
        ctx.mark("refused-as-connected");
        self.slave.asked = None;
        self.slave.refused = (self.slave.refused.0 + 1, ctx.now().since(self.slave.heard));
        self.finish_operation();
    }

    /// Accept has returned without a connection.
    pub(super) fn on_accept_returned(&mut self, ctx: &mut Ctx<'_>) {
        match self.slave.master {
            Some(_) => self.on_connected(ctx),
            None => self.on_not_connected(ctx),
        }
    }

    pub(super) fn on_not_connected(&mut self, ctx: &mut Ctx<'_>) {
        ctx.cancel_timer(Timer::Ping);
        ctx.cancel_timer(Timer::Accept);
        match (self.slave.asked.take(), self.phase) {
            (Some(Command::Stop), Phase::Pre | Phase::Slave) => {
                self.stop_slave(ctx);
                self.finish_operation();
            }
            // DERBY-L2: to have lost its master was enough.
            (Some(Command::SlaveFailover), Phase::Slave | Phase::Prepared)
                if self.slave.master_is_fenced || self.shared.defects.derby_l2 =>
            {
                if let Some(master) = self.slave.master.take() {
                    ctx.close(master);
                }
                match self.phase {
                    Phase::Prepared => self.open(Promotion::Forced, ctx),
                    _ => self.take_over(Some(Promotion::Forced), ctx),
                }
            }
            (Some(_), _) => {
                ctx.mark("command-refused");
                self.finish_operation();
            }
            (None, _) => {}
        }
    }

    /// The master has got ahead of what the operator asked for.
    pub(super) fn refuse_asked(&mut self, ctx: &mut Ctx<'_>) {
        if self.slave.asked.take().is_some() {
            ctx.cancel_timer(Timer::Ping);
            ctx.cancel_timer(Timer::Accept);
            ctx.mark("command-refused");
            self.finish_operation();
        }
    }

    pub(super) fn stop_slave(&mut self, ctx: &mut Ctx<'_>) {
        self.step(Happening::SlaveStopped);
        ctx.mark("slave-stopped");
        self.refuse_asked(ctx);
        ctx.cancel_timer(Timer::Booted);
        self.slave.log_file = false;
        let was_connected = self.slave.master.take().is_some();
        // DERBY-3878: without a connection there seemed to be nothing to close.
        if !was_connected && self.shared.defects.derby_3878 {
            return;
        }
        self.slave.server_socket = false;
        let masters: Vec<_> = ctx.connections().iter().filter(|c| c.peer == self.shared.master).map(|c| c.id).collect();
        masters.into_iter().for_each(|id| ctx.close(id));
    }
}
