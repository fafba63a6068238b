//! Making everything again at the server that has taken the client, and leaving a server of one's own accord.

use sim_core::history::Step;
use sim_core::{ConnectionId, NodeId};

use super::failover::Hop;
use super::{Client, Ctx, Invocation};
use crate::jboss::message::{Message, Object, Timer, Unacked};
use crate::jboss::state::{ClientEvent, ClientPhase};
use crate::services::membership::Address;
use crate::transitions::StateMachine;

/// Why and where to a client leaves its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Leaving {
    /// Its server has told it to go there.
    Moved(NodeId),
    /// The application closes the connection, and opens another.
    Renewed,
}

impl Client {
    /// A server has taken it: makes its objects again, in order.
    pub(super) fn taken(&mut self, connection: ConnectionId, server: Address, ctx: &mut Ctx<'_>) {
        self.phase.step(ClientEvent::Taken);
        self.connection = Some(connection);
        self.server = Some(server);
        self.heard = ctx.now();
        self.to_make = [Object::Session].into();
        if self.consumer_open {
            self.to_make.push_back(Object::Consumer(self.queue));
        }
        self.to_make.push_back(Object::Producer(self.queue));
        if !self.shared.config.browse_interval.is_zero() {
            self.to_make.push_back(Object::Browser(self.queue));
        }
        self.make_next(ctx);
    }

    fn make_next(&mut self, ctx: &mut Ctx<'_>) {
        let Some(connection) = self.connection else { return };
        if let Some(&object) = self.to_make.front() {
            ctx.send_on(connection, Message::Create(object));
        } else if self.failed.is_some() || !self.unacked.is_empty() {
            let unacked = self.unacked.iter();
            let list = unacked.map(|(&delivery, held)| Unacked { message: held.message, delivery, queue: held.queue });
            ctx.send_on(connection, Message::RecoverDeliveries(list.collect()));
        } else {
            self.recovered(ctx);
        }
    }

    pub(super) fn on_created(&mut self, object: Object, ctx: &mut Ctx<'_>) {
        if self.phase == ClientPhase::Restoring && self.to_make.front() == Some(&object) {
            self.to_make.pop_front();
            self.make_next(ctx);
        } else if self.invocations.contains_key(&Invocation::OpenConsumer) {
            self.consumer_opened(ctx);
        }
    }

    /// The delivery list is as it was: the connection is started, and then the valve opens.
    pub(super) fn recovered(&mut self, ctx: &mut Ctx<'_>) {
        let Some(connection) = self.connection else { return };
        if self.phase != ClientPhase::Restoring {
            return;
        }
        let again = self.failed.take().is_some();
        // Defect JBM-RESTART-ORDER: the valve opens first, and the connection is started when the thread comes to it.
        if self.shared.defects.restart_order {
            let switch = ctx.random_duration(self.shared.config.thread_switch);
            ctx.run_job(switch, Timer::Restart(connection));
        } else {
            ctx.send_on(connection, Message::Start);
        }
        self.phase.step(ClientEvent::Restored);
        self.valve_closed = None;
        ctx.mark(if again { "client-reconnected" } else { "client-connected" });
        self.flush(ctx);
        self.keep_control(ctx);
        self.process(ctx);
    }

    pub(super) fn restart(&mut self, connection: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.connection == Some(connection) {
            ctx.send_on(connection, Message::Start);
        }
    }

    /// Its server tells it to be served elsewhere.
    pub(super) fn on_move(&mut self, to: NodeId, ctx: &mut Ctx<'_>) {
        self.leave(Leaving::Moved(to), ctx);
    }

    /// The application closes the connection, with what it holds.
    pub(super) fn renew_session(&mut self, ctx: &mut Ctx<'_>) {
        ctx.set_timer(Timer::Session, self.shared.config.session_interval);
        self.leave(Leaving::Renewed, ctx);
    }

    /// Lets nothing new through the valve, and leaves when all that is under way has come to its end.
    fn leave(&mut self, leaving: Leaving, ctx: &mut Ctx<'_>) {
        if self.phase == ClientPhase::Connected {
            self.close_valve(ctx);
            self.leaving = Some(leaving);
            self.leave_if_quiet(ctx);
        }
    }

    pub(super) fn leave_if_quiet(&mut self, ctx: &mut Ctx<'_>) {
        if self.leaving.is_none() || self.in_flight().next().is_some() {
            return;
        }
        let (Some(leaving), Some(connection)) = (self.leaving.take(), self.connection.take()) else { return };
        ctx.send_on(connection, Message::CloseConnection);
        ctx.close(connection);
        match leaving {
            Leaving::Moved(to) => {
                self.connect_anew_at(to, ctx);
            }
            Leaving::Renewed => {
                let here = self.server.map_or(self.shared.servers[0], |server| server.node);
                self.unacked.clear();
                self.invocations.retain(|invocation, _| matches!(invocation, Invocation::Send(_)));
                self.processing = None;
                self.batch.clear();
                self.transactions.clear();
                self.prepared.clear();
                self.consumer_open = true;
                ctx.cancel_timer(Timer::Process);
                self.session.serial = ctx.random() as u32;
                self.connect_anew_at(here, ctx);
            }
        }
    }

    /// Connects to a server as a new client does, and to any other if that does not work.
    fn connect_anew_at(&mut self, server: NodeId, ctx: &mut Ctx<'_>) {
        let servers = &self.shared.servers;
        self.guesses = servers.iter().copied().filter(|&other| other != server).collect();
        self.guesses.push_back(server);
        self.hops = 0;
        self.failed = None;
        self.hop_to(Hop::To(server), ctx);
    }

    /// Closes all objects for good.
    pub(super) fn close_objects(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(item) = self.outgoing.take() {
            self.note_send(item.id, Step::Unknown, ctx);
        }
        self.invocations.clear();
        self.unacked.clear();
        self.transactions.clear();
        let timers = [Timer::Send, Timer::Process, Timer::Commit, Timer::Check, Timer::Attempt, Timer::Hop];
        for timer in timers.into_iter().chain([Timer::Browse, Timer::Consumer, Timer::Session]) {
            ctx.cancel_timer(timer);
        }
    }
}
