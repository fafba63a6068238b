//! A broker that serves: durable messages of clients, and the watch over its lock.

use sim_core::ConnectionId;

use super::{Append, Broker, Context};
use crate::artemis_shared_store::{Event, Lock, LockState, Message, Phase, Timer};
use crate::transitions::StateMachine;

impl Broker {
    /// A client's message: into the journal, unless it is there already because the client sends it again.
    pub(super) fn send(&mut self, value: u64, ctx: &mut Context) {
        let Some(client) = ctx.via() else { return };
        if self.phase != Phase::Live {
            return ctx.close(client);
        }
        if self.journal.holds(value) {
            ctx.send_on(client, Message::Sent { value });
            return;
        }
        if let Some(append) = self.appends.values_mut().find(|append| append.value == value) {
            return append.clients.push(client);
        }
        let position = self.appends.last_key_value().map_or(self.journal.end(), |(last, _)| last + 1);
        self.appends.insert(position, Append { value, clients: vec![client] });
        self.mount().ask(Message::Append { position, value }, ctx);
    }

    pub(super) fn appended(&mut self, position: u64, ctx: &mut Context) {
        // Nobody is waiting any more if the broker has stopped serving meanwhile.
        let Some(append) = self.appends.remove(&position) else { return };
        self.journal.write(position, append.value);
        for client in append.clients {
            ctx.send_on(client, Message::Sent { value: append.value });
        }
    }

    pub(super) fn client_gone(&mut self, connection: ConnectionId) {
        for append in self.appends.values_mut() {
            append.clients.retain(|&client| client != connection);
        }
    }

    /// Looks whether the lock is still this broker's: whoever takes it touches the lock file.
    pub(super) fn monitor(&mut self, ctx: &mut Context) {
        ctx.set_timer(Timer::Monitor, self.settings.config.lock_monitor);
        if self.settings.defects.lost_lock_unnoticed {
            return; // ARTEMIS-4143: only the lock object in memory was asked, and it always finds itself valid.
        }
        if !self.mount().is_asking(&Message::ReadTimes) {
            self.mount().ask(Message::ReadTimes, ctx);
            ctx.set_timer(Timer::MonitorTimeout, self.settings.config.store_timeout);
        }
    }

    pub(super) fn monitored(&mut self, modified: u64, ctx: &mut Context) {
        ctx.cancel_timer(Timer::MonitorTimeout);
        if modified != self.touched && matches!(self.phase, Phase::Loading | Phase::Live) {
            self.lock_lost(ctx);
        }
    }

    /// Another has the lock, or may have it: stops serving at once.
    pub(super) fn lock_lost(&mut self, ctx: &mut Context) {
        if matches!(self.phase, Phase::Claiming | Phase::Loading | Phase::Live) {
            ctx.mark("lock-lost");
            self.restart(ctx);
        }
    }

    /// The operator wants the broker down.
    pub(in crate::artemis_shared_store) fn shut_down(&mut self, ctx: &mut Context) {
        if self.phase != Phase::Live {
            return ctx.halt();
        }
        self.phase.step(Event::Stop);
        self.close_clients(ctx);
        ctx.mark("stopped-in-order");
        if self.settings.config.failover_on_shutdown {
            self.mount().ask(Message::Unlock(Lock::Primary), ctx);
        } else {
            self.mount().ask(Message::WriteState(LockState::Paused), ctx);
        }
    }
}
