//! A model that changes over stored data: each fault that was seen, over HTTP, with a server that is started again on the same data.

mod changes;
mod drops;
mod large;
mod oracle;
mod recipes;

use std::sync::Arc;

use holdfast::migrate::{Evolution, Evolved, Fills, Plan};
use holdfast::store::table::SharedTable;
use holdfast::store::verify::{Report, Verifier};
use holdfast_local::Options;
use holdfast_tests::{Actor, System};
use tempfile::TempDir;

/// A data directory, and the system that serves it with the newest model.
struct Place {
    directory: TempDir,
    system: Option<System>,
}

impl Place {
    /// A new directory, served with a model.
    async fn new(model: &str) -> Self {
        let mut place = Self { directory: TempDir::new().unwrap(), system: None };
        place.serve(model).await;
        place
    }

    /// Serves it with another model.
    async fn serve(&mut self, model: &str) {
        self.stop().await;
        let data = Some(self.directory.path().join("data"));
        let options = Options { data: data.clone(), keys: data, ..Options::in_memory(model) };
        self.system = Some(System::start_with(options).await);
    }

    async fn stop(&mut self) {
        if let Some(system) = self.system.take() {
            system.stop().await;
        }
    }

    fn system(&self) -> &System {
        self.system.as_ref().unwrap()
    }

    fn admin(&self) -> Actor {
        self.system().admin()
    }

    fn evolution(&self, model: &str) -> Evolution {
        let system = self.system();
        let table: SharedTable = Arc::new(system.table());
        let model = holdfast::model::parse("model.yaml", model).unwrap();
        Evolution::new(table, Arc::new(model), holdfast::core::clock::Env::system(), Fills::default())
    }

    /// What a model needs over the data.
    async fn plan(&self, model: &str) -> Plan {
        self.evolution(model).plan().await.unwrap()
    }

    async fn migrate(&self, model: &str) -> Evolved {
        self.evolution(model).run(std::time::Duration::ZERO, |_| {}, |_| {}).await.unwrap()
    }

    async fn verify(&self, repair: bool) -> Report {
        let system = self.system();
        let (table, model): (SharedTable, _) = (Arc::new(system.table()), Arc::clone(&system.local().model));
        let env = holdfast::core::clock::Env::system();
        let deadline = env.now().plus(std::time::Duration::from_secs(60));
        Verifier::new(table, model, env, repair).run(deadline, |_| {}).await.unwrap()
    }

    /// Verifies that nothing is wrong.
    async fn assert_clean(&self) {
        let report = self.verify(false).await;
        assert_eq!(report.problems, 0, "{:#?}", report.listed);
    }
}

/// A model of these entities, each `name: fields, lines of YAML`.
fn model(entities: &[(&str, &str)]) -> String {
    let entity = |(name, fields): &(&str, &str)| {
        let lines: String = fields.lines().map(|line| format!("      {}\n", line.trim_end())).collect();
        format!("  {name}:\n    id: string\n    fields:\n{lines}")
    };
    let entities: String = entities.iter().map(entity).collect();
    let plans = "plans:\n  wide: {rates: {burst: {rate: 10000, per: 1s, burst: 10000}}}\n";
    let roles = "roles:\n  admin: {all: true, system: all}\n";
    format!("name: Shop\nversion: 1.0.0\nentities:\n{entities}{roles}{plans}auth: {{default_plan: wide}}\n")
}
