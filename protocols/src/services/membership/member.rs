//! A member: what it knows, and which file handles what reaches it. Here are joining and leaving.

use std::collections::BTreeMap;
use std::sync::Arc;

use sim_core::{ConnectionEvent, Context, Instant, NodeId};

use super::changes::Changes;
use super::config::Config;
use super::detection::{Neighbour, Suspicion};
use super::merge::Merging;
use super::view::{Address, View, ViewId};
use super::{Carrier, Message, Standing, Timer};
use crate::transitions;
use crate::transitions::StateMachine;

/// Where a member stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not started.
    #[default]
    Idle,
    /// Looks for a group or waits to be let in.
    Joining,
    /// In a view.
    Member,
    /// Waits for the view without it.
    Leaving,
    /// Out, in good order.
    Left,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// It starts.
    Starts,
    /// It installs its first view.
    LetIn,
    /// It finds itself excluded.
    Shunned,
    /// It is told to leave.
    Leaves,
    /// It is out.
    Out,
}

transitions! { Status on Happening {
    Starts(Idle => Joining);
    LetIn(Joining => Member);
    Shunned(Member => Joining);
    Leaves(Member => Leaving);
    Out(Idle | Joining | Leaving => Left);
} }

/// What the embedding actor has to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A view was installed.
    View(Arc<View>),
    /// The group went on without this member, which now joins anew: what it knows of the group is void.
    Shunned,
    /// The member is out, in good order.
    Left,
}

/// How many views are kept for members that missed some.
const CHAIN: usize = 6;

/// A member. All instants are readings of its own clock.
#[derive(Clone, Debug, Hash)]
pub struct Membership {
    pub(super) me: Address,
    /// The nodes that may belong to the group, this one included.
    pub(super) candidates: Arc<[NodeId]>,
    pub(super) config: Config,
    pub(super) status: Status,
    /// The latest views, oldest first; the last is the present one.
    pub(super) views: Vec<Arc<View>>,
    /// The highest number of any view that was seen.
    pub(super) number: u64,
    /// When each other member was last heard.
    pub(super) heard: BTreeMap<Address, Instant>,
    pub(super) suspects: BTreeMap<Address, Suspicion>,
    pub(super) neighbour: Option<Neighbour>,
    /// Answers to the search for a group, by who gave them.
    found: BTreeMap<NodeId, Standing>,
    /// Whether the search has found a coordinator, and it was asked to let this member in.
    has_asked: bool,
    /// What the next view has to reflect.
    pub(super) changes: Changes,
    pub(super) merging: Merging,
    pub(super) events: Vec<Event>,
}

impl Membership {
    /// A member on `me` of a group that any of `candidates` may belong to.
    pub fn new(me: NodeId, candidates: Arc<[NodeId]>, config: Config) -> Self {
        Membership {
            me: Address { node: me, incarnation: 0 },
            candidates,
            config,
            status: Status::Idle,
            views: Vec::new(),
            number: 0,
            heard: BTreeMap::new(),
            suspects: BTreeMap::new(),
            neighbour: None,
            found: BTreeMap::new(),
            has_asked: false,
            changes: Changes::default(),
            merging: Merging::default(),
            events: Vec::new(),
        }
    }

    /// Its present address.
    pub fn address(&self) -> Address {
        self.me
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The view that it is in.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.views.last()
    }

    /// Whether it is the coordinator, as far as it knows.
    pub fn is_coordinator(&self) -> bool {
        self.status != Status::Joining && self.coordinator() == Some(self.me)
    }

    /// The first member of the view that is not known to be dead.
    pub(super) fn coordinator(&self) -> Option<Address> {
        self.view()?.members.iter().copied().find(|member| self.suspects.get(member) != Some(&Suspicion::Verified))
    }

    /// The other members of the view.
    pub(super) fn others(&self) -> Vec<Address> {
        let members = self.view().map_or(&[][..], |view| &view.members);
        members.iter().copied().filter(|&member| member != self.me).collect()
    }

    /// The process has started: joins the group or founds it.
    pub fn start<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.status.step(Happening::Starts);
        self.me.incarnation = ctx.random() as u32;
        self.search(ctx);
    }

    /// Leaves in good order; [`Event::Left`] says when that is done.
    pub fn leave<A: Carrier>(&mut self, ctx: &mut Context<A>) -> Vec<Event> {
        match self.status {
            Status::Member => {
                self.status.step(Happening::Leaves);
                ctx.set_timer(Timer::Leave.into(), self.config.leave_timeout);
                self.say_goodbye(ctx);
            }
            Status::Idle | Status::Joining => self.out(ctx),
            Status::Leaving | Status::Left => {}
        }
        std::mem::take(&mut self.events)
    }

    /// Gives up the view and joins anew under another address, as if it had been excluded; there is no event.
    pub fn rejoin<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        if self.status == Status::Member {
            self.shunned(ctx);
            self.events.clear();
        }
    }

    /// A message of the group has come.
    pub fn on_message<A: Carrier>(&mut self, from: NodeId, message: Message, ctx: &mut Context<A>) -> Vec<Event> {
        if matches!(self.status, Status::Member | Status::Joining | Status::Leaving) {
            match message {
                Message::Discover(standing) => self.on_discover(standing, ctx),
                Message::Discovered(standing) => self.on_discovered(standing, ctx),
                Message::Join(joiner) => self.on_join(joiner, ctx),
                Message::Leave(leaver) => self.on_leave(leaver, ctx),
                Message::Install(chain) => self.on_install(chain, ctx),
                Message::Heartbeat(beat) => self.on_heartbeat(beat, ctx),
                Message::Excluded(view) => self.on_excluded(view, ctx),
                Message::Suspect(suspect) => self.on_suspect(suspect, ctx),
                Message::AreYouDead(address) => {
                    // Whoever asks and is in another view by now should go on without this member, so that the two
                    // groups can meet.
                    if address == self.me && self.view().is_some_and(|view| view.at(from).is_some()) {
                        ctx.send(from, Message::NotDead(self.me).into());
                    }
                }
                Message::NotDead(address) => self.lives(address, ctx),
                Message::MergeRequest(view) => self.on_merge_request(from, &view, ctx),
                Message::MergeResponse(view) => self.on_merge_response(view, ctx),
            }
        }
        std::mem::take(&mut self.events)
    }

    /// A timer of the group has ended.
    pub fn on_timer<A: Carrier>(&mut self, timer: Timer, ctx: &mut Context<A>) -> Vec<Event> {
        match timer {
            Timer::Discovery => self.end_search(ctx),
            Timer::Join => self.search(ctx),
            Timer::Heartbeat => self.beat(ctx),
            Timer::Verify(suspect) => self.unanswered(suspect, ctx),
            Timer::Bundle => self.make_view(ctx),
            Timer::Merge => self.look_for_groups(ctx),
            Timer::MergeCollect => self.merging.give_up(),
            Timer::Leave => self.out(ctx),
        }
        std::mem::take(&mut self.events)
    }

    /// A connection has changed. `None` if it is none of this service.
    pub fn on_connection<A: Carrier>(&mut self, event: ConnectionEvent, ctx: &mut Context<A>) -> Option<Vec<Event>> {
        self.on_neighbour(event, ctx).then(|| std::mem::take(&mut self.events))
    }

    fn standing(&self) -> Standing {
        Standing { address: self.me, coordinator: self.coordinator() }
    }

    fn search<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.found.clear();
        self.has_asked = false;
        self.discover(ctx);
        ctx.set_timer(Timer::Discovery.into(), self.config.discovery_timeout);
    }

    /// Asks everybody that is not in the view who it is.
    pub(super) fn discover<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        let standing = self.standing();
        let known = |node| node == self.me.node || self.view().is_some_and(|view| view.at(node).is_some());
        let strangers: Vec<NodeId> = self.candidates.iter().copied().filter(|&node| !known(node)).collect();
        for node in strangers {
            ctx.send(node, Message::Discover(standing).into());
        }
    }

    fn on_discover<A: Carrier>(&mut self, asker: Standing, ctx: &mut Context<A>) {
        ctx.send(asker.address.node, Message::Discovered(self.standing()).into());
        self.meets(asker, ctx);
    }

    fn on_discovered<A: Carrier>(&mut self, other: Standing, ctx: &mut Context<A>) {
        if self.status != Status::Joining {
            return self.meets(other, ctx);
        }
        self.found.insert(other.address.node, other);
        // This node's own former process: there is no better witness of its death.
        if let Some(former) = other.coordinator.filter(|coordinator| coordinator.node == self.me.node) {
            ctx.send(other.address.node, Message::Suspect(former).into());
        }
        let all = self.found.len() + 1 == self.candidates.len();
        if all
            && !self.has_asked
            && let Some(coordinator) = self.elected()
        {
            self.ask_to_join(coordinator, ctx);
        }
    }

    /// The coordinator that most answers name; of several, the one with the smallest address.
    fn elected(&self) -> Option<Address> {
        let mut votes: BTreeMap<Address, usize> = BTreeMap::new();
        for coordinator in self.found.values().filter_map(|standing| standing.coordinator) {
            if coordinator.node != self.me.node {
                *votes.entry(coordinator).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|&(_, count)| count == most).map(|(coordinator, _)| coordinator)
    }

    fn ask_to_join<A: Carrier>(&mut self, coordinator: Address, ctx: &mut Context<A>) {
        self.has_asked = true;
        ctx.cancel_timer(Timer::Discovery.into());
        ctx.set_timer(Timer::Join.into(), self.config.join_timeout);
        ctx.send(coordinator.node, Message::Join(self.me).into());
    }

    /// Who has not answered by now does not count. If nobody has found a group, the first of those that search founds it.
    fn end_search<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        if let Some(coordinator) = self.elected() {
            return self.ask_to_join(coordinator, ctx);
        }
        let alone = self.found.values().all(|standing| standing.coordinator.is_none());
        if alone && self.found.values().all(|other| self.me < other.address) {
            let id = ViewId { number: self.number + 1, creator: self.me };
            let members = vec![self.me];
            let view = View { id, members, previous: Vec::new(), left: Vec::new(), merged: false };
            return self.install(Arc::new(view), ctx);
        }
        self.search(ctx);
    }

    /// Installs those of another's views that come after the present one. None, if one of them is without this member:
    /// the others have acted on that, even if it was let in again since, and even if it hears only now that it was ever
    /// let in. None either, if none of them was made by a member of the present view: what happened in between cannot
    /// be known any more.
    fn on_install<A: Carrier>(&mut self, chain: Vec<Arc<View>>, ctx: &mut Context<A>) {
        let follows = |present: Option<&Arc<View>>, view: &View| {
            present.is_none_or(|present| view.id > present.id && (view.merged || present.has(view.id.creator)))
        };
        // Whoever made it had not heard that this member was let in, even if it lets it in now.
        let passes_over = |view: &View| {
            let next = |present: &Arc<View>| view.id > present.id && present.has(view.id.creator);
            !view.merged && self.view().is_some_and(next)
        };
        let removes = |view: &Arc<View>| {
            if view.previous.contains(&self.me) { !view.has(self.me) } else { passes_over(view) }
        };
        let cut_off = || {
            let later = self.view().zip(chain.last()).is_some_and(|(present, last)| last.id > present.id);
            later && !chain.iter().any(|view| follows(self.view(), view))
        };
        let out = chain.iter().any(|view| removes(view) && follows(self.view(), view)) || cut_off();
        match self.status {
            Status::Leaving if out => self.out(ctx),
            Status::Member if out => self.shunned(ctx),
            Status::Joining if out => self.join_anew(ctx),
            _ => {
                for view in chain {
                    if view.has(self.me) && follows(self.view(), &view) {
                        self.install(view, ctx);
                    }
                }
            }
        }
    }

    fn on_excluded<A: Carrier>(&mut self, by: ViewId, ctx: &mut Context<A>) {
        let later = self.view().is_some_and(|view| by > view.id);
        match self.status {
            Status::Member if later => self.shunned(ctx),
            Status::Leaving if later => self.out(ctx),
            _ => {}
        }
    }

    pub(super) fn install<A: Carrier>(&mut self, view: Arc<View>, ctx: &mut Context<A>) {
        if self.status == Status::Joining {
            self.status.step(Happening::LetIn);
            ctx.cancel_timer(Timer::Join.into());
            ctx.cancel_timer(Timer::Discovery.into());
            ctx.set_timer(Timer::Heartbeat.into(), self.config.heartbeat_interval);
        }
        self.number = self.number.max(view.id.number);
        self.views.push(Arc::clone(&view));
        if self.views.len() > CHAIN {
            self.views.remove(0);
        }
        self.merging.settled();
        self.changes.reflected_in(&view);
        self.watch(&view, ctx);
        if self.is_coordinator() {
            self.schedule_search(ctx);
        }
        self.events.push(Event::View(view));
    }

    /// The group has gone on without this member.
    fn shunned<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.status.step(Happening::Shunned);
        self.forget(ctx);
        self.events.push(Event::Shunned);
        self.join_anew(ctx);
    }

    /// Joins under another address: the group takes the present one for dead.
    fn join_anew<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.me.incarnation = ctx.random() as u32;
        ctx.cancel_timer(Timer::Join.into());
        self.search(ctx);
    }

    /// Drops all that belongs to the view.
    fn forget<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.views.clear();
        self.heard.clear();
        self.changes = Changes::default();
        self.merging = Merging::default();
        self.watch_nobody(ctx);
        for timer in [Timer::Heartbeat, Timer::Bundle, Timer::Merge, Timer::MergeCollect, Timer::Leave] {
            ctx.cancel_timer(timer.into());
        }
    }

    pub(super) fn out<A: Carrier>(&mut self, ctx: &mut Context<A>) {
        self.status.step(Happening::Out);
        self.forget(ctx);
        ctx.cancel_timer(Timer::Discovery.into());
        ctx.cancel_timer(Timer::Join.into());
        self.events.push(Event::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_table_is_sound_and_as_reviewed() {
        assert_eq!(check(Status::Idle), Ok(()));
        insta::assert_snapshot!(render::<Status>(), @"
        Starts: Idle => Joining
        LetIn: Joining => Member
        Shunned: Member => Joining
        Leaves: Member => Leaving
        Out: Idle | Joining | Leaving => Left
        ");
    }
}
