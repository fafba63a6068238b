//! Writing to the replica: any thread of the live may do it, one at a time, and waits while the transport is not
//! writable.
//!
//! A writer takes the replication lock, then the connection lock to ask whether the connection is writable. If it
//! is not, it registers as a listener and waits as on a monitor: with neither lock. Whoever wakes it therefore needs
//! the replication lock too.

use sim_core::{ConnectionId, Context};

use super::broker::Broker;
use super::channel::Listener;
use super::event_loop::Happening;
use super::locks::{Lock, Mode, Thread};
use super::messages::{Message, Timer};
use super::node::Node;

/// A packet on its way to the replica.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Write {
    packet: Message,
    /// The connection that it was meant for.
    replica: ConnectionId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Going on when it has the replication lock.
    Replication,
    /// With that, going on when it has the connection lock.
    Connection,
    /// Without any lock, going on when it is woken.
    AwaitingReady {
        /// Since when, on the node's own clock.
        since: sim_core::Instant,
    },
}

impl Write {
    /// Whether the writer waits for the transport.
    pub fn awaits_ready(&self) -> bool {
        matches!(self.stage, Stage::AwaitingReady { .. })
    }
}

impl Broker {
    /// Lets a thread write a packet to the replica; [`Broker::written`] follows, whether it could or not.
    pub(super) fn replicate(&mut self, packet: Message, thread: Thread, ctx: &mut Context<Node>) {
        // A record whose replica is gone is part of the files that the next one is sent.
        let record = matches!(packet, Message::Record { .. });
        let Some(replication) = self.replication.as_ref().filter(|r| r.forwarding || !record) else {
            return self.written(thread, ctx);
        };
        let replica = replication.channel.connection;
        self.writes.insert(thread, Write { packet, replica, stage: Stage::Replication });
        self.lock(Lock::Replication, Mode::Exclusive, thread, ctx);
    }

    /// A writer goes on.
    pub(super) fn run_write(&mut self, thread: Thread, ctx: &mut Context<Node>) {
        let write = self.writes[&thread];
        match write.stage {
            Stage::Replication => {
                if self.replication.as_ref().is_none_or(|r| r.channel.connection != write.replica) {
                    self.unlock(Lock::Replication, thread, ctx);
                    return self.end_write(thread, ctx);
                }
                self.set_write_stage(thread, Stage::Connection);
                self.lock(Lock::Connection, Mode::Exclusive, thread, ctx);
            }
            Stage::Connection => self.write_or_wait(write.packet, thread, ctx),
            Stage::AwaitingReady { .. } => unreachable!("a writer is woken by way of the replication lock"),
        }
    }

    fn write_or_wait(&mut self, packet: Message, thread: Thread, ctx: &mut Context<Node>) {
        let replication = self.replication.as_mut().expect("replication ends only under the replication lock");
        // ARTEMIS-350: nobody asked.
        let writable =
            self.defects.replication_ignores_writability || replication.channel.is_writable(Listener::Writer(thread));
        if writable {
            replication.channel.send(packet, ctx);
        } else {
            ctx.mark("replication-blocked");
        }
        self.unlock(Lock::Connection, thread, ctx);
        self.unlock(Lock::Replication, thread, ctx);
        if writable {
            self.end_write(thread, ctx);
        } else {
            self.set_write_stage(thread, Stage::AwaitingReady { since: ctx.now() });
            self.wait(thread);
            self.schedule_slow_replication_check(ctx);
        }
    }

    /// Wakes a writer, on behalf of a thread that has the replication lock.
    pub(super) fn wake_writer(&mut self, writer: Thread, ctx: &mut Context<Node>) {
        if self.writes.get(&writer).is_some_and(Write::awaits_ready) {
            ctx.mark("replication-writable");
            self.set_write_stage(writer, Stage::Replication);
            self.waiting.remove(&writer);
            self.lock(Lock::Replication, Mode::Exclusive, writer, ctx);
        }
    }

    /// Drops a replica that takes nothing for too long.
    pub(super) fn check_slow_replication(&mut self, ctx: &mut Context<Node>) {
        let Some(replication) = &self.replication else { return };
        let replica = replication.channel.connection;
        let (now, limit) = (ctx.now(), self.config.call_timeout);
        let slow = self.writes.values().any(|write| match write.stage {
            Stage::AwaitingReady { since } => write.replica == replica && now.since(since) >= limit,
            _ => false,
        });
        if slow {
            self.drop_replica(replica, ctx);
        }
        self.schedule_slow_replication_check(ctx);
    }

    /// Ends the connection to the replica. The rest is for its close listener.
    pub(super) fn drop_replica(&mut self, replica: ConnectionId, ctx: &mut Context<Node>) {
        if ctx.connection(replica).is_some() {
            ctx.mark("replica-dropped");
            ctx.close(replica);
            self.heartbeats.forget(replica);
            self.happened(Happening::Closed(replica), ctx);
        }
    }

    fn schedule_slow_replication_check(&self, ctx: &mut Context<Node>) {
        if self.writes.values().any(Write::awaits_ready) {
            ctx.set_timer(Timer::SlowReplicationCheck, self.config.slow_replication_check);
        }
    }

    fn end_write(&mut self, thread: Thread, ctx: &mut Context<Node>) {
        self.writes.remove(&thread);
        self.written(thread, ctx);
    }

    fn set_write_stage(&mut self, thread: Thread, stage: Stage) {
        self.writes.get_mut(&thread).expect("a running writer has its packet").stage = stage;
    }
}
