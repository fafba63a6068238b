//! Environment variables that stand for options, so that a seed can be handed through `cargo test`.

use std::env;
use std::fmt::Display;
use std::time::Duration;

use sim_core::search::{Seeds, parse_seed};

use super::args::{parse_jobs, parse_time};
use crate::runner::Which;

/// One seed of every scenario.
pub const SEED: &str = "FENCEPOST_SEED";
/// How many seeds of every scenario, or which range.
pub const SEEDS: &str = "FENCEPOST_SEEDS";
/// How long to run seeds of every scenario.
pub const TIME: &str = "FENCEPOST_TIME";
/// How many threads.
pub const JOBS: &str = "FENCEPOST_JOBS";

/// What the environment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// From `FENCEPOST_SEED`.
    pub seed: Option<u64>,
    /// From `FENCEPOST_SEEDS`.
    pub seeds: Option<Seeds>,
    /// From `FENCEPOST_TIME`.
    pub time: Option<Duration>,
    /// From `FENCEPOST_JOBS`.
    pub jobs: Option<usize>,
}

impl Environment {
    /// Reads all variables. One that is empty counts as not set, as CI systems leave inputs that nobody filled in.
    ///
    /// # Errors
    /// If a value does not parse, or two contradict each other; says which.
    pub fn read() -> Result<Self, String> {
        Self::read_from(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn read_from(value: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let value = |name: &str| value(name).filter(|value| !value.is_empty());
        let environment = Environment {
            seed: value(SEED).map(|text| named(SEED, parse_seed(&text))).transpose()?,
            seeds: value(SEEDS).map(|text| named(SEEDS, text.parse())).transpose()?,
            time: value(TIME).map(|text| named(TIME, parse_time(&text))).transpose()?,
            jobs: value(JOBS).map(|text| named(JOBS, parse_jobs(&text))).transpose()?,
        };
        match (&environment.seed, &environment.seeds) {
            (Some(_), Some(_)) => Err(format!("{SEED} and {SEEDS} are both set: unset one of them")),
            _ => Ok(environment),
        }
    }

    /// The seeds that it asks for, if any.
    pub fn which(&self) -> Option<Which> {
        self.seed.map(Which::One).or_else(|| self.seeds.clone().map(Which::Seeds))
    }
}

fn named<T, E: Display>(name: &str, value: Result<T, E>) -> Result<T, String> {
    value.map_err(|error| format!("the environment variable {name} is wrong: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Environment, String> {
        Environment::read_from(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn each_variable_is_read() {
        assert_eq!(read(&[]), Ok(Environment::default()));
        assert_eq!(read(&[(SEED, ""), (JOBS, "")]), Ok(Environment::default()));
        let environment = read(&[(SEED, "0x2a"), (JOBS, "3")]).unwrap();
        assert_eq!((environment.which(), environment.jobs), (Some(Which::One(42)), Some(3)));
        let environment = read(&[(SEEDS, "5..9")]).unwrap();
        assert_eq!(environment.which(), Some(Which::Seeds(Seeds::range(5..9))));
        assert_eq!(read(&[(TIME, "90s")]).unwrap().time, Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_value_that_does_not_parse_is_an_error_that_names_the_variable() {
        assert_eq!(
            read(&[(SEED, "lucky")]).unwrap_err(),
            "the environment variable FENCEPOST_SEED is wrong: `lucky` is not a seed: write a decimal number or a \
             hexadecimal one after 0x"
        );
        assert_eq!(
            read(&[(SEEDS, "9..5")]).unwrap_err(),
            "the environment variable FENCEPOST_SEEDS is wrong: `9..5` is no seed at all: write how many, or a range \
             whose end is above its start"
        );
        assert_eq!(
            read(&[(TIME, "soon")]).unwrap_err(),
            "the environment variable FENCEPOST_TIME is wrong: expected number at 0; write a duration such as 90s, 10m \
             or 1h 30m"
        );
        assert_eq!(
            read(&[(JOBS, "0")]).unwrap_err(),
            "the environment variable FENCEPOST_JOBS is wrong: `0` is not a number of threads from 1 to 1024"
        );
        assert_eq!(
            read(&[(SEED, "1"), (SEEDS, "2")]).unwrap_err(),
            "FENCEPOST_SEED and FENCEPOST_SEEDS are both set: unset one of them"
        );
    }
}
