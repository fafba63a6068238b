//! Group membership after JGroups: ordered views, a coordinator, suspicion, join, leave and merge.
//!
//! # Specification
//! A [`Membership`] is embedded by each member; there is no central server. A member has an [`Address`], its node and a
//! number that is drawn anew whenever it starts, so that a process that came back is never taken for its predecessor.
//!
//! A [`View`] is an ordered list of addresses, the oldest member first. The first that is not suspected is the
//! *coordinator*: it alone makes the next view, and sends it to everybody in it. What is promised:
//!
//! 1. Each member installs views with ever higher ids, and never one that it is not in.
//! 2. Two views with the same id are the same view. An id is a number and its creator's address, compared in this
//!    order, so the views of one partition are totally ordered even if two coordinators act for a moment.
//! 3. Members that two views have in common keep their order from one to the next, but for a merge.
//! 4. A view says what it was made from ([`View::previous`]) and who of these left in good order ([`View::left`]), so all
//!    members draw the same conclusions from it, whichever views they missed. A member that missed some
//!    is given them in order.
//! 5. Once nothing breaks any more, all members that run are in one view, and nobody else is.
//!
//! What is *not* promised: that all members see a view at the same time, or that no live member is ever left out. A
//! member that is silent for longer than `heartbeat-timeout` and `verify-timeout` together is taken for dead. If it is
//! not, it learns so from the first member that it speaks to, gives up its view and joins anew under another
//! address ([`Event::Shunned`]).
//!
//! # Failure detection
//! Every member beats to all others (FD_ALL) and holds a connection to the member after it, whose end gives a
//! death away at once (FD_SOCK). A suspect is asked several times whether it lives (VERIFY_SUSPECT) before the others
//! are told. So a connection that breaks while the two are cut off for longer than `verify-timeout` passes for a death;
//! without `socket-detection` only silence does.
//!
//! # Merge
//! A partition that outlasts detection leaves a group on each side. Coordinators look for members outside their view
//! every now and then (MERGE2); of two that meet, the one with the smaller address asks the other for its view,
//! which makes no view of its own until then, and installs one view, [`View::merged`], in both groups. A node that was
//! restarted while they did not meet can be in both views: then each asks its own process of it whether it lives, and
//! they merge when one of the two groups has gone on without it.
//!
//! # Join
//! A member that starts waits for the answers of all others, or for `discovery-timeout`, and asks the coordinator that
//! most of them name to let it in: while there are two groups, not both.
//!
//! # Messages
//! Datagrams, each of which may be lost. `Discover` → `Discovered`; `Join`, `Leave` → `Install`; `Heartbeat` →
//! `Install` for whoever is behind, `Excluded` for whoever is out, `Suspect` of a former process; `AreYouDead` →
//! `NotDead`; `Suspect`; `MergeRequest` → `MergeResponse`.

mod changes;
mod config;
mod detection;
mod member;
mod merge;
mod view;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim_core::{Actor, kinds};

pub use config::Config;
pub use member::{Event, Membership, Status};
pub use view::{Address, View, ViewId};

/// What members say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Who is there? Says who asks, and what it belongs to, if to anything.
    Discover(Standing),
    /// The answer.
    Discovered(Standing),
    /// To the coordinator: let me in.
    Join(Address),
    /// To the coordinator: I leave in good order.
    Leave(Address),
    /// The sender's latest views, oldest first.
    Install(Vec<Arc<View>>),
    /// I live.
    Heartbeat(Beat),
    /// You are not in my view, which is later than yours.
    Excluded(ViewId),
    /// This member did not answer.
    Suspect(Address),
    /// To a suspect: are you still the one with this address?
    AreYouDead(Address),
    /// I am.
    NotDead(Address),
    /// To the coordinator of another group: this is my view; send me yours, and wait for one that holds us both.
    MergeRequest(Arc<View>),
    /// The view of the group to be merged.
    MergeResponse(Arc<View>),
}
kinds!(Message {
    Discover,
    Discovered,
    Join,
    Leave,
    Install,
    Heartbeat,
    Excluded,
    Suspect,
    AreYouDead,
    NotDead,
    MergeRequest,
    MergeResponse,
});

/// Who somebody is and what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// Its address.
    pub address: Address,
    /// The coordinator of its group, as far as it knows; `None` if it is still joining.
    pub coordinator: Option<Address>,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beat {
    /// Who lives.
    pub from: Address,
    /// Whom it takes to be at the other end.
    pub to: Address,
    /// The view that it is in.
    pub view: ViewId,
}

/// A member's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Enough time for answers to a search has passed.
    Discovery,
    /// The coordinator has not let the member in.
    Join,
    /// Time to beat, and to look who is silent.
    Heartbeat,
    /// A suspect has had time to answer.
    Verify(Address),
    /// Changes have been collected for long enough: make the view.
    Bundle,
    /// Time to look for other groups.
    Merge,
    /// The other coordinator has had its time to answer.
    MergeCollect,
    /// The leave has not been confirmed.
    Leave,
}

/// An actor that can carry a [`Membership`].
pub trait Carrier: Actor<Message: From<Message>, Timer: From<Timer>> {}
impl<A: Actor<Message: From<Message>, Timer: From<Timer>>> Carrier for A {}
