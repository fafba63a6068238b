//! Everything that was recorded, as a table that can be filtered by text, node, and whether it led to the violation.

use maud::{Markup, html};

use super::draw::names;
use crate::report::story::{Story, nodes_of};
use crate::report::words;

/// A browser is slow with more rows than this; the rest is for the terminal.
const MOST_ROWS: usize = 20_000;

pub(super) fn log(story: &Story<'_>) -> Markup {
    let total = story.entries().len();
    // What matters is at the end: the violation.
    let first = total.saturating_sub(MOST_ROWS);
    html! {
        div.log {
            p.filter {
                label { "text " input type="search" data-filter="text" placeholder="any" autocomplete="off"; }
                label {
                    "node "
                    select data-filter="node" {
                        option value="" { "any" }
                        @for (number, name) in names(story).iter().enumerate() {
                            option value=(number) { (name) }
                        }
                    }
                }
                label { input type="checkbox" data-filter="chain"; " led to the violation" }
                span.count aria-live="polite" { (total - first) " entries" }
            }
            @if first > 0 {
                p { "The last " (MOST_ROWS) " of " (total) " entries; a replay on the terminal with --all shows all." }
            }
            div.scroll { table {
                thead { tr { th { "time" } th { "event" } th { "cause" } th { "what" } } }
                tbody {
                    @for (index, entry) in story.entries().iter().enumerate().skip(first) {
                        @let nodes = nodes_of(&entry.what).iter().map(|node| node.0.to_string()).collect::<Vec<_>>();
                        tr class=[story.is_link(index).then_some("chain")] data-nodes=(nodes.join(" ")) {
                            td { (entry.at) }
                            td { "#" (entry.event) }
                            td { @if entry.cause > 0 { "#" (entry.cause) } }
                            td { (words::entry(story, index)) }
                        }
                    }
                }
            } }
        }
    }
}
