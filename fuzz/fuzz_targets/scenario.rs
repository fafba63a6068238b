//! The bytes become the text of a scenario file, or of a schedule. Reading it must end, and must not panic.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scenarios::bytes::{self, Clean};
use scenarios::registry::Registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::bundled);
static CLEAN: LazyLock<Clean> = LazyLock::new(|| Clean::built_in(&REGISTRY));

fuzz_target!(|bytes: &[u8]| bytes::parse(bytes, &REGISTRY, &CLEAN));
