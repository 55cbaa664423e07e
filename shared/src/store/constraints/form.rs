//! Forms of indexes: whether rows of another version of the model are those of this one.

use crate::model::evolution::{Form, index_form};
use crate::model::{Entity, Index, Model};

/// All that decides which bytes an index puts at which places.
pub fn fingerprint(model: &Model, entity: &Entity, index: &Index) -> String {
    index_form(model, entity, index).as_str().to_owned()
}

/// Whether rows of a form are those of an index: a word that came to the end of an enum changes no row.
pub(super) fn is_form(model: &Model, entity: &Entity, index: &Index, form: &str) -> bool {
    Form::new(form).keeps(&index_form(model, entity, index))
}
