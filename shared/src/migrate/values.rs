//! Values of records as the model wants them: under their new name, in the form of their type, and given where it has no null.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use super::rewrite::{Change, Rewrite};
use super::{Progress, Stuck};
use crate::core::clock::Env;
use crate::model::evolution::convert;
use crate::model::value::Record;
use crate::model::{Entity, Field, FieldType, Model};
use crate::store::constraints::{Lack, Lacking};
use crate::store::object;
use crate::store::table::TableError;

/// Values that an operator gives for fields that old records lack, by entity and field: `--fill order.status='"new"'`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fills(BTreeMap<(String, String), Value>);

impl Fills {
    /// Adds `ENTITY.FIELD=JSON`; a text that is no JSON stands for itself.
    ///
    /// # Errors
    /// A sentence for the operator: what is not known, or what the field refuses.
    pub fn add(&mut self, model: &Model, text: &str) -> Result<(), String> {
        let form = || format!("`{text}` is not of the form ENTITY.FIELD=VALUE, such as `order.status=new`");
        let (place, value) = text.split_once('=').ok_or_else(form)?;
        let (entity, name) = place.split_once('.').ok_or_else(form)?;
        let entity = model.by_name(entity).ok_or_else(|| format!("the model has no entity `{entity}`"))?;
        let field = entity.by_field(name).ok_or_else(|| format!("`{}` has no field `{name}`", entity.name))?;
        let given = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        let converted = convert(model, &field.kind, &given).filter(|value| !value.is_null());
        let value = converted.ok_or_else(|| format!("{given} is no value of {place}"))?;
        self.0.insert((entity.name.clone(), field.name.clone()), value);
        Ok(())
    }

    /// The value that records get which have none; `None`: nobody has said which.
    pub(super) fn value(&self, entity: &Entity, field: &Field, env: &Env) -> Option<Value> {
        let given = self.0.get(&(entity.name.clone(), field.name.clone())).or(field.fill.as_ref());
        // One value for all would be refused by the second record.
        let default = field.default.as_ref().filter(|_| !field.unique);
        let is_moment = field.kind == FieldType::Timestamp && field.read_only;
        given.or(default).cloned().or_else(|| is_moment.then(|| Value::from(env.now().rfc3339())))
    }
}

/// The rewriting of values.
pub(super) struct Values {
    pub(super) model: Arc<Model>,
    pub(super) env: Env,
    pub(super) lacking: Vec<Lacking>,
    pub(super) fills: Fills,
}

impl Values {
    /// Whether an entity's values lack anything.
    pub(super) fn concerns(&self, entity: &Entity) -> bool {
        self.lacking.iter().any(|lacking| lacking.entity == entity.ix)
    }

    /// What must be the same for a run to go on where another was.
    pub(super) fn plan(&self) -> String {
        let names = self.lacking.iter().map(|lacking| {
            let entity = self.model.entity(lacking.entity);
            format!("{}.{} {:?}", entity.name, entity.field(lacking.field).name, lacking.lack)
        });
        let mut names: Vec<String> = names.collect();
        names.push(format!("{:?}", self.fills));
        names.join("; ")
    }

    /// Those that lack nothing any more, by what could not change.
    pub(super) fn mended(&self, done: &Progress) -> Vec<Lacking> {
        let is_stuck = |lacking: &&Lacking| {
            let entity = self.model.entity(lacking.entity);
            done.stuck_in.contains(&format!("{}.{}", entity.name, entity.field(lacking.field).name))
        };
        self.lacking.iter().filter(|lacking| !is_stuck(lacking)).cloned().collect()
    }

    /// Whether a record has no value where the model promises one.
    pub(super) fn is_without(&self, entity: &Entity, record: &Record) -> bool {
        let is_null = |field: &Field| record.fields.get(&field.name).is_none_or(Value::is_null);
        let own = self.lacking.iter().filter(|lacking| lacking.entity == entity.ix && lacking.lack == Lack::Value);
        own.into_iter().any(|lacking| is_null(entity.field(lacking.field)))
    }

    fn change(&self, entity: &Entity, before: Record) -> (Option<Change>, Vec<Stuck>) {
        let (mut after, mut fields, mut stuck) = (before.clone(), Vec::new(), Vec::new());
        for lacking in self.lacking.iter().filter(|lacking| lacking.entity == entity.ix) {
            let field = entity.field(lacking.field);
            match self.mend(entity, field, &lacking.lack, &mut after) {
                Ok(true) if !fields.contains(&field.name) => fields.push(field.name.clone()),
                Ok(_) => {}
                Err(why) => {
                    let record = format!("{}/{}", entity.name, before.id);
                    stuck.push(Stuck { record, field: field.name.clone(), why });
                }
            }
        }
        ((!fields.is_empty()).then_some(Change { before, after, fields }), stuck)
    }

    /// Gives a record what the values of a field lack. Whether it lacked it.
    fn mend(&self, entity: &Entity, field: &Field, lack: &Lack, record: &mut Record) -> Result<bool, String> {
        let is_null = |record: &Record| record.fields.get(&field.name).is_none_or(Value::is_null);
        match lack {
            Lack::Name(before) => {
                let Some(value) = record.fields.remove(before) else { return Ok(false) };
                // The object of a file follows it.
                let object = record.fields.remove(&object::member(before));
                if is_null(record) {
                    record.fields.insert(field.name.clone(), value);
                    record.fields.extend(object.map(|object| (object::member(&field.name), object)));
                }
                self.convert(field, record).map(|_| true)
            }
            Lack::Form(_) => self.convert(field, record),
            Lack::Value if !is_null(record) => Ok(false),
            Lack::Value => {
                let value = self.fills.value(entity, field, &self.env).ok_or_else(|| {
                    let place = format!("{}.{}", entity.name, field.name);
                    format!("it has no value: give one by `fill` in the model or by `--fill {place}=VALUE`")
                })?;
                record.fields.insert(field.name.clone(), value);
                Ok(true)
            }
        }
    }

    /// The value in the form of the field's type.
    fn convert(&self, field: &Field, record: &mut Record) -> Result<bool, String> {
        let Some(value) = record.fields.get(&field.name).filter(|value| !value.is_null()) else { return Ok(false) };
        // A file is one as it is; nothing else becomes one.
        if object::limits(field).is_some() && object::key_of(&record.fields, field).is_some() {
            return Ok(false);
        }
        let converted = convert(&self.model, &field.kind, value);
        let converted = converted.ok_or_else(|| format!("{value} has no counterpart of the field's type within its limits"))?;
        let is_new = converted != *value;
        record.fields.insert(field.name.clone(), converted);
        Ok(is_new)
    }
}

impl Rewrite for Values {
    fn changes<'a>(
        &'a self,
        entity: &'a Entity,
        records: Vec<Record>,
    ) -> BoxFuture<'a, Result<Vec<(Option<Change>, Vec<Stuck>)>, TableError>> {
        Box::pin(std::future::ready(Ok(records.into_iter().map(|record| self.change(entity, record)).collect())))
    }
}
