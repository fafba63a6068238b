//! Which seeds a campaign runs: a range, dealt out to shards, and how people write them.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The seeds of a campaign, in order: a range or a list, or a shard's part of one.
///
/// Neighbouring seeds are as different as any two: the generator mixes them. So a campaign takes the plain numbers
/// from zero, which are short to write down.
///
/// ```
/// use sim_core::search::Seeds;
/// let seeds: Seeds = "10..16".parse()?;
/// assert_eq!(seeds.iter().collect::<Vec<_>>(), [10, 11, 12, 13, 14, 15]);
/// let second = seeds.shard("2/3".parse()?);
/// assert_eq!(second.iter().collect::<Vec<_>>(), [11, 14]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seeds(Source);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Source {
    /// `first`, `first + step` and so on: `count` of them, or as many as there are.
    Stepped {
        first: u64,
        step: u64,
        count: Option<u64>,
    },
    Listed(Vec<u64>),
}

impl Seeds {
    /// The seeds from zero up to, not including, `count`.
    pub const fn first(count: u64) -> Self {
        Seeds::range(0..count)
    }

    /// One seed.
    pub const fn one(seed: u64) -> Self {
        Seeds(Source::Stepped { first: seed, step: 1, count: Some(1) })
    }

    /// The seeds of a range; none if it is empty.
    pub const fn range(range: Range<u64>) -> Self {
        Seeds(Source::Stepped { first: range.start, step: 1, count: Some(range.end.saturating_sub(range.start)) })
    }

    /// All seeds from `first` on, until something else ends the campaign.
    pub const fn endless(first: u64) -> Self {
        Seeds(Source::Stepped { first, step: 1, count: None })
    }

    /// These, in this order.
    pub const fn listed(seeds: Vec<u64>) -> Self {
        Seeds(Source::Listed(seeds))
    }

    /// Those that fall to one shard: dealt out in turn, so that every seed falls to exactly one shard and shards
    /// differ by one seed at most.
    #[must_use]
    pub fn shard(&self, shard: Shard) -> Self {
        let (before, shards) = (u64::from(shard.number.get() - 1), u64::from(shard.of.get()));
        Seeds(match &self.0 {
            Source::Stepped { first, step, count } => {
                let left = count.map(|count| count.saturating_sub(before).div_ceil(shards));
                let step_over = step.saturating_mul(shards);
                match first.checked_add(step.saturating_mul(before)) {
                    Some(first) => Source::Stepped { first, step: step_over, count: left },
                    // An endless range ends where the numbers do; past that there is nothing to deal.
                    None => Source::Listed(Vec::new()),
                }
            }
            Source::Listed(seeds) => {
                Source::Listed(seeds.iter().copied().skip(before as usize).step_by(shards as usize).collect())
            }
        })
    }

    /// The `n`-th seed, counted from zero, if there are so many.
    pub fn nth(&self, n: u64) -> Option<u64> {
        match &self.0 {
            Source::Stepped { count: Some(count), .. } if n >= *count => None,
            Source::Stepped { first, step, .. } => first.checked_add(step.checked_mul(n)?),
            Source::Listed(seeds) => seeds.get(usize::try_from(n).ok()?).copied(),
        }
    }

    /// The place of a seed, counted from zero; the first one if it is listed more than once.
    ///
    /// ```
    /// # use sim_core::search::Seeds;
    /// let seeds = Seeds::range(10..20).shard("2/3".parse()?);
    /// assert_eq!((seeds.position(11), seeds.position(14), seeds.position(15)), (Some(0), Some(1), None));
    /// # Ok::<(), sim_core::search::ParseShardError>(())
    /// ```
    pub fn position(&self, seed: u64) -> Option<u64> {
        match &self.0 {
            Source::Stepped { first, step, count } => {
                let distance = seed.checked_sub(*first)?;
                let position = distance.checked_div(*step)?;
                (distance % step == 0 && count.is_none_or(|count| position < count)).then_some(position)
            }
            Source::Listed(seeds) => seeds.iter().position(|listed| *listed == seed).map(|position| position as u64),
        }
    }

    /// How many there are, or `None` if only something else ends the campaign.
    pub fn count(&self) -> Option<u64> {
        match &self.0 {
            Source::Stepped { count, .. } => *count,
            Source::Listed(seeds) => Some(seeds.len() as u64),
        }
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..).map_while(|n| self.nth(n))
    }
}

/// For messages; ranges as they are written on the command line.
impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Stepped { first, step, count: Some(count) } => {
                write!(f, "{first}..{}", first.saturating_add(count.saturating_mul(*step)))?;
                if *step == 1 { Ok(()) } else { write!(f, " in steps of {step}") }
            }
            Source::Stepped { first, step: 1, count: None } => write!(f, "all from {first} on"),
            Source::Stepped { first, step, count: None } => write!(f, "all from {first} on in steps of {step}"),
            Source::Listed(seeds) => {
                let listed: Vec<String> = seeds.iter().take(4).map(|seed| format!("{seed:#x}")).collect();
                let more = if seeds.len() > listed.len() { ", ..." } else { "" };
                write!(f, "{}{more}", listed.join(", "))
            }
        }
    }
}

/// One part of the work out of several; written `1/4` to `4/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 1, at most `of`.
    number: NonZeroU32,
    of: NonZeroU32,
}

impl Shard {
    /// Which part it is, counted from 1.
    pub fn number(self) -> u32 {
        self.number.get()
    }

    /// How many parts there are.
    pub fn of(self) -> u32 {
        self.of.get()
    }

    /// Whether the `n`-th piece of work, counted from zero, falls to this shard.
    pub fn takes(self, n: usize) -> bool {
        n % self.of.get() as usize == self.number.get() as usize - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A seed as people write it: decimal, or hexadecimal after `0x`; underscores between digits are allowed.
///
/// # Errors
/// If it is not such a number, or does not fit into 64 bits.
pub fn parse_seed(text: &str) -> Result<u64, ParseSeedError> {
    let error = |cause| ParseSeedError { text: text.to_owned(), cause };
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    if digits.starts_with(['_', '+', '-']) || digits.is_empty() {
        return Err(error(SeedCause::NotANumber));
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).map_err(|e| match e.kind() {
        std::num::IntErrorKind::PosOverflow => error(SeedCause::TooLarge),
        _ => error(SeedCause::NotANumber),
    })
}

impl FromStr for Seeds {
    type Err = ParseSeedsError;

    /// `N` for the first N seeds, `A..B` for those from A up to, not including, B.
    fn from_str(text: &str) -> Result<Self, ParseSeedsError> {
        let Some((from, to)) = text.split_once("..") else {
            return match parse_seed(text)? {
                0 => Err(ParseSeedsError::Empty { text: text.to_owned() }),
                count => Ok(Seeds::first(count)),
            };
        };
        let range = parse_seed(from)?..parse_seed(to)?;
        if range.is_empty() {
            return Err(ParseSeedsError::Empty { text: text.to_owned() });
        }
        Ok(Seeds::range(range))
    }
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let error = || ParseShardError { text: text.to_owned() };
        let (number, of) = text.split_once('/').ok_or_else(error)?;
        let shard = Shard { number: number.parse().map_err(|_| error())?, of: of.parse().map_err(|_| error())? };
        if shard.number > shard.of { Err(error()) } else { Ok(shard) }
    }
}

/// A text that is not a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSeedError {
    text: String,
    cause: SeedCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SeedCause {
    NotANumber,
    TooLarge,
}

impl fmt::Display for ParseSeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            SeedCause::NotANumber => {
                write!(f, "`{}` is not a seed: write a decimal number or a hexadecimal one after 0x", self.text)
            }
            SeedCause::TooLarge => write!(f, "`{}` is not a seed: it does not fit into 64 bits", self.text),
        }
    }
}

impl std::error::Error for ParseSeedError {}

/// A text that does not say which seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseSeedsError {
    /// A number in it is not a seed.
    Seed(ParseSeedError),
    /// There would be none.
    Empty {
        /// What was written.
        text: String,
    },
}

impl From<ParseSeedError> for ParseSeedsError {
    fn from(error: ParseSeedError) -> Self {
        ParseSeedsError::Seed(error)
    }
}

impl fmt::Display for ParseSeedsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseSeedsError::Seed(error) => write!(f, "{error}, or a range such as 0..1000"),
            ParseSeedsError::Empty { text } => {
                write!(f, "`{text}` is no seed at all: write how many, or a range whose end is above its start")
            }
        }
    }
}

impl std::error::Error for ParseSeedsError {}

/// A text that does not name a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseShardError {
    text: String,
}

impl fmt::Display for ParseShardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a shard: write i/n with 1 <= i <= n, such as 2/4", self.text)
    }
}

impl std::error::Error for ParseShardError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_seed_is_decimal_or_hexadecimal() {
        assert_eq!(parse_seed("42"), Ok(42));
        assert_eq!(parse_seed("0x9e3779b97f4a7c15"), Ok(0x9e37_79b9_7f4a_7c15));
        assert_eq!(parse_seed("0xFFFF_FFFF_FFFF_FFFF"), Ok(u64::MAX));
        assert_eq!(parse_seed("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn what_is_not_a_seed_says_why() {
        for text in ["", "0x", "-1", "+1", "0x-1", "9e37", "_1", "1 ", "0x12g"] {
            let error = parse_seed(text).unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is not a seed: write a decimal number or a hexadecimal one after 0x"));
        }
        let error = parse_seed("0x1_0000_0000_0000_0000").unwrap_err().to_string();
        assert_eq!(error, "`0x1_0000_0000_0000_0000` is not a seed: it does not fit into 64 bits");
    }

    #[test]
    fn seeds_are_a_number_of_them_or_a_range() {
        assert_eq!("200".parse(), Ok(Seeds::first(200)));
        assert_eq!("0x10..20".parse(), Ok(Seeds::range(16..20)));
        for text in ["0", "7..7", "8..7"] {
            assert_eq!(text.parse::<Seeds>(), Err(ParseSeedsError::Empty { text: text.to_owned() }));
        }
        for text in ["", "..", "1..", "..5", "a", "1..=5", "1...5"] {
            assert!(matches!(text.parse::<Seeds>(), Err(ParseSeedsError::Seed(_))), "{text}");
        }
    }

    #[test]
    fn a_shard_is_counted_from_one() {
        assert_eq!("2/4".parse::<Shard>().unwrap().to_string(), "2/4");
        for text in ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1 / 4"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_seeds_of_all_can_be_reached() {
        assert_eq!(Seeds::endless(u64::MAX - 1).iter().collect::<Vec<_>>(), [u64::MAX - 1, u64::MAX]);
        assert_eq!(Seeds::one(u64::MAX).iter().collect::<Vec<_>>(), [u64::MAX]);
        let last = Seeds::endless(u64::MAX).shard("2/2".parse().unwrap());
        assert_eq!(last.iter().count(), 0);
    }

    proptest! {
        #[test]
        fn every_seed_falls_to_exactly_one_shard(from: u64, count in 0..500_u64, shards in 1..20_u32) {
            let from = from.min(u64::MAX - count);
            let whole = Seeds::range(from..from + count);
            let mut dealt = Vec::new();
            for number in 1..=shards {
                let part = whole.shard(format!("{number}/{shards}").parse().unwrap());
                let seeds: Vec<u64> = part.iter().collect();
                prop_assert_eq!(Some(seeds.len() as u64), part.count());
                let places: Vec<_> = seeds.iter().map(|seed| part.position(*seed).unwrap()).collect();
                prop_assert_eq!(places, (0..seeds.len() as u64).collect::<Vec<_>>());
                let listed = Seeds::listed(whole.iter().collect()).shard(format!("{number}/{shards}").parse().unwrap());
                prop_assert_eq!(&listed.iter().collect::<Vec<_>>(), &seeds);
                let fair = count / u64::from(shards);
                prop_assert!((fair..=fair + 1).contains(&(seeds.len() as u64)));
                dealt.extend(seeds);
            }
            dealt.sort_unstable();
            prop_assert_eq!(dealt, whole.iter().collect::<Vec<_>>());
        }

        #[test]
        fn every_piece_of_work_falls_to_exactly_one_shard(piece: usize, shards in 1..20_u32) {
            let takers = (1..=shards).filter(|i| format!("{i}/{shards}").parse::<Shard>().unwrap().takes(piece));
            prop_assert_eq!(takers.count(), 1);
        }
    }
}
