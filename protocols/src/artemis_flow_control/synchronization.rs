//! Bringing a new replica up to date: the list of files under the storage and paging locks, the files without, and the
//! end under the storage lock again, which holds up all clients until the replica has confirmed it.

use sim_core::{ConnectionId, Context};

use super::broker::Broker;
use super::channel::Channel;
use super::locks::{Lock, Mode, Thread};
use super::messages::{Message, Timer};
use super::node::Node;

/// The live's side of replication.
#[derive(Clone, Debug, Hash)]
pub struct Replication {
    /// The connection to the replica.
    pub channel: Channel,
    /// Whether new records are forwarded: since the list of files was sent.
    pub forwarding: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Going on with the storage lock.
    WantsStorage,
    /// Going on with the paging lock.
    WantsPaging,
    /// The list of files is being written, under both.
    Listing,
    /// Files are being written, without locks. How many packets are left after the present one.
    Files(u32),
    /// Going on with the storage lock.
    WantsStorageAgain,
    /// The end is being written.
    Finishing,
    /// Under the storage lock, until the replica confirms.
    AwaitingConfirmation,
    /// The replica is up to date.
    Synchronized,
}

impl Broker {
    /// Whether this is the connection to the replica.
    pub(super) fn is_replica(&self, connection: ConnectionId) -> bool {
        self.replication.as_ref().is_some_and(|r| r.channel.connection == connection)
    }

    /// Whether the synchronization with the replica at the end of this connection has not ended.
    pub(super) fn is_synchronizing(&self, replica: ConnectionId) -> bool {
        self.replication.as_ref().is_some_and(|r| r.channel.connection == replica && r.stage != Stage::Synchronized)
    }

    /// A replica wants to be brought up to date.
    pub(super) fn register_replica(&mut self, replica: ConnectionId, ctx: &mut Context<Node>) {
        // The thread of an earlier synchronization may still be on its way out.
        let thread = Thread::Synchronization(replica);
        let busy = self.replication.is_some() || self.locks.threads().any(|t| matches!(t, Thread::Synchronization(_)));
        if busy {
            ctx.send_on(replica, Message::RegistrationFailed);
            return;
        }
        let channel = Channel::new(replica);
        self.replication = Some(Replication { channel, forwarding: false, stage: Stage::WantsStorage });
        self.lock(Lock::Storage, Mode::Exclusive, thread, ctx);
    }

    /// The synchronization's thread has a lock.
    pub(super) fn run_synchronization(&mut self, replica: ConnectionId, ctx: &mut Context<Node>) {
        let thread = Thread::Synchronization(replica);
        let Some(replication) = self.replication.as_mut().filter(|r| r.channel.connection == replica) else {
            return self.end_synchronization(thread, ctx);
        };
        match replication.stage {
            Stage::WantsStorage => {
                replication.stage = Stage::WantsPaging;
                self.lock(Lock::Paging, Mode::Exclusive, thread, ctx);
            }
            Stage::WantsPaging => {
                replication.stage = Stage::Listing;
                let files = self.config.journal_files;
                self.replicate(Message::StartSync { files }, thread, ctx);
            }
            Stage::WantsStorageAgain => {
                replication.stage = Stage::Finishing;
                // Clients are held up from here on.
                ctx.set_timer(Timer::SyncTimeout(replica), self.config.initial_replication_sync_timeout);
                self.replicate(Message::SyncDone, thread, ctx);
            }
            Stage::Listing | Stage::Files(_) | Stage::Finishing | Stage::AwaitingConfirmation | Stage::Synchronized => {
                unreachable!("the synchronization goes on by itself only when it has a lock")
            }
        }
    }

    /// A packet of the synchronization has been written, or there is no replica any more.
    pub(super) fn synchronization_packet_written(&mut self, replica: ConnectionId, ctx: &mut Context<Node>) {
        let thread = Thread::Synchronization(replica);
        let chunk = self.config.sync_chunk_size;
        let per_file = self.config.journal_file_size.div_ceil(chunk);
        let packets = self.config.journal_files * per_file;
        let Some(replication) = self.replication.as_mut().filter(|r| r.channel.connection == replica) else {
            return self.end_synchronization(thread, ctx);
        };
        let left = match replication.stage {
            Stage::Listing => {
                replication.forwarding = true;
                self.unlock(Lock::Paging, thread, ctx);
                self.unlock(Lock::Storage, thread, ctx);
                packets
            }
            Stage::Files(left) => left,
            Stage::Finishing => {
                replication.stage = Stage::AwaitingConfirmation;
                return self.wait(thread);
            }
            stage => unreachable!("nothing is written in {stage:?}"),
        };
        let replication = self.replication.as_mut().expect("looked at just now");
        if left == 0 {
            replication.stage = Stage::WantsStorageAgain;
            self.lock(Lock::Storage, Mode::Exclusive, thread, ctx);
        } else {
            replication.stage = Stage::Files(left - 1);
            let part = chunk.min(self.config.journal_file_size);
            self.replicate(Message::SyncFileChunk { part }, thread, ctx);
        }
    }

    /// The replica has everything.
    pub(super) fn synchronization_confirmed(&mut self, replica: ConnectionId, ctx: &mut Context<Node>) {
        let Some(replication) = self.replication.as_mut().filter(|r| r.channel.connection == replica) else { return };
        if replication.stage == Stage::AwaitingConfirmation {
            replication.stage = Stage::Synchronized;
            ctx.mark("replica-in-sync");
            ctx.cancel_timer(Timer::SyncTimeout(replica));
            self.end_synchronization(Thread::Synchronization(replica), ctx);
        }
    }

    /// The replica has not confirmed in time: clients have waited long enough.
    pub(super) fn synchronization_timed_out(&mut self, replica: ConnectionId, ctx: &mut Context<Node>) {
        if self.is_synchronizing(replica) {
            self.drop_replica(replica, ctx);
            if self.replication.as_ref().is_some_and(|r| r.stage == Stage::AwaitingConfirmation) {
                // The thread stops waiting by itself, whatever becomes of the connection.
                self.end_synchronization(Thread::Synchronization(replica), ctx);
            }
        }
    }

    /// The replica is gone: nobody waits for it any more. On behalf of a thread that has the replication lock.
    pub(super) fn stop_replication(&mut self, ctx: &mut Context<Node>) {
        let Some(replication) = self.replication.take() else { return };
        let replica = replication.channel.connection;
        ctx.mark("replication-stopped");
        ctx.cancel_timer(Timer::SyncTimeout(replica));
        if replication.stage == Stage::AwaitingConfirmation {
            self.end_synchronization(Thread::Synchronization(replica), ctx);
        }
        let writers: Vec<_> = self.writes.keys().copied().collect();
        for writer in writers {
            self.wake_writer(writer, ctx);
        }
        let completed = self.operations.release_replication();
        self.complete(completed, ctx);
    }

    fn end_synchronization(&mut self, thread: Thread, ctx: &mut Context<Node>) {
        self.waiting.remove(&thread);
        for lock in [Lock::Paging, Lock::Storage] {
            if self.locks.owns(thread, lock) {
                self.unlock(lock, thread, ctx);
            }
        }
    }
}
