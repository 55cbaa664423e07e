//! The state item of an entity: what is complete, which fields were ever stored and in which form, and what no record lacks.
//!
//! Whoever changes it does so on condition that its revision is the one that was read, so every change is made of the whole.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, State, attribute};
use super::form::{fingerprint, is_form};
use super::protocol;
use super::rule::{self, Rule, RuleKind, class, is_kept, name_before};
use super::run_mark::Phase;
use crate::core::clock::Micros;
use crate::model::{Entity, Model};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Write};

/// Attribute: counts the changes of the item.
pub(super) const REVISION: &str = "n";
/// Attribute: by field that was ever stored, the form of its values.
const KNOWN: &str = "k";
/// Attribute: fields that every record has.
const COMPLETE: &str = "c";
/// Attribute: by name that a field's values had, the name that they have.
const RENAMED: &str = "was";
/// Attributes: the entity to whose name all records are moved, and whether they were.
const MOVING: &str = "to";
const MOVED: &str = "gone";
/// Attribute: by mark of a run, how far that is ([`super::runs`]).
const MARKS: &str = "run";
/// Attribute: rules that may have rows too many ([`super::surplus`]).
const SURPLUS: &str = "over";
/// Attribute: when something ceased to be complete, microseconds since 1970.
const DEMOTED: &str = "at";
/// Form of a field whose values several versions of the model have stored in several forms.
const MIXED: &str = "mixed";

/// A state item in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StateItem(Item);

impl StateItem {
    /// That of an entity without records: everything is complete.
    pub(super) fn of_new(model: &Model, entity: &Entity) -> Self {
        let mut state = Self(protocol::marked(Item::new(keys::index_states(entity))));
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            state.set(attribute(&index.name), &ready(fingerprint(model, entity, index)));
        }
        for rule in Rule::of_entity(entity) {
            state.set(rule.attribute(model), &ready(rule.fingerprint(model)));
        }
        let known = entity.fields.iter().map(|field| (field.name.clone(), class(model, &field.kind)));
        state.set_known(known.collect());
        state.set_complete(entity.fields.iter().filter(|field| !field.nullable).map(|field| field.name.clone()).collect());
        state
    }

    pub(super) fn read(item: &Item) -> Self {
        Self(item.clone())
    }

    pub(super) fn entry(&self, attribute: &str) -> Option<Entry> {
        Entry::at(&self.0, attribute)
    }

    pub(super) fn set(&mut self, attribute: String, entry: &Entry) {
        self.0.attrs.insert(attribute, entry.attr());
    }

    /// The rules that some version of the model has, by attribute.
    pub(super) fn rules(&self) -> Vec<(String, Entry)> {
        let names = self.0.attrs.keys().filter(|name| rule::parse(name).is_some());
        names.filter_map(|name| Some((name.clone(), self.entry(name)?))).collect()
    }

    /// The indexes that some version of the model has, by name, and the mark of the protocol.
    pub(super) fn indexes(&self) -> Vec<(String, Entry)> {
        Entry::all(&self.0)
    }

    /// The marks of runs.
    pub(super) fn marks(&self) -> BTreeMap<String, Phase> {
        let Some(Attr::M(map)) = self.0.attrs.get(MARKS) else { return BTreeMap::new() };
        map.iter().filter_map(|(mark, phase)| Some((mark.clone(), Phase::parse(phase.as_s()?)?))).collect()
    }

    pub(super) fn set_mark(&mut self, mark: &str, phase: Option<Phase>) {
        let mut marks = self.marks();
        match phase {
            Some(phase) => marks.insert(mark.to_owned(), phase),
            None => marks.remove(mark),
        };
        let map: BTreeMap<String, Attr> =
            marks.into_iter().map(|(mark, phase)| (mark, Attr::S(phase.name().to_owned()))).collect();
        match map.is_empty() {
            true => self.0.attrs.remove(MARKS),
            false => self.0.attrs.insert(MARKS.to_owned(), Attr::M(map)),
        };
    }

    /// Nothing is complete any more.
    pub(super) fn end_promises(&mut self) {
        let rules = self.rules().into_iter().map(|(attribute, _)| attribute);
        let indexes = self.indexes().into_iter().map(|(name, _)| name).filter(|name| name != protocol::MARK);
        for attribute in rules.chain(indexes.map(|name| attribute(&name))).collect::<Vec<_>>() {
            self.demote(&attribute);
        }
        self.set_complete(BTreeSet::new());
    }

    /// What stands at an attribute is complete no longer.
    pub(super) fn demote(&mut self, attribute: &str) {
        let Some(entry) = self.entry(attribute) else { return };
        let state = if rule::parse(attribute).is_some() { State::Writing } else { State::Stale };
        self.set(attribute.to_owned(), &Entry { state, run: String::new(), ..entry });
    }

    pub(super) fn forget_entry(&mut self, attribute: &str) {
        self.0.attrs.remove(attribute);
        let mut surplus = self.surplus();
        surplus.remove(attribute);
        self.set_surplus(surplus);
    }

    /// The rules, by attribute, that may have rows too many.
    pub(super) fn surplus(&self) -> BTreeSet<String> {
        self.0.attrs.get(SURPLUS).and_then(Attr::as_ss).unwrap_or_default().iter().cloned().collect()
    }

    pub(super) fn set_surplus(&mut self, rules: BTreeSet<String>) {
        self.set_all(SURPLUS, rules);
    }

    /// Notes that a version which is about to write may leave rows of rules whose fields it does not know.
    fn note_surplus(&mut self, entity: &Entity) {
        let rules = self.rules().into_iter().map(|(attribute, _)| attribute);
        let unknown = rules.filter(|attribute| rule::parse(attribute).is_some_and(|(_, name)| entity.by_field(name).is_none()));
        let all: BTreeSet<String> = self.surplus().into_iter().chain(unknown).collect();
        self.set_surplus(all);
    }

    fn set_all(&mut self, attribute: &str, names: BTreeSet<String>) {
        match names.is_empty() {
            true => self.0.attrs.remove(attribute),
            false => self.0.attrs.insert(attribute.to_owned(), Attr::Ss(names.into_iter().collect())),
        };
    }

    /// When something ceased to be complete, if it ever did.
    pub(super) fn demoted(&self) -> Option<Micros> {
        self.0.n(DEMOTED).map(Micros)
    }

    pub(super) fn set_demoted(&mut self, now: Micros) {
        self.0.attrs.insert(DEMOTED.to_owned(), Attr::N(now.0));
    }

    /// Whether a version does not keep something that others may have relied on a moment ago.
    pub(super) fn is_broken_by(&self, model: &Model, entity: &Entity) -> bool {
        let breaks_rule = |(attribute, _): &(String, Entry)| rule::is_broken_by(model, entity, attribute);
        let indexes = self.indexes().into_iter().filter(|(name, _)| name != protocol::MARK);
        self.rules().iter().any(breaks_rule) || indexes.into_iter().any(|(name, entry)| !keeps(model, entity, &name, &entry))
    }

    /// As if a field had never been stored.
    pub(super) fn forget_field(&mut self, name: &str) {
        let mut known = self.known().unwrap_or_default();
        known.remove(name);
        self.set_known(known);
        self.remove_complete(name);
    }

    pub(super) fn remove_complete(&mut self, name: &str) {
        let mut complete = self.complete();
        if complete.remove(name) {
            self.set_complete(complete);
        }
    }

    /// The form of the stored values of each field that was ever stored; `None`: written by a version that did not record it.
    pub(super) fn known(&self) -> Option<BTreeMap<String, String>> {
        let Attr::M(map) = self.0.attrs.get(KNOWN)? else { return None };
        Some(map.iter().filter_map(|(name, class)| Some((name.clone(), class.as_s()?.to_owned()))).collect())
    }

    fn set_known(&mut self, known: BTreeMap<String, String>) {
        let map = known.into_iter().map(|(name, class)| (name, Attr::S(class))).collect();
        self.0.attrs.insert(KNOWN.to_owned(), Attr::M(map));
    }

    /// The fields that every record has.
    pub(super) fn complete(&self) -> BTreeSet<String> {
        let fields = self.0.attrs.get(COMPLETE).and_then(Attr::as_ss).unwrap_or_default();
        fields.iter().cloned().collect()
    }

    pub(super) fn set_complete(&mut self, fields: BTreeSet<String>) {
        self.set_all(COMPLETE, fields);
    }

    /// Whether all stored values of a field have the form that the model reads.
    pub(super) fn has_form(&self, name: &str, class: &str) -> bool {
        self.known().is_some_and(|known| known.get(name).is_none_or(|known| is_kept(known, class)))
    }

    /// Notes that all values of a field have this form.
    pub(super) fn set_form(&mut self, name: &str, class: String) {
        let mut known = self.known().unwrap_or_default();
        known.insert(name.to_owned(), class);
        self.set_known(known);
    }

    /// The entity to whose name the records are moved, or were.
    pub(super) fn moving_to(&self) -> Option<&str> {
        self.0.s(MOVING)
    }

    /// Whether all of them were.
    pub(super) fn is_moved(&self) -> bool {
        self.0.attrs.contains_key(MOVED)
    }

    pub(super) fn set_moving(&mut self, to: &str) {
        self.0.attrs.insert(MOVING.to_owned(), Attr::S(to.to_owned()));
    }

    pub(super) fn set_moved(&mut self) {
        self.0.attrs.insert(MOVED.to_owned(), Attr::Bool(true));
    }

    /// That of an entity to which the records of another name were moved, without a row.
    pub(super) fn moved(entity: &Entity, from: &Self, before: Option<&Self>) -> Self {
        let mut state = Self(protocol::marked(Item::new(keys::index_states(entity))));
        if let Some(revision) = before.and_then(|before| before.0.n(REVISION)) {
            state.0.attrs.insert(REVISION.to_owned(), Attr::N(revision));
        }
        state.set_known(from.known().unwrap_or_default());
        state.set_complete(from.complete());
        state
    }

    pub(super) fn add_complete(&mut self, name: &str) {
        let mut complete = self.complete();
        complete.insert(name.to_owned());
        self.set_complete(complete);
    }

    /// By name that values had, the name that they have.
    pub(super) fn renamed(&self) -> BTreeMap<String, String> {
        let Some(Attr::M(map)) = self.0.attrs.get(RENAMED) else { return BTreeMap::new() };
        map.iter().filter_map(|(before, after)| Some((before.clone(), after.as_s()?.to_owned()))).collect()
    }

    pub(super) fn set_renamed(&mut self, before: &str, after: &str) {
        let mut renamed = self.renamed();
        renamed.remove(after);
        renamed.insert(before.to_owned(), after.to_owned());
        let map = renamed.into_iter().map(|(before, after)| (before, Attr::S(after))).collect();
        self.0.attrs.insert(RENAMED.to_owned(), Attr::M(map));
    }

    /// Notes that the values of a field have another name and this form.
    pub(super) fn rename(&mut self, before: &str, after: &str, class: String) {
        let mut known = self.known().unwrap_or_default();
        known.remove(before);
        known.insert(after.to_owned(), class);
        self.set_known(known);
        let mut complete = self.complete();
        if complete.remove(before) {
            complete.insert(after.to_owned());
            self.set_complete(complete);
        }
    }

    /// Takes up a version of the model that is about to write: new fields have nothing stored, so their rules hold; what the version
    /// does not keep is complete no longer. Whether something ceased to be complete that readers or writers may rely on.
    pub(super) fn enroll(&mut self, model: &Model, entity: &Entity) -> bool {
        self.contradict(model, entity);
        self.enroll_fields(model, entity);
        self.note_surplus(entity);
        let complete = self.complete();
        let is_kept = |name: &&String| entity.by_field(name).is_some_and(|field| !field.nullable);
        let kept: BTreeSet<String> = complete.iter().filter(is_kept).cloned().collect();
        if kept != complete {
            self.set_complete(kept);
        }
        let mut demoted = self.enroll_indexes(model, entity);
        for (attribute, entry) in self.rules() {
            if entry.state != State::Writing && rule::is_broken_by(model, entity, &attribute) {
                self.set(attribute, &Entry { state: State::Writing, run: String::new(), ..entry });
                demoted = true;
            }
        }
        self.note_rows(model, entity);
        demoted
    }

    /// Notes of which indexes and references a version writes rows that nobody has built yet: should it go, they are known to be left over.
    fn note_rows(&mut self, model: &Model, entity: &Entity) {
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            if self.entry(&attribute(&index.name)).is_none() {
                let entry = Entry { state: State::Stale, ..ready(fingerprint(model, entity, index)) };
                self.set(attribute(&index.name), &entry);
            }
        }
        for rule in Rule::of_entity(entity).filter(|rule| rule.kind == RuleKind::Reference) {
            // Values are about to get the name of a field that is not known yet.
            let is_known = self.known().is_some_and(|known| known.contains_key(&entity.field(rule.field).name));
            if is_known && self.entry(&rule.attribute(model)).is_none() {
                self.set(rule.attribute(model), &Entry { state: State::Writing, ..ready(rule.fingerprint(model)) });
            }
        }
    }

    /// Marks the indexes that this model does not keep. Whether there was one.
    fn enroll_indexes(&mut self, model: &Model, entity: &Entity) -> bool {
        let mut demoted = false;
        for (name, entry) in Entry::all(&self.0).into_iter().filter(|(name, _)| name != protocol::MARK) {
            if keeps(model, entity, &name, &entry) || entry.state == State::Stale {
                continue;
            }
            self.set(attribute(&name), &Entry { state: State::Stale, run: String::new(), ..entry });
            demoted = true;
            tracing::warn!(entity = entity.name, index = name, "an index of another version of the model is stale from now on");
        }
        demoted
    }

    fn enroll_fields(&mut self, model: &Model, entity: &Entity) {
        let recorded = self.known();
        let mut known = recorded.clone().unwrap_or_default();
        for field in &entity.fields {
            let class = class(model, &field.kind);
            match known.get(&field.name) {
                Some(stored) if *stored == class => {}
                // From now on there may be others.
                Some(stored) if is_kept(stored, &class) => drop(known.insert(field.name.clone(), class)),
                Some(_) => drop(known.insert(field.name.clone(), MIXED.to_owned())),
                // Its values are about to get the name.
                None if recorded.as_ref().is_some_and(|recorded| name_before(recorded, entity, field).is_some()) => {}
                None => {
                    known.insert(field.name.clone(), class);
                    // Of a table that did not record fields, nobody knows whether the field is new.
                    for rule in Rule::of_field(entity, field).filter(|_| recorded.is_some()) {
                        if self.entry(&rule.attribute(model)).is_none() {
                            self.set(rule.attribute(model), &ready(rule.fingerprint(model)));
                        }
                    }
                }
            }
        }
        self.set_known(known);
    }

    /// Puts it in the place of the one that was read; `None`: there was none.
    pub(super) fn replacing(mut self, before: Option<&Self>) -> Write {
        let revision = before.map(|before| before.0.n(REVISION));
        let condition = before.map_or_else(|| Expr::new("attribute_not_exists(pk)"), Self::is_still);
        let next = revision.flatten().unwrap_or(0) + 1;
        self.0.attrs.insert(REVISION.to_owned(), Attr::N(next));
        Write::Put { item: self.0, condition: Some(condition) }
    }

    /// Removes the one that was read.
    pub(super) fn removing(&self) -> Write {
        Write::Delete { key: self.0.key.clone(), condition: Some(self.is_still()) }
    }

    fn is_still(&self) -> Expr {
        match self.0.n(REVISION) {
            None => Expr::new("attribute_exists(pk) AND attribute_not_exists(#n)").name("#n", REVISION),
            Some(revision) => Expr::new("#n = :n").name("#n", REVISION).value(":n", Attr::N(revision)),
        }
    }
}

/// Whether writes of a model keep the rows of an index.
fn keeps(model: &Model, entity: &Entity, name: &str, entry: &Entry) -> bool {
    let own = entity.by_index(name).filter(|index| index.is_stored());
    own.is_some_and(|index| is_form(model, entity, index, &entry.fingerprint))
}

fn ready(fingerprint: String) -> Entry {
    Entry { fingerprint, state: State::Ready, run: String::new() }
}
