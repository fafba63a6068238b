//! What belongs to the primary: virtual addresses, services, and a gateway for every virtual network.

use std::collections::BTreeSet;

use super::daemon::Daemon;
use super::layout::NETWORKS;
use super::state::Router;
use crate::services::coordination::Text;

/// A virtual address, or several that move together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vip {
    /// The one that the world outside uses.
    Upstream,
    /// Those of the cluster and the storage network.
    Cluster,
    /// The one that virtual machines ask about themselves.
    Metadata,
    /// Those of the gateways of all virtual networks.
    Gateways,
}

impl Vip {
    /// All of them, in the order of the phases that move them.
    pub const ALL: [Vip; 4] = [Vip::Upstream, Vip::Cluster, Vip::Metadata, Vip::Gateways];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Vip::Upstream => "the upstream address",
            Vip::Cluster => "the cluster and storage addresses",
            Vip::Metadata => "the metadata address",
            Vip::Gateways => "the gateways",
        }
    }
}

/// What a node has of it.
#[derive(Clone, Debug, Default, Hash)]
pub struct Addresses {
    vips: BTreeSet<Vip>,
    /// The number of the takeover that has started the services.
    starting: Option<u32>,
    services: bool,
    /// The networks that it serves, with gateway and DHCP.
    networks: BTreeSet<Text>,
}

impl Addresses {
    /// Whether it holds this address.
    pub fn holds(&self, vip: Vip) -> bool {
        self.vips.contains(&vip)
    }

    /// Whether it holds any address.
    pub fn holds_any(&self) -> bool {
        !self.vips.is_empty()
    }

    /// Whether everything is there that clients expect of a primary.
    pub fn complete(&self) -> bool {
        self.services && self.vips.len() == Vip::ALL.len()
    }

    /// Whether the services run.
    pub fn services(&self) -> bool {
        self.services
    }

    pub(super) fn add(&mut self, vip: Vip) {
        self.vips.insert(vip);
    }

    pub(super) fn remove(&mut self, vip: Vip) {
        self.vips.remove(&vip);
    }

    pub(super) fn start_services(&mut self, number: u32) {
        self.starting = Some(number);
    }

    pub(super) fn services_up(&mut self, number: u32) {
        self.services |= self.starting == Some(number);
    }

    pub(super) fn stop_services(&mut self) {
        (self.starting, self.services) = (None, false);
    }

    pub(super) fn serve(&mut self, networks: &[Text]) {
        self.networks = networks.iter().cloned().collect();
    }
}

impl Daemon {
    /// What it has of what belongs to the primary.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The networks that it knows of and does not serve.
    pub fn networks_not_served(&self) -> Vec<Text> {
        let known = self.zk.children_seen(NETWORKS).iter();
        known.filter(|name| !self.addresses.networks.contains(*name)).cloned().collect()
    }

    /// A network has appeared or gone.
    pub(super) fn networks_changed(&mut self) {
        // Defect 1e4350ca: a node that takes over has gone through its networks and does not look at this one.
        let serves = match self.router {
            Router::Primary => true,
            Router::Takeover => !self.shared.defects.x1e4350ca,
            _ => false,
        };
        if serves {
            self.serve_networks();
        }
    }

    pub(super) fn serve_networks(&mut self) {
        self.addresses.serve(self.zk.children_seen(NETWORKS));
    }
}
