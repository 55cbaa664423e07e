//! A sheet as an attribute: JSON, deflated.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::counts::UsageCounts;
use crate::store::table::{Item, Key};

/// Attribute of the packed sheet.
const SHEET: &str = "s";
/// Attribute with the second since 1970 after which the item may go.
const TTL: &str = "ttl";
/// Most bytes of a sheet that are unpacked: far more than any of ours has.
const MAX_UNPACKED: u64 = 64 << 20;

/// The item of a sheet; `until`: when it may go, seconds since 1970.
pub(super) fn item(key: Key, sheet: &UsageCounts, until: Option<i64>) -> Item {
    use crate::store::table::Attr;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Texts and finite numbers into memory: neither step can fail.
    let written = serde_json::to_vec(sheet).map_err(std::io::Error::other).and_then(|json| encoder.write_all(&json));
    let packed = written.and_then(|()| encoder.finish()).unwrap_or_default();
    let item = Item::new(key).with(SHEET, Attr::B(packed));
    match until {
        Some(until) => item.with(TTL, Attr::N(until)),
        None => item,
    }
}

/// The sheet of an item that is still good at `now` (seconds since 1970): time to live removes items days late.
pub(super) fn sheet(item: &Item, now: i64) -> Option<UsageCounts> {
    if item.n(TTL).is_some_and(|until| until < now) {
        return None;
    }
    let mut json = Vec::new();
    DeflateDecoder::new(item.b(SHEET)?).take(MAX_UNPACKED).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}
