//! What versions of before had and the model has no more: told by the states, and removed only when an operator asks for it. What is
//! gone may come back as anything new.

use super::Constraints;
use super::entry;
use super::lacking::name_of_entity_before;
use super::protocol;
use super::rule::{self, RuleKind, name_before};
use super::run_mark::{ENTITY, Mark, VALUES, is_had_by};
use super::state_item::StateItem;
use crate::model::{Entity, Model};
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Expr, Item, Returning, TableError, TableName, Write};
use crate::store::{keys, tags};

/// Attribute of the item that names all entities which were ever written.
const NAMES: &str = "e";

/// Kind of a [`Leftover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// All records of an entity, with whatever belongs to them.
    Entity,
    /// The values of a field.
    Values,
    /// The rows of a field that was unique, or is so in another form.
    Unique,
    /// The rows of a field that was a ref, or is one to another entity.
    Reference,
    /// The rows of an index.
    Index,
}

/// Something stored that the model has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover(pub(crate) Mark);

impl Leftover {
    /// What it is.
    pub fn kind(&self) -> LeftoverKind {
        let mark = &self.0.text;
        match rule::parse(mark) {
            _ if mark == ENTITY => LeftoverKind::Entity,
            Some((RuleKind::Unique, _)) => LeftoverKind::Unique,
            Some((RuleKind::Reference, _)) => LeftoverKind::Reference,
            None if mark.starts_with(VALUES) => LeftoverKind::Values,
            None => LeftoverKind::Index,
        }
    }

    /// The entity that it was of.
    pub fn entity(&self) -> &str {
        &self.0.entity
    }

    /// Name of the field or index; of an entity, its own.
    pub fn name(&self) -> &str {
        let mark = &self.0.text;
        match rule::parse(mark) {
            _ if mark == ENTITY => self.entity(),
            Some((_, name)) => name,
            None => mark.split_once('_').map_or("", |(_, name)| name),
        }
    }
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (entity, name) = (self.entity(), self.name());
        match self.kind() {
            LeftoverKind::Entity => write!(out, "records of {entity}"),
            LeftoverKind::Values => write!(out, "values of {entity}.{name}"),
            LeftoverKind::Unique => write!(out, "unique values of {entity}.{name}"),
            LeftoverKind::Reference => write!(out, "references {entity}.{name}"),
            LeftoverKind::Index => write!(out, "index {entity}.{name}"),
        }
    }
}

/// What is left in an entity of the model.
fn of_entity(model: &Model, entity: &Entity, state: &StateItem) -> Vec<Leftover> {
    let known = state.known().unwrap_or_default();
    // Values under the name of before are about to be moved.
    let is_moving = |name: &String| entity.fields.iter().any(|field| name_before(&known, entity, field).as_ref() == Some(name));
    let values = known.keys().filter(|name| !is_moving(name)).map(|name| format!("{VALUES}{name}"));
    let rules = state.rules().into_iter().map(|(attribute, _)| attribute);
    let indexes = state.indexes().into_iter().map(|(name, _)| name).filter(|name| name != protocol::MARK);
    let all = values.chain(rules).chain(indexes.map(|name| entry::attribute(&name)));
    let gone = all.filter(|mark| !is_had_by(model, entity, mark));
    gone.map(|text| Leftover(Mark { entity: entity.name.clone(), text })).collect()
}

impl Constraints {
    /// What the model has no more. `also`: names of entities that an earlier model is known to have had.
    ///
    /// # Errors
    /// What the table says.
    pub async fn leftovers(&self, also: &[String]) -> Result<Vec<Leftover>, TableError> {
        let mut found = Vec::new();
        for (entity, item) in self.model.entities.iter().zip(self.load().await?) {
            found.extend(item.iter().flat_map(|item| of_entity(&self.model, entity, &StateItem::read(item))));
        }
        for name in self.names_beside(also).await? {
            let item = self.states_item(&name).await?;
            // Of an entity that has another name by now, nothing stands here.
            if item.is_some_and(|item| !StateItem::read(&item).is_moved()) {
                found.push(Leftover(Mark { entity: name, text: ENTITY.to_owned() }));
            }
        }
        Ok(found)
    }

    /// Entities that were written and are no entities of the model, and that none of it is going to be moved from.
    async fn names_beside(&self, also: &[String]) -> Result<Vec<String>, TableError> {
        let list = self.table.get(&[(TableName::Data, keys::entity_names())], true).await?.into_iter().next().flatten();
        let listed = list.as_ref().and_then(|list| list.attrs.get(NAMES)).and_then(Attr::as_ss).unwrap_or_default();
        let mut names: Vec<String> = listed.iter().chain(also).cloned().collect();
        names.sort();
        names.dedup();
        let is_moving =
            |name: &str| self.model.entities.iter().any(|entity| name_of_entity_before(&self.model, entity) == Some(name));
        names.retain(|name| self.model.by_name(name).is_none() && !is_moving(name));
        Ok(names)
    }

    /// Adds entities to the list of those that were ever written.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn list_names(&self, names: Vec<String>) -> Result<(), TableError> {
        let update = Expr::new("ADD #e :names").name("#e", NAMES).value(":names", Attr::Ss(names));
        let write = Write::Update { key: keys::entity_names(), update, condition: None };
        repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
    }

    /// Forgets that there was such a thing, unless a version has claimed it. Whether it was forgotten.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn forget_leftover(&self, one: &Leftover) -> Result<bool, TableError> {
        // Whatever was cached of it is void, should it come back.
        tags::touch(self.table.as_ref(), &self.env, keys::global_tag()).await?;
        loop {
            let Some(item) = self.states_item(one.entity()).await? else { return Ok(true) };
            let before = StateItem::read(&item);
            if !before.marks().contains_key(&one.0.text) {
                return Ok(false);
            }
            let done = match one.kind() {
                LeftoverKind::Entity => self.remove(&before).await?,
                _ => self.save(Some(&before), before.without(&one.0.text)).await?,
            };
            if done {
                return Ok(true);
            }
        }
    }

    /// The state item under a name.
    pub(super) async fn states_item(&self, entity: &str) -> Result<Option<Item>, TableError> {
        let place = [(TableName::Data, keys::states_of(entity))];
        Ok(repeated(&self.env, || self.table.get(&place, true)).await?.into_iter().next().flatten())
    }

    /// Removes a state item that still is as it was read. Whether it was.
    async fn remove(&self, before: &StateItem) -> Result<bool, TableError> {
        let write = before.removing();
        match repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await {
            Ok(_) => Ok(true),
            Err(TableError::ConditionFailed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl StateItem {
    /// As if there had never been what a mark names.
    fn without(&self, mark: &str) -> Self {
        let mut after = self.clone();
        after.set_mark(mark, None);
        match mark.strip_prefix(VALUES) {
            Some(field) => after.forget_field(field),
            None => after.forget_entry(mark),
        }
        after
    }
}
