//! The Artemis pairs that do not vote: over a shared store, and with a lock manager. Failover and failback as they
//! should go, and each defect beside its fix.

mod case;
mod lock_manager;
mod shared_store;
