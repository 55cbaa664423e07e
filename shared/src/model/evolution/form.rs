//! Forms of rows: all that decides which bytes stand at which keys. Rows of an earlier model are right exactly if its form is kept.
//!
//! A form is text, so that a store can keep it beside the rows; hashing it would make a word added at the end of an enum look like
//! another form.

use std::fmt::Write as _;

use crate::model::schema::{Entity, Field, FieldType, IdKind, Index, Model, Path};
use crate::model::value::encode::{Order, order_at, order_of};

/// The form of the rows of one index, one unique field or one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form(String);

/// Begins the line of a part that orders by the position of a word.
const WORDS: &str = "words ";

impl Form {
    /// A form as [`Form::as_str`] gave it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether rows of this form are rows of the other one too: equal, but for words that one of the two has at the end of an enum.
    pub fn keeps(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.0.lines(), other.0.lines());
        loop {
            match (own.next(), others.next()) {
                (None, None) => return true,
                (Some(own), Some(other)) if own == other || words_extend(own, other) => {}
                _ => return false,
            }
        }
    }
}

/// Whether both lines list words, and one of them only goes on.
fn words_extend(one: &str, other: &str) -> bool {
    let listed = |line: &str| line.strip_prefix(WORDS).and_then(|words| words.strip_suffix(']').map(str::to_owned));
    match (listed(one), listed(other)) {
        (Some(one), Some(other)) => {
            let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
            long.strip_prefix(&short).is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
        }
        _ => false,
    }
}

/// The form of the rows of a stored index.
pub fn index_form(model: &Model, entity: &Entity, index: &Index) -> Form {
    let mut text = format!("index {}\nid {}\n", index.name, id(&entity.id));
    for path in &index.equality {
        part(&mut text, "=", model, entity, *path);
    }
    for sorted in &index.sort {
        part(&mut text, if sorted.descending { "-" } else { "+" }, model, entity, sorted.by);
    }
    for field in index.projection.iter().flatten() {
        let _infallible = writeln!(text, "> {}", entity.field(*field).name);
    }
    Form(text)
}

/// One field of an index: its name and order on a line, and on another its words if it has some.
fn part(text: &mut String, sign: &str, model: &Model, entity: &Entity, path: Path) {
    let order = order_at(model, entity, path);
    let name = match path {
        Path::Id => "id",
        Path::Own(field) | Path::Via(field, _) => &entity.field(field).name,
    };
    let _infallible = writeln!(text, "{sign} {name} {}", order_name(&order));
    if let Order::Enum(words) = order {
        let _infallible = writeln!(text, "{WORDS}{words:?}");
    }
}

/// The form of the rows of a unique field. A value is hashed by what it means, a word of an enum as a text.
pub fn unique_form(model: &Model, entity: &Entity, field: &Field) -> Form {
    let order = match order_of(model, &field.kind) {
        Order::Enum(_) => "text",
        other => order_name(&other),
    };
    Form(format!("unique {} {order}\nid {}\n", field.name, id(&entity.id)))
}

/// The form of the rows that a ref has under the records it points to; `None` if the field is no ref.
pub fn reference_form(model: &Model, entity: &Entity, field: &Field) -> Option<Form> {
    let FieldType::Ref { target, on_delete } = field.kind else { return None };
    let target = model.entity(target);
    let rule = on_delete.name();
    Some(Form(format!("ref {}.{} {} {}\n{rule}\n", entity.name, field.name, target.name, id(&target.id))))
}

/// Whether two forms of a ref differ in nothing but their `on_delete`: then the rows are all there.
pub(super) fn same_but_rule(one: &Form, other: &Form) -> bool {
    one.0.lines().next() == other.0.lines().next()
}

/// Ids with equal text have equal bytes in keys, but for whole numbers, which are ordered by value.
fn id(kind: &IdKind) -> &'static str {
    if *kind == IdKind::Integer { "integer" } else { "text" }
}

fn order_name(order: &Order<'_>) -> &'static str {
    match order {
        Order::Text => "text",
        Order::Integer => "integer",
        Order::Decimal => "decimal",
        Order::Number => "number",
        Order::Boolean => "boolean",
        Order::Date => "date",
        Order::Timestamp => "timestamp",
        Order::Enum(_) => "enum",
        Order::None => "none",
    }
}
