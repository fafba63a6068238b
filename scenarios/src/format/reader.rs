//! Walks the tree of a TOML file by the grammar and collects everything that is wrong with it.
//!
//! By hand and not through serde, because serde stops at the first error and these files are to be told all of theirs
//! at once, each with its place.

use std::sync::Arc;

use miette::NamedSource;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::grammar::{Key, Table};
use super::names::{all, list, nearest};
use super::{FileError, Problem, Span};

/// A file being read.
pub(super) struct Reader {
    file: String,
    source: Arc<NamedSource<Arc<str>>>,
    problems: Vec<Problem>,
    /// Whether what is possible but cannot be meant is a problem too.
    strict: bool,
}

/// A value with its place, its key, and what is expected there.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub key: &'a str,
    pub expects: &'static str,
    pub value: &'a DeValue<'a>,
    pub span: Span,
}

/// A table of the file whose keys have been checked against the grammar.
pub(super) struct Section<'a> {
    grammar: &'static Table,
    /// How errors call it, such as "`[cluster]`".
    title: String,
    /// Where it is, for errors about what is not there.
    pub span: Span,
    items: Vec<Item<'a>>,
    unknown: bool,
}

/// How different tables call the time that something lasts. People take one for the other.
const EXTENTS: [&str; 3] = ["for", "hold", "down"];

impl Reader {
    pub(super) fn new(file: impl Into<String>, source: Arc<str>) -> Self {
        let file = file.into();
        let source = Arc::new(NamedSource::new(&file, source).with_language("TOML"));
        Reader { file, source, problems: Vec::new(), strict: true }
    }

    /// For files that a program has written: whatever the kernel can run is accepted, sensible or not.
    pub(super) fn lenient(file: impl Into<String>, source: Arc<str>) -> Self {
        Reader { strict: false, ..Reader::new(file, source) }
    }

    /// Whether what is possible but cannot be meant is a problem too.
    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    /// Notes a problem at a place. `label` are the few words beside it.
    pub(super) fn problem(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(self.source.clone(), message).label(span, label);
        self.problems.push(problem.help(help));
    }

    /// Notes a problem between two places.
    pub(super) fn clash(
        &mut self,
        (span, label): (Span, &str),
        (other, other_label): (Span, &str),
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(self.source.clone(), message).label(span, label).label(other, other_label);
        self.problems.push(problem.help(help));
    }

    /// Whether anything is wrong so far.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// How many problems there are so far, to tell whether a part was sound.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Everything that is wrong, in the order of the file.
    pub(super) fn into_error(mut self) -> FileError {
        self.problems.sort_by_key(|problem| problem.position());
        FileError::new(self.file, self.problems)
    }

    /// Reads the text as TOML; the problems of a text that is none are noted.
    pub(super) fn toml<'a>(&mut self, source: &'a str) -> Option<DeTable<'a>> {
        let (root, errors) = DeTable::parse_recoverable(source);
        // What follows a syntax error is often a consequence of it.
        for error in errors.iter().take(3) {
            let span = on_boundaries(source, error.span().unwrap_or(0..0));
            let (what, help) = syntax(error.message());
            self.problem(span, format!("this is not TOML: {what}"), "here", help);
        }
        errors.is_empty().then(|| root.into_inner())
    }

    /// Checks a table's keys against the grammar: those that it does not know, and those that it misses.
    pub(super) fn section<'a>(
        &mut self,
        grammar: &'static Table,
        title: impl Into<String>,
        table: &'a DeTable<'a>,
        span: Span,
    ) -> Section<'a> {
        let title = title.into();
        let mut items = Vec::new();
        let mut meant = Vec::new();
        let mut unknown = false;
        for (key, value) in in_order(table) {
            match grammar.key(key.get_ref()) {
                Some(known) => items.push(Item {
                    key: known.name,
                    expects: known.shape.expects(),
                    value: value.get_ref(),
                    span: value.span(),
                }),
                None => {
                    unknown = true;
                    meant.extend(self.unknown_key(grammar, &title, key));
                }
            }
        }
        // One that is there under a wrong name has been told of already.
        let missing =
            |key: &&Key| key.required && !meant.contains(&key.name) && items.iter().all(|i| i.key != key.name);
        let missing: Vec<_> = grammar.keys.iter().filter(missing).collect();
        if !missing.is_empty() {
            let message = format!("{title} lacks {}", all(missing.iter().map(|key| key.name)));
            let lines: Vec<_> = missing.iter().map(|key| format!("add `{}`: {}", key.example(), key.about)).collect();
            self.problem(span.clone(), message, "missing here", lines.join("\n"));
        }
        Section { grammar, title, span, items, unknown }
    }

    /// Notes a key that the grammar does not know; returns the one that is most likely meant.
    fn unknown_key(
        &mut self,
        grammar: &'static Table,
        title: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
    ) -> Option<&'static str> {
        let name: &str = key.get_ref();
        let meant = nearest(name, grammar.names()).or_else(|| same_idea(name, grammar));
        if meant.is_none() && EXTENTS.contains(&name) {
            let message = format!("{title} happens in an instant, so it cannot last");
            self.problem(key.span(), message, "no extent in time", format!("remove `{name}`"));
            return None;
        }
        let message = format!("{title} has no key `{name}`");
        let help = match meant {
            Some(known) => format!("did you mean `{known}`? {}", choices(grammar)),
            None => choices(grammar),
        };
        self.problem(key.span(), message, "unknown key", help);
        meant
    }

    /// Notes that a value is not of the kind that belongs here.
    pub(super) fn mismatch(&mut self, item: &Item<'_>) {
        let message = format!("`{}` should be {}", item.key, item.expects);
        let found = describe(item.value);
        self.problem(item.span.clone(), message, format!("this is {found}"), format!("write {}", item.expects));
    }

    /// Notes that a value is of the right kind but cannot be meant.
    pub(super) fn bad_value(&mut self, item: &Item<'_>, why: impl Into<String>, help: impl Into<String>) {
        let message = format!("`{}` {}", item.key, why.into());
        self.problem(item.span.clone(), message, "here", help);
    }

    /// The table that an item is.
    pub(super) fn table<'a>(&mut self, item: &Item<'a>) -> Option<&'a DeTable<'a>> {
        let table = item.value.as_table();
        if table.is_none() {
            self.mismatch(item);
        }
        table
    }

    /// The table that an item is, with its keys checked.
    pub(super) fn subsection<'a>(
        &mut self,
        grammar: &'static Table,
        title: impl Into<String>,
        item: &Item<'a>,
    ) -> Option<Section<'a>> {
        let table = self.table(item)?;
        Some(self.section(grammar, title, table, item.span.clone()))
    }

    /// The elements of a list.
    pub(super) fn list<'a>(&mut self, item: &Item<'a>) -> Option<Vec<Item<'a>>> {
        match item.value {
            DeValue::Array(_) => Some(item.elements()),
            _ => {
                self.mismatch(item);
                None
            }
        }
    }
}

impl<'a> Section<'a> {
    /// What stands behind a key.
    ///
    /// # Panics
    /// If the grammar has no such key: then reader and grammar disagree.
    pub(super) fn get(&self, key: &str) -> Option<&Item<'a>> {
        assert!(self.grammar.key(key).is_some(), "the grammar of {} has no key `{key}`", self.title);
        self.items.iter().find(|item| item.key == key)
    }

    /// All that it has, in the order of the file.
    pub(super) fn items(&self) -> &[Item<'a>] {
        &self.items
    }

    /// Whether it has keys that are unknown, and so may have been meant to say more than it does.
    pub(super) fn has_unknown_keys(&self) -> bool {
        self.unknown
    }

    /// How errors call it.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The one key of `keys` that it has; more or fewer than one is a problem.
    pub(super) fn exactly_one(&self, reader: &mut Reader, keys: &[&str]) -> Option<&Item<'a>> {
        let mut found = self.items.iter().filter(|item| keys.contains(&item.key));
        let (first, second) = (found.next(), found.next());
        match (first, second) {
            (Some(first), Some(second)) => {
                let message = format!("{} has both `{}` and `{}`", self.title, first.key, second.key);
                let help = format!("keep one of {}", list(keys.iter().copied()));
                reader.clash((second.span.clone(), "and this"), (first.span.clone(), "this"), message, help);
                None
            }
            (None, _) => {
                let message = format!("{} needs one of {}", self.title, list(keys.iter().copied()));
                let about = keys.iter().filter_map(|key| self.grammar.key(key));
                let lines: Vec<_> = about.map(|key| format!("`{}`: {}", key.name, key.about)).collect();
                reader.problem(self.span.clone(), message, "none of them is here", lines.join("\n"));
                None
            }
            (first, None) => first,
        }
    }
}

impl<'a> Item<'a> {
    /// The elements if it is a list, or itself.
    pub(super) fn one_or_more(&self) -> Vec<Item<'a>> {
        match self.value {
            DeValue::Array(_) => self.elements(),
            _ => vec![self.clone()],
        }
    }

    fn elements(&self) -> Vec<Item<'a>> {
        let elements = self.value.as_array().into_iter().flat_map(|array| array.iter());
        elements.map(|element| Item { value: element.get_ref(), span: element.span(), ..self.clone() }).collect()
    }

    /// The same with another expectation.
    pub(super) fn expecting(&self, expects: &'static str) -> Item<'a> {
        Item { expects, ..self.clone() }
    }
}

/// The entries of a table in the order of the file, which TOML's tables do not keep.
pub(super) fn in_order<'a>(
    table: &'a DeTable<'a>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn choices(grammar: &Table) -> String {
    match grammar.keys {
        [] => "it takes no keys: write `{}`".to_owned(),
        [key] => format!("its only key is `{}`", key.name),
        _ => format!("it can have {}", list(grammar.names())),
    }
}

/// What a value is, with an article.
fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn same_idea(name: &str, grammar: &Table) -> Option<&'static str> {
    grammar.names().find(|known| EXTENTS.contains(&name) && EXTENTS.contains(known))
}

/// A span that can be cut out of the text, whatever the parser said.
fn on_boundaries(source: &str, span: Span) -> Span {
    let start = source.floor_char_boundary(span.start.min(source.len()));
    let end = source.ceil_char_boundary(span.end.clamp(start, source.len()));
    start..end
}

/// What the TOML parser means, for people who do not know TOML by heart, and what to do about it.
fn syntax(message: &str) -> (&str, &'static str) {
    const QUOTES: &str = "texts, names, times and durations stand in double quotes, such as `at = \"10s\"`";
    const LINES: &str = "a line is `key = value`, `[table]` or `[[list]]`; names and durations stand in double quotes";
    if message.contains("duplicate key") {
        let help = "each key can be given once in a table: remove one; for several steps write `[[step]]` before each";
        ("this key is here twice", help)
    } else if message.contains("must be quoted") {
        ("this value is neither a number nor in quotes", QUOTES)
    } else if message.contains("basic string") {
        ("this text has no closing quote, or a sign that must be escaped", QUOTES)
    } else {
        (message, LINES)
    }
}
