//! Parses the command line, runs the command, prints its answer, ends with its exit code: nothing else. A shell that asks
//! for completions gets them instead.

use std::process::ExitCode;

use gwinstall::commands::{self, answer, completions, usage};
use gwinstall::doors::{signals, system};

/// musl's own allocator gives every file buffer back to the kernel at once: some 460 mappings for a run that changes
/// nothing, and a third of its time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    system::harden();
    signals::listen();
    let arguments = system::arguments();
    if let Some(code) = completions::asked(&arguments) {
        return ExitCode::from(code);
    }
    let cli = match usage::parse(arguments) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    commands::set_manner(&cli.common);
    let verb = commands::verb(&cli);
    let result = commands::run(&cli);
    ExitCode::from(answer::print(verb, cli.common.json, result))
}
