//! The names that a scenario file may mention, once its protocol and cluster have been read, and the look-ups that
//! refuse all others.

use std::time::Duration;

use sim_core::{Class, CommandId, HostId, Member, NodeId};

use super::CLIENT_ROLE;
use super::names::advice;
use super::reader::{Item, Reader};
use crate::registry::AnyProtocol;

/// What is known while the rest of the file is read. What the file failed to say stays unknown, and names that
/// depend on it pass unchecked: one mistake is one error.
pub(super) struct Known<'r> {
    pub protocol: Option<&'r dyn AnyProtocol>,
    pub members: Vec<Member>,
    pub hosts: Vec<String>,
    pub commands: Vec<String>,
    /// Whether `members` and `hosts` are all that there are.
    pub complete: bool,
    pub duration: Option<Duration>,
}

impl Known<'_> {
    pub(super) fn node(&self, reader: &mut Reader, item: &Item<'_>) -> Option<NodeId> {
        let name = reader.text(item)?;
        let found = self.members.iter().position(|member| member.name == name);
        if found.is_none() && self.complete {
            let names = self.members.iter().map(|member| member.name.as_str());
            reader.problem(
                item.span.clone(),
                format!("there is no node `{name}`"),
                "unknown node",
                advice(name, "nodes", names),
            );
        }
        found.map(|number| NodeId(number as u16))
    }

    /// One node or a list of them; never empty, none twice.
    pub(super) fn nodes(&self, reader: &mut Reader, item: &Item<'_>) -> Option<Vec<NodeId>> {
        let before = reader.problem_count();
        let mut nodes = Vec::new();
        for element in item.one_or_more() {
            let Some(node) = self.node(reader, &element) else { continue };
            if nodes.contains(&node) && reader.is_strict() {
                reader.bad_value(&element, "has this node twice", "remove one of them");
            }
            nodes.push(node);
        }
        if nodes.is_empty() && reader.problem_count() == before && self.complete && reader.is_strict() {
            reader.bad_value(item, "is empty", "name at least one node");
        }
        (reader.problem_count() == before).then_some(nodes)
    }

    pub(super) fn host(&self, reader: &mut Reader, item: &Item<'_>) -> Option<HostId> {
        let name = reader.text(item)?;
        let found = self.hosts.iter().position(|host| host == name);
        if found.is_none() && self.complete {
            let names = self.hosts.iter().map(String::as_str);
            let help = advice(name, "machines", names);
            reader.problem(item.span.clone(), format!("there is no machine `{name}`"), "unknown machine", help);
        }
        found.map(|number| HostId(number as u16))
    }

    pub(super) fn mark(&self, reader: &mut Reader, item: &Item<'_>) -> Option<&'static str> {
        let name = reader.text(item)?;
        let protocol = self.protocol?;
        let found = protocol.marks().iter().find(|mark| mark.name == name);
        if found.is_none() {
            let names = protocol.marks().iter().map(|mark| mark.name);
            let message = format!("no node of `{}` sets a mark `{name}`", protocol.name());
            reader.problem(item.span.clone(), message, "unknown mark", advice(name, "marks", names));
        }
        found.map(|mark| mark.name)
    }

    pub(super) fn kind(&self, reader: &mut Reader, item: &Item<'_>) -> Option<&'static str> {
        let name = reader.text(item)?;
        let protocol = self.protocol?;
        let kinds = protocol.message_kinds();
        let found = kinds.iter().copied().find(|&kind| kind == name);
        if found.is_none() {
            let message = format!("`{}` has no message of the kind `{name}`", protocol.name());
            let help = advice(name, "kinds", kinds.iter().copied());
            reader.problem(item.span.clone(), message, "unknown kind of message", help);
        }
        found
    }

    pub(super) fn command(&self, reader: &mut Reader, item: &Item<'_>) -> Option<CommandId> {
        let text = reader.text(item)?;
        let protocol = self.protocol?;
        let found = self.commands.iter().position(|command| command == text);
        if found.is_none() {
            let message = format!("nodes of `{}` know no command `{text}`", protocol.name());
            let help = advice(text, "commands", self.commands.iter().map(String::as_str));
            reader.problem(item.span.clone(), message, "unknown command", help);
        }
        found.map(|number| CommandId(number as u32))
    }

    /// The property of an `always`, `eventually` or `sometimes`; a mark is a coverage property too.
    pub(super) fn property(&self, reader: &mut Reader, item: &Item<'_>, class: Class) -> Option<String> {
        let name = reader.text(item)?;
        let protocol = self.protocol?;
        let found = protocol.properties().iter().find(|property| property.name == name);
        let is_mark = protocol.marks().iter().any(|mark| mark.name == name);
        match found {
            Some(property) if property.class == class => return Some(name.to_owned()),
            _ if is_mark && class == Class::Coverage => return Some(name.to_owned()),
            Some(property) => {
                let message = format!("`{name}` is a {} property", class_name(property.class));
                let help = format!("write `{} = \"{name}\"`: {}", keyword(property.class), property.about);
                reader.problem(item.span.clone(), message, format!("not for `{}`", keyword(class)), help);
            }
            None if is_mark => {
                let message = format!("`{name}` is a mark, not a property");
                let help = format!("write `sometimes = \"{name}\"` if it is to be set in at least one run");
                reader.problem(item.span.clone(), message, format!("not for `{}`", keyword(class)), help);
            }
            None => {
                let of_class = protocol.properties().iter().filter(|p| p.class == class).map(|p| p.name);
                let marks = protocol.marks().iter().map(|mark| mark.name).filter(|_| class == Class::Coverage);
                let what = match class {
                    Class::Coverage => "marks and coverage properties",
                    Class::Safety => "safety properties",
                    Class::Liveness => "liveness properties",
                };
                let message = format!("`{}` has no property `{name}`", protocol.name());
                let help = advice(name, what, of_class.chain(marks));
                reader.problem(item.span.clone(), message, "unknown property", help);
            }
        }
        None
    }

    /// Every member that is not a client.
    pub(super) fn servers(&self) -> Vec<NodeId> {
        let servers = self.members.iter().enumerate().filter(|(_, member)| member.role != CLIENT_ROLE);
        servers.map(|(number, _)| NodeId(number as u16)).collect()
    }

    /// Every member.
    pub(super) fn everyone(&self) -> Vec<NodeId> {
        (0..self.members.len() as u16).map(NodeId).collect()
    }

    pub(super) fn name(&self, node: NodeId) -> &str {
        &self.members[node.index()].name
    }
}

/// How a file asks for a class of property.
pub(super) fn keyword(class: Class) -> &'static str {
    match class {
        Class::Safety => "always",
        Class::Liveness => "eventually",
        Class::Coverage => "sometimes",
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Safety => "safety",
        Class::Liveness => "liveness",
        Class::Coverage => "coverage",
    }
}
