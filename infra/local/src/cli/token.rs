//! `holdfast token`: a token signed with the key of a data directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use holdfast::core::clock::Env;
use holdfast::identity::auth::local::{KEY_FILE, LocalIssuer, TokenRequest};
use holdfast::model::Model;
use holdfast::query::policy::claims_of_role;
use serde_json::Value;

use super::serve::ENV_FILE;
use super::{Failure, model, parse, terminal};

/// Where a local server keeps its state if nothing else is said.
const DATA: &str = ".holdfast";

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
    /// Directory of the state of the server that is to accept it [default: .holdfast]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The model that has the roles and the plan [default: the one that was served last from the directory, else model.yaml]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
}

/// Prints the token.
///
/// # Errors
/// When there is no such data directory, role or plan, the key cannot be read or made, or the token would live too long.
pub fn run(args: &TokenArgs) -> Result<(), Failure> {
    let directory = args.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
    let served = args.model.clone().or_else(|| model_of(&directory));
    check_directory(args, &directory, served.is_some())?;
    if let Some(path) = served {
        check(args, &path)?;
    }
    let request = TokenRequest {
        subject: args.sub.clone(),
        roles: args.roles.clone(),
        claims: args.claims.iter().cloned().collect(),
        plan: args.plan.clone(),
        expires_in: args.expires,
    };
    let token = mint(&directory, &request)?;
    anstream::println!("{token}");
    Ok(())
}

/// The model that a server of the directory served last, or else the one in the working directory.
fn model_of(directory: &Path) -> Option<PathBuf> {
    let served = std::fs::read_to_string(directory.join(ENV_FILE)).unwrap_or_default();
    let served = served.lines().find_map(|line| line.strip_prefix("HOLDFAST_MODEL=")).map(PathBuf::from);
    served.into_iter().chain([PathBuf::from("model.yaml")]).find(|path| path.is_file())
}

/// A token that no server accepts helps nobody: a directory has to be there, unless it is the usual one beside a model, which the first
/// start makes.
fn check_directory(args: &TokenArgs, directory: &Path, has_model: bool) -> Result<(), Failure> {
    let shown = directory.display();
    let help = "start the server (`holdfast`), or name its directory by --data";
    if !directory.exists() {
        return match args.data.is_none() && has_model {
            true => Ok(()),
            false => Err(Failure(format!("there is no data directory {shown}: {help}"))),
        };
    }
    let empty = || std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
    match directory.join(KEY_FILE).exists() || empty() {
        true => Ok(()),
        false => Err(Failure(format!("{shown} is no data directory, it has no {KEY_FILE}: {help}"))),
    }
}

/// Holds roles and plan to the model, and says what claims the roles need.
fn check(args: &TokenArgs, path: &Path) -> Result<(), Failure> {
    let Some(model) = model::read(path)? else { return Err(Failure(format!("{} has mistakes", path.display()))) };
    args.roles.iter().try_for_each(|role| model::role(&model, role).map(drop))?;
    if let Some(plan) = args.plan.as_ref().filter(|plan| model.plan(plan).is_none()) {
        let known: Vec<&str> = model.plans.iter().map(|plan| plan.name.as_str()).collect();
        return Err(Failure(format!("the model has no plan {plan}; it has {}", known.join(", "))));
    }
    for role in &args.roles {
        if let Some(lacks) = lacking(&model, role, |claim| args.claims.iter().any(|(name, _)| name == claim)) {
            terminal::warning(&lacks);
        }
    }
    Ok(())
}

/// The claims that the rows of a role need beside those that a token has; `None` where there are none.
pub fn lacking(model: &Model, role: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    let lacking: Vec<String> = claims_of_role(model, role).into_iter().filter(|claim| !has(claim)).collect();
    let options: Vec<String> = lacking.iter().map(|claim| format!("--claim {claim}=VALUE")).collect();
    (!lacking.is_empty())
        .then(|| format!("rows of the role {role} are told by claims that the token does not carry; pass {}", options.join(" ")))
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
