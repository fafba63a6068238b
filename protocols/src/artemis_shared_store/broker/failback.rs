//! Giving the place back: announcement, request, release, and the way into the other role.

use sim_core::{ConnectionId, NodeId};

use super::{Announced, Broker, Context};
use crate::artemis_shared_store::{Event, Lock, LockState, Message, Phase, Timer};
use crate::transitions::StateMachine;

impl Broker {
    /// Tells the serving broker who its backup is, again and again until it listens.
    pub(super) fn announce(&mut self, ctx: &mut Context) {
        let waiting = matches!(
            self.phase,
            Phase::Probing | Phase::Requesting | Phase::AwaitingPrimary | Phase::Passive | Phase::Verifying
        );
        if waiting && self.announcer.is_none() {
            self.announcer = Some(ctx.connect(self.settings.peer_of(self.me)));
        }
    }

    pub(super) fn announcer_open(&mut self, connection: ConnectionId, ctx: &mut Context) {
        if self.announcer == Some(connection) {
            ctx.send_on(connection, Message::NodeAnnounced);
            self.returning = true;
            // The serving broker tells all members of the cluster, this one among them.
            self.announced = Some(Announced { backup: self.me, by: None });
        }
    }

    pub(super) fn announcer_closed(&mut self, connection: ConnectionId, ctx: &mut Context) {
        if self.announcer == Some(connection) {
            self.announcer = None;
            ctx.set_timer(Timer::Announce, self.settings.config.retry_interval);
        }
    }

    pub(super) fn close_announcer(&mut self, ctx: &mut Context) {
        ctx.cancel_timer(Timer::Announce);
        if let Some(connection) = self.announcer.take() {
            ctx.close(connection);
        }
    }

    /// The peer says that it is the backup of this node id.
    pub(super) fn announcement(&mut self, from: NodeId, ctx: &mut Context) {
        if self.phase != Phase::Live {
            return;
        }
        self.announced = Some(Announced { backup: from, by: ctx.via() });
        if self.awaiting_announcement {
            self.fail_back(ctx);
        }
    }

    /// A member whose connection ends is down, and with it its entry.
    pub(super) fn member_down(&mut self, connection: ConnectionId) {
        self.announced = self.announced.filter(|entry| entry.by != Some(connection));
    }

    /// Whether there is a backup in the topology that can take over.
    fn peer_announced(&self) -> bool {
        self.announced.is_some_and(|entry| {
            entry.backup != self.me || self.settings.defects.own_entry_counts // ARTEMIS-423
        })
    }

    pub(super) fn check_for_failback(&mut self, ctx: &mut Context) {
        ctx.set_timer(Timer::FailbackCheck, self.settings.config.failback_check);
        if self.phase == Phase::Live {
            self.mount().ask(Message::ReadState, ctx);
        }
    }

    pub(super) fn failback_flag(&mut self, state: LockState, ctx: &mut Context) {
        if state != LockState::FailingBack || self.awaiting_announcement {
            return;
        }
        if self.peer_announced() || self.settings.defects.no_wait_for_announcement {
            return self.fail_back(ctx); // ARTEMIS-256c: without the announcement, there may be nobody to hand over to.
        }
        self.awaiting_announcement = true;
        ctx.set_timer(Timer::AnnouncementWait, self.settings.config.announcement_wait);
    }

    pub(super) fn announcement_overdue(&mut self, ctx: &mut Context) {
        self.awaiting_announcement = false;
        ctx.mark("failback-abandoned");
    }

    /// Stops serving and releases the place.
    fn fail_back(&mut self, ctx: &mut Context) {
        self.phase.step(Event::FailBack);
        self.close_clients(ctx);
        ctx.mark("failback-started");
        if self.settings.defects.live_before_serving {
            // ARTEMIS-256b: the byte was set to LIVE although nobody served until the peer had taken the lock.
            return self.mount().ask(Message::WriteState(LockState::Live), ctx);
        }
        self.mount().ask(Message::Unlock(Lock::Primary), ctx);
    }

    pub(super) fn released(&mut self, ctx: &mut Context) {
        self.phase.step(Event::Released);
        if self.settings.defects.live_before_serving {
            ctx.set_timer(Timer::FailbackDelay, self.settings.config.failback_delay); // ARTEMIS-256b
        } else {
            self.poll(ctx);
        }
    }

    /// The peer serves, or the old sleep is over.
    pub(super) fn become_backup(&mut self, ctx: &mut Context) {
        self.phase.step(Event::PeerLive);
        ctx.mark("restarted-as-backup");
        self.poll(ctx);
    }
}
