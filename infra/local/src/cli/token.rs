//! `holdfast token`: a token signed with the key of a data directory.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use holdfast::core::clock::Env;
use holdfast::identity::auth::local::{LocalIssuer, TokenRequest};
use serde_json::Value;

use super::{DataArgs, Failure, parse};

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Who it is for.
    #[arg(long, value_name = "U")]
    sub: String,
    /// A role of the model; may be repeated.
    #[arg(long = "role", value_name = "R")]
    roles: Vec<String>,
    /// A claim that rules of the model read, name=value; may be repeated. A value that is JSON counts as such.
    #[arg(long = "claim", value_name = "K=V", value_parser = parse::claim)]
    claims: Vec<(String, Value)>,
    /// A plan of the model.
    #[arg(long, value_name = "P")]
    plan: Option<String>,
    /// How long it is valid: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    expires: Duration,
    #[command(flatten)]
    data: DataArgs,
}

/// Prints the token.
///
/// # Errors
/// When the key cannot be read or made, or the token would live too long.
pub fn run(args: &TokenArgs) -> Result<(), Failure> {
    let request = TokenRequest {
        subject: args.sub.clone(),
        roles: args.roles.clone(),
        claims: args.claims.iter().cloned().collect(),
        plan: args.plan.clone(),
        expires_in: args.expires,
    };
    let token = mint(&args.data.data, &request)?;
    anstream::println!("{token}");
    Ok(())
}

/// A token by the key of a data directory.
///
/// # Errors
/// As [`run`].
pub fn mint(directory: &Path, request: &TokenRequest) -> Result<String, Failure> {
    let env = Env::system();
    let issuer = LocalIssuer::open(directory, &env)
        .map_err(|error| Failure(format!("the signing key in {}: {error}", directory.display())))?;
    Ok(issuer.token(request, env.now())?)
}
