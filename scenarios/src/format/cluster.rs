//! Reads `[cluster]`, and the network, disks and clocks that its nodes find.

use std::collections::BTreeSet;

use serde::Deserialize;
use sim_core::{BufferLimits, DiskConfig, HostId, Member, NetworkConfig, NodeId};
use toml::Spanned;
use toml::de::ValueDeserializer;

use super::known::Known;
use super::names::advice;
use super::reader::{Item, Reader, Section, in_order};
use super::tables::{BUFFER, CLOCK, EACH_NODE, MAX_MEMBERS};
use super::{CLIENT_ROLE, ClockRange, Config};
use crate::registry::AnyProtocol;

/// What `[cluster]` says beside who is in it.
pub(super) struct Settings {
    pub clients: usize,
    pub config: Option<Config>,
    pub defects: BTreeSet<String>,
}

/// Reads `[cluster]` and makes its names known.
pub(super) fn cluster(reader: &mut Reader, section: &Section<'_>, known: &mut Known<'_>) -> Settings {
    if let Some(item) = section.get("nodes") {
        nodes(reader, item, known);
    }
    let mut clients = 0;
    if let Some(item) = section.get("clients") {
        let room = MAX_MEMBERS.saturating_sub(known.members.len() as u64);
        clients = reader.whole(item, 0, room).unwrap_or(0) as usize;
        add_clients(reader, item, clients, known);
    }
    hosts(reader, section.get("hosts"), known);
    let config = section.get("config").and_then(|item| config(reader, item));
    let defects = section.get("defects").map(|item| defects(reader, item, known.protocol)).unwrap_or_default();
    Settings { clients, config, defects }
}

fn config(reader: &mut Reader, item: &Item<'_>) -> Option<Config> {
    reader.table(item)?;
    let spanned = Spanned::new(item.span.clone(), item.value.clone());
    match toml::Table::deserialize(ValueDeserializer::from(spanned)) {
        Ok(value) => Some(Config { value, span: item.span.clone() }),
        Err(error) => {
            let span = error.span().unwrap_or(item.span.clone());
            reader.problem(span, error.message(), "here", "write a number from -2^63 to 2^63 - 1");
            None
        }
    }
}

fn nodes(reader: &mut Reader, item: &Item<'_>, known: &mut Known<'_>) {
    let Some(table) = reader.table(item) else { return };
    known.complete = true;
    if table.is_empty() {
        reader.bad_value(item, "names no node", format!("write {}", item.expects));
    }
    if table.len() as u64 > MAX_MEMBERS {
        reader.bad_value(item, "has too many nodes", format!("a cluster has at most {MAX_MEMBERS} nodes and clients"));
        return;
    }
    for (key, value) in in_order(table) {
        let name: &str = key.get_ref();
        if let Some(why) = unfit_name(name) {
            let help = "names of nodes consist of letters, digits, `-`, `_` and `.`, such as `alpha`";
            reader.problem(key.span(), format!("a node cannot be called `{name}`: {why}"), "choose another name", help);
        }
        let role =
            Item { key: "role", expects: "the name of a role in quotes", value: value.get_ref(), span: value.span() };
        let role = node_role(reader, &role, known.protocol).unwrap_or_default();
        let host = HostId(known.members.len() as u16);
        known.members.push(Member { name: name.to_owned(), role, host });
    }
}

fn unfit_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        Some("it has other signs than letters, digits, `-`, `_` and `.`")
    } else if name == EACH_NODE {
        Some("`[clocks]` uses that word for every node")
    } else if name.strip_prefix("client-").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        Some("clients are called so")
    } else {
        None
    }
}

fn node_role(reader: &mut Reader, item: &Item<'_>, protocol: Option<&dyn AnyProtocol>) -> Option<String> {
    let role = reader.text(item)?;
    if role == CLIENT_ROLE {
        let message = "clients are not listed among the nodes";
        reader.problem(item.span.clone(), message, "a client", "write `clients = 1` in `[cluster]`, or however many");
        return None;
    }
    let Some(protocol) = protocol else { return Some(role.to_owned()) };
    if protocol.roles().iter().any(|known| known.name == role) {
        return Some(role.to_owned());
    }
    let message = format!("`{}` has no role `{role}`", protocol.name());
    let roles = protocol.roles().iter().map(|role| role.name).filter(|&role| role != CLIENT_ROLE);
    reader.problem(item.span.clone(), message, "unknown role", advice(role, "roles", roles));
    None
}

fn add_clients(reader: &mut Reader, item: &Item<'_>, clients: usize, known: &mut Known<'_>) {
    let has_role = |protocol: &dyn AnyProtocol| protocol.roles().iter().any(|role| role.name == CLIENT_ROLE);
    if let Some(protocol) = known.protocol
        && clients > 0
        && !has_role(protocol)
    {
        let message = format!("`{}` has no clients", protocol.name());
        reader.problem(item.span.clone(), message, "nobody to play this role", "remove `clients`");
        return;
    }
    for number in 1..=clients {
        let host = HostId(known.members.len() as u16);
        known.members.push(Member { name: format!("client-{number}"), role: CLIENT_ROLE.to_owned(), host });
    }
}

/// Puts the nodes on machines: first those that the file names, then one for each other node.
fn hosts(reader: &mut Reader, item: Option<&Item<'_>>, known: &mut Known<'_>) {
    let mut placed: Vec<Option<HostId>> = vec![None; known.members.len()];
    let table = item.and_then(|item| {
        let table = reader.table(item)?;
        if table.len() as u64 > MAX_MEMBERS {
            reader.bad_value(item, "has more machines than a cluster can have nodes", "remove those that carry none");
            return None;
        }
        Some(table)
    });
    for (key, value) in table.map(in_order).unwrap_or_default() {
        let name: &str = key.get_ref();
        if known.members.iter().any(|member| member.name == name) {
            let message = format!("a machine cannot be called `{name}`: there is a node of that name");
            reader.problem(key.span(), message, "also a node", "give the machine a name of its own, such as `m1`");
        }
        let host = HostId(known.hosts.len() as u16);
        known.hosts.push(name.to_owned());
        let expects = "a list of nodes such as `[\"alpha\", \"beta\"]`";
        let nodes = Item { key: "hosts", expects, value: value.get_ref(), span: value.span() };
        let Some(nodes) = reader.list(&nodes) else { continue };
        if nodes.is_empty() {
            let message = format!("the machine `{name}` carries no node");
            reader.problem(value.span(), message, "empty", "name at least one node, or remove the machine");
        }
        for item in &nodes {
            let Some(node) = known.node(reader, &item.expecting("the name of a node in quotes")) else { continue };
            if let Some(other) = placed[node.index()] {
                let message = format!("`{}` is on two machines", known.name(node));
                let help = format!("it is on `{}` already: remove it from one", known.hosts[other.0 as usize]);
                reader.problem(item.span.clone(), message, "on a second machine here", help);
            }
            placed[node.index()] = Some(host);
        }
    }
    for (member, host) in known.members.iter_mut().zip(placed) {
        member.host = host.unwrap_or_else(|| {
            known.hosts.push(member.name.clone());
            HostId(known.hosts.len() as u16 - 1)
        });
    }
}

fn defects(reader: &mut Reader, item: &Item<'_>, protocol: Option<&dyn AnyProtocol>) -> BTreeSet<String> {
    let mut defects = BTreeSet::new();
    for element in reader.list(item).unwrap_or_default() {
        let Some(id) = reader.text(&element.expecting("the id of a defect in quotes")) else { continue };
        if let Some(protocol) = protocol
            && !protocol.defects().iter().any(|defect| defect.id == id)
        {
            let message = format!("`{}` has no defect `{id}`", protocol.name());
            let help = advice(id, "defects", protocol.defects().iter().map(|defect| defect.id));
            reader.problem(element.span.clone(), message, "unknown defect", help);
        }
        if !defects.insert(id.to_owned()) {
            reader.bad_value(&element, "has this defect twice", "remove one of them");
        }
    }
    defects
}

/// Reads `[network]`.
pub(super) fn network(reader: &mut Reader, section: &Section<'_>) -> NetworkConfig {
    let default = NetworkConfig::default();
    let mut or =
        |key: &str, one: fn(&mut Reader, &Item<'_>) -> Option<u64>| section.get(key).and_then(|item| one(reader, item));
    let (bandwidth, window) = (or("bandwidth", Reader::size), or("window", Reader::size));
    let mut probability = |key: &str| section.get(key).and_then(|item| reader.probability(item));
    let (loss, duplication) = (probability("loss"), probability("duplication"));
    let mut timeout = |key: &str| section.get(key).and_then(|item| reader.some_time(item));
    let (connection, retransmission) = (timeout("connection-timeout"), timeout("retransmission-timeout"));
    let latency = section.get("latency").and_then(|item| reader.range(item, Reader::duration));
    let buffer = section.get("buffer").map(|item| buffer(reader, item)).unwrap_or_default();
    NetworkConfig {
        latency: latency.unwrap_or(default.latency),
        loss: loss.unwrap_or(default.loss),
        duplication: duplication.unwrap_or(default.duplication),
        bandwidth,
        buffer,
        window: window.unwrap_or(default.window),
        connection_timeout: connection.unwrap_or(default.connection_timeout),
        retransmission_timeout: retransmission.unwrap_or(default.retransmission_timeout),
    }
}

fn buffer(reader: &mut Reader, item: &Item<'_>) -> BufferLimits {
    let mut limits = BufferLimits::default();
    let Some(section) = reader.subsection(&BUFFER, "`buffer`", item) else { return limits };
    for (key, limit) in [("low", &mut limits.low), ("high", &mut limits.high), ("capacity", &mut limits.capacity)] {
        if let Some(size) = section.get(key).and_then(|item| reader.size(item)) {
            *limit = size;
        }
    }
    if limits.low > limits.high || limits.high > limits.capacity {
        let BufferLimits { low, high, capacity } = limits;
        let message = "the limits of a buffer must rise from `low` over `high` to `capacity`";
        let label = format!("low {low}, high {high}, capacity {capacity}");
        reader.problem(item.span.clone(), message, label, "raise the one that is too small, or lower the others");
    }
    limits
}

/// Reads `[disk]`.
pub(super) fn disk(reader: &mut Reader, section: &Section<'_>) -> DiskConfig {
    let sync = section.get("sync").and_then(|item| reader.range(item, Reader::duration));
    DiskConfig { sync: sync.unwrap_or(DiskConfig::default().sync) }
}

/// Reads `[clocks]`: one entry for each node that it sets, in the order of the nodes.
pub(super) fn clocks(reader: &mut Reader, item: &Item<'_>, known: &Known<'_>) -> Vec<ClockRange> {
    let Some(table) = reader.table(item) else { return Vec::new() };
    let mut each = None;
    let mut own: Vec<Option<ClockRange>> = vec![None; known.members.len()];
    for (key, value) in in_order(table) {
        let name: &str = key.get_ref();
        let item = Item {
            key: "clocks",
            expects: "a table such as `{ drift-ppm = 200 }`",
            value: value.get_ref(),
            span: value.span(),
        };
        let clock = clock(reader, name, &item);
        if name == EACH_NODE {
            each = clock;
            continue;
        }
        match known.members.iter().position(|member| member.name == name) {
            Some(number) => own[number] = clock.map(|clock| ClockRange { node: NodeId(number as u16), ..clock }),
            None if known.complete => {
                let names = known.members.iter().map(|member| member.name.as_str()).chain([EACH_NODE]);
                let help = advice(name, "nodes", names);
                reader.problem(key.span(), format!("there is no node `{name}`"), "unknown node", help);
            }
            None => {}
        }
    }
    let all = own.into_iter().enumerate();
    all.filter_map(|(number, own)| {
        own.or_else(|| each.clone().map(|clock| ClockRange { node: NodeId(number as u16), ..clock }))
    })
    .collect()
}

fn clock(reader: &mut Reader, name: &str, item: &Item<'_>) -> Option<ClockRange> {
    let section = reader.subsection(&CLOCK, format!("the clock of `{name}`"), item)?;
    if section.items().is_empty() {
        reader.problem(
            item.span.clone(),
            "this clock differs in nothing",
            "empty",
            "give `offset`, `drift-ppm` or both",
        );
        return None;
    }
    let offset = section.get("offset").and_then(|item| reader.range(item, Reader::duration));
    let drift_ppm = section.get("drift-ppm").and_then(|item| reader.range(item, Reader::drift));
    Some(ClockRange { node: NodeId(0), offset: offset.unwrap_or_default(), drift_ppm: drift_ppm.unwrap_or_default() })
}
