//! A report as one page that needs nothing else: no network, no framework, light or dark as the reader's system is.
//!
//! The order is that of a Jepsen report: the verdict, the properties, the timeline as a picture, the log. Everything
//! that comes from a scenario or a protocol is escaped, by `maud` for markup and by [`visible`] for control
//! characters.

mod draw;
mod log;
mod overview;
mod sequence;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sim_core::Class;

use super::story::{Recording, Story, visible};

/// One scenario of a report.
pub struct Section<'a> {
    /// Its name.
    pub scenario: &'a str,
    /// What it shows.
    pub about: &'a str,
    /// How it went.
    pub verdict: Verdict,
    /// The verdict in words: `all 200 seeds pass`, or what was violated.
    pub headline: &'a str,
    /// What else there is to know, as pairs of a label and a value: seeds, events, the trace hash.
    pub facts: &'a [(&'a str, String)],
    /// What was checked.
    pub properties: &'a [PropertyRow<'a>],
    /// Lines to paste, each with what it does.
    pub commands: &'a [(&'a str, String)],
    /// The run to draw, if one was recorded.
    pub recording: Option<Recording<'a>>,
}

/// How a scenario went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Not as expected.
    Fail,
    /// It cannot be said, because something that should have been reached never was.
    Inconclusive,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// One property and what was found.
pub struct PropertyRow<'a> {
    /// Its name.
    pub name: &'a str,
    /// What kind of promise it is.
    pub class: Class,
    /// What it says.
    pub about: &'a str,
    /// What was found.
    pub found: Found,
}

/// What was found about a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It held in every run.
    Held,
    /// At least one run violated it.
    Violated,
    /// A coverage property that at least one run reached.
    Reached,
    /// A coverage property that no run reached.
    NotReached,
    /// It was not decided: the run ended before.
    Undecided,
}

/// Writes the page. It is a pure function of its arguments.
pub fn page(title: &str, sections: &[Section<'_>]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing may be loaded or sent, whatever a message tries.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (visible(title)) }
                style { (PreEscaped(include_str!("html/page.css"))) }
            }
            body {
                header { h1 { (visible(title)) } }
                @if sections.len() > 1 { (contents(sections)) }
                main {
                    @for (number, section) in sections.iter().enumerate() { (one(number, section)) }
                }
                script { (PreEscaped(include_str!("html/filter.js"))) }
            }
        }
    };
    page.into_string()
}

/// A table of all scenarios, the bad ones first.
fn contents(sections: &[Section<'_>]) -> Markup {
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|&at| match sections[at].verdict {
        Verdict::Fail => 0,
        Verdict::Inconclusive => 1,
        Verdict::Pass => 2,
    });
    html! {
        nav {
            table.contents {
                @for at in order {
                    @let section = &sections[at];
                    tr {
                        td { (badge(section.verdict)) }
                        td { a href=(format!("#s{at}")) { (visible(section.scenario)) } }
                        td { (visible(section.headline)) }
                    }
                }
            }
        }
    }
}

fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (verdict.class()) } { (verdict.word()) } }
}

fn one(number: usize, section: &Section<'_>) -> Markup {
    let story = section.recording.map(Story::new);
    html! {
        section id=(format!("s{number}")) {
            h2 { (badge(section.verdict)) " " (visible(section.scenario)) }
            p.about { (visible(section.about)) }
            p class={ "headline " (section.verdict.class()) } { (visible(section.headline)) }
            @if !section.facts.is_empty() {
                dl.facts {
                    @for (label, value) in section.facts { div { dt { (visible(label)) } dd { (visible(value)) } } }
                }
            }
            @for (label, command) in section.commands {
                p.command { span { (visible(label)) } code { (visible(command)) } }
            }
            @if !section.properties.is_empty() { (properties(section.properties)) }
            @if let Some(story) = &story {
                h3 { "Who was what, and what was broken" }
                div.picture { (overview::overview(story, number)) }
                h3 { "What happened" }
                div.picture { (sequence::sequence(story, number)) }
                h3 { "Log" }
                (log::log(story))
            }
        }
    }
}

fn properties(properties: &[PropertyRow<'_>]) -> Markup {
    html! {
        h3 { "Properties" }
        div.scroll { table.properties {
            thead { tr { th { "found" } th { "promise" } th { "property" } th { "meaning" } } }
            tbody {
                @for property in properties {
                    @let (class, word) = found(property.found);
                    tr {
                        td { span class={ "found " (class) } { (word) } }
                        td { (promise(property.class)) }
                        td { code { (visible(property.name)) } }
                        td { (visible(property.about)) }
                    }
                }
            }
        } }
    }
}

fn found(found: Found) -> (&'static str, &'static str) {
    match found {
        Found::Held => ("pass", "✓ held"),
        Found::Violated => ("fail", "✗ violated"),
        Found::Reached => ("pass", "✓ reached"),
        Found::NotReached => ("inconclusive", "? never reached"),
        Found::Undecided => ("inconclusive", "? undecided"),
    }
}

fn promise(class: Class) -> &'static str {
    match class {
        Class::Safety => "always",
        Class::Liveness => "eventually",
        Class::Coverage => "sometimes",
    }
}

#[cfg(test)]
mod tests;
