//! The state of a node's router, as one checked table. Every change of it, in whatever file, is a line here.

use crate::transitions;

/// What a node is to the virtual addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Router {
    /// The daemon has started and has not announced itself.
    #[default]
    Init,
    /// A hypervisor: it never holds an address.
    Client,
    /// A coordinator that could take over.
    Secondary,
    /// It takes the addresses and services over.
    Takeover,
    /// It has them all, and says so.
    Primary,
    /// It gives them up.
    Relinquish,
}

/// What can happen to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A coordinator announces itself.
    Announced,
    /// A hypervisor announces itself.
    Joined,
    /// The primary key names this node.
    TakeOver,
    /// All has started.
    TakenOver,
    /// The primary key was moved away in the middle of a takeover.
    MovedAway,
    /// The primary key names another node.
    Relinquish,
    /// All has stopped.
    Relinquished,
    /// The primary key came back in the middle of a relinquishment. Only 331027d1 acts upon that at once.
    Rearmed,
}

transitions! { Router on Step {
    Announced(Init => Secondary);
    Joined(Init => Client);
    TakeOver(Secondary => Takeover);
    TakenOver(Takeover => Primary);
    MovedAway(Takeover => Relinquish);
    Relinquish(Primary => Relinquish);
    Relinquished(Relinquish => Secondary);
    Rearmed(Relinquish => Takeover);
} }

impl Router {
    /// As it is written to the coordination service.
    pub fn word(self) -> &'static str {
        match self {
            Router::Init => "init",
            Router::Client => "client",
            Router::Secondary => "secondary",
            Router::Takeover => "takeover",
            Router::Primary => "primary",
            Router::Relinquish => "relinquish",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transitions::{check, render};

    #[test]
    fn the_table_is_sound_and_as_reviewed() {
        assert_eq!(check(Router::Init), Ok(()));
        insta::assert_snapshot!(render::<Router>());
    }
}
