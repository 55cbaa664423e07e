//! `holdfast apply`: consumers as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use holdfast::identity::consumer::{Change, Consumers, apply};
use holdfast::store::audit;
use holdfast::store::table::{TableName, Write};

use super::target::{Target, TargetArgs};
use super::{Failure, terminal};

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What consumers there shall be.
    file: PathBuf,
    /// Only show what would change; exits with 2 where something would.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Exit code of `--plan` where something would change.
const DIFFERENT: u8 = 2;

/// Shows the difference and makes it so.
///
/// # Errors
/// When the file or the tables cannot be read, or a step is refused; the steps before it stay done.
pub async fn run(args: ApplyArgs) -> Result<ExitCode, Failure> {
    let name = args.file.display().to_string();
    let source = std::fs::read_to_string(&args.file).map_err(|error| Failure(format!("{name}: {error}")))?;
    let target = Target::open(&args.target).await?;
    let outcome = steps(&target, &name, &source, args.plan).await;
    target.close().await;
    outcome
}

async fn steps(target: &Target, name: &str, source: &str, plan: bool) -> Result<ExitCode, Failure> {
    let desired = match apply::read(&target.model, name, source) {
        Ok(desired) => desired,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| terminal::error(&mistake.to_string()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let riders = |change: &Change| {
        let entry = change.entry(audit::Entry::of("operator", "holdfast apply"));
        vec![(TableName::Data, Write::Put { item: audit::item(entry, &target.env), condition: None })]
    };
    let consumers = Consumers { table: &target.table, model: &target.model, env: &target.env, riders: &riders };
    let steps = apply::diff(&desired, &consumers.all().await?);
    for (taken, step) in steps.iter().enumerate() {
        anstream::println!("{step}");
        if !plan {
            let left = |error| Failure(format!("{}: {error}; {taken} of {} are done: apply again", step.id(), steps.len()));
            consumers.take(step).await.map_err(left)?;
        }
    }
    let done = if plan { "would change" } else { "changed" };
    anstream::println!("{} {done}", if steps.is_empty() { "nothing".to_owned() } else { steps.len().to_string() });
    Ok(if plan && !steps.is_empty() { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use holdfast::core::clock::Micros;

    use super::super::serve::ENV_FILE;
    use super::*;
    use crate::{Local, Options};

    const MODEL: &str = "
name: Books
version: '1'
entities: {book: {plural: books, fields: {title: string}}}
roles: {reader: {all: true}}
plans: {free: {rates: {burst: {rate: 10, per: 1s, burst: 20}}}}
";

    fn target(directory: &Path) -> TargetArgs {
        let data = super::super::DataArgs { data: directory.join("data") };
        TargetArgs { model: directory.join("model.yaml"), data_table: None, volatile_table: None, data }
    }

    async fn apply(directory: &Path, text: &str, plan: bool) -> ExitCode {
        let file = directory.join("consumers.yaml");
        std::fs::write(&file, text).unwrap();
        run(ApplyArgs { file, plan, target: target(directory) }).await.unwrap()
    }

    async fn present(directory: &Path) -> (Vec<String>, Vec<String>) {
        let target = Target::open(&target(directory)).await.unwrap();
        let none = |_: &Change| Vec::new();
        let consumers = Consumers { table: &target.table, model: &target.model, env: &target.env, riders: &none };
        let ids = consumers.all().await.unwrap().into_iter().map(|consumer| consumer.id).collect();
        let yesterday = Micros(target.env.now().0 - 86_400_000_000);
        let recent = audit::Wanted::between(yesterday, target.env.now().plus(std::time::Duration::from_secs(1)));
        let trail = audit::list(&target.table, &recent, 50, None).await.unwrap();
        let mut actions: Vec<String> = trail.entries.into_iter().map(|entry| entry.action).collect();
        actions.sort();
        target.close().await;
        (ids, actions)
    }

    #[tokio::test]
    async fn a_file_is_applied_once_also_beside_a_server() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        std::fs::create_dir(directory.join("data")).unwrap();
        std::fs::write(directory.join("model.yaml"), MODEL).unwrap();
        let (two, wrong) = ("consumers: {a: {plan: free}, b: {roles: [reader]}}", "consumers: {a: {plan: gold}}");
        assert_eq!(apply(directory, two, true).await, ExitCode::from(DIFFERENT));
        assert_eq!(present(directory).await, (vec![], vec![]), "a plan changes nothing");
        assert_eq!(apply(directory, wrong, false).await, ExitCode::FAILURE);
        assert_eq!(apply(directory, two, false).await, ExitCode::SUCCESS);
        assert_eq!(apply(directory, two, true).await, ExitCode::SUCCESS, "nothing is left to do");
        let created = vec!["consumer.create".to_owned(); 2];
        assert_eq!(present(directory).await, (vec!["a".to_owned(), "b".to_owned()], created));

        let options = Options { data: Some(directory.join("data")), ..Options::in_memory(MODEL) };
        let server = Local::start(options).await.unwrap();
        let unserved = Target::open(&target(directory)).await.err().map(|Failure(why)| why);
        assert!(unserved.is_some_and(|why| why.contains("functions.env")), "the server has not said where its stores are");
        let (dynamodb, s3) = (&server.stores.dynamodb, &server.stores.s3);
        let left = format!("AWS_ENDPOINT_URL_DYNAMODB={dynamodb}\nAWS_ENDPOINT_URL_S3={s3}\n");
        std::fs::write(directory.join("data").join(ENV_FILE), left).unwrap();
        assert_eq!(apply(directory, "prune: true\nconsumers: {a: {disabled: true}}", false).await, ExitCode::SUCCESS);
        let actions = ["create", "create", "delete", "update"].map(|action| format!("consumer.{action}"));
        assert_eq!(present(directory).await, (vec!["a".to_owned()], actions.to_vec()));
        server.stop().await;
    }
}
