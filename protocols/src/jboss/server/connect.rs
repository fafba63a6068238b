//! Who may connect: at once, after a failover that is under way, or elsewhere.

use sim_core::{ConnectionId, Instant};

use super::{Ctx, Purpose, Server};
use crate::jboss::database::{Answer, Statement};
use crate::jboss::message::{Message, Reason, SessionId, Timer};
use crate::jboss::session::Session;
use crate::jboss::state::ServerPhase;
use crate::services::membership::Address;

/// A request to connect that has to wait.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Blocked {
    /// Where it came from.
    pub connection: ConnectionId,
    /// The client's session.
    pub session: SessionId,
    /// Why it connects.
    pub reason: Reason,
    /// Where another server has sent it, and nobody was to be reached.
    unreachable: Option<Address>,
    /// Since when it waits, on the server's clock.
    pub since: Instant,
    /// Whether the database has said who has the queues of the server that failed, or cannot be asked.
    informed: bool,
}

/// What to do with a request to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    Accept,
    Redirect(Address),
    /// The database has to be heard first.
    AwaitHeirs,
    /// A failover has to be seen first.
    AwaitStart,
    /// A failover, or the start of this server, has to be complete first.
    AwaitCompletion,
}

impl Server {
    pub(super) fn on_create_connection(
        &mut self,
        session: SessionId,
        reason: Reason,
        unreachable: Option<Address>,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(connection) = ctx.via() else { return };
        let informed = self.shared.in_memory();
        let request = Blocked { connection, session, reason, unreachable, since: ctx.now(), informed };
        // What goes round among servers about who has failed over for whom can be lost, and two of them that are behind
        // would send a client to and fro between them.
        if let Verdict::AwaitHeirs | Verdict::AwaitCompletion | Verdict::AwaitStart = self.verdict(&request)
            && let (Reason::Resume(gone) | Reason::Failed(gone), false) = (reason, informed)
        {
            self.database.ask(Statement::FindHeirs { of: gone }, Purpose::FindHeirs(gone), ctx);
        }
        self.blocked.push(request);
        self.unblock(ctx);
    }

    /// The database knows who has the queues of a process that is gone.
    pub(super) fn heirs_found(&mut self, of: Address, answer: Answer, ctx: &mut Ctx<'_>) {
        let Answer::Heirs(heirs) = answer else { unreachable!("{answer:?} to a question for heirs") };
        if heirs.iter().any(|(gone, _)| *gone == self.address()) {
            return self.reboot(ctx); // This process is one of those that have been failed over for.
        }
        self.heirs.extend(heirs);
        for blocked in &mut self.blocked {
            blocked.informed |= matches!(blocked.reason, Reason::Resume(gone) | Reason::Failed(gone) if gone == of);
        }
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
            let limit = match self.verdict(&blocked) {
                Verdict::Accept => {
                    self.accept(blocked, ctx);
                    continue;
                }
                Verdict::Redirect(to) => {
                    ctx.mark("redirected");
                    ctx.send_on(blocked.connection, Message::Redirect(Some(to)));
                    continue;
                }
                Verdict::AwaitHeirs | Verdict::AwaitStart => self.shared.config.failover_start_timeout,
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

    fn verdict(&self, request: &Blocked) -> Verdict {
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
        let gone = match request.reason {
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
        match self.responsible_for(gone) {
            heir if heir == self.address() => {
                // Defect JBM-DESIGN-2: there is an answer before the queues are there.
                let complete = self.shared.defects.design_2 || self.has_queues_of(gone);
                if complete { Verdict::Accept } else { Verdict::AwaitCompletion }
            }
            // The heir may be gone as well, and that not have been noticed: it would be asked again and again in vain.
            heir if heir == gone || request.unreachable == Some(heir) => Verdict::AwaitStart,
            _ if !request.informed => Verdict::AwaitHeirs,
            heir => Verdict::Redirect(heir),
        }
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

    /// Whether a process's queues have come to this server: with those of a process that it has failed over for, or as
    /// the next process of the same node has bound them anew.
    fn has_queues_of(&self, process: Address) -> bool {
        let mut at = process;
        for _ in 0..=self.heirs.len() {
            if self.takeovers.iter().any(|takeover| takeover.failed == at) {
                return false;
            }
            if at != process && self.failed_over_for.contains(&at) {
                return true;
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
