//! Timing in turns: A B C D, A B C D, and so on, so that a slow minute of the machine is a slow minute for all.
//!
//! What is counted is the processor time of the whole process. All contestants do nothing but compute, madsim on a
//! thread of its own, and a neighbour that takes the processor away should not be charged to any of them.

use cpu_time::ProcessTime;

/// Something to time.
pub struct Contestant<'a> {
    /// How often it is done in one turn.
    repeats: u32,
    turn: Box<dyn FnMut() + 'a>,
}

impl<'a> Contestant<'a> {
    /// Something that is done `repeats` times in a turn.
    pub fn new(repeats: u32, turn: impl FnMut() + 'a) -> Self {
        Contestant { repeats, turn: Box::new(turn) }
    }

    /// Processor seconds that one repetition takes.
    fn time(&mut self) -> f64 {
        let start = ProcessTime::now();
        for _ in 0..self.repeats {
            (self.turn)();
        }
        start.elapsed().as_secs_f64() / f64::from(self.repeats)
    }
}

/// The median over `rounds` turns of what one repetition takes each contestant, in seconds, after a turn that does not
/// count.
pub fn medians<const N: usize>(contestants: &mut [Contestant; N], rounds: u32) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let time = contestant.time();
            if round > 0 {
                times.push(time);
            }
        }
    }
    times.map(median)
}

/// The middle value, or the lower of the two middle ones.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() - 1) / 2]
}
