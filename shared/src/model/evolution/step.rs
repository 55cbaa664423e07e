//! Steps of a migration: typed, in words, and as JSON.

use std::fmt;

use serde_json::{Value, json};

/// When a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Before the new model is deployed, while the old one is served.
    Before,
    /// After the new model is deployed: its writers keep what the step builds.
    After,
}

/// The value that old records get.
#[derive(Debug, Clone, PartialEq)]
pub enum FillValue {
    /// `fill` of the model.
    Given(Value),
    /// `default` of the model, where it says no `fill`.
    Default(Value),
    /// The moment that a UUIDv7 tells, or that of the step: `created_at` and `updated_at`.
    Moment,
    /// None yet: the model needs a `fill`, or the command line.
    Missing,
}

/// What a step does. Names are those of the new model, but for what is dropped.
#[allow(
    missing_docs,
    reason = "the members of every variant are names: of an entity, of its field or index, of what was and what is"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum MigrationStep {
    /// Reports stored values that the new model forbids.
    CheckValues { entity: String, field: String },
    /// Finds the consumers that hold a role or a plan which goes.
    ReassignConsumers { kind: &'static str, name: String },
    /// Moves all records of an entity to another name, and removes every row that they had under the earlier one.
    RenameEntity { entity: String, from: String },
    /// Gives records ids of another kind, and those that refer to them.
    ConvertId { entity: String, from: String, to: String },
    /// Moves the values of a field to another name, and removes the rows that it had under the earlier one.
    RenameField { entity: String, field: String, from: String },
    /// Converts the values of a field.
    Convert { entity: String, field: String, from: String, to: String },
    /// Gives a value to records that have none in a field where the new model has no null.
    Fill { entity: String, field: String, value: FillValue },
    /// Writes the rows of a ref under the records that it points to. Until then deletes of these are refused.
    BuildReference { entity: String, field: String },
    /// Writes the rows of a unique field, and reports duplicates.
    BuildUnique { entity: String, field: String },
    /// Writes the rows of an index, in place of rows of another form.
    BuildIndex { entity: String, index: String },
    /// Removes the rows of a rule that a version without its field has left.
    RemoveSurplus { entity: String, field: String },
    /// Removes the values of a field that is no more: a later field of the name would show them.
    DropField { entity: String, field: String },
    /// Removes the records of an entity that is no more: a later entity of the name would show them.
    DropEntity { entity: String },
    /// Removes the rows of a ref that is no more; until then they keep the records that they lie under from being deleted.
    DropReference { entity: String, field: String },
    /// Removes the rows of a field that is no longer unique.
    DropUnique { entity: String, field: String },
    /// Removes the rows of an index that is no more.
    DropIndex { entity: String, index: String },
    /// Writes anew the stored subjects of an issuer with another alias; `None`: their claim is another one.
    RenameSubjects { from: String, to: Option<String> },
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When it is done.
    pub when: When,
    /// What it does.
    pub work: MigrationStep,
}

impl When {
    /// `before` or `after`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl MigrationStep {
    /// Its name in JSON: `build_index`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CheckValues { .. } => "check_values",
            Self::ReassignConsumers { .. } => "reassign_consumers",
            Self::RenameEntity { .. } => "rename_entity",
            Self::ConvertId { .. } => "convert_id",
            Self::RenameField { .. } => "rename_field",
            Self::Convert { .. } => "convert",
            Self::Fill { .. } => "fill",
            Self::BuildReference { .. } => "build_reference",
            Self::BuildUnique { .. } => "build_unique",
            Self::BuildIndex { .. } => "build_index",
            Self::RemoveSurplus { .. } => "remove_surplus",
            Self::DropField { .. } => "drop_field",
            Self::DropEntity { .. } => "drop_entity",
            Self::DropReference { .. } => "drop_reference",
            Self::DropUnique { .. } => "drop_unique",
            Self::DropIndex { .. } => "drop_index",
            Self::RenameSubjects { .. } => "rename_subjects",
        }
    }

    /// The entity that it works on; `None`: several.
    pub fn entity(&self) -> Option<&str> {
        match self {
            Self::ReassignConsumers { .. } | Self::RenameSubjects { .. } => None,
            Self::RenameEntity { entity, .. }
            | Self::CheckValues { entity, .. }
            | Self::ConvertId { entity, .. }
            | Self::RenameField { entity, .. }
            | Self::Convert { entity, .. }
            | Self::Fill { entity, .. }
            | Self::BuildReference { entity, .. }
            | Self::BuildUnique { entity, .. }
            | Self::BuildIndex { entity, .. }
            | Self::RemoveSurplus { entity, .. }
            | Self::DropField { entity, .. }
            | Self::DropEntity { entity }
            | Self::DropReference { entity, .. }
            | Self::DropUnique { entity, .. }
            | Self::DropIndex { entity, .. } => Some(entity),
        }
    }

    /// The field that it works on.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::CheckValues { field, .. }
            | Self::RenameField { field, .. }
            | Self::Convert { field, .. }
            | Self::Fill { field, .. }
            | Self::BuildReference { field, .. }
            | Self::BuildUnique { field, .. }
            | Self::RemoveSurplus { field, .. }
            | Self::DropField { field, .. }
            | Self::DropReference { field, .. }
            | Self::DropUnique { field, .. } => Some(field),
            _ => None,
        }
    }

    /// Whether an earlier version of the model cannot read what it leaves: a release with such a step cannot be rolled back.
    pub fn is_one_way(&self) -> bool {
        matches!(
            self,
            Self::RenameEntity { .. }
                | Self::ConvertId { .. }
                | Self::RenameField { .. }
                | Self::Convert { .. }
                | Self::DropField { .. }
                | Self::DropEntity { .. }
                | Self::RenameSubjects { .. }
        )
    }

    /// Members of its JSON beside `step`.
    fn details(&self) -> Value {
        match self {
            Self::ReassignConsumers { kind, name } => json!({"kind": kind, "name": name}),
            Self::RenameEntity { entity, from } => json!({"entity": entity, "from": from}),
            Self::ConvertId { entity, from, to } => json!({"entity": entity, "from": from, "to": to}),
            Self::RenameField { entity, field, from } => json!({"entity": entity, "field": field, "from": from}),
            Self::Convert { entity, field, from, to } => json!({"entity": entity, "field": field, "from": from, "to": to}),
            Self::Fill { entity, field, value } => json!({"entity": entity, "field": field, "value": value.json()}),
            Self::CheckValues { entity, field }
            | Self::BuildReference { entity, field }
            | Self::BuildUnique { entity, field }
            | Self::RemoveSurplus { entity, field }
            | Self::DropField { entity, field }
            | Self::DropReference { entity, field }
            | Self::DropUnique { entity, field } => json!({"entity": entity, "field": field}),
            Self::BuildIndex { entity, index } | Self::DropIndex { entity, index } => json!({"entity": entity, "index": index}),
            Self::DropEntity { entity } => json!({"entity": entity}),
            Self::RenameSubjects { from, to } => json!({"from": from, "to": to}),
        }
    }
}

impl FillValue {
    fn json(&self) -> Value {
        match self {
            Self::Given(value) | Self::Default(value) => value.clone(),
            Self::Moment | Self::Missing => Value::Null,
        }
    }
}

impl Step {
    /// `{"when": "after", "step": "build_index", "entity": "order", "index": "by_status", "one_way": false, "text": "..."}`
    pub fn json(&self) -> Value {
        let mut members = self.work.details();
        members["when"] = self.when.name().into();
        members["step"] = self.work.name().into();
        members["one_way"] = self.work.is_one_way().into();
        members["text"] = self.work.to_string().into();
        members
    }
}

impl fmt::Display for FillValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(value) => write!(out, "with {value}"),
            Self::Default(value) => write!(out, "with its default {value}"),
            Self::Moment => out.write_str("with the moment that the id tells (UUIDv7), or that of the migration"),
            Self::Missing => out.write_str("with a value that is still missing: add `fill: ...` to the field"),
        }
    }
}

impl fmt::Display for MigrationStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckValues { entity, field } => {
                write!(out, "check {entity}.{field}: report stored values that the new model forbids")
            }
            Self::ReassignConsumers { kind, name } => {
                write!(out, "reassign consumers: give those with the {kind} {name} another one")
            }
            Self::RenameEntity { entity, from } => write!(out, "rename {from} to {entity}: move its records"),
            Self::ConvertId { entity, from, to } => write!(out, "convert the ids of {entity}: {from} -> {to}"),
            Self::RenameField { entity, field, from } => write!(out, "rename {entity}.{from} to {field}: move its values"),
            Self::Convert { entity, field, from, to } => write!(out, "convert {entity}.{field}: {from} -> {to}"),
            Self::Fill { entity, field, value } => write!(out, "fill {entity}.{field} {value}"),
            Self::BuildReference { entity, field } => {
                write!(out, "build the references {entity}.{field}; until then deletes of what they point to are refused (503)")
            }
            Self::BuildUnique { entity, field } => {
                write!(out, "build the unique values of {entity}.{field}; duplicates are reported")
            }
            Self::BuildIndex { entity, index } => {
                write!(out, "build the index {entity}.{index}; until then lists that need it are refused (503)")
            }
            Self::RemoveSurplus { entity, field } => {
                write!(out, "remove rows of {entity}.{field} that a version without the field has left")
            }
            Self::DropReference { entity, field } => {
                write!(out, "remove the references {entity}.{field}; until then what they point to cannot be deleted (409)")
            }
            Self::DropField { entity, field } => {
                write!(out, "remove the values of {entity}.{field}, which a field of that name would show")
            }
            Self::DropEntity { entity } => write!(out, "remove the records of {entity}, which an entity of that name would show"),
            Self::DropUnique { entity, field } => write!(out, "remove the unique values of {entity}.{field}"),
            Self::DropIndex { entity, index } => write!(out, "remove the index {entity}.{index}"),
            Self::RenameSubjects { from, to: Some(to) } => {
                write!(out, "rename subjects {from}:... to {to}:...: `migrate --subject-issuer {to} --from {from}`")
            }
            Self::RenameSubjects { from, to: None } => {
                write!(out, "rename subjects {from}:...: values that name those of the earlier claim have to follow by hand")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_way = if self.work.is_one_way() { " (one-way)" } else { "" };
        write!(out, "{:<6}  {}{one_way}", self.when.name(), self.work)
    }
}
