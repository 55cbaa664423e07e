//! Tags that are written all the time: nothing under them is cached, and writes cost them one call instead of two.
//!
//! While writes are under way nothing can be served or kept, so a partition or entity that is written a hundred times a second gains
//! nothing from a cache: its set of elements is almost never empty. Whoever announces a write and finds more than [`MAX_ELEMENTS`]
//! marks the tag *hot*. From then on readers go past the cache, and writers only count (`ADD c 1`, on condition that the tag is hot),
//! without an element: there is nobody to tell, and the item stays small.
//!
//! ```text
//! cold -> hot                 more elements than MAX_ELEMENTS, seen in the answer to an announcement
//! hot -> cooling              fewer than COOL_RATE writes a second for WINDOW; from then on writers announce again
//! cooling -> cold             after SETTLED, when every write that has only counted is over
//! ```
//! Nobody acts on a memory of this: a writer's call is conditioned on the mark, a reader reads the mark with the tag. Clocks decide how
//! long it cools, which is longer than a request may be on its way. The mark of cooling is set on condition that nothing was counted since
//! it was decided, so a copy of it that arrives late cannot shorten that time.

use std::time::Duration;

use super::gate;
use super::table::{Attr, Expr, Item, Key, Write};
use super::tags::COUNT;
use crate::core::clock::Micros;

/// Elements beyond which a tag is hot: 29 fit into an item of 1 KB, beyond which every call costs twice.
pub const MAX_ELEMENTS: usize = 25;
/// Writes a second under which a hot tag cools.
pub const COOL_RATE: i64 = 50;
/// How long they are counted.
pub const WINDOW: Duration = Duration::from_secs(10);
/// How long a tag cools: a write that has only counted left no element by which anybody could fence it, so it may still commit.
pub const SETTLED: Duration = super::fence::LATE;

/// Attribute: when the present window of counting began, milliseconds since 1970.
const HOT: &str = "h";
/// Attribute: the count at that time.
const FROM: &str = "hc";
/// Attribute: since when it cools, milliseconds since 1970.
const COOLING: &str = "hd";

/// What may be done with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heat {
    /// It is cached under.
    Cold,
    /// Writers count only.
    Hot,
    /// Writers announce; readers do not trust it yet.
    Cooling,
}

/// The heat of a tag.
pub fn of(tag: &Item, now: Micros) -> Heat {
    match (tag.n(HOT), tag.n(COOLING)) {
        (None, _) => Heat::Cold,
        (Some(_), None) => Heat::Hot,
        (Some(_), Some(since)) if now.millis().saturating_sub(since) < millis(SETTLED) => Heat::Cooling,
        (Some(_), Some(_)) => Heat::Cold,
    }
}

/// Counts a write at a tag that is hot, in place of its announcement.
pub fn count(tag: &Key) -> Write {
    let update = Expr::new("ADD #c :one").name("#c", COUNT).value(":one", Attr::N(1));
    let condition = Expr::new("attribute_exists(#h) AND attribute_not_exists(#d)").name("#h", HOT).name("#d", COOLING);
    Write::Update { key: tag.clone(), update, condition: Some(condition) }
}

/// The change of a tag's heat that is due by what it says, if any: `tag` is as it was just read or written.
pub fn due(tag: &Item, now: Micros) -> Option<Write> {
    let heat = of(tag, now);
    let count = tag.n(COUNT).unwrap_or(0);
    if heat != Heat::Hot {
        return (gate::unsettled(tag).len() > MAX_ELEMENTS).then(|| mark_hot(&tag.key, count, now));
    }
    let (since, from) = (tag.n(HOT)?, tag.n(FROM).unwrap_or(0));
    let elapsed = now.millis().saturating_sub(since);
    if elapsed < millis(WINDOW) {
        return None;
    }
    let rate = count.saturating_sub(from).saturating_mul(1000) / elapsed;
    Some(if rate < COOL_RATE { cool(&tag.key, since, count, now) } else { restart(&tag.key, since, count, now) })
}

fn mark_hot(tag: &Key, count: i64, now: Micros) -> Write {
    let update = Expr::new("SET #h = :now, #f = :c REMOVE #d").name("#h", HOT).name("#f", FROM).name("#d", COOLING);
    let update = update.value(":now", Attr::N(now.millis())).value(":c", Attr::N(count));
    let condition = Some(Expr::new("attribute_not_exists(#h) OR attribute_exists(#d)"));
    Write::Update { key: tag.clone(), update, condition }
}

fn restart(tag: &Key, since: i64, count: i64, now: Micros) -> Write {
    let update = Expr::new("SET #h = :now, #f = :c").name("#h", HOT).name("#f", FROM);
    let update = update.value(":now", Attr::N(now.millis())).value(":c", Attr::N(count));
    let condition = Expr::new("#h = :since AND attribute_not_exists(#d)").name("#d", COOLING);
    Write::Update { key: tag.clone(), update, condition: Some(condition.value(":since", Attr::N(since))) }
}

fn cool(tag: &Key, since: i64, count: i64, now: Micros) -> Write {
    let update = Expr::new("SET #d = :now").name("#d", COOLING).value(":now", Attr::N(now.millis()));
    let condition = Expr::new("#h = :since AND #c = :c AND attribute_not_exists(#d)").name("#h", HOT).name("#c", COUNT);
    let condition = condition.value(":since", Attr::N(since)).value(":c", Attr::N(count));
    Write::Update { key: tag.clone(), update, condition: Some(condition) }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fence::Element;
    use crate::store::settle;
    use crate::store::table::{Returning, Table, TableError, TableName};
    use crate::store::tags;
    use crate::store::testing::Fixture;

    async fn apply(fix: &Fixture, write: Write) -> Result<Item, TableError> {
        fix.dynamo.table.write(TableName::Data, write, Returning::New).await.map(Option::unwrap)
    }

    #[tokio::test]
    async fn a_tag_becomes_hot_cools_and_is_cold_again_after_every_write_that_only_counted() {
        let fix = Fixture::new().await;
        let (tag, now) = (Key::new("t#e#book", [0, 0]), fix.env.now());
        let elements: Vec<Element> = (0..=MAX_ELEMENTS).map(|_| Element::new(&fix.env)).collect();
        let mut item = Item::new(tag.clone());
        for element in &elements {
            assert_eq!(due(&item, now), None, "{} elements", gate::unsettled(&item).len());
            item = apply(&fix, tags::announce(&tag, element)).await.unwrap();
        }
        assert!(apply(&fix, count(&tag)).await.is_err(), "a cold tag is announced at");
        item = apply(&fix, due(&item, now).unwrap()).await.unwrap();
        assert_eq!(of(&item, now), Heat::Hot);
        settle::remove(&fix.dynamo.table, &fix.env, &tag, elements.iter().map(Element::text).collect()).await.unwrap();
        item = apply(&fix, count(&tag)).await.unwrap();
        assert!(gate::unsettled(&item).is_empty());

        let later = now.plus(WINDOW);
        assert_eq!(due(&item, Micros(later.0 - 1000)), None, "it is counted for a while");
        let busy = item.clone().with(COUNT, Attr::N(10_000));
        let again = due(&busy, later).unwrap();
        assert!(matches!(&again, Write::Update { update, .. } if !update.names.contains_key("#d")), "still busy: {again:?}");
        let quiet = due(&item, later).unwrap();
        apply(&fix, count(&tag)).await.unwrap();
        assert!(apply(&fix, quiet.clone()).await.is_err(), "somebody has counted since");
        item = apply(&fix, count(&tag)).await.unwrap();
        item = apply(&fix, due(&item, later).unwrap()).await.unwrap();
        assert_eq!(of(&item, later), Heat::Cooling);
        assert!(apply(&fix, count(&tag)).await.is_err(), "whoever writes now says so");
        assert_eq!(of(&item, Micros(later.plus(SETTLED).0 - 1000)), Heat::Cooling);
        assert_eq!(of(&item, later.plus(SETTLED)), Heat::Cold);
        // It may become hot again, at any time.
        item = apply(&fix, mark_hot(&tag, 1, later)).await.unwrap();
        assert_eq!(of(&item, later.plus(SETTLED)), Heat::Hot);
    }
}
