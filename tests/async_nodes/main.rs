//! Nodes that are asynchronous code, in a scenario like any other: the code in `code.rs` knows nothing of this crate.

#[cfg(madsim)]
mod checks;
#[cfg(madsim)]
mod code;
#[cfg(madsim)]
mod register;

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    checks::main()
}

/// Without madsim's simulator there is nothing that could run it.
#[cfg(not(madsim))]
fn main() {}
