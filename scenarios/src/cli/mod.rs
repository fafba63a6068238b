//! The command. A crate with protocols of its own makes its own command in one line:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use scenarios::registry::Registry;
//!
//! fn main() -> ExitCode {
//!     let mut registry = Registry::bundled();
//!     // registry.register::<MyProtocol>();
//!     scenarios::cli::main_with(registry)
//! }
//! ```

mod args;
mod campaign;
mod check;
mod compare;
mod completions;
mod defects;
mod environment;
mod examples;
mod exit;
mod explore;
mod journaled;
mod list;
mod merge;
mod node;
mod page;
mod real;
mod replay;
mod reporter;
mod shrink;
mod terminal;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

pub use environment::Environment;

use crate::format;
use crate::registry::Registry;
use args::{Cli, RunArgs, Verb};
use exit::Stop;
use terminal::Terminal;

/// Does what the arguments of the process say, with these protocols. Call it from `main` and return what it returns.
pub fn main_with(registry: Registry) -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new(cli.common.color);
    let stop = match dispatch(cli.verb.unwrap_or_else(|| Verb::Run(RunArgs::default())), &registry, &mut terminal) {
        Ok(code) => return code.into(),
        Err(stop) => stop,
    };
    let (code, message) = match stop {
        Stop::Usage(message) => (exit::USAGE, message),
        Stop::NothingSelected(message) => (exit::NOTHING_SELECTED, message),
        Stop::Failed(message) => (exit::OTHER, message),
        // Whoever read the output has seen enough, as in `fencepost list | head`.
        Stop::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return exit::OTHER.into(),
        Stop::Output(error) => (exit::OTHER, format!("cannot write the output: {error}")),
    };
    // If standard error is closed there is nobody to tell.
    let _ = terminal.print_error(&format!("error: {message}\n"));
    code.into()
}

fn dispatch(verb: Verb, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    match verb {
        Verb::Run(args) => campaign::run(args, registry, terminal),
        Verb::Fuzz(args) => campaign::fuzz(args, registry, terminal),
        Verb::Merge(args) => merge::merge(args, registry, terminal),
        Verb::Real(args) => real::real(&args, registry, terminal),
        Verb::Compare(args) => compare::compare_worlds(&args, registry, terminal),
        Verb::Node(args) => node::node(&args, registry, terminal),
        Verb::Replay(args) => replay::replay(&args, registry, terminal),
        Verb::Explore(args) => explore::explore(&args, registry, terminal),
        Verb::Shrink(args) => shrink::shrink(&args, registry, terminal),
        Verb::Defects(args) => defects::defects(&args, registry, terminal),
        Verb::Check(args) => check::check(&args, registry, terminal),
        Verb::List(args) => list::list(&args, registry, terminal),
        Verb::Schema => {
            terminal.print(&format!("{:#}\n", format::schema(registry)))?;
            Ok(exit::EXPECTED)
        }
        Verb::Completions { shell } => completions::print(shell, terminal),
    }
}

/// Writes a file that was asked for, and the folder that it is to be in.
fn write_file(path: &Path, text: &str) -> Result<(), Stop> {
    let failed = |error| Stop::Failed(format!("cannot write {}: {error}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
