//! `fencepost check`.

use super::args::CheckArgs;
use super::campaign;
use super::exit::{self, Stop};
use super::terminal::Terminal;
use crate::registry::Registry;
use crate::report::table::counted;

/// Reads files and shows all that is wrong with them.
pub fn check(args: &CheckArgs, registry: &Registry, terminal: &mut Terminal) -> Result<u8, Stop> {
    let entries = campaign::select(&args.files, registry)?;
    let mut bad = 0_u64;
    for entry in &entries {
        let mut sound = true;
        if let Err(error) = entry.load(registry) {
            terminal.print_problems(&error)?;
            sound = false;
        }
        if let Err(error) = entry.regressions() {
            terminal.print_error(&format!("error: {error}\n"))?;
            sound = false;
        }
        bad += u64::from(!sound);
    }
    let files = counted(entries.len() as u64, "scenario file");
    match bad {
        0 => terminal.print(&format!("{files}: nothing wrong\n"))?,
        _ => terminal.print(&format!("{files}: {bad} bad\n"))?,
    }
    Ok(if bad == 0 { exit::EXPECTED } else { exit::BAD_FILE })
}
