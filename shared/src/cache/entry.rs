//! An answer as it is kept, and its form in the volatile table.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::key::CacheKey;
use super::snapshot::Stamp;
use crate::core::clock::Micros;
use crate::store::items;
use crate::store::table::{Attr, Item};

/// Attribute: when the tags were asked for, microseconds since 1970.
pub(super) const ASKED: &str = "a";
const STAMP: &str = "s";
const VERSION: &str = "v";
const BODY: &str = "z";
const NEXT: &str = "n";
const TOTAL: &str = "t";
const CHECK: &str = "c";
/// The volatile table's time to live, seconds since 1970.
const EXPIRES: &str = "ttl";

/// Most bytes of an entry: DynamoDB's items end at 400 KB.
const MAX_PACKED: usize = 350_000;
/// Most bytes of an unpacked body: more is never sent.
const MAX_UNPACKED: usize = 16 << 20;
/// As for answers: good for JSON at a few hundred MB/s.
const QUALITY: i32 = 4;

/// What a read answers, before anything that belongs to one request: no address, no coding, no cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Beginning of the `ETag`.
    pub version: String,
    /// JSON: the record, or the array of records.
    pub body: Bytes,
    /// Of a list: behind which sort key the next page begins.
    pub next: Option<Vec<u8>>,
    /// Of a list: how many records there are, where that was asked.
    pub total: Option<u64>,
}

/// An answer with what its tags said before its data were read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    /// Seconds since 1970.
    pub(super) expires: i64,
    pub(super) answer: Answer,
}

impl Entry {
    /// Its item; `None` where it would be too large.
    pub(super) fn encode(&self, key: &CacheKey, asked: Micros) -> Option<Item> {
        let mut packed = Vec::with_capacity(self.answer.body.len() / 4);
        let parameters = brotli::enc::BrotliEncoderParams { quality: QUALITY, ..Default::default() };
        // Writes to memory, which does not fail.
        brotli::BrotliCompress(&mut self.answer.body.as_ref(), &mut packed, &parameters).ok()?;
        let mut item = Item::new(key.item())
            .with(ASKED, Attr::N(asked.0))
            .with(STAMP, Attr::B(self.stamp.0.to_vec()))
            .with(VERSION, Attr::S(self.answer.version.clone()))
            .with(BODY, Attr::B(packed))
            .with(CHECK, Attr::B(self.check(key).to_vec()))
            .with(EXPIRES, Attr::N(self.expires));
        if let Some(next) = &self.answer.next {
            item = item.with(NEXT, Attr::B(next.clone()));
        }
        if let Some(total) = self.answer.total {
            item = item.with(TOTAL, Attr::N(i64::try_from(total).ok()?));
        }
        (items::size(&item) <= MAX_PACKED).then_some(item)
    }

    /// What an item holds that [`Entry::encode`] made for this key; otherwise what is wrong with it.
    pub(super) fn decode(key: &CacheKey, item: &Item) -> Result<Self, &'static str> {
        let missing = "an attribute is missing or of another type";
        let stamp = item.b(STAMP).and_then(|stamp| stamp.try_into().ok()).ok_or(missing)?;
        let packed = item.b(BODY).ok_or(missing)?;
        let total = item.n(TOTAL).map(|total| u64::try_from(total).map_err(|_| missing)).transpose()?;
        let answer = Answer {
            version: item.s(VERSION).ok_or(missing)?.to_owned(),
            body: unpacked(packed).ok_or("it cannot be unpacked")?,
            next: item.b(NEXT).map(<[u8]>::to_vec),
            total,
        };
        let entry = Self { stamp: Stamp(stamp), expires: item.n(EXPIRES).ok_or(missing)?, answer };
        let intact = item.b(CHECK) == Some(&entry.check(key)[..]);
        if intact { Ok(entry) } else { Err("it is not what was stored here") }
    }

    /// A hash over all of it and the name under which it stands: whatever is damaged or in the wrong place is no entry.
    fn check(&self, key: &CacheKey) -> [u8; 32] {
        let Self { stamp, expires, answer: Answer { version, body, next, total } } = self;
        let mut hash = Sha256::new_with_prefix(key.bytes());
        hash.update(stamp.0);
        hash.update(format!("{expires} {version:?} {next:?} {total:?} ").as_bytes());
        hash.update(body);
        hash.finalize().into()
    }
}

fn unpacked(packed: &[u8]) -> Option<Bytes> {
    use std::io::Read as _;
    let mut body = Vec::with_capacity(packed.len() * 4);
    let limit = MAX_UNPACKED as u64 + 1;
    brotli::Decompressor::new(packed, 4096).take(limit).read_to_end(&mut body).ok()?;
    (body.len() <= MAX_UNPACKED).then(|| body.into())
}
