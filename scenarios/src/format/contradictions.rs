//! Steps that cannot do what they say: a restart of a node that nothing takes down, a heal of a network that nothing
//! breaks. Each would run without effect, and a test that does nothing passes.

use sim_core::{DiskTrouble, Fault, Instant, NodeId, Trigger};

use super::known::Known;
use super::reader::Reader;
use super::steps::Step;
use super::{RandomFault, RandomFaults};

/// Looks at each step that undoes something, and at whether anything before it can have done it.
pub(super) fn check(reader: &mut Reader, steps: &[Step], random: Option<&RandomFaults>, known: &Known<'_>) {
    for step in steps {
        let Some((message, help)) = futile(step, steps, random, known) else { continue };
        reader.problem(step.fault_span.clone(), message, "nothing to undo", help);
    }
}

fn futile(step: &Step, steps: &[Step], random: Option<&RandomFaults>, known: &Known<'_>) -> Option<(String, String)> {
    // A mark says what the protocol has done, which may be to stop a node, and an event number comes from a run.
    let (_, latest) = bounds(&step.planned.trigger)?;
    let by_step = |undone: &dyn Fn(&Fault) -> bool| {
        steps.iter().any(|other| undone(&other.planned.fault) && in_force_before(other, step))
    };
    let by_chance = |undone: &dyn Fn(&RandomFault, &[NodeId]) -> bool| {
        random.is_some_and(|random| {
            random.window.0 < latest && random.kinds.iter().any(|kind| undone(&kind.fault, &kind.nodes))
        })
    };
    match step.planned.fault {
        Fault::Restart { node } => {
            let host = known.members[node.index()].host;
            let taken_down = by_step(&|fault| match fault {
                Fault::Crash { node: other } => *other == node,
                Fault::HostFailure { host: other } => *other == host,
                // A node that is told that its disk has failed stops, and an operator can ask one to.
                Fault::Disk { node: other, trouble: DiskTrouble::Failing } => *other == node,
                Fault::Command { node: other, .. } => *other == node,
                _ => false,
            });
            let at_random = by_chance(&|fault, nodes| {
                nodes.contains(&node)
                    && match fault {
                        RandomFault::Crash | RandomFault::HostFailure | RandomFault::Command { .. } => true,
                        RandomFault::Disk { troubles, .. } => troubles.contains(&DiskTrouble::Failing),
                        _ => false,
                    }
            });
            let name = known.name(node);
            let up_again =
                steps.iter().any(|other| matches!(other.planned.fault, Fault::Crash { node: n } if n == node));
            if up_again && !taken_down && !at_random {
                let message = format!("`{name}` is not down at the time of this `restart`");
                let help = "its crash comes later, or has ended with its `for` by then: move this step, or remove it or the `for`";
                return Some((message, help.to_owned()));
            }
            let message = format!("nothing takes `{name}` down before this `restart`");
            let help = format!(
                "add an earlier step `do.crash = {{ node = \"{name}\" }}`; if the protocol stops the node by itself, \
                 trigger the restart on a mark: `when = {{ mark = \"...\" }}`"
            );
            (!taken_down && !at_random).then_some((message, help))
        }
        Fault::Resume { node } => {
            let paused = by_step(&|fault| matches!(fault, Fault::Pause { node: other } if *other == node));
            let at_random = by_chance(&|fault, nodes| matches!(fault, RandomFault::Pause) && nodes.contains(&node));
            let name = known.name(node);
            let message = format!("nothing pauses `{name}` before this `resume`");
            let help = format!("add an earlier step `do.pause = {{ node = \"{name}\" }}`");
            (!paused && !at_random).then_some((message, help))
        }
        Fault::Heal => {
            let broken = by_step(&|fault| {
                matches!(
                    fault,
                    Fault::Cut { .. } | Fault::OneWay { .. } | Fault::Partition { .. } | Fault::Degrade { .. }
                )
            });
            let at_random = by_chance(&|fault, _| {
                matches!(
                    fault,
                    RandomFault::Cut
                        | RandomFault::OneWay
                        | RandomFault::Partition { .. }
                        | RandomFault::Degrade { .. }
                )
            });
            let message = "nothing breaks the network before this `heal`".to_owned();
            let help = "add an earlier step such as `do.partition`, or remove this one".to_owned();
            (!broken && !at_random).then_some((message, help))
        }
        _ => None,
    }
}

/// Whether `earlier` can still be in force when `later` happens.
fn in_force_before(earlier: &Step, later: &Step) -> bool {
    let (Some((first, last)), Some((from, to))) = (bounds(&earlier.planned.trigger), bounds(&later.planned.trigger))
    else {
        return true;
    };
    first < to && earlier.planned.hold.is_none_or(|hold| last + hold > from)
}

/// The earliest and the latest moment of a trigger; `None` if only the run can tell.
fn bounds(trigger: &Trigger) -> Option<(Instant, Instant)> {
    match *trigger {
        Trigger::At(at) => Some((at, at)),
        Trigger::Window { from, to } => Some((from, to)),
        Trigger::OnEvent(_) | Trigger::OnMark { .. } => None,
    }
}
