//! The protocols.

pub mod artemis;
pub mod artemis_flow_control;
pub mod artemis_lock_manager;
pub mod artemis_shared_store;
pub mod clients;
mod defects;
pub mod derby;
pub mod jboss;
pub mod lease;
pub mod pvc;
pub mod services;
pub mod sling;
pub mod transitions;
pub mod two_phase_commit;
