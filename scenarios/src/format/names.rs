//! Names that files mention: the nearest one that exists, and lists of them for people.

/// The candidate that `name` is most likely meant to be, if any is near enough to be worth a suggestion.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    let close = candidates.filter_map(|candidate| {
        let known = plain(candidate);
        let distance = strsim::damerau_levenshtein(&wanted, &known);
        // About one letter in three may be wrong; or one is the beginning of the other, as in `vote` and `vote-retries`.
        let allowed = ((wanted.chars().count().max(known.chars().count()) + 1) / 3).max(1);
        let begins =
            wanted.len() >= 3 && (known.starts_with(&wanted) || (known.len() >= 3 && wanted.starts_with(&known)));
        (distance <= allowed || begins).then_some((distance, candidate))
    });
    close.min_by_key(|&(distance, _)| distance).map(|(_, candidate)| candidate)
}

/// Case, and the choice between `-`, `_` and space, are not what people get wrong on purpose.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', ' '], "-")
}

/// "`a`, `b` or `c`".
pub(crate) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// "`a`, `b`, `c`".
pub(crate) fn all<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// What to say to someone who wrote a name that does not exist: the nearest one, and all of them if they are few.
pub(crate) fn advice<'a>(name: &str, what: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    let known: Vec<_> = candidates.clone().collect();
    let choice = match known.len() {
        0 => format!("there are no {what} here"),
        1..=24 => format!("the {what} are: {}", all(&known)),
        count => format!("there are {count} {what}, such as: {}", all(&known[..8])),
    };
    match nearest(name, candidates) {
        Some(near) => format!("did you mean `{near}`? {choice}"),
        None => choice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let names = ["crash", "restart", "partition", "one-way", "host-failure"];
        let near = |name| nearest(name, names.into_iter());
        assert_eq!(near("partiton"), Some("partition"));
        assert_eq!(near("Host_Failure"), Some("host-failure"));
        assert_eq!(near("oneway"), Some("one-way"));
        assert_eq!(near("part"), Some("partition"));
        assert_eq!(near("bandwidth"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn lists_read_like_a_sentence() {
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
