//! The command line, as `contract.md` "Running it on one machine" has it.

mod apply;
mod drops;
mod evolve;
mod examples;
mod import;
mod migrate;
mod model;
mod openapi;
mod parse;
mod protocol_2;
mod reindex;
mod schema;
mod serve;
mod target;
mod terminal;
mod token;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use self::serve::ServeArgs;

/// Default port of the API.
pub const DEFAULT_PORT: u16 = 3000;

/// The API of model.yaml on one machine, with nothing else installed.
///
/// Without a command it serves: the API on http://127.0.0.1:3000, its data under .holdfast/, demo data at the first start.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, args_conflicts_with_subcommands = true, styles = terminal::STYLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (also what happens without a command).
    Serve(ServeArgs),
    /// Print a token that the local server accepts, and nothing else.
    Token(token::TokenArgs),
    /// Check a model, or compare two.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Print the JSON Schema of model.yaml, for editors: its first line may be `# yaml-language-server: $schema=model.schema.json`.
    Schema,
    /// Print the OpenAPI document of a role, or of all roles.
    Openapi(openapi::OpenApiArgs),
    /// Load records from NDJSON files through the API: in parallel, resumable, with a report of every refused line.
    Import(import::ImportArgs),
    /// Compare all that the data table holds, and repair what does not agree.
    Verify(verify::VerifyArgs),
    /// Rebuild an index while the API serves: after a change of the model for which `model diff` says so.
    Reindex(reindex::ReindexArgs),
    /// Bring what is stored to the model, while the API serves: rows of new indexes, references and unique fields, values under new names,
    /// of new types, and those that are missing. With options: give subjects the alias of their issuer, convert a table of before protocol 2.
    Migrate(migrate::MigrateArgs),
    /// Make the consumers what a file says, showing each difference.
    Apply(apply::ApplyArgs),
}

/// Where a local server keeps its state.
#[derive(Debug, Clone, Args)]
struct DataArgs {
    /// Directory of the state: records, files, the key that signs tokens.
    #[arg(long, value_name = "DIR", default_value = ".holdfast")]
    data: PathBuf,
}

/// A failure that the user can do something about: one sentence, shown after `error: `.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => run(serve::run(cli.serve)),
        Some(Command::Serve(args)) => run(serve::run(args)),
        Some(Command::Token(args)) => token::run(&args).map(|()| ExitCode::SUCCESS),
        Some(Command::Model(command)) => model::run(&command),
        Some(Command::Schema) => Ok(schema::run()),
        Some(Command::Openapi(args)) => openapi::run(&args),
        Some(Command::Import(args)) => run(import::run(args)),
        Some(Command::Verify(args)) => run(verify::run(args)),
        Some(Command::Reindex(args)) => run(reindex::run(args)),
        Some(Command::Migrate(args)) => run(migrate::run(args)),
        Some(Command::Apply(args)) => run(apply::run(args)),
    };
    outcome.unwrap_or_else(|Failure(why)| {
        terminal::error(&why);
        ExitCode::FAILURE
    })
}

fn run(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
