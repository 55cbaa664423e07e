//! The records that references point to, where a condition reads through them (`customer.country = claim`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::app::App;
use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldIx, FieldType, Model, Path};
use crate::query::condition::{RecordValues, Targets, Values};
use crate::store::references::referred;
use crate::store::table::{TableError, TableName};
use crate::store::write::Check;
use crate::store::{items, keys};

/// Records of one entity seen together with those that some of its refs point to.
#[derive(Debug, Clone)]
pub struct Related {
    model: Arc<Model>,
    entity: EntityIx,
    targets: HashMap<(EntityIx, String), Record>,
    made: HashMap<(EntityIx, String), Record>,
}

impl Related {
    /// Reads, strongly consistent and in one batch, what the [`Path::Via`] among `paths` reach from `records` of `entity`.
    /// Nothing is read where there are none.
    ///
    /// # Errors
    /// What the table says; [`TableError::Broken`] for a damaged record.
    pub async fn load(app: &App, entity: &Entity, records: &[&Record], paths: &[Path]) -> Result<Self, TableError> {
        Self::load_with(app, entity, records, paths, HashMap::new()).await
    }

    /// As [`Related::load`], where records of `made` are about to be written by the same transaction: they count as they will be.
    ///
    /// # Errors
    /// As [`Related::load`].
    pub async fn load_with(
        app: &App,
        entity: &Entity,
        records: &[&Record],
        paths: &[Path],
        made: HashMap<(EntityIx, String), Record>,
    ) -> Result<Self, TableError> {
        let mut wanted = BTreeSet::new();
        for path in paths {
            let Path::Via(via, _) = path else { continue };
            let Some(target) = target(entity, *via) else { continue };
            wanted.extend(records.iter().filter_map(|record| Some((target, id_of(entity, record, *via)?))));
        }
        let wanted: Vec<(EntityIx, String)> = wanted.into_iter().filter(|key| !made.contains_key(key)).collect();
        let mut targets = HashMap::with_capacity(wanted.len());
        if !wanted.is_empty() {
            let place = |(target, id): &(EntityIx, String)| (TableName::Data, keys::record(app.model.entity(*target), id));
            let keys: Vec<_> = wanted.iter().map(place).collect();
            let found = app.table.get(&keys, true).await?;
            for (key, item) in wanted.into_iter().zip(found) {
                let Some(item) = item else { continue };
                let Some(record) = items::stored(Some(&item))? else { continue };
                targets.insert(key, record);
            }
        }
        Ok(Self { model: Arc::clone(&app.model), entity: entity.ix, targets, made })
    }

    /// A record of the entity, with what its refs reach.
    pub fn values<'a>(&'a self, record: &'a Record) -> impl Values + 'a {
        RecordValues { model: &self.model, entity: self.model.entity(self.entity), record, targets: self }
    }

    /// Forgets the record that a ref of `record` points to, as if there were none.
    pub fn hide(&mut self, record: &Record, via: FieldIx) {
        let entity = self.model.entity(self.entity);
        if let Some(place) = target(entity, via).zip(id_of(entity, record, via)) {
            self.made.remove(&place);
            self.targets.remove(&place);
        }
    }

    /// What must not have changed for a decision that was made by these records to stand. What the same transaction writes cannot.
    pub fn checks(&self) -> Vec<Check> {
        let check = |((entity, id), record): (&(EntityIx, String), &Record)| Check {
            entity: *entity,
            id: id.clone(),
            version: record.version.clone(),
        };
        self.targets.iter().map(check).collect()
    }
}

impl Targets for Related {
    fn target(&self, record: &Record, via: FieldIx) -> Option<&Record> {
        let entity = self.model.entity(self.entity);
        let place = (target(entity, via)?, id_of(entity, record, via)?);
        self.made.get(&place).or_else(|| self.targets.get(&place))
    }
}

fn target(entity: &Entity, via: FieldIx) -> Option<EntityIx> {
    match entity.field(via).kind {
        FieldType::Ref { target, .. } => Some(target),
        _ => None,
    }
}

/// The id in a ref field, as it stands in keys.
fn id_of(entity: &Entity, record: &Record, via: FieldIx) -> Option<String> {
    referred(Some(record.get(entity, Path::Own(via)).as_ref()))
}
