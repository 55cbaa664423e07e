//! `holdfast schema`: the JSON Schema of `model.yaml`, for editors.

use std::process::ExitCode;

use holdfast::model;

/// Prints it.
pub fn run() -> ExitCode {
    anstream::println!("{:#}", model::format_schema());
    ExitCode::SUCCESS
}
