//! Halving sweeps: leaving out as many of a list as possible, large parts first.

/// Tries to do without all items, then without halves, quarters and so on down to single ones, from the end of the
/// list to its beginning. `attempt` is given what would be left; it says what is left then, which may be less still, or
/// `None` if they are needed.
pub(super) fn sweep<T: Clone>(mut items: Vec<T>, mut attempt: impl FnMut(Vec<T>) -> Option<Vec<T>>) -> Vec<T> {
    let mut size = items.len();
    while size > 0 {
        let mut end = items.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let rest = [&items[..start], &items[end..]].concat();
            if let Some(left) = attempt(rest) {
                items = left;
            }
            end = start.min(items.len());
        }
        size = (size / 2).min(items.len());
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_left() {
        let mut attempts = 0;
        let left = sweep((0..1000).collect(), |rest: Vec<u32>| {
            attempts += 1;
            [17, 500, 501].iter().all(|needed| rest.contains(needed)).then_some(rest)
        });
        assert_eq!(left, [17, 500, 501]);
        assert!(attempts < 80, "{attempts} attempts");
    }

    #[test]
    fn nothing_is_left_if_nothing_is_needed() {
        assert_eq!(sweep(vec![1, 2, 3], Some), Vec::<u32>::new());
        assert_eq!(sweep(Vec::<u32>::new(), |_| None), Vec::<u32>::new());
        assert_eq!(sweep(vec![1, 2, 3], |_| None), [1, 2, 3]);
    }
}
