//! Who may connect: at once, after a failover that is under way, or elsewhere.

use sim_core::{ConnectionId, Instant};

use super::{Ctx, Server};
use crate::jboss::message::{Message, Reason, SessionId, Timer};
use crate::jboss::session::Session;
use crate::jboss::state::ServerPhase;
use crate::services::membership::Address;

/// A request to connect that has to wait.
#[derive(Clone, Copy, Debug)]
pub struct Blocked {
    /// Where it came from.
    pub connection: ConnectionId,
    /// The client's session.
    pub session: SessionId,
    /// Why it connects.
    pub reason: Reason,
    /// Since when it waits, on the server's clock.
    pub since: Instant,
}

/// What to do with a request to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Redirect(Address),
    /// A failover has to be seen first.
    AwaitStart,
    /// A failover, or the start of this server, has to be complete first.
    AwaitCompletion,
}

impl Server {
    pub(super) fn on_create_connection(&mut self, session: SessionId, reason: Reason, ctx: &mut Ctx<'_>) {
        let Some(connection) = ctx.via() else { return };
        self.blocked.push(Blocked { connection, session, reason, since: ctx.now() });
        self.unblock(ctx);
    }

    pub(super) fn on_subscribe(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(connection) = ctx.via() {
            self.subscribers.push(connection);
            self.push_map(connection, ctx);
        }
    }

    /// Answers the requests that need not wait any longer.
    pub(super) fn unblock(&mut self, ctx: &mut Ctx<'_>) {
        for blocked in std::mem::take(&mut self.blocked) {
            let waited = ctx.now().since(blocked.since);
            let limit = match self.verdict(blocked.reason) {
                Verdict::Accept => {
                    self.accept(blocked, ctx);
                    continue;
                }
                Verdict::Redirect(to) => {
                    ctx.mark("redirected");
                    ctx.send_on(blocked.connection, Message::Redirect(Some(to.node)));
                    continue;
                }
                Verdict::AwaitStart => self.shared.config.failover_start_timeout,
                Verdict::AwaitCompletion => {
                    self.shared.config.failover_start_timeout + self.shared.config.failover_complete_timeout
                }
            };
            if waited >= limit {
                ctx.mark("no-failover-seen");
                ctx.send_on(blocked.connection, Message::Redirect(None));
            } else {
                self.blocked.push(blocked);
            }
        }
        // Each has its own limit, and which applies may change: look again when the first can be due.
        let config = &self.shared.config;
        let due = |blocked: &Blocked| {
            let first = blocked.since + config.failover_start_timeout;
            if ctx.now() < first { first } else { first + config.failover_complete_timeout }
        };
        if let Some(first) = self.blocked.iter().map(due).min() {
            ctx.set_timer(Timer::Blocked, first.since(ctx.now()));
        }
    }

    fn verdict(&self, reason: Reason) -> Verdict {
        match self.phase {
            // Defect JBMESSAGING-1760: what is bound can be used, loaded or not.
            ServerPhase::Loading if self.shared.defects.jbm_1760 && !self.loading.is_empty() => {}
            ServerPhase::Joining | ServerPhase::Loading => return Verdict::AwaitCompletion,
            ServerPhase::Draining | ServerPhase::Stopped => {
                let next = self.map.get(&self.address()).and_then(|successors| successors.first());
                return next.map_or(Verdict::AwaitCompletion, |&next| Verdict::Redirect(next));
            }
            ServerPhase::Serving => {}
        }
        let gone = match reason {
            Reason::New => return Verdict::Accept,
            Reason::Resume(server) | Reason::Failed(server) if server == self.address() => return Verdict::Accept,
            Reason::Resume(server) | Reason::Failed(server) => server,
        };
        // Upstream clears the note when the node joins again. Here the address tells its processes apart.
        let same =
            |other: &Address| if self.shared.defects.join_reset { other.node == gone.node } else { *other == gone };
        if self.failed_over_for.iter().any(same) {
            return Verdict::Accept;
        }
        let heir = self.responsible_for(gone);
        if heir == self.address() {
            // Defect JBM-DESIGN-2: there is an answer before the queues are there.
            let complete = self.shared.defects.design_2 || self.has_bound_anew(gone);
            return if complete { Verdict::Accept } else { Verdict::AwaitCompletion };
        }
        if heir == gone { Verdict::AwaitStart } else { Verdict::Redirect(heir) }
    }

    /// Who fails over for a process, for whoever was to do so, and so on; itself if it is not known to be gone.
    pub(super) fn responsible_for(&self, process: Address) -> Address {
        let mut at = process;
        // A chain cannot be longer than all that ever happened.
        for _ in 0..=self.heirs.len() {
            // Whoever runs is nobody's to inherit, whatever the other side of a partition has thought of it.
            let runs = self.group.view().is_some_and(|view| view.has(at));
            match self.heirs.get(&at).filter(|_| !runs) {
                Some(&heir) => at = heir,
                None => break,
            }
        }
        at
    }

    /// Whether a process's queues came to this server as to the next process of the same node, which has bound its own
    /// anew: then there is no takeover to wait for.
    fn has_bound_anew(&self, process: Address) -> bool {
        let mut at = process;
        for _ in 0..=self.heirs.len() {
            if self.takeovers.iter().any(|takeover| takeover.failed == at) {
                return false;
            }
            match self.heirs.get(&at) {
                Some(&heir) if heir == self.address() => return at.node == self.me,
                Some(&heir) => at = heir,
                None => return false,
            }
        }
        false
    }

    fn accept(&mut self, blocked: Blocked, ctx: &mut Ctx<'_>) {
        let address = self.address();
        let session = self.sessions.entry(blocked.session).or_insert_with(|| Session::new(blocked.session, ctx.now()));
        session.heard = ctx.now();
        session.objects.clear(); // The client makes them again.
        if let Some(former) = session.connection.replace(blocked.connection)
            && former != blocked.connection
        {
            ctx.close(former);
        }
        session.started = false;
        session.closing = false;
        session.moving = None;
        if let Reason::Failed(server) = blocked.reason
            && server.node != self.me
        {
            session.home = Some(server.node);
        }
        ctx.set_timer(Timer::Lease(blocked.session), self.shared.config.client_lease);
        ctx.send_on(blocked.connection, Message::Connection(address));
        self.push_map(blocked.connection, ctx);
    }
}
