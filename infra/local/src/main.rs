//! `holdfast`: the API on one machine, and the tools around it.

use std::process::ExitCode;

/// A prototype served 1.05 to 1.2 times as many requests a second with it as with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast_local::cli::main()
}
