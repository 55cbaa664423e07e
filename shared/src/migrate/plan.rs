//! What `migrate` is going to do: the steps that the model needs over what is stored, by the states of its constraints and values and by
//! the model that the data is of.

use crate::model::Model;
use crate::model::evolution::{MigrationStep, Step, When, describe, fill, in_order, steps};
use crate::store::constraints::{Lack, Lacking, Leftover, LeftoverKind, Rule, RuleKind, States, Target};

/// The steps, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// All of them.
    pub steps: Vec<Step>,
    /// Whether writes of the new version would be refused, because a unique field was not announced.
    pub is_unprepared: bool,
    /// Name of the model that the data is of, where it is another than that of the model.
    pub other_project: Option<String>,
    /// What versions of before had and the model has no more: `migrate --drop` removes it.
    pub leftovers: Vec<Leftover>,
}

/// Items and units of a migration, estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Units {
    /// Items that a scan reads.
    pub items: u64,
    /// Records that get other values.
    pub rewritten: u64,
    /// Records that have no value where the model promises one.
    pub without_value: u64,
    /// Rows that records may lack.
    pub rows: u64,
    /// Read units of the scans.
    pub read: u64,
    /// Write units, at most.
    pub write: u64,
}

impl Plan {
    /// By the states, and by the model that the data is of, where that is known.
    pub(super) fn new(old: Option<&Model>, new: &Model, states: &States, leftovers: Vec<Leftover>) -> Self {
        let told = old.map_or_else(Vec::new, |old| steps(old, new));
        let mut all: Vec<Step> = Vec::new();
        let lacking = states.lacking().iter().map(|lacking| of_lacking(new, lacking));
        let targets = states.targets(new).into_iter().map(|target| of_target(new, &target));
        let moved = states.moving().iter().map(|(entity, from)| {
            later(MigrationStep::RenameEntity { entity: new.entity(*entity).name.clone(), from: from.clone() })
        });
        let mut left: Vec<Step> = Vec::new();
        for step in leftovers.iter().map(step_of) {
            // Two forms of one rule are one step.
            if !left.contains(&step) {
                left.push(step);
            }
        }
        let surplus = states.surplus().iter().map(|rule| of_surplus(new, rule));
        for own in moved.chain(lacking).chain(targets).chain(surplus).chain(left) {
            // In the words of the comparison, where it says the same.
            let same = told.iter().find(|step| is_same(&step.work, &own.work));
            all.push(same.cloned().unwrap_or(own));
        }
        // Of an entity that is to be moved, the states will tell when it is.
        let is_moving = |step: &Step| {
            let entity = step.work.entity().and_then(|name| new.by_name(name));
            entity.is_some_and(|entity| states.moving().iter().any(|(moving, _)| *moving == entity.ix))
        };
        for step in told {
            let is_known = is_drop(&step.work) || (is_by_state(&step.work) && !is_moving(&step));
            if !is_known && !all.iter().any(|own| is_same(&own.work, &step.work)) {
                all.push(step);
            }
        }
        in_order(&mut all);
        let other_project = old.filter(|old| old.name != new.name).map(|old| old.name.clone());
        Self { steps: all, is_unprepared: states.unprepared().next().is_some(), other_project, leftovers }
    }

    /// Steps that `migrate` does by itself: not those that an operator decides on.
    pub fn own(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| is_by_state(&step.work) || matches!(step.work, MigrationStep::ConvertId { .. }))
    }

    /// What is left of an entity (`customer`), or under a name of one (`customer.email`); `all`: everything.
    pub fn chosen(&self, what: &str) -> Vec<Leftover> {
        let is_chosen = |one: &&Leftover| match what.split_once('.') {
            Some((entity, name)) => one.entity() == entity && one.name() == name,
            None => what == "all" || one.entity() == what,
        };
        self.leftovers.iter().filter(is_chosen).cloned().collect()
    }

    /// Whether there is something that `migrate` does by itself.
    pub fn is_needed(&self) -> bool {
        self.own().next().is_some()
    }

    /// Whether `migrate --prepare` must come before this model is deployed.
    pub fn is_needed_before(&self, units: &Units) -> bool {
        self.is_unprepared || units.without_value > 0
    }

    /// Whether a version with the model of before cannot go on afterwards.
    pub fn is_one_way(&self) -> bool {
        self.own().any(|step| step.work.is_one_way())
    }
}

/// Whether the states tell that a step is to be done.
fn is_by_state(work: &MigrationStep) -> bool {
    matches!(
        work,
        MigrationStep::RenameEntity { .. }
            | MigrationStep::RenameField { .. }
            | MigrationStep::Convert { .. }
            | MigrationStep::Fill { .. }
            | MigrationStep::BuildReference { .. }
            | MigrationStep::BuildUnique { .. }
            | MigrationStep::BuildIndex { .. }
            | MigrationStep::RemoveSurplus { .. }
    )
}

/// Whether the states tell what a step removes, once an operator asks for it.
fn is_drop(work: &MigrationStep) -> bool {
    matches!(
        work,
        MigrationStep::DropEntity { .. }
            | MigrationStep::DropField { .. }
            | MigrationStep::DropReference { .. }
            | MigrationStep::DropUnique { .. }
            | MigrationStep::DropIndex { .. }
    )
}

fn is_same(one: &MigrationStep, other: &MigrationStep) -> bool {
    let index = |work: &MigrationStep| match work {
        MigrationStep::BuildIndex { index, .. } | MigrationStep::DropIndex { index, .. } => Some(index.clone()),
        _ => None,
    };
    (one.name(), one.entity(), one.field(), index(one)) == (other.name(), other.entity(), other.field(), index(other))
}

fn of_lacking(model: &Model, lacking: &Lacking) -> Step {
    let entity = model.entity(lacking.entity);
    let field = entity.field(lacking.field);
    let (entity, name) = (entity.name.clone(), field.name.clone());
    match &lacking.lack {
        Lack::Name(from) => later(MigrationStep::RenameField { entity, field: name, from: from.clone() }),
        Lack::Form(from) => {
            let to = describe(model, &field.kind);
            later(MigrationStep::Convert { entity, field: name, from: from.clone(), to })
        }
        Lack::Value => Step { when: When::Before, work: MigrationStep::Fill { entity, field: name, value: fill(field) } },
    }
}

fn of_target(model: &Model, target: &Target) -> Step {
    let of = target.entity(model);
    let entity = of.name.clone();
    later(match target {
        Target::Index(_, index) => MigrationStep::BuildIndex { entity, index: of.index(*index).name.clone() },
        Target::Rule(rule) => {
            let field = of.field(rule.field).name.clone();
            match rule.kind {
                RuleKind::Unique => MigrationStep::BuildUnique { entity, field },
                RuleKind::Reference => MigrationStep::BuildReference { entity, field },
            }
        }
    })
}

fn of_surplus(model: &Model, rule: &Rule) -> Step {
    let entity = model.entity(rule.entity);
    let field = entity.field(rule.field).name.clone();
    later(MigrationStep::RemoveSurplus { entity: entity.name.clone(), field })
}

/// The step that removes it.
pub fn step_of(one: &Leftover) -> Step {
    let (entity, name) = (one.entity().to_owned(), one.name().to_owned());
    later(match one.kind() {
        LeftoverKind::Entity => MigrationStep::DropEntity { entity },
        LeftoverKind::Values => MigrationStep::DropField { entity, field: name },
        LeftoverKind::Unique => MigrationStep::DropUnique { entity, field: name },
        LeftoverKind::Reference => MigrationStep::DropReference { entity, field: name },
        LeftoverKind::Index => MigrationStep::DropIndex { entity, index: name },
    })
}

fn later(work: MigrationStep) -> Step {
    Step { when: When::After, work }
}
