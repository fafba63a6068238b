//! From values of the file to durations, probabilities, sizes, drifts and seeds: each either sound or a problem.

use std::time::Duration;

use humantime_serde::re::humantime;
use sim_core::search::parse_seed;
use sim_core::{ClockSetting, Instant};
use toml::de::DeValue;

use super::Seeds;
use super::reader::{Item, Reader};

/// Longer than any simulation; well within what virtual time can count.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// What virtual time can count.
const LONGEST_POSSIBLE: Duration = Duration::from_nanos(u64::MAX);

impl Reader {
    pub(super) fn text<'a>(&mut self, item: &Item<'a>) -> Option<&'a str> {
        let DeValue::String(text) = item.value else {
            self.mismatch(item);
            return None;
        };
        Some(text)
    }

    pub(super) fn flag(&mut self, item: &Item<'_>) -> Option<bool> {
        let flag = item.value.as_bool();
        if flag.is_none() {
            self.mismatch(item);
        }
        flag
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(&mut self, item: &Item<'_>, least: u64, most: u64) -> Option<u64> {
        let DeValue::Integer(written) = item.value else {
            self.mismatch(item);
            return None;
        };
        let number = i128::from_str_radix(written.as_str(), written.radix()).ok();
        match number {
            Some(number) if (i128::from(least)..=i128::from(most)).contains(&number) => Some(number as u64),
            _ => {
                let help = match most {
                    0..=1_000_000 => format!("write a whole number from {least} to {most}"),
                    _ => format!("write a whole number, at least {least} and at most {most}"),
                };
                self.bad_value(item, "is out of range", help);
                None
            }
        }
    }

    /// How many of something: at least one, if it is to have a meaning.
    pub(super) fn count(&mut self, item: &Item<'_>) -> Option<u32> {
        let least = u64::from(self.is_strict());
        self.whole(item, least, u64::from(u32::MAX)).map(|count| count as u32)
    }

    /// The number of an event.
    pub(super) fn event(&mut self, item: &Item<'_>) -> Option<u64> {
        let (least, most) = if self.is_strict() { (1, i64::MAX as u64) } else { (0, u64::MAX) };
        self.whole(item, least, most)
    }

    pub(super) fn duration(&mut self, item: &Item<'_>) -> Option<Duration> {
        let DeValue::String(text) = item.value else {
            self.mismatch_with_unit(item);
            return None;
        };
        self.parse_duration(item, text)
    }

    /// A duration of more than nothing.
    pub(super) fn some_time(&mut self, item: &Item<'_>) -> Option<Duration> {
        let duration = self.duration(item)?;
        if duration.is_zero() && self.is_strict() {
            self.bad_value(item, "must be longer than nothing", "write a duration such as `\"1s\"`");
            return None;
        }
        Some(duration)
    }

    /// A duration in either direction, in nanoseconds.
    pub(super) fn signed_duration(&mut self, item: &Item<'_>) -> Option<i64> {
        let DeValue::String(text) = item.value else {
            self.mismatch_with_unit(item);
            return None;
        };
        let (sign, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanos = sign * self.parse_duration(item, magnitude)?.as_nanos() as i128;
        let nanos = i64::try_from(nanos).ok();
        if nanos.is_none() {
            self.bad_value(item, "is longer than 292 years", "write a shorter one");
        }
        nanos
    }

    fn parse_duration(&mut self, item: &Item<'_>, text: &str) -> Option<Duration> {
        let longest = if self.is_strict() { LONGEST } else { LONGEST_POSSIBLE };
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= longest => Some(duration),
            Ok(_) => {
                self.bad_value(item, "is longer than a year", "write a shorter one: a year of world time is the limit");
                None
            }
            Err(error) => {
                let why = format!("is not a duration: {}", duration_trouble(&error, text));
                self.bad_value(item, why, format!("write {}; the units are ns, us, ms, s, m and h", item.expects));
                None
            }
        }
    }

    /// A number where a duration belongs most likely lacks its unit.
    fn mismatch_with_unit(&mut self, item: &Item<'_>) {
        let number = match item.value {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return self.mismatch(item),
        };
        let help = format!("write it with its unit, in quotes: `\"{number}s\"` if seconds are meant");
        self.bad_value(item, "is a number without a unit", help);
    }

    pub(super) fn instant(&mut self, item: &Item<'_>) -> Option<Instant> {
        self.duration(item).map(Instant::from)
    }

    pub(super) fn probability(&mut self, item: &Item<'_>) -> Option<f64> {
        let number = match item.value {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => {
                self.mismatch(item);
                return None;
            }
        };
        match number {
            Some(number) if (0.0..=1.0).contains(&number) => Some(number),
            Some(number) if number > 1.0 && number <= 100.0 => {
                let help = format!("write `{}` if {number} per cent is meant", number / 100.0);
                self.bad_value(item, "is not a probability: it is above 1", help);
                None
            }
            _ => {
                self.bad_value(item, "is not a probability", "write a number from `0.0` to `1.0`");
                None
            }
        }
    }

    /// Bytes: a number, or a text with a unit.
    pub(super) fn size(&mut self, item: &Item<'_>) -> Option<u64> {
        let DeValue::String(text) = item.value else {
            return self.whole(item, 1, i64::MAX as u64);
        };
        let size = parse_size(text);
        if size.is_none() {
            let help = "write a whole number of bytes, or one with a unit: B, KiB, MiB, GiB, kB, MB or GB";
            self.bad_value(item, "is not a number of bytes", help);
        }
        size
    }

    pub(super) fn drift(&mut self, item: &Item<'_>) -> Option<i32> {
        const LIMIT: i128 = ClockSetting::MAX_DRIFT_PPM as i128;
        let DeValue::Integer(written) = item.value else {
            self.mismatch(item);
            return None;
        };
        match i128::from_str_radix(written.as_str(), written.radix()) {
            Ok(drift) if drift.abs() <= LIMIT => Some(drift as i32),
            _ => {
                let help = format!("write a whole number from {} to {LIMIT}: beyond that, no clock is a clock", -LIMIT);
                self.bad_value(item, "is beyond the limit of drift", help);
                None
            }
        }
    }

    /// A seed: a number, or hex in quotes.
    pub(super) fn seed(&mut self, item: &Item<'_>) -> Option<u64> {
        let seed = match item.value {
            DeValue::Integer(written) => u64::from_str_radix(written.as_str(), written.radix()).ok(),
            DeValue::String(text) => parse_seed(text).ok(),
            _ => None,
        };
        if seed.is_none() {
            let help = "write a number such as `7`, or hex in quotes such as `\"0x9e3779b97f4a7c15\"`";
            let help = format!("{help}; the largest is {}", u64::MAX);
            self.problem(item.span.clone(), "this is not a seed", "here", help);
        }
        seed
    }

    pub(super) fn seeds(&mut self, item: &Item<'_>) -> Option<Seeds> {
        match item.value {
            DeValue::Integer(_) => match self.whole(item, 0, i64::MAX as u64)? {
                0 => self.no_seeds(item),
                count => Some(Seeds::First(count)),
            },
            DeValue::Array(_) => {
                let elements = self.list(item)?;
                let mut seeds = Vec::new();
                for element in &elements {
                    let Some(seed) = self.seed(element) else { continue };
                    if seeds.contains(&seed) {
                        self.bad_value(element, "has this seed twice", "remove one of them");
                    }
                    seeds.push(seed);
                }
                if elements.is_empty() { self.no_seeds(item) } else { Some(Seeds::Listed(seeds)) }
            }
            _ => {
                self.mismatch(item);
                None
            }
        }
    }

    fn no_seeds(&mut self, item: &Item<'_>) -> Option<Seeds> {
        self.bad_value(item, "asks for no run at all", "write how many seeds to run, at least 1, such as `200`");
        None
    }

    /// One value for both ends, or a list of the least and the largest.
    pub(super) fn range<T: PartialOrd + Copy>(
        &mut self,
        item: &Item<'_>,
        one: impl FnMut(&mut Reader, &Item<'_>) -> Option<T>,
    ) -> Option<(T, T)> {
        if !item.value.is_array() {
            let mut one = one;
            return one(self, item).map(|value| (value, value));
        }
        self.two(item, one)
    }

    /// A list of two values in order.
    pub(super) fn two<T: PartialOrd + Copy>(
        &mut self,
        item: &Item<'_>,
        mut one: impl FnMut(&mut Reader, &Item<'_>) -> Option<T>,
    ) -> Option<(T, T)> {
        let elements = self.list(item)?;
        let [first, second] = &elements[..] else {
            let why = format!("needs two values, not {}", elements.len());
            self.bad_value(item, why, format!("write {}", item.expects));
            return None;
        };
        let (from, to) = (one(self, first), one(self, second));
        let (from, to) = (from?, to?);
        if from > to {
            let message = format!("`{}` ends before it starts", item.key);
            let places = ((first.span.clone(), "this is later or larger"), (second.span.clone(), "than this"));
            self.clash(places.0, places.1, message, "swap the two values");
            return None;
        }
        Some((from, to))
    }
}

fn duration_trouble(error: &humantime::DurationError, text: &str) -> String {
    use humantime::DurationError as Error;
    match error {
        Error::Empty => "it is empty".to_owned(),
        Error::UnknownUnit { unit, .. } if unit.is_empty() => format!("{text} lacks a unit"),
        Error::UnknownUnit { unit, .. } => format!("there is no unit `{unit}`"),
        Error::NumberOverflow => "it is too large, or has more digits than nanoseconds".to_owned(),
        Error::InvalidCharacter(_) | Error::NumberExpected(_) => format!("`{text}` is not a number with a unit"),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|&(unit, bytes)| text.strip_suffix(unit).map(|number| (number, bytes)))
        .unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(unit).filter(|&size| size > 0 && size <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("64KiB"), Some(65536));
        assert_eq!(parse_size("10 MB"), Some(10_000_000));
        assert_eq!(parse_size("17"), Some(17));
        for bad in ["", "0", "KiB", "-1KiB", "1.5MiB", "9999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
