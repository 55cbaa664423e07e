//! Permitted writes: a mutation becomes a [`Permitted`] one by an access decision about the very states that it names, and [`Writer`] takes
//! nothing else.

use std::ops::Deref;
use std::sync::Arc;

use super::permit::Denied;
use super::{Access, Permitted};
use crate::core::clock::{Env, Micros};
use crate::identity::auth::Principal;
use crate::model::value::Record;
use crate::model::{Action, Entity, FieldIx, Model};
use crate::query::condition::{RecordValues, Targets};
use crate::store::constraints::Constraints;
use crate::store::settle::Unsettled;
use crate::store::table::{Key, SharedTable};
use crate::store::write::{Admission, AttachedWrites, Batch, Check, Mutation, Swept, WriteError, Writer as RawWriter, Written};

/// State of a record, and what its references point to as far as conditions reach.
pub type State<'a> = (Record, &'a dyn Targets);

/// A creation as this principal may do it.
///
/// # Errors
/// [`Denied::Action`]: no rule lets it create this record.
pub fn permit_create(
    model: &Model,
    principal: &Principal,
    entity: &Entity,
    (record, targets): State<'_>,
) -> Result<Permitted<Mutation>, Denied> {
    let decision = Decision::of(model, principal, entity, Action::Create);
    decision.hold(&record, targets, None)?;
    Ok(Permitted::mutation(Mutation::create(entity, record), decision.access))
}

/// A change as this principal may do it: the record as it is and as it would be must both allow it. Which fields may be set is for
/// [`crate::model::validate`], by the masks of the same decision.
///
/// # Errors
/// [`Denied::Action`]: no rule lets it update one of the two states.
pub fn permit_update(
    model: &Model,
    principal: &Principal,
    entity: &Entity,
    before: State<'_>,
    after: State<'_>,
) -> Result<Permitted<Mutation>, Denied> {
    Decision::of(model, principal, entity, Action::Update).change(before, after, None)
}

/// The change of a record by an upload into `field` as this principal may do it.
///
/// # Errors
/// [`Denied::Action`]: no rule lets it upload into this field of this record, as it is or as it would be.
pub fn permit_upload(
    model: &Model,
    principal: &Principal,
    (entity, field): (&Entity, FieldIx),
    before: State<'_>,
    after: State<'_>,
) -> Result<Permitted<Mutation>, Denied> {
    Decision::of(model, principal, entity, Action::Upload).change(before, after, Some(field))
}

/// A deletion as this principal may do it.
///
/// # Errors
/// [`Denied::Action`]: no rule lets it delete this record.
pub fn permit_delete(
    model: &Model,
    principal: &Principal,
    entity: &Entity,
    (record, targets): State<'_>,
) -> Result<Permitted<Mutation>, Denied> {
    let decision = Decision::of(model, principal, entity, Action::Delete);
    decision.hold(&record, targets, None)?;
    Ok(Permitted::mutation(Mutation::delete(entity, record), decision.access))
}

/// What decides about one action of a principal.
struct Decision<'a> {
    model: &'a Model,
    entity: &'a Entity,
    action: Action,
    access: Access,
}

impl<'a> Decision<'a> {
    fn of(model: &'a Model, principal: &Principal, entity: &'a Entity, action: Action) -> Self {
        Self { model, entity, action, access: Access::of(model, principal, entity, action) }
    }

    /// Refuses a state that the access does not cover, or in which it does not cover `field`.
    fn hold(&self, record: &Record, targets: &dyn Targets, field: Option<FieldIx>) -> Result<(), Denied> {
        let values = RecordValues { model: self.model, entity: self.entity, record, targets };
        let mask = self.access.mask(self.model, self.entity, &values);
        match mask.is_some_and(|mask| field.is_none_or(|field| mask.contains(field))) {
            true => Ok(()),
            false => Err(Denied::Action { entity: self.entity.ix, action: self.action }),
        }
    }

    fn change(self, before: State<'_>, after: State<'_>, field: Option<FieldIx>) -> Result<Permitted<Mutation>, Denied> {
        self.hold(&before.0, before.1, field)?;
        self.hold(&after.0, after.1, None)?;
        Ok(Permitted::mutation(Mutation::update(self.entity, before.0, after.0), self.access))
    }
}

impl Deref for Permitted<Mutation> {
    type Target = Mutation;

    fn deref(&self) -> &Mutation {
        self.query()
    }
}

/// A write whose mutations policy has permitted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PermittedBatch {
    /// Changes; no two of one record.
    pub mutations: Vec<Permitted<Mutation>>,
    /// Records that must not have changed.
    pub checks: Vec<Check>,
    /// Items that are written with them.
    pub riders: AttachedWrites,
    /// Tags that are announced at beside those of the mutations: what is cached under them is void.
    pub voids: Vec<Key>,
}

impl From<PermittedBatch> for Batch {
    fn from(PermittedBatch { mutations, checks, riders, voids }: PermittedBatch) -> Self {
        Self { mutations: mutations.into_iter().map(Permitted::into_query).collect(), checks, riders, voids }
    }
}

/// Writes records of a model to a table: what policy has permitted,
///
/// ```
/// # use holdfast::{core::clock::Micros, query::policy::{PermittedBatch, Writer}, store::write::Admission};
/// async fn write(writer: &Writer, batch: PermittedBatch, admission: &Admission<'_>) {
///     let written = writer.write(batch, admission, Micros(0)).await;
/// }
/// ```
/// and nothing else. A mutation is not permitted by being named,
///
/// ```compile_fail,E0308
/// # use holdfast::{query::policy::PermittedBatch, store::write::Mutation};
/// fn unchecked(mutation: Mutation) -> PermittedBatch {
///     PermittedBatch { mutations: vec![mutation], ..PermittedBatch::default() }
/// }
/// ```
/// a permission cannot be made up,
///
/// ```compile_fail,E0451
/// # use holdfast::{query::policy::{Access, Permitted}, store::write::Mutation};
/// fn forged(mutation: Mutation) -> Permitted<Mutation> {
///     Permitted { query: mutation, access: Access::default(), related: Vec::new(), includes: Vec::new() }
/// }
/// ```
/// nor can a permitted mutation be changed,
///
/// ```compile_fail,E0594
/// # use holdfast::{query::policy::Permitted, store::write::Mutation};
/// fn changed(mut mutation: Permitted<Mutation>) {
///     mutation.after = None;
/// }
/// ```
/// and the writer below, which the store has for itself, is out of reach.
///
/// ```compile_fail,E0603
/// use holdfast::store::write::Writer;
/// ```
#[derive(Clone)]
pub struct Writer(RawWriter);

impl Writer {
    /// A writer: once per process.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env) -> Self {
        Self(RawWriter::new(table, model, env))
    }

    /// With the states of the model's constraints: see [`crate::store::constraints`].
    #[must_use]
    pub fn with_constraints(self, constraints: Arc<Constraints>) -> Self {
        Self(self.0.with_constraints(constraints))
    }

    /// All of `batch` or nothing, once `admission` is there, until `deadline`: see [`crate::store::write`].
    ///
    /// # Errors
    /// A [`WriteError`]; nothing was done, except that for [`WriteError::Unknown`] that is not known.
    pub async fn write(&self, batch: PermittedBatch, admission: &Admission<'_>, deadline: Micros) -> Result<Written, WriteError> {
        self.0.write_when(&batch.into(), admission, deadline).await
    }

    /// A write that nobody permitted, for tests of what is behind policy.
    ///
    /// # Errors
    /// As [`Writer::write`].
    #[cfg(any(test, feature = "test-util"))]
    pub async fn write_unchecked(&self, batch: &Batch, deadline: Micros) -> Result<Written, WriteError> {
        self.0.write(batch, deadline).await
    }

    /// Settles a write that has committed, before it is acknowledged: see [`Unsettled::settle`].
    pub async fn settle(&self, unsettled: Unsettled) {
        self.0.settle(unsettled).await;
    }

    /// Completes cascades that their writers left.
    ///
    /// # Errors
    /// A [`WriteError`]; the next sweep goes on.
    pub async fn sweep(&self, deadline: Micros) -> Result<Swept, WriteError> {
        self.0.sweep(deadline).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::caller::Caller;

    const MODEL: &str = "
name: T
entities:
  shop: {id: string, fields: {city: string}}
  sale:
    id: string
    fields: {shop: {ref: shop, inverse: sales}, sum: integer, receipt: {type: file}}
roles:
  seller:
    entities:
      sale:
        create: {rows: {sum: {lt: 100}}}
        update: {rows: {shop.city: Bonn}}
        delete: {rows: {sum: 0}}
        upload: {rows: {sum: 1}, fields: [receipt]}
";

    struct City(Record);

    impl Targets for City {
        fn target(&self, record: &Record, _: FieldIx) -> Option<&Record> {
            (record.fields["shop_id"] == *self.0.id).then_some(&self.0)
        }
    }

    fn record(id: &str, fields: Value) -> Record {
        Record { id: id.into(), version: "v".into(), fields: fields.as_object().unwrap().clone() }
    }

    #[test]
    fn a_mutation_is_permitted_by_its_own_states_alone() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let sale = model.by_name("sale").unwrap();
        let who = |role: &str| Principal::unverified(Caller { roles: vec![role.to_owned()], ..Caller::default() });
        let (seller, nobody) = (who("seller"), who("nobody"));
        let bonn = City(record("b", json!({"city": "Bonn"})));
        let of = |shop: &str, sum: i64| record("s", json!({"shop_id": shop, "sum": sum}));
        let create = |who: &Principal, sum| permit_create(&model, who, sale, (of("b", sum), &bonn)).is_ok();
        assert!(create(&seller, 99) && !create(&seller, 100) && !create(&nobody, 99));
        let delete = |who: &Principal, sum| permit_delete(&model, who, sale, (of("b", sum), &bonn)).is_ok();
        assert!(delete(&seller, 0) && !delete(&seller, 1) && !delete(&nobody, 0));
        let update =
            |from: &str, to: &str| permit_update(&model, &seller, sale, (of(from, 1), &bonn), (of(to, 2), &bonn)).is_ok();
        assert!(update("b", "b") && !update("x", "b") && !update("b", "x"), "both states, as their references reach");
        let upload = |field: &str, before, after| {
            let field = sale.by_field(field).unwrap().ix;
            permit_upload(&model, &seller, (sale, field), (of("b", before), &bonn), (of("b", after), &bonn)).is_ok()
        };
        assert!(upload("receipt", 1, 1) && !upload("sum", 1, 1) && !upload("receipt", 2, 1) && !upload("receipt", 1, 2));
    }

    #[test]
    fn what_is_permitted_is_what_is_written() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let sale = model.by_name("sale").unwrap();
        let seller = Principal::unverified(Caller { roles: vec!["seller".into()], ..Caller::default() });
        let bonn = City(record("b", json!({"city": "Bonn"})));
        let new = record("s", json!({"shop_id": "b", "sum": 1}));
        let permitted = permit_create(&model, &seller, sale, (new.clone(), &bonn)).unwrap();
        let batch: Batch = PermittedBatch { mutations: vec![permitted], ..PermittedBatch::default() }.into();
        assert_eq!(batch, Batch { mutations: vec![Mutation::create(sale, new)], ..Batch::default() });
    }
}
