//! Fields: flags that cancel each other, and limits that leave next to nothing.

use super::Warnings;
use crate::model::schema::{Entity, Field, FieldType, FileLimits, OnDelete, TextLimits};

impl Warnings {
    pub(super) fn field(&mut self, place: &str, entity: &Entity, field: &Field) {
        let is_part = entity.id_parts().contains(&field.ix);
        if field.required && field.default.is_some() && !is_part {
            self.add(place, "`required` has no effect beside `default`: a create may leave the field out");
        }
        if field.read_only && field.default.is_none() && !is_server_set(field) {
            self.add(place, "read_only without a default: it is null in every record, and nobody can set it");
        }
        if field.read_only && field.immutable {
            self.add(place, "read_only: nobody changes it anyway; `immutable` has no effect");
        }
        self.unique(place, field);
        self.reference(place, field, is_part);
        self.unused(place, field);
        self.limits(place, &field.kind);
    }

    fn unique(&mut self, place: &str, field: &Field) {
        if !field.unique {
            return;
        }
        let few = match &field.kind {
            FieldType::Boolean => Some(2),
            FieldType::Enum(words) => Some(words.len()),
            FieldType::Integer { min, max } => {
                max.checked_sub(*min).filter(|range| *range < 100).and_then(|range| usize::try_from(range + 1).ok())
            }
            _ => None,
        };
        if let Some(few) = few {
            self.add(place, format!("unique with {few} possible values: there can be at most {few} records that have one"));
        }
        if field.default.is_some() {
            self.add(place, "unique with a default: the second record that leaves it out is refused");
        }
    }

    fn reference(&mut self, place: &str, field: &Field, is_part: bool) {
        if let FieldType::Ref { on_delete: OnDelete::SetNull, .. } = field.kind
            && field.immutable
            && !is_part
        {
            self.add(place, "`on_delete: set_null` changes what `immutable` says never changes; clients cannot set it again");
        }
    }

    /// Keys that the type or another key leaves without effect.
    fn unused(&mut self, place: &str, field: &Field) {
        if field.write_only && field.scan {
            self.add(place, "write_only with `filter: scan`: nobody may filter by what nobody may read");
        }
        if field.fill.is_some() && field.fill == field.default {
            self.add(place, "`fill` says what `default` does already");
        }
        if field.was.as_deref() == Some(field.name.as_str()) {
            self.add(place, "`was` is its own name");
        }
    }

    fn limits(&mut self, place: &str, kind: &FieldType) {
        match kind {
            FieldType::String(limits) | FieldType::Text(limits) => self.text(place, limits),
            FieldType::Integer { min, max } if min == max => {
                self.add(place, format!("{min} is the only value that `min` and `max` allow"));
            }
            FieldType::Number { min: Some(min), max: Some(max) } if min.total_cmp(max).is_eq() => {
                self.add(place, format!("{min} is the only value that `min` and `max` allow"));
            }
            FieldType::Decimal { scale, min, max } => {
                for (key, bound) in [("min", min), ("max", max)] {
                    if let Some(bound) = bound.filter(|bound| bound.normalize().scale() > *scale) {
                        let digits = format!("values have at most {scale} digits after the point");
                        self.add(place, format!("`{key}: {bound}` is finer than the values: {digits}; set `scale` or round it"));
                    }
                }
                if let Some(only) = min.filter(|min| *max == Some(*min)) {
                    self.add(place, format!("{only} is the only value that `min` and `max` allow"));
                }
            }
            FieldType::Enum(words) => self.words(place, words),
            FieldType::List { item, .. } => self.limits(place, item),
            FieldType::File(limits) => self.file(place, limits),
            _ => {}
        }
    }

    fn text(&mut self, place: &str, limits: &TextLimits) {
        if limits.max == Some(0) {
            self.add(place, "`max: 0` allows only the empty text");
        }
        if limits.pattern.as_deref().is_some_and(|pattern| pattern.starts_with('^') || pattern.ends_with('$')) {
            self.add(place, "a pattern matches the whole value: `^` and `$` at its ends have no effect");
        }
    }

    fn words(&mut self, place: &str, words: &[String]) {
        if words.len() == 1 {
            self.add(place, "an enum of one word can have no other value");
        }
        let alike = |at: usize| words[..at].iter().find(|other| other.eq_ignore_ascii_case(&words[at]));
        if let Some((at, other)) = (0..words.len()).find_map(|at| Some((at, alike(at)?))) {
            self.add(place, format!("`{other}` and `{}` are different words that differ by case only", words[at]));
        }
    }

    fn file(&mut self, place: &str, limits: &FileLimits) {
        let accepts = |media: &str| {
            let family = media.split_once('/').map(|(family, _)| format!("{family}/*"));
            limits.content_types.is_empty()
                || limits.content_types.iter().any(|accepted| accepted == media || Some(accepted) == family.as_ref())
        };
        for media in limits.inline.iter().filter(|media| !media.ends_with("/*") && !accepts(media)) {
            self.add(place, format!("`inline` names {media}, which `content_types` does not accept"));
        }
    }
}

/// Whether the server sets the field by itself.
fn is_server_set(field: &Field) -> bool {
    matches!(field.kind, FieldType::File(_))
        || (field.kind == FieldType::Timestamp && ["created_at", "updated_at"].contains(&field.name.as_str()))
}
