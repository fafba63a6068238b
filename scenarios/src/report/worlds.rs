//! Scenarios in three worlds, as a table.

use anstyle::{AnsiColor, Style};

use super::table::counted;
use crate::compare::{Comparison, Seen};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADING: Style = Style::new().bold();

/// The heads of the columns.
pub fn heading() -> String {
    let (name, native, madsim, real) = ("scenario", "native", "madsim", "real");
    format!("{HEADING}       {name:<44} {native:<30} {madsim:<30} {real:<30}{HEADING:#}\n")
}

/// One scenario; below it, whatever is not the same everywhere.
pub fn row(name: &str, comparison: &Comparison) -> String {
    let (style, word) = match (comparison.agrees(), comparison.has_one_order()) {
        (true, true) => (GOOD, "SAME "),
        (true, false) => (BAD, "ORDER"),
        (false, _) => (BAD, "DIFF "),
    };
    let madsim = comparison.madsim.as_ref().map_or("not built in".to_owned(), verdict);
    let (native, real) = (verdict(&comparison.native), verdict(&comparison.real));
    let mut text = format!("{style}{word}{style:#}  {name:<44} {native:<30} {madsim:<30} {real}\n");
    if !comparison.has_one_order() {
        for (world, seen) in comparison.worlds() {
            text += &format!("         {world:<7} {}\n", comparison.order_of(seen).join(", "));
        }
    }
    text
}

fn verdict(seen: &Seen) -> String {
    match &seen.violation {
        _ if seen.open => "cannot be told".to_owned(),
        Some(invariant) => invariant.clone(),
        None => "passes".to_owned(),
    }
}

/// All of them in a line.
pub fn summary(compared: &[Comparison]) -> String {
    let same = compared.iter().filter(|comparison| comparison.agrees()).count();
    let ordered = compared.iter().filter(|comparison| comparison.has_one_order()).count();
    format!(
        "\n{}: verdicts agree in {same}, milestones have one order in {ordered}\n",
        counted(compared.len() as u64, "scenario")
    )
}
