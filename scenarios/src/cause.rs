//! What failing seeds have in common: a short text that is the same for failures that went wrong in the same way.
//!
//! Hundreds of seeds of one campaign mostly fail for one or two reasons. What tells the reasons apart is what the
//! violation says once names and numbers are taken out, and the last steps that led to it: "a late `Write` from a member
//! was handled by the store" is another cause than "the store's own timer fired", whichever member it was and whenever.
//! It is a function of the scenario and the seed alone, so shards and interrupted campaigns agree about it.

use sim_core::search::guarded;
use sim_core::trace::{Entry, Trace, What};
use sim_core::{Class, Member, NodeId, Violation};

use crate::registry::Compiled;

/// Between what a violation says and the steps before it, the latest first.
pub const ARROW: &str = " <- ";
/// Steps told before a violation: the event that broke the property, and what caused it. What caused that in turn is mostly
/// one of several things that came at about the same time.
const STEPS: usize = 2;
/// A message that is longer is cut here, in characters: what follows repeats the state of more nodes.
const LONGEST_SHAPE: usize = 240;

/// The cause of a seed's failure, from one more run of it with a recording; empty if it does not fail.
pub fn of(compiled: &dyn Compiled, seed: u64) -> String {
    let mut trace = Trace::default();
    let outcome = guarded(|| {
        let (outcome, recorded) = compiled.record(&compiled.schedule(seed));
        trace = recorded;
        outcome
    });
    let members = &compiled.scenario().members;
    outcome.violation.map_or_else(String::new, |violation| text(&violation, &trace, members))
}

/// The cause of a violation in a recorded run.
pub fn text(violation: &Violation, trace: &Trace, members: &[Member]) -> String {
    let mut parts = vec![shape(&violation.message, members)];
    // A bound that has run out, or a property that was asked at the end, is no event's doing: what happened last is chance.
    if violation.class == Class::Safety && violation.node.is_some() {
        parts.extend(steps(&trace.entries, violation.event, members));
    }
    parts.join(ARROW)
}

/// What a message says when nodes are called by their roles and numbers are left out.
fn shape(message: &str, members: &[Member]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let numeric = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
        let length = match first {
            // With its unit, such as 14.2s or 0x2a; a full stop behind it is not part of it.
            c if c.is_ascii_digit() => {
                rest.find(|c| !numeric(c)).map_or(rest, |end| &rest[..end]).trim_end_matches('.').len()
            }
            c if part_of_word(c) => rest.find(|c| !part_of_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        let member = members.iter().find(|member| member.name == word);
        words.push(match member {
            Some(member) => member.role.clone(),
            None if first.is_ascii_digit() => "#".to_owned(),
            None => numberless(word),
        });
        rest = after;
    }
    collapsed(&words).chars().take(LONGEST_SHAPE).collect()
}

/// A word whose digits are left out, such as `n11`, which is mostly one of many that are alike.
fn numberless(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        match c.is_ascii_digit() {
            false => text.push(c),
            true if text.ends_with('#') => {}
            true => text.push('#'),
        }
    }
    text
}

/// The words as one text, with "#, #, #" and "member, member and member" said once: how many there are is chance.
fn collapsed(words: &[String]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let (mut last, mut between): (Option<&str>, Vec<&str>) = (None, Vec::new());
    for word in words {
        let is_separator = word.chars().all(|c| c == ',' || c.is_whitespace()) || word == "and" || word == "or";
        if is_separator && last.is_some() {
            between.push(word);
        } else {
            let is_list = between.iter().any(|word| !word.trim().is_empty());
            if !(is_list && last == Some(word)) {
                kept.append(&mut between);
                kept.push(word);
            }
            between.clear();
            last = Some(word);
        }
    }
    kept.append(&mut between);
    kept.concat()
}

/// The event, what caused it and so on, the latest first.
fn steps(entries: &[Entry], mut event: u64, members: &[Member]) -> Vec<String> {
    let mut steps = Vec::new();
    while event > 0 && steps.len() < STEPS {
        let start = entries.partition_point(|entry| entry.event < event);
        let own = entries[start..].iter().take_while(|entry| entry.event == event);
        let Some((step, cause)) = own.filter_map(|entry| Some((step(entry, members)?, entry.cause))).next() else {
            break;
        };
        steps.push(step);
        // What is planned and what happens by itself is caused by nothing that came before.
        if cause >= event {
            break;
        }
        event = cause;
    }
    steps
}

/// What an event is, by kinds and roles; nothing of an entry that only says what came of the event.
fn step(entry: &Entry, members: &[Member]) -> Option<String> {
    let role = |node: &NodeId| members.get(node.index()).map_or("?", |member| member.role.as_str());
    Some(match &entry.what {
        What::Started { node } => format!("start of {}", role(node)),
        What::Delivered { from, to, kind, .. } => format!("{kind} from {} to {}", role(from), role(to)),
        What::Undeliverable { from, to, kind } => format!("{kind} from {} to no {}", role(from), role(to)),
        What::Timer { node, timer } => format!("timer {} of {}", variant(timer), role(node)),
        What::Connection { node, peer, event } => {
            format!("connection {} of {} to {}", variant(&format!("{event:?}")), role(node), role(peer))
        }
        What::Synced { node, ok } => format!("{} of {}", if *ok { "sync" } else { "failed sync" }, role(node)),
        What::Command { node, command } => format!("command {} to {}", variant(command), role(node)),
        What::FaultBegan { text, .. } => format!("fault {}", variant(text)),
        What::FaultEnded { text, .. } => format!("end of fault {}", variant(text)),
        What::Sent { .. } | What::Mark { .. } | What::Role { .. } | What::Stopped { .. } | What::Operation { .. } => {
            return None;
        }
    })
}

/// The name in front of what `Debug` shows.
fn variant(shown: &str) -> &str {
    shown.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::HostId;

    fn members() -> Vec<Member> {
        let member = |(number, (name, role)): (usize, (&str, &str))| Member {
            name: name.to_owned(),
            role: role.to_owned(),
            host: HostId(number as u16),
        };
        [("alpha", "live"), ("beta", "backup"), ("gamma", "backup")].into_iter().enumerate().map(member).collect()
    }

    #[test]
    fn names_become_roles_and_numbers_are_left_out() {
        let shape = |message| shape(message, &members());
        assert_eq!(shape("alpha and beta are both LIVE for node-id 1"), "live and backup are both LIVE for node-id #");
        assert_eq!(shape("beta and gamma serve since 14.203s."), "backup serve since #.");
        assert_eq!(shape("lost [3, 17, 0x2a], of 12"), "lost [#], of #");
        assert_eq!(shape("Session(n11#0) waits for Session(n4#2)"), "Session(n###) waits for Session(n###)");
        assert_eq!(shape("alphabet is no node"), "alphabet is no node");
        assert_eq!(shape("2 2"), "# #", "two numbers are not a list");
        assert_eq!(shape(&"é".repeat(1000)).chars().count(), LONGEST_SHAPE);
    }

    #[test]
    fn debug_output_is_known_by_its_first_word() {
        assert_eq!(variant("LeaderIsSilent(NodeId(2))"), "LeaderIsSilent");
        assert_eq!(variant("Write { epoch: 1 }"), "Write");
        assert_eq!(variant(""), "");
    }
}
