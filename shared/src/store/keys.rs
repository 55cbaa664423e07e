//! Where each kind of item stands: the one place that knows the layout of the two tables.
//!
//! | item | `pk` | `sk` |
//! |---|---|---|
//! | record | `r#<entity>#<id>` | `0x00` |
//! | gate of a record that others refer to | `g#<entity>#<id>` | shard, two bytes |
//! | reference to a record | `f#<entity>#<id>` | `<referring entity>#<field>#<id>` |
//! | fence of an attempt to write | `tf#<token>` | `0x00` |
//! | tombstone of a cascade | `d*` | entity, `#`, id |
//! | where an interrupted migration stands | `m#<migration>` | `0x00` |
//! | state item of an entity | `x#<entity>` | `0x00` |
//! | which tags writers keep | `x#*` | `0x00` |
//! | names of all entities that were ever written | `xe` | `0x00` |
//! | index row | `i#<entity>#<index>#<equality values, hex>` | sort values, id |
//! | unique value | `u#<entity>#<field>#<hash>` | `0x00` |
//! | tag of a partition of an index with equality fields | `t#<the partition's pk>` | shard, two bytes |
//! | tag of an entity | `t#e#<entity>` | shard, two bytes |
//! | tag of everything | `t#*` | `0x00` |
//! | idempotency row | `k#<hash of consumer, subject, key>` | part, two bytes |
//! | audit entry | `a#<day>#<shard>` | moment, random |
//! | how far the audit trail is exported | `ae` | `0x00` |
//! | outbox entry | `o#<shard>` | moment, random |
//! | what is to vanish | `v#<shard>` | due moment, random |
//! | upload under way | `w#<entity>#<id>#<field>` | hash of consumer, subject |
//! | share | `h#<hash of its secret>` | `0x00` |
//! | share in the lists of its file and consumer | `hf#<entity>#<id>#<field>`, `hc#<consumer>` | share id |
//! | cache entry (volatile) | `z#<hash of question and access>` | `0x00` |
//! | lease on filling one (volatile) | `zl#<hash of question and access>` | hash of what its tags say |
//! | listed notice (volatile) | `n#<consumer>` and `n*` | moment, random |
//! | watched consumer (volatile) | `w#<shard>` | the id |
//! | consumer | `c#<id>`; listed under `c*` | `0x00`; the id |
//! | API key | `y#<key id>`; listed under `c#<consumer>` | `0x00`; `y#<key id>` |
//! | limiter | `l#<consumer>` | `0x00` |
//! | usage not merged yet (volatile) | `uf#<shard>` | minute, instance, sequence |
//! | last merged sequence of an instance (volatile) | `um` | instance |
//! | state of the merging (volatile) | `us` | `0x00` |
//! | usage since ever (volatile) | `ut` | `0x00` |
//! | anomaly that was told (volatile) | `uo#<consumer>` | day, sign |
//! | usage of all, of a consumer (volatile) | `ur*<level>`, `ur#<level>#<consumer>` | start, seconds |
//!
//! Entity, field and index names are `[a-z][a-z0-9_]*` and ids hold no `#`, so no two kinds can meet in one key.

use crate::model::value::Record;
use crate::model::value::encode::{self, order_at};
use crate::model::{Entity, Index, MAX_SORT_KEY, Model};
use crate::store::table::Key;

/// Sort key of items that are alone in their partition.
pub const ONLY: [u8; 1] = [0];

/// A record.
pub fn record(entity: &Entity, id: &str) -> Key {
    Key::new(format!("r#{}#{id}", entity.name), ONLY)
}

/// A record of an entity that the model may not have.
pub fn record_of(entity: &str, id: &str) -> Key {
    Key::new(format!("r#{entity}#{id}"), ONLY)
}

/// One of the gates of a record.
pub fn gate(entity: &Entity, id: &str, shard: u16) -> Key {
    Key::new(format!("g#{}#{id}", entity.name), shard.to_be_bytes())
}

/// The partition of all references to a record.
pub fn references(entity: &Entity, id: &str) -> String {
    format!("f#{}#{id}", entity.name)
}

/// The row of a reference to a record, by a field of the record `child` of another entity (or the same).
pub fn reference(entity: &Entity, id: &str, child_entity: &str, field: &str, child: &str) -> Key {
    Key::new(references(entity, id), format!("{child_entity}#{field}#{child}"))
}

/// The fence of the attempt with this token.
pub fn fence(token: &str) -> Key {
    Key::new(format!("tf#{token}"), ONLY)
}

/// Partition of all tombstones, so that abandoned cascades are found without a scan.
pub const TOMBSTONES: &str = "d*";

/// The tombstone of a record whose cascade is under way.
pub fn tombstone(entity: &Entity, id: &str) -> Key {
    Key::new(TOMBSTONES, format!("{}#{id}", entity.name))
}

/// Where a migration stands that was interrupted.
pub fn migration(name: &str) -> Key {
    Key::new(format!("m#{name}"), ONLY)
}

/// The state item of an entity.
pub fn index_states(entity: &Entity) -> Key {
    states_of(&entity.name)
}

/// The state item of an entity that the model may not have.
pub fn states_of(entity: &str) -> Key {
    Key::new(format!("x#{entity}"), ONLY)
}

/// The names of all entities that were ever written.
pub fn entity_names() -> Key {
    Key::new("xe", ONLY)
}

/// Which tags writers keep.
pub fn tag_policy() -> Key {
    Key::new("x#*", ONLY)
}

/// A unique value; `hash` is over the encoded value.
pub fn unique(entity: &Entity, field: &str, hash: &str) -> Key {
    Key::new(format!("u#{}#{field}#{hash}", entity.name), ONLY)
}

/// The partition of an index for the encoded values of its equality fields (each [`encode::encode`]d, in order).
pub fn partition(entity: &Entity, index: &Index, equality: &[Vec<u8>]) -> String {
    let mut pk = format!("i#{}#{}", entity.name, index.name);
    for value in equality {
        pk.push('#');
        // Long texts would outgrow a partition key, and a hash is as good for equality.
        if value.len() > 64 {
            pk.push('~');
            pk.push_str(&hex::encode(<sha2::Sha256 as sha2::Digest>::digest(value)));
        } else {
            pk.push_str(&hex::encode(value));
        }
    }
    pk
}

/// The row of a record in a stored index.
pub fn index_row(model: &Model, entity: &Entity, index: &Index, record: &Record) -> Key {
    let equality: Vec<Vec<u8>> =
        index.equality.iter().map(|path| encode::encode(&order_at(model, entity, *path), &record.get(entity, *path))).collect();
    Key::new(partition(entity, index, &equality), sort_key(model, entity, index, record))
}

/// The sort key of a record in an index: its sort fields, then the id (once).
pub fn sort_key(model: &Model, entity: &Entity, index: &Index, record: &Record) -> Vec<u8> {
    let mut sk = Vec::with_capacity(48);
    let mut has_id = false;
    for part in &index.sort {
        encode::append(&mut sk, &order_at(model, entity, part.by), &record.get(entity, part.by), part.descending);
        has_id |= part.by == crate::model::Path::Id;
    }
    if !has_id {
        encode::append(&mut sk, &encode::order_of_id(&entity.id), &record.id_value(entity), false);
    }
    fitting(sk)
}

/// A sort key that DynamoDB and cursors take. The model bounds the values of what it indexes, so only values that an older model allowed are longer:
/// behind what fits, a hash tells them apart, so that each still has a place of its own, near its order.
fn fitting(mut sk: Vec<u8>) -> Vec<u8> {
    if sk.len() > MAX_SORT_KEY {
        let hash = <sha2::Sha256 as sha2::Digest>::digest(&sk);
        sk.truncate(MAX_SORT_KEY - hash.len());
        sk.extend(hash);
    }
    sk
}

/// One of the tags of a partition of an index with equality fields.
pub fn partition_tag(partition: &str, shard: u16) -> Key {
    Key::new(format!("t#{partition}"), shard.to_be_bytes())
}

/// One of the tags of an entity.
pub fn entity_tag(entity: &Entity, shard: u16) -> Key {
    Key::new(format!("t#e#{}", entity.name), shard.to_be_bytes())
}

/// The tag of everything: a purge of all touches it.
pub fn global_tag() -> Key {
    Key::new("t#*", ONLY)
}

/// An entry of the cache, in the volatile table.
pub fn cached(hash: &str) -> Key {
    Key::new(format!("z#{hash}"), ONLY)
}

/// The lease on reading an answer of the cache anew, in the volatile table; `stamp` is what its tags say.
pub fn cache_lease(hash: &str, stamp: &[u8]) -> Key {
    Key::new(format!("zl#{hash}"), stamp)
}

/// Part `part` of an idempotency row; part 0 is the row itself.
pub fn idempotency(hash: &str, part: u16) -> Key {
    Key::new(format!("k#{hash}"), part.to_be_bytes())
}

/// An audit entry of a day (`2026-11-21`); the sort key is its moment and random bits.
pub fn audit(day: &str, shard: u16, sk: [u8; 16]) -> Key {
    Key::new(format!("a#{day}#{shard}"), sk)
}

/// How far the audit trail is exported.
pub fn audit_exported() -> Key {
    Key::new("ae", ONLY)
}

/// A consumer.
pub fn consumer(id: &str) -> Key {
    Key::new(format!("c#{id}"), ONLY)
}

/// A consumer's row in the list of all.
pub fn consumer_listed(id: &str) -> Key {
    Key::new("c*", id.as_bytes())
}

/// An API key.
pub fn api_key(key_id: &str) -> Key {
    Key::new(format!("y#{key_id}"), ONLY)
}

/// An API key's row beside its consumer.
pub fn api_key_listed(consumer: &str, key_id: &str) -> Key {
    Key::new(format!("c#{consumer}"), format!("y#{key_id}"))
}

/// The name under which a publishable key is limited by itself. No consumer has it: their ids hold no `#`.
pub fn account_of_key(key_id: &str) -> String {
    format!("y#{key_id}")
}

/// The limits of a consumer, or of a publishable key ([`account_of_key`]).
pub fn limiter(consumer: &str) -> Key {
    Key::new(format!("l#{consumer}"), ONLY)
}

/// A row of the outbox; `sk` is the moment, then random bytes.
pub fn outbox(shard: u16, sk: &[u8]) -> Key {
    Key::new(format!("o#{shard}"), sk)
}

/// A row of what is to vanish; `sk` is the moment when it is due, then random bytes.
pub fn vanishing(shard: u16, sk: &[u8]) -> Key {
    Key::new(format!("v#{shard}"), sk)
}

/// The upload that a caller began for a file field; `who` is a hash of the caller.
pub fn upload(entity: &Entity, id: &str, field: &str, who: &[u8]) -> Key {
    Key::new(format!("w#{}#{id}#{field}", entity.name), who)
}

/// A share; `hash` is that of its secret, in hexadecimal digits.
pub fn share(hash: &str) -> Key {
    Key::new(format!("h#{hash}"), ONLY)
}

/// A share in the list of its file.
pub fn share_of_file(entity: &Entity, id: &str, field: &str, share: &str) -> Key {
    Key::new(format!("hf#{}#{id}#{field}", entity.name), share)
}

/// A share in the list of the consumer who made it.
pub fn share_of_consumer(consumer: &str, share: &str) -> Key {
    Key::new(format!("hc#{consumer}"), share)
}

/// A notice in the list of its consumer, or of all (`None`), in the volatile table; `sk` as in the outbox.
pub fn notice(consumer: Option<&str>, sk: &[u8]) -> Key {
    Key::new(consumer.map_or_else(|| "n*".to_owned(), |consumer| format!("n#{consumer}")), sk)
}

/// A consumer whose requests are being denied, in the volatile table.
pub fn watched(shard: u16, consumer: &str) -> Key {
    Key::new(format!("w#{shard}"), consumer.as_bytes())
}

/// Partitions of usage that is not merged yet.
pub const USAGE_SHARDS: u8 = 8;

/// Usage that an instance flushed. An instance keeps to one partition, where its flushes stand in the order of their sequence.
pub fn usage_flush(instance: &[u8; 16], minute: i64, sequence: i64) -> Key {
    let sk = [&minute.to_be_bytes()[..], instance, &sequence.to_be_bytes()].concat();
    Key::new(usage_flushes(instance[0] % USAGE_SHARDS), sk)
}

/// The partition of a shard of usage that is not merged yet.
pub fn usage_flushes(shard: u8) -> String {
    format!("uf#{shard}")
}

/// What was last merged of an instance.
pub fn usage_marker(instance: &[u8]) -> Key {
    Key::new("um", instance)
}

/// The state of the merging: every transaction that changes a rollup changes it too.
pub fn usage_state() -> Key {
    Key::new("us", ONLY)
}

/// How far the search for API keys that end has come.
pub fn expiring_state() -> Key {
    Key::new("ye", ONLY)
}

/// Usage since ever.
pub fn usage_total() -> Key {
    Key::new("ut", ONLY)
}

/// What was told of a consumer's usage on a day, seconds since 1970.
pub fn usage_told(consumer: &str, sign: &str, day: i64) -> Key {
    Key::new(format!("uo#{consumer}"), [&day.to_be_bytes()[..], sign.as_bytes()].concat())
}

/// Usage of all (`None`) or of one consumer in the minute (`m`), hour (`h`) or day (`d`) that starts then.
pub fn usage_rollup(level: char, consumer: Option<&str>, start: i64) -> Key {
    let pk = consumer.map_or_else(|| format!("ur*{level}"), |consumer| format!("ur#{level}#{consumer}"));
    Key::new(pk, start.to_be_bytes())
}

/// Which of `shards` shards an id belongs to.
pub fn shard(id: &str, shards: u16) -> u16 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(id.as_bytes());
    u16::from_be_bytes([digest[0], digest[1]]) % shards.max(1)
}

/// Attribute of records and index rows: the id.
pub const ID: &str = "i";
/// Attribute of records and index rows: the version.
pub const VERSION: &str = "v";
/// Attribute of records and index rows: the fields, a JSON object as text.
pub const DOCUMENT: &str = "d";
