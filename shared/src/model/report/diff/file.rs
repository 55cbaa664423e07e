//! Limits of files: they hold for uploads and links, never for what is stored.

use super::changes::Changes;
use crate::model::schema::FileLimits;

/// Adds all changes of the limits of a file field.
pub(super) fn limits(changes: &mut Changes, place: &str, was: &FileLimits, now: &FileLimits) {
    let sizes = (was.max_size, now.max_size);
    let what = format!("max_size {} -> {}", sizes.0, sizes.1);
    changes.either(place, sizes, sizes.1 < sizes.0, what, ("larger uploads are refused; stored files stay", "more is accepted"));
    content_types(changes, place, &was.content_types, &now.content_types);
    let why = ("browsers save it instead of displaying it", "browsers display it");
    changes.listed(place, "inline", (&was.inline, &now.inline), why);
    let links = (was.link_expiry, now.link_expiry);
    changes.either(
        place,
        links,
        links.1 < links.0,
        "link_expiry changed".to_owned(),
        ("links live shorter", "links may live longer"),
    );
    let shares = (was.share_expiry, now.share_expiry);
    let why = ("shares live shorter, or are refused", "shares may live longer");
    changes.either(place, shares, shares.1 < shares.0, "share_expiry changed".to_owned(), why);
}

/// An empty list accepts any type.
fn content_types(changes: &mut Changes, place: &str, was: &[String], now: &[String]) {
    let why = ("such uploads are refused; stored files stay", "more is accepted");
    match (was.is_empty(), now.is_empty()) {
        (true, false) => changes.breaking(place, format!("content_types any -> {}", now.join(", ")), why.0),
        (false, true) => changes.compatible(place, format!("content_types {} -> any", was.join(", ")), why.1),
        _ => changes.listed(place, "content type", (was, now), why),
    }
}
