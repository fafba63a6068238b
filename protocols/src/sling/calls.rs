//! Calling listeners: the beginning and the end of a call are two steps, with the listener's own time in between.

use std::sync::Arc;
use std::time::Duration;

use sim_core::Context;

use super::instance::Instance;
use super::listener::{Call, Event, EventKind, Heard, ListenerId};
use super::node::{Node, Timer};

impl Instance {
    /// Calls a listener. A topology that it is told of is current for it from here on.
    pub(super) fn call(&mut self, to: ListenerId, event: Event, ctx: &mut Context<Node>) {
        let listener = &mut self.listeners[to.0 as usize];
        if !listener.bound {
            return; // It was unbound while the event waited.
        }
        let Event { kind, view, instead } = event;
        let (binding, registered) = (listener.binding, listener.registered);
        listener.heard.push(Heard { binding, kind, view: Arc::clone(&view), instead, registered });
        if kind != EventKind::Changing {
            listener.current = Some(view);
        }
        self.sender.call = Some(Call { to, kind, binding: listener.binding });
        let config = &self.shared.config;
        let longer = config.listener_latency_max - config.listener_latency_min + Duration::from_nanos(1);
        let mut latency = config.listener_latency_min + ctx.random_duration(longer);
        if std::mem::take(&mut self.sender.stall) {
            ctx.mark("listener-stalled");
            latency += config.listener_stall;
        }
        ctx.run_job(latency, Timer::Called);
    }

    /// A listener has returned. Only now has it let go of a topology that is not current any more.
    pub(super) fn called(&mut self, ctx: &mut Context<Node>) {
        let call = self.sender.call.take().expect("the thread was in a call");
        let listener = &mut self.listeners[call.to.0 as usize];
        if call.kind == EventKind::Changing && call.binding == listener.binding {
            listener.current = None;
        }
        self.call_next(ctx);
    }
}
