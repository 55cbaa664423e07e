//! `holdfast`: the API on one machine, and the tools around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_local::cli::main()
}
