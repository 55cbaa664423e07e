//! Conditions on a record: what filters and filled-in row conditions both are.

use serde::Serialize;
use serde_json::Value;

use crate::model::value::encode::order_at;
use crate::model::value::{Record, compare};
use crate::model::{Entity, FieldIx, FieldMask, FieldType, Model, Op, Path};

/// A condition whose operands are all known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Condition {
    /// Every one of these (empty: always true).
    All(Vec<Condition>),
    /// At least one of these (empty: never true).
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A comparison.
    Compare(Comparison),
}

/// `path op operands`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared.
    #[serde(serialize_with = "as_debug")]
    pub path: Path,
    /// Operator.
    #[serde(serialize_with = "as_debug")]
    pub op: Op,
    /// With what; one value, except for `in` and `nin`.
    pub operands: Vec<Value>,
}

fn as_debug<T: std::fmt::Debug, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}

/// Where a condition finds values: the record, and the records that its references point to.
pub trait Values {
    /// The value at a path; null where there is none.
    fn value(&self, path: Path) -> Value;
}

/// Records that references point to.
pub trait Targets {
    /// The record that the ref field `via` of `record` points to; `None` where there is none.
    fn target(&self, record: &Record, via: FieldIx) -> Option<&Record>;
}

/// Values of a record, and of the records that its references point to.
pub struct RecordValues<'a> {
    /// The model.
    pub model: &'a Model,
    /// Entity of the record.
    pub entity: &'a Entity,
    /// The record.
    pub record: &'a Record,
    /// What its references point to.
    pub targets: &'a dyn Targets,
}

impl Values for RecordValues<'_> {
    fn value(&self, path: Path) -> Value {
        let Path::Via(via, field) = path else { return self.record.get(self.entity, path).into_owned() };
        let FieldType::Ref { target, .. } = self.entity.field(via).kind else { return Value::Null };
        match self.targets.target(self.record, via) {
            Some(found) => found.get(self.model.entity(target), Path::Own(field)).into_owned(),
            None => Value::Null,
        }
    }
}

impl Condition {
    /// The condition that every record meets.
    pub const fn always() -> Self {
        Self::All(Vec::new())
    }

    /// Whether it is met by everything, whatever the record.
    pub fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.iter().all(Self::is_always))
    }

    /// Whether a record meets it.
    pub fn holds(&self, model: &Model, entity: &Entity, values: &dyn Values) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(model, entity, values)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(model, entity, values)),
            Self::Not(part) => !part.holds(model, entity, values),
            Self::Compare(comparison) => comparison.holds(model, entity, values),
        }
    }

    /// Calls `visit` with every path that it reads.
    pub fn paths(&self, visit: &mut dyn FnMut(Path)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.paths(visit)),
            Self::Not(part) => part.paths(visit),
            Self::Compare(comparison) => visit(comparison.path),
        }
    }

    /// The comparisons that must hold in any case: what an access path may be chosen by.
    pub fn required(&self) -> Vec<&Comparison> {
        match self {
            Self::All(parts) => parts.iter().flat_map(Self::required).collect(),
            Self::Any(parts) => match parts.as_slice() {
                [only] => only.required(),
                _ => Vec::new(),
            },
            Self::Compare(comparison) => vec![comparison],
            Self::Not(_) => Vec::new(),
        }
    }
}

impl Comparison {
    /// Whether a record meets it.
    pub fn holds(&self, model: &Model, entity: &Entity, values: &dyn Values) -> bool {
        compare::holds(&order_at(model, entity, self.path), &values.value(self.path), self.op, &self.operands)
    }

    /// The values that it fixes its path to, for `eq` and `in`.
    pub fn fixed(&self) -> Option<&[Value]> {
        matches!(self.op, Op::Eq | Op::In).then_some(self.operands.as_slice())
    }
}

/// The fields of the record itself among some paths.
pub fn own_fields(paths: impl IntoIterator<Item = Path>) -> FieldMask {
    paths
        .into_iter()
        .filter_map(|path| match path {
            Path::Own(field) | Path::Via(field, _) => Some(field),
            Path::Id => None,
        })
        .collect()
}
