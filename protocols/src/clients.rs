//! What protocols ask of their clients whatever they are clients of, so that they ask the same.

use std::time::Duration;

use sim_core::history::Step;
use sim_core::library::Eventually;
use sim_core::{Actor, Cluster, NodeId, World};

/// `blocked-clients-progress`: every client that is up is told of a success after the world has become quiet, `within`
/// that time.
pub fn blocked_clients_progress<A: Actor, C>(cluster: &Cluster<C>, within: Duration) -> Eventually<A> {
    let clients: Vec<NodeId> = cluster.with_role("client").collect();
    Eventually::within("blocked-clients-progress", within, move |world: &World<A>| {
        let Some(quiet) = world.quiet_since() else { return Err("something is still broken".to_owned()) };
        let recent = || world.history().notes().iter().rev().take_while(|note| note.at >= quiet);
        let blocked = clients.iter().find(|&&client| {
            world.is_up(client)
                && !recent().any(|note| note.client == client && matches!(note.operation.step, Step::Returned(_)))
        });
        match blocked {
            None => Ok(()),
            Some(&client) => Err(format!("{} has been told of no success since {quiet}", world.setup().name(client))),
        }
    })
}
