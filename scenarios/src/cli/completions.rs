//! `fencepost completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::{self, Stop};
use super::terminal::Terminal;

pub fn print(shell: Shell, terminal: &mut Terminal) -> Result<u8, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fencepost", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(exit::EXPECTED)
}
