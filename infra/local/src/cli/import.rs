//! `holdfast import`.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use holdfast::core::clock::Env;
use holdfast::identity::auth::local::TokenRequest;
use holdfast::model::{self, Model};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{BAD, DIM};
use super::{DEFAULT_PORT, DataArgs, Failure, parse, token};
use crate::demo;
use crate::import::{Loader, Report, Reshape, rows};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What the records are: the entity's name, or its plural as it stands in paths.
    entity: String,
    /// Files with one JSON object per line.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The API.
    #[arg(long, value_name = "URL", default_value_t = format!("http://127.0.0.1:{DEFAULT_PORT}"))]
    url: String,
    /// A token or API key that may create the records; without it one is made for role `admin` with the key in --data.
    #[arg(long, value_name = "T", env = "HOLDFAST_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Give members another name, from=to; several may follow.
    #[arg(long, value_name = "FROM=TO", value_parser = parse::pair, num_args = 1..)]
    rename: Vec<(String, String)>,
    /// Leave members out; several may follow.
    #[arg(long, value_name = "MEMBER", num_args = 1..)]
    drop: Vec<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Imports, and reports the result of every line.
///
/// # Errors
/// When a file cannot be read or going on makes no sense.
pub async fn run(args: ImportArgs) -> Result<ExitCode, Failure> {
    let model = model_here();
    let token = match &args.token {
        Some(token) => token.clone(),
        None => admin_token(&args, model.as_ref())?,
    };
    let loader = Loader::new(&args.url, &token, Env::system())?;
    let plural = loader.plural(&args.entity).await?;
    let reshape = Reshape { rename: args.rename.clone(), drop: args.drop.clone() };
    let mut total = Report::default();
    for path in &args.files {
        let open = |error| Failure(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(open)?;
        let (bytes, name) = (file.metadata().map_err(open)?.len(), path.display().to_string());
        let (bar, lines) = (progress(bytes, &name), RefCell::new(Lines::new(name, bytes, Instant::now())));
        let watched = std::io::stderr().is_terminal();
        let rows = rows(&plural, &path.display().to_string(), BufReader::new(file), &reshape);
        let done = |bytes| {
            bar.inc(bytes);
            let line = lines.borrow_mut().done(bytes, Instant::now());
            if let Some(line) = line.filter(|_| !watched) {
                anstream::eprintln!("{line}");
            }
        };
        let report = loader.load(rows, done).await;
        bar.finish_and_clear();
        let report = report?;
        show(&report);
        total.created += report.created;
        total.existing += report.existing;
        total.refused.extend(report.refused);
    }
    anstream::println!("{plural}: {} created, {} already there, {} refused", total.created, total.existing, total.refused.len());
    Ok(if total.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(report: &Report) {
    for refused in &report.refused {
        anstream::eprintln!("{BAD}refused{BAD:#} {refused} {DIM}({}){DIM:#}", refused.code);
    }
}

/// The model of the working directory, if there is one: it knows the plans.
fn model_here() -> Option<Model> {
    let source = std::fs::read_to_string("model.yaml").ok()?;
    model::parse("model.yaml", &source).ok()
}

fn admin_token(args: &ImportArgs, model: Option<&Model>) -> Result<String, Failure> {
    let request = TokenRequest {
        subject: "import".into(),
        roles: vec!["admin".into()],
        claims: std::collections::BTreeMap::new(),
        plan: model.and_then(demo::widest_plan),
        expires_in: Duration::from_secs(24 * 3600),
    };
    token::mint(&args.data.data, &request)
}

/// Lines that tell a log how far an import is, where no terminal shows a bar.
struct Lines {
    name: String,
    bytes: u64,
    done: u64,
    lines: u64,
    printed: Instant,
}

impl Lines {
    /// One line after so many of the file, or so much time.
    const EVERY: (u64, Duration) = (1000, Duration::from_secs(5));

    fn new(name: String, bytes: u64, now: Instant) -> Self {
        Self { name, bytes, done: 0, lines: 0, printed: now }
    }

    /// Counts a line of the file that has its final answer. Gives the text to print now, if any.
    fn done(&mut self, bytes: u64, now: Instant) -> Option<String> {
        self.done += bytes;
        self.lines += 1;
        let (lines, time) = Self::EVERY;
        if !self.lines.is_multiple_of(lines) && now.duration_since(self.printed) < time {
            return None;
        }
        self.printed = now;
        let percent = self.done.saturating_mul(100).checked_div(self.bytes).unwrap_or(100).min(100);
        Some(format!("{}: {} lines, {percent}%", self.name, self.lines))
    }
}

fn progress(bytes: u64, name: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(name.to_owned());
    match ProgressStyle::with_template("{msg} {bar:30.cyan/dim} {percent}% {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_hears_of_every_thousand_lines_and_of_every_five_seconds() {
        let begun = Instant::now();
        let mut lines = Lines::new("c.ndjson".into(), 4000, begun);
        let said: Vec<String> = (0..2000).filter_map(|_| lines.done(2, begun)).collect();
        assert_eq!(said, ["c.ndjson: 1000 lines, 50%", "c.ndjson: 2000 lines, 100%"]);
        let mut lines = Lines::new("c.ndjson".into(), 100, begun);
        assert_eq!(lines.done(10, begun + Duration::from_secs(4)), None);
        assert_eq!(lines.done(10, begun + Duration::from_secs(6)).as_deref(), Some("c.ndjson: 2 lines, 20%"));
        assert_eq!(lines.done(10, begun + Duration::from_secs(10)), None, "five seconds after the last");
    }
}
