//! The program: ends with the exit code of `gwinstall::run`, and chooses the allocator.

use std::process::ExitCode;

/// musl's own allocator gives every file buffer back to the kernel at once: some 460 mappings for a run that changes
/// nothing, and a third of its time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    ExitCode::from(gwinstall::run())
}
