//! What is complete, and what is not, at some moment.

use super::entry::{Entry, State};
use super::form::is_form;
use super::lacking::{Lack, Lacking, lacking as lacking_values, moving_from};
use super::rule::{Rule, RuleKind};
use super::state_item::StateItem;
use super::tag_policy;
use super::target::Target;
use crate::model::{Entity, EntityIx, FieldType, IndexIx, Model};
use crate::store::table::Item;

/// The states of all indexes of a model at some moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct States {
    not_ready: Vec<(EntityIx, IndexIx)>,
    /// Rules that cannot be relied on, and whether they were prepared for.
    pending: Vec<(Rule, bool)>,
    /// What stored values lack.
    lacking: Vec<Lacking>,
    /// Entities whose records stand under another name still.
    moving: Vec<(EntityIx, String)>,
    /// Rules that may have rows too many.
    surplus: Vec<Rule>,
    /// Whether the last writer kept other tags than this model names.
    other_tags: bool,
}

impl States {
    /// States in which these indexes are not complete.
    #[cfg(test)]
    pub(crate) fn without(not_ready: Vec<(EntityIx, IndexIx)>) -> Self {
        Self { not_ready, ..Self::default() }
    }

    /// By the state items of all entities in the model's order, and the tag policy at the end.
    pub(super) fn of(model: &Model, items: &[Option<Item>]) -> Self {
        let (mut not_ready, mut pending, mut lacking, mut over) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (entity, item) in model.entities.iter().zip(items) {
            let Some(item) = item else { continue };
            let state = StateItem::read(item);
            pending.extend(pending_rules(model, entity, &state));
            lacking.extend(lacking_values(model, entity, &state));
            let surplus = state.surplus();
            over.extend(Rule::of_entity(entity).filter(|rule| surplus.contains(&rule.attribute(model))));
            for index in entity.indexes.iter().filter(|index| index.is_stored()) {
                let entry = Entry::of(item, &index.name);
                let is_own = |entry: &Entry| is_form(model, entity, index, &entry.fingerprint);
                if !entry.is_some_and(|entry| entry.state == State::Ready && is_own(&entry)) {
                    not_ready.push((entity.ix, index.ix));
                }
            }
        }
        let from = |entity: &Entity| Some((entity.ix, moving_from(model, entity, items)?));
        let moving = model.entities.iter().filter_map(from).collect();
        let recorded = items.last().and_then(Option::as_ref);
        let other_tags = recorded.is_some_and(|recorded| !tag_policy::is_own(model, recorded));
        Self { not_ready, pending, lacking, moving, surplus: over, other_tags }
    }

    /// Whether an index may be read. One that stores no rows always may.
    pub fn is_ready(&self, entity: EntityIx, index: IndexIx) -> bool {
        !self.not_ready.contains(&(entity, index))
    }

    /// Whether writers keep the tags that this model names, so that answers can depend on them.
    pub fn tags_are_kept(&self) -> bool {
        !self.other_tags
    }

    /// Indexes that need a build before they can be read.
    pub fn not_ready(&self) -> &[(EntityIx, IndexIx)] {
        &self.not_ready
    }

    /// Rules that are not complete: older records may have values without a row.
    pub fn pending(&self) -> impl Iterator<Item = &Rule> {
        self.pending.iter().map(|(rule, _)| rule)
    }

    /// Rules of unique fields that nothing was prepared for: whoever took a value could not know that another has it.
    pub fn unprepared(&self) -> impl Iterator<Item = &Rule> {
        let is_unprepared = |(rule, prepared): &&(Rule, bool)| rule.kind == RuleKind::Unique && !prepared;
        self.pending.iter().filter(is_unprepared).map(|(rule, _)| rule)
    }

    /// All that is not complete, by entity.
    pub fn targets(&self, model: &Model) -> Vec<Target> {
        let indexes = self.not_ready.iter().map(|(entity, index)| Target::Index(*entity, *index));
        let rules = self.pending().cloned().map(Target::Rule);
        let mut all: Vec<Target> = indexes.chain(rules).collect();
        all.sort_by_key(|target| (target.entity(model).ix.0, target.name(model)));
        all
    }

    /// Rules that may have rows too many, which hinder nobody.
    pub fn surplus(&self) -> &[Rule] {
        &self.surplus
    }

    /// What would make this model refuse valid requests, as `unique order.number`; `None`: nothing that can be prepared.
    pub fn unprepared_for(&self, model: &Model) -> Option<String> {
        let unique = self.unprepared().next().map(|rule| Target::Rule(rule.clone()).name(model));
        let moving =
            || model.entities.iter().find(|entity| self.is_moving(entity.ix)).map(|entity| format!("entity {}", entity.name));
        unique.or_else(moving)
    }

    /// What stored values lack for the model.
    pub fn lacking(&self) -> &[Lacking] {
        &self.lacking
    }

    /// Whether records of an entity cannot be read as the model says, because values stand under another name still.
    pub fn is_moving(&self, entity: EntityIx) -> bool {
        let is_renamed = |lacking: &Lacking| lacking.entity == entity && matches!(lacking.lack, Lack::Name(_));
        self.lacking.iter().any(is_renamed) || self.moving.iter().any(|(moving, _)| *moving == entity)
    }

    /// Says in the log, for whoever rolls back, which values another version has stored in a form that this model does not read.
    pub(super) fn tell_other_forms(&self, model: &Model) {
        for lacking in &self.lacking {
            let Lack::Form(form) = &lacking.lack else { continue };
            let entity = model.entity(lacking.entity);
            let (entity, field) = (&entity.name, &entity.field(lacking.field).name);
            tracing::warn!(
                entity,
                field,
                form,
                "values are stored as another version of the model has them: `holdfast migrate --plan` tells more"
            );
        }
    }

    /// Entities whose records stand under another name still.
    pub fn moving(&self) -> &[(EntityIx, String)] {
        &self.moving
    }

    /// The rule, not complete yet, of a field by which records may refer to those of an entity: it is not known who does.
    pub fn unknown_references(&self, model: &Model, to: EntityIx) -> Option<&Rule> {
        self.pending().find(|rule| {
            let kind = &model.entity(rule.entity).field(rule.field).kind;
            rule.kind == RuleKind::Reference && matches!(kind, FieldType::Ref { target, .. } if *target == to)
        })
    }
}

/// The rules of an entity that are not complete, and whether something was prepared for them. Those of fields that were never stored
/// are: whoever writes first says so.
fn pending_rules(model: &Model, entity: &Entity, state: &StateItem) -> Vec<(Rule, bool)> {
    let known = state.known();
    let is_new = |rule: &Rule| known.as_ref().is_some_and(|known| !known.contains_key(&entity.field(rule.field).name));
    let rules = Rule::of_entity(entity).filter(|rule| !is_new(rule));
    let entries = rules.map(|rule| (state.entry(&rule.attribute(model)).map(|entry| entry.state), rule));
    entries.filter(|(state, _)| *state != Some(State::Ready)).map(|(state, rule)| (rule, state.is_some())).collect()
}
