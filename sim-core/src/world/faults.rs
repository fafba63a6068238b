//! What faults do to a world, and how they end.

use crate::links::{Action, Rule};
use crate::node::Input;
use crate::queue::Event;
use crate::time::nanos;
use crate::trace::What;
use crate::world::effects::Stop;
use crate::{Actor, DiskTrouble, Fault, HostId, Instant, NodeId, Touched, World};

impl<A: Actor> World<A> {
    /// The id of the fault at a place in the plan.
    pub(super) fn fault_id(&self, index: u32) -> u32 {
        self.schedule.faults.faults[index as usize].id
    }

    /// A planned fault strikes.
    pub(super) fn fault_begins(&mut self, index: u32) -> Option<Touched> {
        let schedule = self.schedule.clone();
        let planned = &schedule.faults.faults[index as usize];
        self.plan.came(self.now());
        self.events += 1;
        self.handling = None;
        self.hash.add(self.now);
        self.hash.add(8 << 32 | u64::from(planned.id));
        self.record_what(What::FaultBegan { id: planned.id, text: self.describe(&planned.fault) });

        let struck = self.strike(index, &planned.fault);
        // Losses and delays take effect when a message meets them.
        let armed = matches!(planned.fault, Fault::Drop { .. } | Fault::Delay { .. });
        if struck && !armed {
            self.plan.fire(index, self.now());
        }
        if let Some(hold) = planned.hold
            && (struck || armed)
            && planned.fault.has_extent()
        {
            self.plan.state(index).active = true;
            self.plan.end_scheduled();
            self.queue.push((self.now() + hold).as_nanos(), Event::FaultEnds { fault: index });
        }
        Some(Touched::Any)
    }

    /// A fault that is in force ends.
    pub(super) fn fault_ends(&mut self, index: u32) -> Option<Touched> {
        self.plan.came(self.now());
        if !std::mem::take(&mut self.plan.state(index).active) {
            // Something else has ended it already, but only now is the world quiet.
            return Some(Touched::Any);
        }
        let schedule = self.schedule.clone();
        let planned = &schedule.faults.faults[index as usize];
        self.events += 1;
        self.handling = None;
        self.hash.add(self.now);
        self.hash.add(9 << 32 | u64::from(planned.id));
        self.record_what(What::FaultEnded { id: planned.id, text: self.describe(&planned.fault) });
        self.undo(index, &planned.fault);
        Some(Touched::Any)
    }

    /// Lets a fault take effect; says whether it did.
    fn strike(&mut self, index: u32, fault: &Fault) -> bool {
        let now = self.now();
        if let Some(struck) = self.is_suffered_elsewhere(index, fault, true) {
            return struck;
        }
        match fault {
            Fault::Crash { node } => {
                let struck = self.take_down(*node, Stop::Crash);
                self.plan.state(index).incarnation = self.nodes[*node].incarnation;
                struck
            }
            Fault::Restart { node } => {
                let down = !self.is_up(*node) && self.has_power(*node);
                if down {
                    self.queue.push(self.now, Event::Start { node: *node });
                }
                down
            }
            Fault::Pause { node } => {
                let state = &mut self.nodes[*node];
                if state.actor.is_none() {
                    return false;
                }
                state.pauses += 1;
                self.plan.state(index).incarnation = state.incarnation;
                true
            }
            Fault::Resume { node } => {
                let paused = std::mem::take(&mut self.nodes[*node].pauses) > 0;
                self.schedule_wake(*node);
                paused
            }
            Fault::Slow { node, per_event } => {
                self.nodes[*node].slow_by += nanos(*per_event);
                true
            }
            Fault::Clock { node, step, drift_ppm } => {
                self.change_clock(now, *node, *step, *drift_ppm);
                true
            }
            Fault::Partition { .. } | Fault::OneWay { .. } | Fault::Cut { .. } => {
                fault.cut_links(|from, to| self.links.cut(from, to));
                // In force until it ends or everything is healed, even without an end of its own.
                self.plan.state(index).active = true;
                true
            }
            Fault::Heal => self.heal(),
            Fault::Reset { a, b } => self.reset_connections(*a, *b),
            Fault::Degrade { from, to, degradation } => {
                self.links.degrade(index, *from, *to, *degradation);
                self.plan.state(index).active = true;
                true
            }
            Fault::Drop { select, count } => {
                let rule = Rule { fault: index, select: select.clone(), remaining: *count, action: Action::Drop };
                self.links.add_rule(rule);
                true
            }
            Fault::Delay { select, count, by } => {
                let action = Action::Delay(nanos(*by));
                self.links.add_rule(Rule { fault: index, select: select.clone(), remaining: *count, action });
                true
            }
            Fault::Disk { node, trouble } => {
                let disk = &mut self.nodes[*node].disk;
                match trouble {
                    DiskTrouble::Slow { by } => disk.slow_by += nanos(*by),
                    DiskTrouble::Failing => disk.failing += 1,
                    DiskTrouble::Lying => disk.lying += 1,
                }
                true
            }
            Fault::HostFailure { host } => {
                let mut any = false;
                for node in self.nodes_of(*host) {
                    // Also if its process has died before: its machine has answered for it until now.
                    any |= !self.nodes[node].host_down;
                    self.stop(node, Stop::HostFailure);
                    self.nodes[node].host_down = true;
                }
                any
            }
            Fault::Command { node, command } => {
                let up = self.is_up(*node);
                if up && !self.is_asked_elsewhere(*node, *command) {
                    // As an event of its own, so that it is counted, hashed and recorded like any other.
                    let cause = self.events;
                    self.input(*node, Input::Command(*command), cause);
                }
                up
            }
        }
    }

    /// Ends what a fault did.
    fn undo(&mut self, index: u32, fault: &Fault) {
        let now = self.now();
        if self.is_suffered_elsewhere(index, fault, false).is_some() {
            return;
        }
        match fault {
            Fault::Crash { node } => {
                // Not if it was restarted meanwhile and then stopped for another reason, or if its machine has failed:
                // that starts it, if it comes back.
                let state = &self.nodes[*node];
                if self.plan.state(index).incarnation == state.incarnation && !state.host_down {
                    self.queue.push(self.now, Event::Start { node: *node });
                }
            }
            Fault::HostFailure { host } => {
                for node in self.nodes_of(*host) {
                    self.queue.push(self.now, Event::Start { node });
                }
            }
            Fault::Pause { node } => {
                let struck = self.plan.state(index).incarnation;
                let state = &mut self.nodes[*node];
                if state.incarnation == struck {
                    state.pauses = state.pauses.saturating_sub(1);
                }
                self.schedule_wake(*node);
            }
            Fault::Slow { node, per_event } => self.nodes[*node].slow_by -= nanos(*per_event),
            Fault::Clock { node, step, drift_ppm } => {
                let planned = self.schedule.clocks.get(node).map_or(0, |setting| setting.drift_ppm);
                self.change_clock(now, *node, step.saturating_neg(), drift_ppm.map(|_| planned));
            }
            Fault::Partition { .. } | Fault::OneWay { .. } | Fault::Cut { .. } => {
                fault.cut_links(|from, to| self.links.mend(from, to));
                self.resume_connections();
            }
            Fault::Degrade { .. } => self.links.restore(index),
            Fault::Drop { .. } | Fault::Delay { .. } => self.links.remove_rules(index),
            Fault::Disk { node, trouble } => {
                let disk = &mut self.nodes[*node].disk;
                match trouble {
                    DiskTrouble::Slow { by } => disk.slow_by -= nanos(*by),
                    DiskTrouble::Failing => disk.failing -= 1,
                    DiskTrouble::Lying => disk.lying -= 1,
                }
            }
            Fault::Restart { .. }
            | Fault::Resume { .. }
            | Fault::Heal
            | Fault::Reset { .. }
            | Fault::Command { .. } => {
                unreachable!("faults without extent in time have no end")
            }
        }
    }

    /// Steps a node's wall clock, and sets its drift from that moment of its machine on.
    pub(super) fn change_clock(&mut self, now: Instant, node: NodeId, step: i64, drift_ppm: Option<i32>) {
        let clock = &mut self.nodes[node].clock;
        clock.step_wall(step);
        if let Some(drift_ppm) = drift_ppm {
            clock.set_drift(now, drift_ppm);
        }
    }

    fn take_down(&mut self, node: NodeId, how: Stop) -> bool {
        let up = self.is_up(node);
        self.stop(node, how);
        up
    }

    fn nodes_of(&self, host: HostId) -> Vec<NodeId> {
        self.setup.node_ids().filter(|&node| self.host(node) == host).collect()
    }

    /// Ends every cut and degradation in force; says whether there were any.
    fn heal(&mut self) -> bool {
        let schedule = self.schedule.clone();
        let mut any = false;
        for (index, planned) in schedule.faults.faults.iter().enumerate() {
            let index = index as u32;
            let link = matches!(
                planned.fault,
                Fault::Partition { .. } | Fault::OneWay { .. } | Fault::Cut { .. } | Fault::Degrade { .. }
            );
            if link && std::mem::take(&mut self.plan.state(index).active) {
                self.undo(index, &planned.fault);
                any = true;
            }
        }
        any
    }

    /// A fault in words, with the names of the nodes.
    fn describe(&self, fault: &Fault) -> String {
        if !self.is_recording() {
            return String::new();
        }
        let name = |node: &NodeId| self.setup.name(*node);
        let names = |nodes: &[NodeId]| nodes.iter().map(name).collect::<Vec<_>>().join(", ");
        let select = |select: &crate::Select| {
            let kind = select.kind.unwrap_or("message");
            let from = select.from.as_ref().map_or("anyone", name);
            let to = select.to.as_ref().map_or("anyone", name);
            format!("{kind} {from} -> {to}")
        };
        match fault {
            Fault::Crash { node } => format!("crash {}", name(node)),
            Fault::Restart { node } => format!("restart {}", name(node)),
            Fault::Pause { node } => format!("pause {}", name(node)),
            Fault::Resume { node } => format!("resume {}", name(node)),
            Fault::Slow { node, per_event } => format!("slow {} by {per_event:?} an event", name(node)),
            Fault::Clock { node, step, drift_ppm } => {
                let drift = drift_ppm.map_or(String::new(), |ppm| format!(", drift {ppm} ppm"));
                format!("clock of {}: step {}{drift}", name(node), signed_nanos(*step))
            }
            Fault::Partition { groups } => {
                let groups: Vec<_> = groups.iter().map(|group| names(group)).collect();
                format!("partition {}", groups.join(" | "))
            }
            Fault::OneWay { from, to } => format!("cut {} -> {}", names(from), names(to)),
            Fault::Cut { from, to } => format!("cut {} -> {}", name(from), name(to)),
            Fault::Heal => "heal all links".to_owned(),
            Fault::Reset { a, b } => format!("reset connections {} - {}", name(a), name(b)),
            Fault::Degrade { from, to, degradation } => {
                format!("degrade {} -> {}: {}", name(from), name(to), degradation)
            }
            Fault::Drop { select: which, count } => format!("drop next {count} {}", select(which)),
            Fault::Delay { select: which, count, by } => format!("delay next {count} {} by {by:?}", select(which)),
            Fault::Disk { node, trouble } => match trouble {
                DiskTrouble::Slow { by } => format!("disk of {}: syncs {by:?} slower", name(node)),
                DiskTrouble::Failing => format!("disk of {}: syncs fail", name(node)),
                DiskTrouble::Lying => format!("disk of {}: syncs keep nothing", name(node)),
            },
            Fault::HostFailure { host } => {
                let nodes = self.nodes_of(*host);
                format!("host failure of {}", names(&nodes))
            }
            Fault::Command { node, command } => {
                format!("command {:?} to {}", self.setup.commands[command.0 as usize], name(node))
            }
        }
    }
}

fn signed_nanos(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "+" };
    format!("{sign}{}", Instant::from_nanos(nanos.unsigned_abs()))
}

impl Fault {
    /// Whether the fault lasts, so that it can end; the others happen at one moment.
    pub fn has_extent(&self) -> bool {
        !matches!(
            self,
            Fault::Restart { .. } | Fault::Resume { .. } | Fault::Heal | Fault::Reset { .. } | Fault::Command { .. }
        )
    }

    /// Calls `each` with the ends of every directed link that a partition or cut severs.
    pub(super) fn cut_links(&self, mut each: impl FnMut(NodeId, NodeId)) {
        match self {
            Fault::Partition { groups } => {
                for (index, group) in groups.iter().enumerate() {
                    for &other in groups[index + 1..].iter().flatten() {
                        for &node in group {
                            each(node, other);
                            each(other, node);
                        }
                    }
                }
            }
            Fault::OneWay { from, to } => from.iter().for_each(|&from| to.iter().for_each(|&to| each(from, to))),
            Fault::Cut { from, to } => each(*from, *to),
            _ => {}
        }
    }
}
