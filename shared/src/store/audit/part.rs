//! The entries of one exported object: read from all shards of their day in one order, and packed.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::window::{ExportPosition, PART, WINDOW};
use super::{AuditError, DOCUMENT, SHARDS, day, position};
use crate::core::clock::Micros;
use crate::store::keys;
use crate::store::table::{RangeQuery, Table, TableName};

/// Rows of one shard that are read at once.
const PAGE: usize = 1_000;
/// Most bytes that an object may unpack to: a part's entries, each as large as an item may be.
const UNPACKED: u64 = 1 << 30;

/// What one object holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Part {
    /// The entries, JSON, oldest first.
    pub(super) lines: Vec<String>,
    /// Key of the last of them.
    pub(super) last: Option<u128>,
}

/// What is left of one shard: rows in memory, and where to read on.
struct Shard {
    pk: String,
    rows: VecDeque<(u128, String)>,
    after: Option<Vec<u8>>,
    is_read: bool,
}

impl Part {
    /// Reads at most [`PART`] entries of a window behind a position. The outcome is the same whenever it is read, once nothing can be
    /// written into the window any more.
    pub(super) async fn read(table: &dyn Table, place: &ExportPosition) -> Result<Self, AuditError> {
        let (first, last) = bounds(place);
        let day = day(Micros(place.window.saturating_mul(1_000_000)));
        let of = |shard| Shard { pk: keys::audit(&day, shard, [0; 16]).pk, rows: VecDeque::new(), after: None, is_read: false };
        let mut shards: Vec<Shard> = (0..SHARDS).map(of).collect();
        let mut part = Self::default();
        while part.lines.len() < PART {
            // The next entry is known when every shard shows its first one.
            let empty = shards.iter_mut().filter(|shard| shard.rows.is_empty() && !shard.is_read);
            futures::future::try_join_all(empty.map(|shard| shard.more(table, first, last))).await?;
            let next = shards.iter_mut().filter(|shard| !shard.rows.is_empty()).min_by_key(|shard| shard.rows[0].0);
            let Some((at, line)) = next.and_then(|shard| shard.rows.pop_front()) else {
                // A page may be empty and yet not the last.
                if shards.iter().all(|shard| shard.is_read) {
                    break;
                }
                continue;
            };
            part.last = Some(at);
            part.lines.push(line);
        }
        Ok(part)
    }

    /// Whether there may be more behind it: a part that is not full is the last of its window.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() == PART
    }

    /// The object: gzip of one line per entry. No time stands in it, so that the same entries give the same bytes.
    pub(super) fn packed(&self) -> std::io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        for line in &self.lines {
            encoder.write_all(line.as_bytes())?;
            encoder.write_all(b"\n")?;
        }
        encoder.finish()
    }
}

/// The lines of an object; `None` if it is not one of ours.
pub(super) fn unpacked(object: &[u8]) -> Option<Vec<String>> {
    let mut text = String::new();
    GzDecoder::new(object).take(UNPACKED).read_to_string(&mut text).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// First and last sort key of what is to be read, both inclusive.
fn bounds(place: &ExportPosition) -> (u128, u128) {
    let at = |seconds: i64| position(Micros(seconds.saturating_mul(1_000_000)), 0);
    let first = place.after.map_or_else(|| at(place.window), |after| after.saturating_add(1));
    (first, at(place.window + WINDOW).saturating_sub(1))
}

impl Shard {
    /// Reads its next page.
    async fn more(&mut self, table: &dyn Table, first: u128, last: u128) -> Result<(), AuditError> {
        let page = table.query(RangeQuery {
            from: Some(first.to_be_bytes().to_vec()),
            to: Some(last.to_be_bytes().to_vec()),
            after: self.after.take(),
            limit: Some(PAGE),
            ..RangeQuery::partition(TableName::Data, self.pk.clone())
        });
        let page = page.await?;
        for item in page.items {
            let unreadable = || AuditError::Store(format!("unreadable row: {}", item.key.pk));
            let at = u128::from_be_bytes(item.key.sk.as_slice().try_into().map_err(|_| unreadable())?);
            self.rows.push_back((at, item.s(DOCUMENT).ok_or_else(unreadable)?.to_owned()));
        }
        self.is_read = page.next.is_none();
        self.after = page.next;
        Ok(())
    }
}
