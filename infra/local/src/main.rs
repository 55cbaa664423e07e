//! `holdfast`: the API on one machine, and the tools around it.

use std::process::ExitCode;

/// docs/performance.md has what it gains over the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast_local::cli::main()
}
