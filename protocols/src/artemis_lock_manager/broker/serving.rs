//! A broker that serves clients: a send is acknowledged when this disk has it, and the replica's.

use sim_core::ConnectionId;

use super::{Broker, Context, Pending, Written};
use crate::artemis::client::ClientMessage;
use crate::artemis_lock_manager::{Message, Phase, Timer};

use super::Link;

impl Broker {
    pub(super) fn attach(&mut self, ctx: &mut Context) {
        let Some(client) = ctx.via() else { return };
        if self.phase != Phase::Live {
            return ctx.close(client);
        }
        let backup = matches!(self.link, Link::UpToDate { .. }).then(|| self.settings.peer_of(self.me));
        ctx.send_on(client, ClientMessage::Topology { live: self.me, backup }.into());
    }

    pub(super) fn send(&mut self, id: u64, ctx: &mut Context) {
        let Some(client) = ctx.via() else { return };
        if self.phase != Phase::Live {
            return ctx.close(client);
        }
        if matches!(self.link, Link::Finishing { .. }) {
            return self.stalled.push((id, client));
        }
        self.store(id, client, ctx);
    }

    pub(super) fn release_stalled(&mut self, ctx: &mut Context) {
        for (id, client) in std::mem::take(&mut self.stalled) {
            self.store(id, client, ctx);
        }
    }

    fn store(&mut self, id: u64, client: ConnectionId, ctx: &mut Context) {
        if let Some(pending) = self.pending.get_mut(&id) {
            return pending.clients.push(client);
        }
        if !self.journal.append(id, ctx) {
            // Sent again by a client that was not told.
            ctx.send_on(client, Message::Sent { id });
            return;
        }
        let remote = self.link.complete().is_none() && !self.raising;
        if !remote && !self.awaits_replica() {
            ctx.set_timer(Timer::SlowReplica, self.settings.config.call_timeout);
        }
        self.pending.insert(id, Pending { clients: vec![client], local: false, remote });
        let size = self.settings.config.message_bytes;
        if let Link::Copying { on, .. } | Link::UpToDate { on } = self.link {
            ctx.send_on(on, Message::Append { id, size });
        }
        self.sync(Written::Message(id), ctx);
    }

    fn awaits_replica(&self) -> bool {
        self.pending.values().any(|pending| !pending.remote)
    }

    /// A message is on this broker's disk.
    pub(super) fn stored(&mut self, id: u64, ctx: &mut Context) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.local = true;
            self.acknowledge(ctx);
        }
    }

    /// A message is on the replica's disk.
    pub(super) fn replicated(&mut self, id: u64, ctx: &mut Context) {
        if self.link.complete() != ctx.via() {
            return;
        }
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.remote = true;
            self.acknowledge(ctx);
        }
        if self.awaits_replica() {
            ctx.set_timer(Timer::SlowReplica, self.settings.config.call_timeout);
        } else {
            ctx.cancel_timer(Timer::SlowReplica);
        }
    }

    /// Tells the clients of what is complete. Nothing is while the sequence is being raised: until that is
    /// committed, the lost replica could still activate.
    pub(super) fn acknowledge(&mut self, ctx: &mut Context) {
        if self.raising {
            return;
        }
        let complete: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| pending.local && pending.remote).map(|(&id, _)| id).collect();
        for id in complete {
            for client in self.pending.remove(&id).map_or(Vec::new(), |pending| pending.clients) {
                ctx.send_on(client, Message::Sent { id });
            }
        }
    }
}
