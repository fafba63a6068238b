//! The bytes become a run of a scenario that should pass, of any protocol. A violation is a crash that prints the schedule.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scenarios::bytes::Clean;
use scenarios::registry::Registry;

static CLEAN: LazyLock<Clean> = LazyLock::new(|| Clean::built_in(&Registry::bundled()));

fuzz_target!(|bytes: &[u8]| {
    if let Err(found) = CLEAN.run(bytes) {
        panic!("{found}");
    }
});
