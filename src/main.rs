//! Parses the command line, runs the command, prints its answer, ends with its exit code: nothing else.

use std::process::ExitCode;

use gwinstall::commands::{self, usage};
use gwinstall::doors::{signals, system};
use gwinstall::ui::{answer, manner, verb};

/// musl's own allocator gives every file buffer back to the kernel at once: some 460 mappings for a run that changes
/// nothing, and a third of its time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    system::harden();
    signals::listen();
    let cli = match usage::parse(system::arguments()) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    manner::set(&cli.common);
    let verb = verb::name(&cli);
    let result = commands::run(&cli);
    ExitCode::from(answer::print(verb, cli.common.json, result))
}
