//! The view state manager: which topology is current, what listeners are told of it and when, and when it is synced.

use std::sync::Arc;

use sim_core::Context;

use super::instance::Instance;
use super::listener::{Event, EventKind, Listener, ListenerId, Queued};
use super::node::{Node, Timer};
use super::pool::Task;
use super::reader::Reading;
use super::view::{Difference, TopologyView};

/// What the manager knows.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Manager {
    activated: bool,
    /// The view that listeners were told of last.
    previous: Option<Arc<TopologyView>>,
    /// Whether they were told that it is not current any more, or have not been told of any.
    changing: bool,
    /// The view that is being synced.
    pending: Option<Arc<TopologyView>>,
    /// Counts everything that makes an earlier sync worthless.
    modifications: u64,
    /// Whether a changed view is being waited with.
    delaying: bool,
    /// Counts what makes an earlier delay worthless.
    generation: u64,
    /// Whether a sync has come to its end since discovery was activated.
    established: bool,
}

impl Manager {
    pub fn is_changing(&self) -> bool {
        self.changing
    }

    pub fn is_established(&self) -> bool {
        self.established
    }

    pub fn pending(&self) -> Option<&Arc<TopologyView>> {
        self.pending.as_ref()
    }

    pub fn current(&self) -> Option<&TopologyView> {
        self.previous.as_deref().filter(|_| !self.changing)
    }

    pub fn is_current(&self) -> bool {
        self.previous.is_some() && !self.changing
    }

    pub fn role(&self) -> &'static str {
        match (&self.previous, self.changing, self.delaying, &self.pending) {
            (Some(_), false, ..) => "CURRENT",
            (_, _, true, _) => "CHANGING, delayed",
            (_, _, _, Some(_)) => "CHANGING, syncing",
            (None, ..) => "UNINIT",
            _ => "CHANGING",
        }
    }
}

impl Instance {
    pub(super) fn handle_activated(&mut self, ctx: &mut Context<Node>) {
        self.manager.activated = true;
        self.manager.modifications += 1;
        if let Some(previous) = self.manager.previous.clone()
            && !self.manager.changing
        {
            self.enqueue_init(&previous, ctx);
        }
    }

    pub(super) fn handle_deactivated(&mut self, ctx: &mut Context<Node>) {
        let manager = &mut self.manager;
        manager.activated = false;
        manager.modifications += 1;
        manager.previous = None;
        manager.pending = None;
        manager.changing = false;
        manager.established = false;
        // SLING-5282, SLING-5592: the check went on.
        if !self.shared.defects.sling_5282 {
            self.cancel_sync(ctx);
        }
        // SLING-5310: the delay went on, and its end was taken for that of a newer one.
        if !self.shared.defects.sling_5310 {
            ctx.cancel_timer(Timer::Delayed(self.manager.generation));
            self.manager.generation += 1;
            self.manager.delaying = false;
        }
        self.sender.queue.clear();
        self.listeners.iter_mut().for_each(Listener::reset);
    }

    /// There is no topology at present, or there will be another one `instead`.
    pub(super) fn handle_changing(&mut self, instead: Option<&Arc<TopologyView>>, ctx: &mut Context<Node>) {
        if self.manager.pending.take().is_some() {
            self.manager.modifications += 1;
            // SLING-5173: a sync that had begun came to its end.
            if !self.shared.defects.sling_5173_cancel {
                self.cancel_sync(ctx);
            }
        }
        if self.manager.changing {
            return;
        }
        self.manager.modifications += 1;
        self.manager.changing = true;
        let Some(previous) = self.manager.previous.clone().filter(|_| self.manager.activated) else { return };
        ctx.mark("topology-changing");
        self.enqueue_for_all(Event { kind: EventKind::Changing, view: previous, instead: instead.cloned() }, ctx);
    }

    /// This is the topology now.
    pub(super) fn handle_new_view(&mut self, view: Arc<TopologyView>, ctx: &mut Context<Node>) {
        if self.manager.delaying {
            return; // It will be read again when the delay is over.
        }
        if !view.partially_started.is_empty() {
            ctx.mark("instance-suppressed");
        }
        if self.manager.pending.as_ref().is_some_and(|pending| pending.is_synced_like(&view)) {
            return; // It is what is being synced.
        }
        let Some(previous) = self.manager.previous.clone() else { return self.take(view, ctx) };
        match previous.difference(&view, self.shared.defects) {
            Difference::Nothing if !self.manager.changing => {}
            Difference::Properties if !self.manager.changing => self.take(view, ctx),
            // Back to what it was.
            Difference::Nothing => self.take(view, ctx),
            Difference::Properties | Difference::Structure => self.delay(view, ctx),
        }
    }

    /// Waits for more changes before it does anything about this one.
    fn delay(&mut self, view: Arc<TopologyView>, ctx: &mut Context<Node>) {
        self.handle_changing(Some(&view), ctx);
        if self.shared.config.min_event_delay.is_zero() {
            return self.take(view, ctx);
        }
        self.manager.delaying = true;
        ctx.set_timer(Timer::Delayed(self.manager.generation), self.shared.config.min_event_delay);
    }

    pub(super) fn delay_over(&mut self, generation: u64, ctx: &mut Context<Node>) {
        // SLING-5310: there were no generations.
        if generation != self.manager.generation && !self.shared.defects.sling_5310 {
            return;
        }
        if !self.has_thread(Task::Delayed(generation)) {
            return;
        }
        self.manager.delaying = false;
        match self.read_topology(ctx.now()) {
            Reading::View(view) => self.take(Arc::new(view), ctx),
            Reading::Undefined | Reading::Outdated => {
                self.manager.delaying = true;
                ctx.set_timer(Timer::Delayed(self.manager.generation), self.shared.config.min_event_delay);
            }
        }
    }

    /// Tells listeners of a view: at once, if only properties have changed, otherwise after a sync.
    fn take(&mut self, view: Arc<TopologyView>, ctx: &mut Context<Node>) {
        self.manager.modifications += 1;
        if !self.manager.activated {
            self.manager.previous = Some(view);
            self.manager.changing = false;
            return;
        }
        let previous = self.manager.previous.clone();
        if let Some(previous) = &previous
            && !self.manager.changing
        {
            match previous.difference(&view, self.shared.defects) {
                Difference::Nothing => return,
                Difference::Properties => {
                    ctx.mark("properties-changed");
                    self.manager.previous = Some(Arc::clone(&view));
                    self.enqueue_for_all(Event { kind: EventKind::Properties, view, instead: None }, ctx);
                    return;
                }
                Difference::Structure => {}
            }
        }
        self.handle_changing(Some(&view), ctx);
        self.manager.pending = Some(Arc::clone(&view));
        // SLING-5173: nobody but those who had seen somebody leave had a reason to sync.
        if self.shared.defects.sling_5173_sync
            && previous.is_some_and(|p| p.members.iter().all(|m| view.members.iter().any(|n| n.election == m.election)))
        {
            return self.handle_consistent(view, ctx);
        }
        let modifications = self.manager.modifications;
        // SLING-5094, SLING-5173: the sync did not wait for listeners.
        if self.shared.defects.sling_5094 {
            return self.begin_sync(view, modifications, ctx);
        }
        self.sender.queue.push_back(Queued::FlushMarker { view, modifications });
        self.call_next(ctx);
    }

    /// Everything that was to be heard before the sync of a view has been heard.
    fn flushed(&mut self, view: Arc<TopologyView>, modifications: u64, ctx: &mut Context<Node>) {
        if modifications == self.manager.modifications {
            self.begin_sync(view, modifications, ctx);
        }
    }

    /// A sync has come to its end.
    pub(super) fn synced(&mut self, view: Arc<TopologyView>, modifications: u64, ctx: &mut Context<Node>) {
        // SLING-5173: nobody asked whether something had changed since.
        if modifications == self.manager.modifications || self.shared.defects.sling_5173_cancel {
            self.handle_consistent(view, ctx);
        }
    }

    /// All members agree: listeners are told of the view.
    fn handle_consistent(&mut self, view: Arc<TopologyView>, ctx: &mut Context<Node>) {
        if view.degraded {
            ctx.mark("degraded-view");
        }
        let manager = &mut self.manager;
        manager.changing = false;
        manager.pending = None;
        manager.established = true;
        if manager.previous.replace(Arc::clone(&view)).is_some() {
            ctx.mark("topology-changed");
            let view = Arc::clone(&view);
            self.enqueue_for_all(Event { kind: EventKind::Changed, view, instead: None }, ctx);
        }
        self.enqueue_init(&view, ctx);
        self.release_jobs(ctx);
    }

    /// Tells those of a view who have not been told of any.
    fn enqueue_init(&mut self, view: &Arc<TopologyView>, ctx: &mut Context<Node>) {
        for listener in self.listeners.iter_mut().filter(|listener| listener.bound && !listener.initialized) {
            ctx.mark("topology-init");
            listener.initialized = true;
            let event = Event { kind: EventKind::Init, view: Arc::clone(view), instead: None };
            self.sender.queue.push_back(Queued::Event(listener.id, event));
        }
        self.call_next(ctx);
    }

    fn enqueue_for_all(&mut self, event: Event, ctx: &mut Context<Node>) {
        for listener in self.listeners.iter().filter(|listener| listener.bound && listener.initialized) {
            self.sender.queue.push_back(Queued::Event(listener.id, event.clone()));
        }
        self.call_next(ctx);
    }

    /// Lets the sender go on, if it is not in the middle of a call.
    pub(super) fn call_next(&mut self, ctx: &mut Context<Node>) {
        while self.sender.call.is_none() {
            match self.sender.queue.pop_front() {
                None => return,
                Some(Queued::FlushMarker { view, modifications }) => self.flushed(view, modifications, ctx),
                Some(Queued::Event(to, event)) => self.call(to, event, ctx),
            }
        }
    }

    /// Registers one more listener.
    pub(super) fn register_listener(&mut self, ctx: &mut Context<Node>) {
        let id = ListenerId(self.listeners.len() as u32);
        self.listeners.push(Listener::new(id));
        if let Some(previous) = self.manager.previous.clone()
            && self.manager.activated
            && !self.manager.changing
        {
            self.enqueue_init(&previous, ctx);
        }
    }

    /// Takes the listener that was registered last away.
    pub(super) fn unregister_listener(&mut self) {
        let Some(listener) = self.listeners.iter_mut().rfind(|listener| listener.registered) else { return };
        listener.registered = false;
        // SLING-L3: what is to be called when a listener goes was the same as when one comes, and it was there already.
        listener.bound = self.shared.defects.sling_l3;
        if !listener.bound {
            listener.reset();
        }
    }
}
