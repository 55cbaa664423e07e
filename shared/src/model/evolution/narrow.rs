//! Whether a type refuses values that another one accepted.

use std::cmp::Reverse;

use crate::model::schema::{FieldType, TextLimits};

/// Whether a value that `before` accepts may be refused by `after`. Both are of one type, or values of the one are stored as values of
/// the other.
pub(in crate::model) fn narrower(before: &FieldType, after: &FieldType) -> bool {
    match (before, after) {
        (FieldType::String(was) | FieldType::Text(was), FieldType::String(now) | FieldType::Text(now)) => texts(was, now),
        (FieldType::Integer { min: a, max: b }, FieldType::Integer { min: c, max: d }) => {
            range((Some(*a), Some(*b)), (Some(*c), Some(*d)))
        }
        (FieldType::Number { min: a, max: b }, FieldType::Number { min: c, max: d }) => range((*a, *b), (*c, *d)),
        (FieldType::Decimal { scale: old, min: a, max: b }, FieldType::Decimal { scale: new, min: c, max: d }) => {
            new < old || range((*a, *b), (*c, *d))
        }
        (FieldType::List { item: was, max_items: old }, FieldType::List { item: now, max_items: new }) => {
            new < old || (was != now && narrower(was, now))
        }
        (FieldType::File(was), FieldType::File(now)) => {
            now.max_size < was.max_size
                || now.link_expiry < was.link_expiry
                || now.share_expiry < was.share_expiry
                || fewer_types(&was.content_types, &now.content_types)
        }
        (FieldType::Enum(was), FieldType::Enum(now)) => !was.iter().all(|word| now.contains(word)),
        (FieldType::Formatted(was), FieldType::Formatted(now)) => was != now,
        (_, FieldType::Json { schema: None }) => false,
        (_, FieldType::String(now) | FieldType::Text(now)) => *now != TextLimits::default(),
        (FieldType::Integer { .. }, FieldType::Number { min: None, max: None }) => false,
        // Whether one JSON Schema accepts all that another does is beyond a comparison.
        _ => before != after,
    }
}

fn texts(was: &TextLimits, now: &TextLimits) -> bool {
    range((was.min, was.max), (now.min, now.max)) || (now.pattern.is_some() && now.pattern != was.pattern)
}

/// Whether a lower limit rose; an upper limit is one with its sides exchanged.
fn tighter<T: PartialOrd + Copy>(was: Option<T>, now: Option<T>) -> bool {
    match (was, now) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(was), Some(now)) => now > was,
    }
}

fn range<T: PartialOrd + Copy>(was: (Option<T>, Option<T>), now: (Option<T>, Option<T>)) -> bool {
    tighter(was.0, now.0) || tighter(was.1.map(Reverse), now.1.map(Reverse))
}

/// Whether a media type that was accepted no longer is; `image/*` accepts a whole family, and an empty list any.
fn fewer_types(was: &[String], now: &[String]) -> bool {
    let accepted = |media: &String| {
        let family = media.split_once('/').map(|(family, _)| format!("{family}/*"));
        now.contains(media) || family.is_some_and(|family| now.contains(&family))
    };
    !now.is_empty() && (was.is_empty() || !was.iter().all(accepted))
}
