//! What the two pictures have in common: colours of roles, measures of text, patterns.

use maud::{Markup, html};

use crate::report::story::{State, Story, visible};

/// Width of a character of the pictures' fixed-width font, in pixels, rounded up.
pub(super) const CHARACTER: f64 = 7.3;
/// How many colours the style sheet has for roles.
const COLORS: usize = 12;

/// The style class of a state: a colour for each role, in the order of the roles' first appearance.
pub(super) fn class(roles: &[&'static str], state: State) -> String {
    let role = state.role();
    match roles.iter().position(|name| *name == role) {
        Some(place) if !role.is_empty() => format!("role-{}", place % COLORS),
        _ => "role-none".to_owned(),
    }
}

/// All roles, in the order of their first appearance.
pub(super) fn roles(story: &Story<'_>) -> Vec<&'static str> {
    let mut roles = Vec::new();
    for span in story.lanes.iter().flat_map(|lane| &lane.spans) {
        if !roles.contains(&span.state.role()) {
            roles.push(span.state.role());
        }
    }
    roles
}

/// Names of the nodes, safe to show.
pub(super) fn names(story: &Story<'_>) -> Vec<String> {
    story.recording.nodes.iter().map(|node| visible(&node.name)).collect()
}

/// Width of a text in pixels.
pub(super) fn text_width(text: &str) -> f64 {
    textwrap::core::display_width(text) as f64 * CHARACTER
}

/// Patterns and markers, with ids that differ from those of the page's other pictures.
pub(super) fn definitions(id: &str) -> Markup {
    html! {
        defs {
            pattern id=(format!("{id}-hatch")) width="6" height="6" patternUnits="userSpaceOnUse"
                patternTransform="rotate(45)" {
                rect class="hatch" width="2.5" height="6" {}
            }
            @for (name, class) in [("head", "head"), ("chain", "head in-chain"), ("fault", "head lost")] {
                marker id=(format!("{id}-{name}")) viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9"
                    markerHeight="9" markerUnits="userSpaceOnUse" orient="auto-start-reverse" {
                    path class=(class) d="M0,0.8 L10,5 L0,9.2 z" {}
                }
            }
        }
    }
}

/// A number for a coordinate: two decimals at most, the same on every machine.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
