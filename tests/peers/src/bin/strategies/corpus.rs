//! What has been reached, how often, and by which schedule.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dice::Dice;
use crate::reached::Reached;
use sim_core::{Instant, Schedule};

/// Of so many things that were reached, the rarest is gone on from.
const LOOKED_AT: usize = 4;

#[derive(Default)]
pub struct Corpus {
    by_feature: BTreeMap<u64, Known>,
    /// All features, in the order in which they were reached first.
    features: Vec<u64>,
}

struct Known {
    /// How many runs reached it.
    runs: u64,
    /// One that did, and when.
    schedule: Arc<Schedule>,
    at: Instant,
}

impl Corpus {
    /// How many things were reached.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Takes note of what a run reached.
    pub fn learn(&mut self, schedule: Schedule, reached: Reached) {
        let schedule = Arc::new(schedule);
        for (feature, at) in reached.features {
            let known = self.by_feature.entry(feature).or_insert_with(|| {
                self.features.push(feature);
                Known { runs: 0, schedule: schedule.clone(), at }
            });
            known.runs += 1;
            // Another run takes its place the 2nd, 4th, 8th time: one way of getting there may lead nowhere.
            if known.runs.is_power_of_two() {
                (known.schedule, known.at) = (schedule.clone(), at);
            }
        }
    }

    /// A schedule that reached something which few have, and when it did.
    pub fn pick(&self, dice: &mut Dice) -> Option<(&Schedule, Instant)> {
        let some = (0..LOOKED_AT).filter_map(|_| dice.pick(&self.features)).map(|feature| &self.by_feature[feature]);
        some.min_by_key(|known| known.runs).map(|known| (&*known.schedule, known.at))
    }
}
