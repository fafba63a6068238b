//! Failover as the client sees it: detection, the valve, the retry of the original, and hopping.

use std::collections::VecDeque;

use sim_core::{ConnectionId, NodeId};

use super::{Client, Ctx};
use crate::jboss::message::{Message, Reason, Timer};
use crate::jboss::state::{ClientEvent, ClientPhase};
use crate::services::membership::Address;
use crate::transitions::StateMachine;

/// An attempt to be taken by a server.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Attempt {
    pub(super) connection: ConnectionId,
    reason: Reason,
    /// The server that another has named, if the attempt is for that one.
    named: Option<Address>,
}

/// What to do after the pause between two hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hop {
    /// Go to the server that is named.
    To(NodeId),
    /// Go to the server that has the queues of the failed one, by the word of another.
    ToHeir(Address),
    /// Go to the next guess.
    Guess,
    /// Go to the server that was thought to have failed.
    Original,
}

impl Client {
    /// A connection is broken, or its server does not answer. A listener notices it, and whoever waits for the answer
    /// to an invocation does so too: two threads.
    pub(super) fn connection_broken(&mut self, connection: ConnectionId, ctx: &mut Ctx<'_>) {
        if self.phase == ClientPhase::Restoring {
            return self.restoring_failed(ctx);
        }
        let invoking = self.in_flight().next().is_some();
        for listener in [true, false] {
            // Defect JBM-ATOMIC-DETECT: a thread looks here whether another was faster, and marks the connection later.
            let looked = self.shared.defects.atomic_detect && self.failed_connection == Some(connection);
            if (listener || invoking) && !looked {
                let switch = ctx.random_duration(self.shared.config.thread_switch);
                ctx.run_job(switch, Timer::Detect(connection, listener));
            }
        }
    }

    /// A thread fails a connection over, unless another has begun to.
    pub(super) fn detect(&mut self, connection: ConnectionId, ctx: &mut Ctx<'_>) {
        let defect = self.shared.defects.atomic_detect;
        let taken = self.failed_connection == Some(connection) || self.connection != Some(connection);
        if self.phase == ClientPhase::Failed || taken && !defect {
            return;
        }
        self.failed_connection = Some(connection);
        self.fail_over(connection, ctx);
    }

    fn fail_over(&mut self, connection: ConnectionId, ctx: &mut Ctx<'_>) {
        ctx.mark("failure-detected");
        self.failed_over.push(connection);
        self.leaving = None;
        self.close_valve(ctx);
        self.interrupt();
        ctx.close(connection);
        self.connection = None;
        self.hops = 0;
        self.unreachable = None;
        self.failed = self.server;
        self.attempt = None;
        self.next_hop = None;
        ctx.cancel_timer(Timer::Hop);
        let Some(original) = self.failed else { return };
        self.make_guesses(original);
        // The server may be all right. Defect JBM-DESIGN-3: nobody looks.
        if self.shared.defects.design_3 {
            self.hop_to(Hop::Guess, ctx);
        } else {
            self.turn_to(original.node, Reason::Resume(original), ctx);
        }
    }

    /// No invocation passes from here on.
    pub(super) fn close_valve(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase == ClientPhase::Connected {
            self.phase.step(ClientEvent::Detects);
            self.phase.step(ClientEvent::Closes);
        } else if self.phase == ClientPhase::Restoring {
            self.phase.step(ClientEvent::Lost);
        }
        self.valve_closed.get_or_insert(ctx.now());
    }

    /// Those that were under way wait at the valve with the others, to be sent again.
    pub(super) fn interrupt(&mut self) {
        for progress in self.invocations.values_mut() {
            progress.sent = None;
        }
    }

    /// The servers to try, in the order of its own map, which may be out of date.
    fn make_guesses(&mut self, failed: Address) {
        let successors = self.map.get(&failed).cloned().unwrap_or_default();
        let mut guesses: VecDeque<NodeId> = successors.iter().map(|successor| successor.node).collect();
        // Then all others, by the order of their ids. Defect JBMESSAGING-1041: there is the map only.
        if !self.shared.defects.jbm_1041 {
            let servers = &self.shared.servers;
            let at = servers.iter().position(|&server| server == failed.node).unwrap_or(0);
            for turn in 1..servers.len() {
                let server = servers[(at + turn) % servers.len()];
                if !guesses.contains(&server) {
                    guesses.push_back(server);
                }
            }
        }
        self.guesses = guesses;
    }

    /// Connects to whichever server is its own at first: the load-balancing policy.
    pub(super) fn connect_anew(&mut self, ctx: &mut Ctx<'_>) {
        let servers = &self.shared.servers;
        let first = self.shared.first_server(self.me);
        self.guesses = (0..servers.len()).map(|turn| servers[(first + turn) % servers.len()]).collect();
        self.hops = 0;
        self.unreachable = None;
        self.failed = None;
        self.hop_to(Hop::Guess, ctx);
    }

    fn turn_to(&mut self, target: NodeId, reason: Reason, ctx: &mut Ctx<'_>) {
        self.phase.step(ClientEvent::Hops);
        self.attempt = Some(Attempt { connection: ctx.connect(target), reason, named: None });
        ctx.set_timer(Timer::Attempt, self.shared.config.connect_timeout);
    }

    pub(super) fn attempt_opened(&mut self, ctx: &mut Ctx<'_>) {
        let Some(attempt) = self.attempt else { return };
        ctx.send_on(attempt.connection, Message::CreateConnection(self.session, attempt.reason, self.unreachable));
        // The server may block the request for as long as its own limits allow; a retry of the original is answered
        // as fast as any call.
        let config = &self.shared.config;
        let patience = match attempt.reason {
            Reason::Resume(_) => config.call_timeout,
            _ => config.failover_start_timeout + config.failover_complete_timeout + config.call_timeout,
        };
        ctx.set_timer(Timer::Attempt, patience);
    }

    pub(super) fn on_attempt_answered(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        let Some(attempt) = self.attempt.take() else { return };
        ctx.cancel_timer(Timer::Attempt);
        match message {
            Message::Connection(address) => self.taken(attempt.connection, address, ctx),
            Message::Redirect(to) => {
                ctx.close(attempt.connection);
                // Defect JBM-DESIGN-1: the client knows better, and goes on for as long as it takes.
                if self.shared.defects.design_1 {
                    self.next_hop = Some(Hop::Guess);
                    self.guesses.rotate_right(1);
                    return ctx.set_timer(Timer::Hop, self.shared.config.hop_pause);
                }
                match to {
                    Some(to) => {
                        ctx.mark("redirect-followed");
                        self.hop_to(Hop::ToHeir(to), ctx);
                    }
                    None => self.hop_to(Hop::Original, ctx),
                }
            }
            other => unreachable!("{other:?} is no answer to a request to connect"),
        }
    }

    /// The server cannot be reached, or does not answer.
    pub(super) fn attempt_failed(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(attempt) = self.attempt.take() {
            ctx.close(attempt.connection);
            ctx.cancel_timer(Timer::Attempt);
            self.unreachable = attempt.named.or(self.unreachable);
            self.hop_to(Hop::Guess, ctx);
        }
    }

    /// One hop more, after a pause unless it is the first; or none, if there have been enough.
    pub(super) fn hop_to(&mut self, hop: Hop, ctx: &mut Ctx<'_>) {
        self.hops += 1;
        if self.hops > self.shared.config.max_hops || self.guesses.is_empty() {
            return self.give_up(ctx);
        }
        self.next_hop = Some(hop);
        if self.hops == 1 {
            return self.hop(ctx);
        }
        ctx.set_timer(Timer::Hop, self.shared.config.hop_pause);
    }

    pub(super) fn hop(&mut self, ctx: &mut Ctx<'_>) {
        let Some(hop) = self.next_hop.take() else { return };
        ctx.mark("hop");
        let reason = self.failed.map_or(Reason::New, Reason::Failed);
        match (hop, self.failed) {
            (Hop::To(server), _) => self.turn_to(server, reason, ctx),
            (Hop::ToHeir(heir), _) => {
                self.turn_to(heir.node, reason, ctx);
                if let Some(attempt) = &mut self.attempt {
                    attempt.named = Some(heir);
                }
            }
            (Hop::Original, Some(failed)) => self.turn_to(failed.node, Reason::Resume(failed), ctx),
            (Hop::Original | Hop::Guess, _) => {
                let Some(guess) = self.guesses.pop_front() else { return };
                self.guesses.push_back(guess);
                self.turn_to(guess, reason, ctx);
            }
        }
    }

    /// The server that had taken it is gone before all was as it was: it is failed over as well.
    fn restoring_failed(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(connection) = self.connection.take() {
            ctx.close(connection);
        }
        self.phase.step(ClientEvent::Lost);
        self.unreachable = None;
        self.failed = self.server;
        let Some(failed) = self.failed else { return };
        self.make_guesses(failed);
        self.hop_to(Hop::Original, ctx);
    }

    /// There is no server for it. Everything is closed, and the application is told.
    fn give_up(&mut self, ctx: &mut Ctx<'_>) {
        ctx.mark("failover-given-up");
        // Defect JBM-CLEANUP: all is left as it is.
        if self.shared.defects.cleanup {
            return;
        }
        self.phase.step(ClientEvent::GivesUp);
        ctx.mark("client-failed");
        for connection in ctx.connections().iter().map(|connection| connection.id).collect::<Vec<_>>() {
            ctx.close(connection);
        }
        self.control = None;
        self.connection = None;
        self.close_objects(ctx);
        self.valve_closed = None; // Whoever waits there is told.
    }
}
