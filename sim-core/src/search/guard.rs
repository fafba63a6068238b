//! A panic in a handler is a finding and not noise: it is not printed while a run is guarded, and its place in the
//! source is kept for the violation's message.
//!
//! This is the one place of the kernel with process-wide state, because the panic hook of the standard library is
//! process-wide. The hook only touches threads that are inside [`guarded`].

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::thread;

use crate::{Class, Instant, NO_PANIC, Outcome, Violation};

thread_local! {
    /// `None` outside [`guarded`]; inside, the last panic, if there was one.
    static GUARD: RefCell<Option<Option<Panic>>> = const { RefCell::new(None) };
}

pub(super) struct Panic {
    text: String,
    /// File, line and column.
    place: String,
}

static HOOK: Once = Once::new();

/// Makes a run whose panics are violations and nothing else: nothing is printed, and the message of a
/// [`NO_PANIC`] violation says where in the source it happened.
///
/// A panic that `run` itself lets through, such as one while the cluster is being built, becomes such a violation
/// as well, at event 0.
///
/// ```
/// let outcome = sim_core::search::guarded(|| panic!("no such node"));
/// let message = outcome.violation.unwrap().message;
/// assert!(message.starts_with("the run could not be made: no such node, at "), "{message}");
/// ```
pub fn guarded(run: impl FnOnce() -> Outcome) -> Outcome {
    match quietly(run) {
        (Ok(mut outcome), Some(panic)) => {
            if let Some(violation) = outcome.violation.as_mut().filter(|v| v.invariant == NO_PANIC) {
                violation.message.push_str(&format!(", at {}", panic.place));
            }
            outcome
        }
        (Ok(outcome), None) => outcome,
        (Err(_), panic) => stillborn(panic),
    }
}

/// Lets something panic without a word. What came of it, and the last panic in it, whether or not it was caught there.
fn quietly<T>(run: impl FnOnce() -> T) -> (thread::Result<T>, Option<Panic>) {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                previous(info)
            }
        }));
    });
    let outer = GUARD.replace(Some(None));
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    (result, GUARD.replace(outer).flatten())
}

/// Does something in whose runs handlers may panic, which is noted there and not printed. Any other panic goes on, and says
/// what it was: what was left undone must not be taken for done.
pub(super) fn silencing<T>(work: impl FnOnce() -> T) -> T {
    match quietly(work) {
        (Ok(result), _) => result,
        (Err(_), Some(Panic { text, place })) => panic!("the search could not go on: {text}, at {place}"),
        (Err(payload), None) => panic::resume_unwind(payload),
    }
}

/// Does something that may panic, without a word; what the panic said, and where.
#[cfg(madsim)]
pub(crate) fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    match quietly(work) {
        (Ok(result), _) => Ok(result),
        (Err(_), Some(Panic { text, place })) => Err(format!("{text}, at {place}")),
        (Err(_), None) => Err("it unwound without a panic".to_owned()),
    }
}

/// Keeps a panic for its [`guarded`] caller; false if the panicking thread has none.
fn note(info: &PanicHookInfo<'_>) -> bool {
    GUARD.with_borrow_mut(|guard| match guard {
        Some(last) => {
            let text = info.payload_as_str().unwrap_or("a value that is not text").to_owned();
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            *last = Some(Panic { text, place });
            true
        }
        None => false,
    })
}

/// The outcome of a run that could not even be made.
fn stillborn(panic: Option<Panic>) -> Outcome {
    let message = match panic {
        Some(Panic { text, place }) => format!("the run could not be made: {text}, at {place}"),
        // `resume_unwind` panics without asking the hook.
        None => "the run could not be made: it unwound without a panic".to_owned(),
    };
    let violation = Violation {
        invariant: NO_PANIC.to_owned(),
        class: Class::Safety,
        at: Instant::ZERO,
        event: 0,
        node: None,
        message,
    };
    Outcome {
        violation: Some(violation),
        events: 0,
        end: Instant::ZERO,
        trace_hash: 0,
        fired: Vec::new(),
        marks: Vec::new(),
        reached: Vec::new(),
    }
}
