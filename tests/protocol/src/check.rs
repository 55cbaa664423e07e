//! How a model is run: breadth first, so that a counterexample is a shortest one.

use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// The variable that selects the large instances, as `tests/long.sh` does.
pub const LONG: &str = "HOLDFAST_LONG";

/// Whether the large instances are to run.
pub fn is_long() -> bool {
    std::env::var_os(LONG).is_some_and(|value| !value.is_empty() && value != "0")
}

/// What an exploration found.
struct Explored {
    /// Distinct states.
    states: usize,
    /// Properties that must hold in every state, and do not, with a way there.
    violated: Vec<(&'static str, Vec<String>)>,
    /// Properties that some state must have, and none has.
    unreached: Vec<&'static str>,
}

impl Explored {
    /// The way to a violation of a property.
    fn violation(&self, property: &str) -> Option<Vec<String>> {
        self.violated.iter().find(|(name, _)| *name == property).map(|(_, steps)| steps.clone())
    }
}

/// Explores a model until a property is violated or no state is left, as far as `depth` states from the start.
fn explore<M>(model: M, depth: Option<usize>) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync,
    M::Action: Clone + PartialEq + std::fmt::Debug,
{
    let mut builder = model.checker().threads(1).finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = depth {
        builder = builder.target_max_depth(depth);
    }
    let checker = builder.spawn_bfs().join();
    let mut found = checker.discoveries();
    let mut explored = Explored { states: checker.unique_state_count(), violated: Vec::new(), unreached: Vec::new() };
    for property in checker.model().properties() {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => explored.unreached.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => {
                let steps = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
                explored.violated.push((property.name, steps));
            }
        }
    }
    explored
}

/// Demands that every property holds and that everything that must be reachable is reached.
///
/// # Panics
/// With the shortest counterexample.
pub fn holds<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync,
    M::Action: Clone + PartialEq + std::fmt::Debug,
{
    let start = Instant::now();
    let explored = explore(model, None);
    println!("{name}: holds in {} states, {:.1} s", explored.states, start.elapsed().as_secs_f32());
    assert!(explored.violated.is_empty(), "{name}: {}", told(&explored.violated));
    assert!(explored.unreached.is_empty(), "{name}: never reached: {:?}", explored.unreached);
}

/// Demands that the checker finds a counterexample to a property.
///
/// # Panics
/// Where it finds none.
pub fn breaks<M>(name: &str, property: &str, model: M)
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync,
    M::Action: Clone + PartialEq + std::fmt::Debug,
{
    let start = Instant::now();
    let explored = explore(model.clone(), None);
    let mut steps = explored.violation(property);
    assert!(steps.is_some(), "{name}: no state violates `{property}`");
    let mut shortest = Vec::new();
    // The checker finishes a block of states before it stops, and reports the last violation that it met there.
    while let Some(shorter) = steps {
        steps = explore(model.clone(), Some(shorter.len() + 1)).violation(property);
        shortest = shorter;
    }
    let spent = start.elapsed().as_secs_f32();
    println!("{name}: violated after {} states, {spent:.1} s, by\n    {}", explored.states, shortest.join("\n    "));
}

fn told(violated: &[(&'static str, Vec<String>)]) -> String {
    let one = |(name, steps): &(&str, Vec<String>)| format!("`{name}` is violated by\n    {}", steps.join("\n    "));
    violated.iter().map(one).collect::<Vec<_>>().join("\n")
}
