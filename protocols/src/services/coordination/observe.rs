//! Observing a node: the recipe behind Kazoo's `DataWatch` and `ChildrenWatch`. A one-shot watch is set again by the
//! read that follows it, so the owner is told of every value that lasts, and may miss one that was overwritten at once.

use sim_core::Context;

use super::client::{Client, ClientHost, Event, Recipe};
use super::{Answer, Change, Error, Request, Stat, Text};

/// What is known of an observed node.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Observed {
    /// Whether its children are observed and not its value.
    of_children: bool,
    seen: Seen,
    names: Vec<Text>,
}

/// What was last seen of a node's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It was not there.
    Missing,
    /// Its value and state.
    Value(Text, Stat),
}

impl Seen {
    /// Value and version, if it was there.
    pub fn value(&self) -> Option<(&Text, u32)> {
        match self {
            Seen::Value(text, stat) => Some((text, stat.version)),
            _ => None,
        }
    }
}

impl<T: Clone> Client<T> {
    /// Observes the values of nodes from now on, over broken connections and in later sessions: [`Event::Observed`]
    /// comes with every change.
    pub fn observe<A: ClientHost>(&mut self, paths: Vec<Text>, ctx: &mut Context<A>) {
        for path in &paths {
            self.observed.entry(path.clone()).or_default();
        }
        self.ask(Request::Read { paths: paths.clone(), watch: true }, Recipe::Observe(paths), ctx);
    }

    /// Observes which children a node has: [`Event::ChildrenObserved`] comes with every change.
    pub fn observe_children<A: ClientHost>(&mut self, path: Text, ctx: &mut Context<A>) {
        let observed = Observed { of_children: true, ..Observed::default() };
        self.observed.entry(path.clone()).or_insert(observed);
        self.ask(Request::Children { path: path.clone(), watch: true }, Recipe::ObserveChildren(path), ctx);
    }

    /// What was last seen of an observed node.
    pub fn seen(&self, path: &str) -> &Seen {
        self.observed.get(path).map_or(&Seen::Unknown, |observed| &observed.seen)
    }

    /// The children that were last seen below an observed node.
    pub fn children_seen(&self, path: &str) -> &[Text] {
        self.observed.get(path).map_or(&[], |observed| &observed.names)
    }

    pub(super) fn resume_observing<A: ClientHost>(&mut self, ctx: &mut Context<A>) {
        let of = |children| move |(_, observed): &(&Text, &Observed)| observed.of_children == children;
        let values: Vec<Text> = self.observed.iter().filter(of(false)).map(|(path, _)| path.clone()).collect();
        let children: Vec<Text> = self.observed.iter().filter(of(true)).map(|(path, _)| path.clone()).collect();
        if !values.is_empty() {
            self.observe(values, ctx);
        }
        for path in children {
            self.observe_children(path, ctx);
        }
    }

    /// Reads again what a watch says has changed, which sets the watch again.
    pub(super) fn look_again<A: ClientHost>(&mut self, path: &Text, change: Change, ctx: &mut Context<A>) {
        let Some(observed) = self.observed.get(path) else { return };
        match (change, observed.of_children) {
            (Change::Children, true) => self.observe_children(path.clone(), ctx),
            (Change::Children, false) | (_, true) => {}
            (_, false) => self.observe(vec![path.clone()], ctx),
        }
    }

    pub(super) fn observed_nodes(&mut self, paths: Vec<Text>, result: Result<Answer, Error>) {
        let Ok(Answer::Read(values)) = result else { return };
        for (path, value) in paths.into_iter().zip(values) {
            let Some(observed) = self.observed.get_mut(&path) else { continue };
            let seen = match value {
                Some((text, stat)) => Seen::Value(text, stat),
                None => Seen::Missing,
            };
            if observed.seen != seen {
                observed.seen = seen;
                self.events.push(Event::Observed(path));
            }
        }
    }

    pub(super) fn observed_children(&mut self, path: Text, result: Result<Answer, Error>) {
        let Ok(Answer::Children(names)) = result else { return };
        if let Some(observed) = self.observed.get_mut(&path)
            && observed.names != names
        {
            observed.names = names;
            self.events.push(Event::ChildrenObserved(path));
        }
    }
}
