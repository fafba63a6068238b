//! A slave that takes over: it redoes and undoes its log, learns that the master serves nobody, and serves.

use sim_core::ConnectionId;

use super::database::{Ctx, Durable, Server};
use super::log::Position;
use super::message::{Command, Message, Problem, Promotion, Record, Timer};
use super::state::{Happening, Phase};

/// Redoing and undoing the log on the way to serving.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Recovery {
    /// How to serve when it is done; `None` if the master has yet to decide.
    goal: Option<Promotion>,
    durable: bool,
    done: bool,
}

/// Whom to tell that this database serves, and how.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum Tell {
    /// The master, which decided it.
    Done(ConnectionId),
    /// The master, which has yet to hear of it.
    Ack(ConnectionId),
}

impl Server {
    pub(super) fn on_failover(&mut self, ctx: &mut Ctx<'_>) {
        if !self.is_master(ctx) {
            return;
        }
        if self.phase == Phase::Slave {
            return self.take_over(None, ctx);
        }
        if let Some(via) = ctx.via() {
            ctx.send_on(via, Message::Error { problem: Problem::NotASlave });
        }
    }

    /// Leaves slave mode, and redoes and undoes the log.
    pub(super) fn take_over(&mut self, goal: Option<Promotion>, ctx: &mut Ctx<'_>) {
        self.step(Happening::TakesOver);
        ctx.mark("slave-takes-over");
        self.refuse_asked(ctx);
        ctx.cancel_timer(Timer::Booted);
        self.slave.recovery = Some(Recovery { goal, durable: false, done: false });
        self.make_durable(Durable::Recovery, ctx);
        let config = self.config();
        ctx.set_timer(Timer::Recovered, config.redo_time + config.undo_time);
    }

    pub(super) fn on_recovery_durable(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(recovery) = &mut self.slave.recovery {
            recovery.durable = true;
            self.check_recovery(ctx);
        }
    }

    pub(super) fn on_recovery_done(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(recovery) = &mut self.slave.recovery {
            recovery.done = true;
            self.check_recovery(ctx);
        }
    }

    fn check_recovery(&mut self, ctx: &mut Ctx<'_>) {
        let Some(recovery) = self.slave.recovery.take_if(|recovery| recovery.durable && recovery.done) else { return };
        self.step(Happening::Recovered);
        match (recovery.goal, self.slave.master) {
            (Some(promotion), _) => self.open(promotion, ctx),
            // DERBY-L1: it served, then said so. A master that did not hear it served as well.
            (None, Some(master)) if self.shared.defects.derby_l1 => {
                self.slave.tell = Some(Tell::Ack(master));
                self.open(Promotion::Orderly, ctx);
            }
            (None, None) if self.shared.defects.derby_l1 => self.open(Promotion::Orderly, ctx),
            (None, Some(master)) => {
                ctx.mark("slave-prepared");
                self.answer(master, ctx);
            }
            (None, None) => ctx.mark("slave-in-doubt"),
        }
    }

    /// The master serves nobody any more, and says so.
    pub(super) fn on_failover_commit(&mut self, position: Position, ctx: &mut Ctx<'_>) {
        let Some(via) = ctx.via() else { return };
        let is_there = self.log.position() == position;
        match self.phase {
            Phase::Promoted => self.tell(Tell::Done(via), ctx),
            Phase::Opening => self.slave.tell = Some(Tell::Done(via)),
            Phase::Prepared if is_there => {
                self.slave.tell = Some(Tell::Done(via));
                self.open(Promotion::Orderly, ctx);
            }
            // It was restarted since it prepared itself; its log was durable by then.
            Phase::Pre | Phase::Slave if is_there => {
                self.slave.tell = Some(Tell::Done(via));
                self.take_over(Some(Promotion::Orderly), ctx);
            }
            Phase::Recovering => {
                self.slave.tell = Some(Tell::Done(via));
                if let Some(recovery) = &mut self.slave.recovery {
                    recovery.goal.get_or_insert(Promotion::Orderly);
                }
            }
            _ => {
                ctx.send_on(via, Message::Error { problem: Problem::OutOfSync });
            }
        }
    }

    /// Serves from now on.
    pub(super) fn open(&mut self, promotion: Promotion, ctx: &mut Ctx<'_>) {
        self.step(Happening::Opens);
        self.refuse_asked(ctx);
        self.undo(ctx);
        ctx.write(Record::Promoted(promotion));
        self.make_durable(Durable::Promotion(promotion), ctx);
    }

    pub(super) fn on_promoted(&mut self, promotion: Promotion, ctx: &mut Ctx<'_>) {
        self.step(Happening::PromotionDurable);
        ctx.mark(match promotion {
            Promotion::Orderly => "failover-complete",
            Promotion::Forced => "slave-failover-complete",
        });
        self.slave.promotion = Some(promotion);
        // DERBY-5937: the log stayed open.
        if !self.shared.defects.derby_5937 {
            self.slave.log_file = false;
        }
        if matches!(self.operation, Some((_, Command::SlaveFailover))) {
            self.finish_operation();
        }
        if let Some(tell) = self.slave.tell.take() {
            self.tell(tell, ctx);
        }
    }

    fn tell(&mut self, tell: Tell, ctx: &mut Ctx<'_>) {
        match tell {
            Tell::Ack(via) => self.answer(via, ctx),
            Tell::Done(via) => {
                ctx.send_on(via, Message::FailoverDone);
                ctx.close(via);
                if let Some(master) = self.slave.master.take() {
                    ctx.close(master);
                }
            }
        }
    }
}
