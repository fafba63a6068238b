//! The command, with the protocols that come with Fencepost.

use std::process::ExitCode;

use scenarios::registry::Registry;

fn main() -> ExitCode {
    scenarios::cli::main_with(Registry::bundled())
}
