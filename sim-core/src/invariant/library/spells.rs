//! How long something has gone on, against how long it may.

use std::ops::Deref;
use std::time::Duration;

use super::common::just_after;
use crate::{Actor, Check, Instant, NodeId, World};

/// Conditions that hold at the moment, each with since when and what is known of it.
#[derive(Clone, Debug, Hash)]
pub(super) struct Spells<I, P> {
    /// How long each may go on; not at all if `None`.
    limit: Option<Duration>,
    open: Vec<Spell<I, P>>,
}

/// One condition that holds at the moment.
#[derive(Clone, Debug, Hash)]
pub(super) struct Spell<I, P> {
    pub id: I,
    pub since: Instant,
    /// What was last known of it.
    pub about: P,
}

impl<I: PartialEq, P> Spells<I, P> {
    pub fn new(limit: Option<Duration>) -> Self {
        Spells { limit, open: Vec::new() }
    }

    /// Changes how long each condition may go on.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = Some(limit);
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Notes that a condition holds, from `since` on if it did not already.
    pub fn holds(&mut self, since: Instant, id: I, about: P) {
        match self.open.iter_mut().find(|spell| spell.id == id) {
            Some(spell) => spell.about = about,
            None => self.open.push(Spell { id, since, about }),
        }
    }

    /// Notes that a condition does not hold, and returns what was known of it.
    pub fn end(&mut self, id: &I) -> Option<Spell<I, P>> {
        let at = self.open.iter().position(|spell| spell.id == *id)?;
        Some(self.open.swap_remove(at))
    }

    /// Notes that of all conditions only those that `keep` names can still hold.
    pub fn end_unless(&mut self, keep: impl Fn(&I) -> bool) {
        self.open.retain(|spell| keep(&spell.id));
    }

    /// A condition that has gone on for longer than it may.
    pub fn overdue(&self, now: Instant) -> Option<&Spell<I, P>> {
        self.open.iter().find(|spell| self.limit.is_none_or(|limit| now.since(spell.since) > limit))
    }

    /// When to look again, if nothing happens before.
    pub fn ask(&self) -> Check {
        match (self.limit, self.open.iter().map(|spell| spell.since).min()) {
            (Some(limit), Some(since)) => Check::AskAgain(just_after(since + limit)),
            _ => Check::Holds,
        }
    }

    /// In words, how long a condition has gone on if it was allowed to for some time: " for more than 2s, since 3s".
    pub fn lasting(&self, since: Instant) -> String {
        self.limit.map_or(String::new(), |limit| format!(" for more than {limit:?}, since {since}"))
    }
}

/// Conditions of single nodes. The time during which a node is paused does not count: a process that does not run
/// cannot put an end to anything.
#[derive(Clone, Debug, Hash)]
pub(super) struct NodeSpells<P> {
    running: Spells<NodeId, P>,
    /// How long each condition had gone on when its node was paused.
    paused: Vec<(NodeId, Duration)>,
}

impl<P> NodeSpells<P> {
    pub fn new(limit: Option<Duration>) -> Self {
        NodeSpells { running: Spells::new(limit), paused: Vec::new() }
    }

    /// Changes how long each condition may go on.
    pub fn set_limit(&mut self, limit: Duration) {
        self.running.set_limit(limit);
    }

    /// Notes whether a condition holds on a node.
    pub fn note<A: Actor>(&mut self, world: &World<A>, node: NodeId, holds: Option<P>) {
        let now = world.now();
        if holds.is_some() && world.is_paused(node) {
            if let Some(spell) = self.running.end(&node) {
                self.paused.push((node, now.since(spell.since)));
            }
            return;
        }
        let before_pause = match self.paused.iter().position(|&(paused, _)| paused == node) {
            Some(at) => self.paused.swap_remove(at).1,
            None => Duration::ZERO,
        };
        match holds {
            Some(about) => self.running.holds(Instant::ZERO + now.since(Instant::ZERO + before_pause), node, about),
            None => _ = self.running.end(&node),
        }
    }
}

/// What is running is what can be overdue.
impl<P> Deref for NodeSpells<P> {
    type Target = Spells<NodeId, P>;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}
