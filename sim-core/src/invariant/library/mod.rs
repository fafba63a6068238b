//! Properties that most failover protocols share, ready to be aimed at an actor.
//!
//! Each is a value with a name of its own and a few closures that say where in the actor to look. They remember what
//! they saw of the other nodes, so that after an event only the touched node has to be looked at.
//!
//! | question | property |
//! |---|---|
//! | May two nodes hold the same thing at once? | [`AtMostOne`] |
//! | May two nodes go by different views at once? | [`Agreement`] |
//! | Is everything still there that a client was told is safe? | [`NoLostWrite`] |
//! | Was a message delivered twice? | [`NoDuplicateDelivery`] |
//! | Did each read return what a single register could have held? | [`Linearizable`] |
//! | Does a queue stay within its limit? | [`Bounded`], [`BoundedBuffer`] |
//! | Does a stopped part leave something running? | [`NoLeak`] |
//! | Does a role go back and forth? | [`Stable`] |
//! | Does a wait end? | [`BoundedWait`] |
//! | Does the cluster recover? | [`Eventually`] |
//! | Was the interesting case met at all? | [`Sometimes`] |
//! | Anything else that must hold after every event | [`Always`] |
//!
//! What a node knows is asked of its actor while its process is up. A node that is down claims, holds and owns
//! nothing; a paused one still does.

mod agreement;
mod always;
mod at_most_one;
mod bounded;
mod bounded_wait;
mod common;
mod deliveries;
mod eventually;
mod leak;
mod linearizable;
mod lost_writes;
mod register;
mod sometimes;
mod spells;
mod stable;

pub use agreement::Agreement;
pub use always::Always;
pub use at_most_one::AtMostOne;
pub use bounded::{Bounded, BoundedBuffer};
pub use bounded_wait::BoundedWait;
pub use common::Finding;
pub use deliveries::NoDuplicateDelivery;
pub use eventually::Eventually;
pub use leak::NoLeak;
pub use linearizable::Linearizable;
pub use lost_writes::{AcknowledgedWrite, NoLostWrite};
pub use sometimes::Sometimes;
pub use stable::Stable;
