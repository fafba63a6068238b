//! A number of which only the bounds may be known: what a search that was given up would have needed.

use std::fmt;
use std::ops::Div;

/// From `least` to `most`, which may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub least: f64,
    pub most: f64,
}

impl Range {
    /// A number that is known.
    pub fn of(value: f64) -> Self {
        Range { least: value, most: value }
    }

    /// Some number above this one.
    pub fn above(least: f64) -> Self {
        Range { least, most: f64::INFINITY }
    }

    /// The median of several numbers lies between that of what they are at least and that of what they are at most.
    pub fn median(ranges: impl Iterator<Item = Range>) -> Self {
        let (least, most) = ranges.map(|range| (range.least, range.most)).unzip();
        Range { least: median(least), most: median(most) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// Of positive numbers.
impl Div for Range {
    type Output = Range;

    fn div(self, other: Range) -> Range {
        Range { least: self.least / other.most, most: self.most / other.least }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let text = match (self.least, self.most) {
            (least, most) if least == most => format!("{least:.digits$}"),
            (least, f64::INFINITY) => format!(">{least:.digits$}"),
            (least, most) => format!("{least:.digits$}..{most:.digits$}"),
        };
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_known_as_far_as_those_in_the_middle_are() {
        let cap = Range::above(8.0);
        let median = |ranges: &[Range]| Range::median(ranges.iter().copied());
        assert_eq!(median(&[cap, Range::of(1.0), Range::of(3.0)]), Range::of(3.0));
        assert_eq!(median(&[cap, Range::of(1.0), cap]), cap);
        assert_eq!(median(&[cap, Range::of(2.0)]), Range::above(5.0));
        assert_eq!(
            median(&[Range { least: 1.0, most: 4.0 }, Range::of(2.0), Range::of(3.0)]),
            Range { least: 2.0, most: 3.0 }
        );
    }

    #[test]
    fn a_ratio_to_what_was_given_up_may_be_as_small_as_one_likes() {
        let (few, cap) = (Range::of(2.0), Range::above(8.0));
        assert_eq!(few / cap, Range { least: 0.0, most: 0.25 });
        assert_eq!(cap / few, Range::above(4.0));
        assert_eq!(cap / cap, Range::above(0.0));
    }

    #[test]
    fn a_range_shows_what_is_known_of_it() {
        let shown = |range: Range| format!("{range:.1}");
        assert_eq!([Range::of(2.0), Range::above(8.0)].map(shown), ["2.0", ">8.0"]);
        assert_eq!(shown(Range { least: 10.5, most: 12.0 }), "10.5..12.0");
    }
}
