//! Moving connections on purpose: back to a server that has returned, to one that is new, and away from one that is to
//! be taken down.
//!
//! A session can be moved only when it holds nothing unacknowledged: what it holds would go back to the queue here,
//! and to another consumer, while the client still has it. So nothing more is delivered to a session that is to move,
//! and the client is told when the last acknowledgement is in.

use sim_core::NodeId;

use super::{Ctx, Server};
use crate::jboss::message::{Message, SessionId};
use crate::jboss::state::{ServerEvent, ServerPhase};
use crate::services::membership::Address;

impl Server {
    /// Gives new members those sessions that were theirs before they failed, and their share of the others.
    pub(super) fn share_with(&mut self, joined: &[Address], members: usize, ctx: &mut Ctx<'_>) {
        if self.phase != ServerPhase::Serving {
            return;
        }
        for member in joined {
            let free = self.sessions.values().filter(|s| s.connection.is_some() && s.moving.is_none());
            let (mut chosen, mut others) = (Vec::new(), Vec::new());
            let mut count = 0;
            for session in free {
                count += 1;
                let theirs = self.shared.config.move_back && session.home == Some(member.node);
                if theirs { chosen.push(session.id) } else { others.push(session.id) }
            }
            if self.shared.config.rebalance {
                let share = (count / members).saturating_sub(chosen.len());
                chosen.extend(others.into_iter().take(share));
            }
            for session in chosen {
                self.move_session(session, member.node, ctx);
            }
        }
    }

    /// A session whose client has just come back may have to go on at once.
    pub(super) fn share_on_start(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        if self.phase == ServerPhase::Draining {
            self.drain(id, ctx);
        }
    }

    fn move_session(&mut self, id: SessionId, to: NodeId, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.moving = Some(to);
        session.home = None;
        self.go_on_moving(id, ctx);
    }

    /// Tells the client to move, if it holds nothing any more.
    pub(super) fn go_on_moving(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(to) = session.moving else { return };
        // Defect JBM-DESIGN-4: at once.
        if session.deliveries.is_empty() || self.shared.defects.design_4 {
            ctx.mark("connection-moved");
            self.reply(id, Message::Move(to), ctx);
        }
    }

    /// Takes this server down without losing a session.
    pub(super) fn take_down(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase != ServerPhase::Serving {
            return;
        }
        self.step(ServerEvent::TakenDown);
        ctx.mark("draining");
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in sessions {
            self.drain(id, ctx);
        }
        self.unblock(ctx);
        self.stop_if_drained(ctx);
    }

    /// Moves a session to one of the other members.
    fn drain(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        let others = self.map.get(&self.address()).cloned().unwrap_or_default();
        if !others.is_empty() {
            let turn = id.client.index() % others.len();
            self.move_session(id, others[turn].node, ctx);
        }
    }

    /// Leaves the group when the last session is gone, or if there is nowhere to move any to.
    pub(super) fn stop_if_drained(&mut self, ctx: &mut Ctx<'_>) {
        let alone = self.map.len() <= 1;
        if self.phase == ServerPhase::Draining && (self.sessions.is_empty() && self.closing_is_over() || alone) {
            let events = self.group.leave(ctx);
            self.on_group(events, ctx);
        }
    }

    /// The group goes on without this server.
    pub(super) fn stopped(&mut self, ctx: &mut Ctx<'_>) {
        self.step(ServerEvent::Left);
        ctx.mark("taken-down");
        ctx.halt();
    }
}
