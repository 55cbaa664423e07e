//! Gates: what a coming reference and the deletion of its target meet in, so that one of them gives way.
//!
//! A gate stands beside the record that others come to refer to, made by the first of them; a record that nobody ever referred to
//! has none. It holds
//!
//! - `u`: elements ([`super::fence::Element`]) of attempts that have announced a reference and are not known to be over;
//! - `ok`: a transaction has found the record there after an announcement, so later ones need not look;
//! - `closed`: the element of an attempt to delete the record, or `gone`: nobody can announce a reference any more.
//!
//! Where `contention` asks for more writes than one item takes, a record has several gates, chosen by the referring record's id. Gate
//! 0 names in `k` those that were ever used besides it, so that whoever deletes closes them all, also those that another version of
//! the model made.
//!
//! Everything here is one call or a part of one: pure functions. [`super::write`] makes the calls in their order.

use super::fence::Element;
use super::keys;
use super::table::{Attr, Expr, Item, Key, Write};
use crate::model::Entity;

/// Attribute: elements of attempts that are not known to be over.
pub const UNSETTLED: &str = "u";
/// Attribute: the record was seen by a transaction.
const OK: &str = "ok";
/// Attribute: whose deletion is under way.
const CLOSED: &str = "closed";
/// Attribute of gate 0: the others that are in use.
const OTHERS: &str = "k";
/// Value of `closed` for a record that is gone and whose children follow.
const GONE: &str = "gone";

/// What stands in the way of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// A deletion that may still fail.
    By(Element),
    /// The record is gone; what belongs to it follows.
    Gone,
}

/// Whether, and by what, a gate is closed. Something that cannot be read counts as gone: nothing may come then.
pub fn closed(gate: &Item) -> Option<Closed> {
    let text = gate.s(CLOSED)?;
    Some(Element::parse(text).map_or(Closed::Gone, Closed::By))
}

/// Whether the gate's record was seen by a transaction.
pub fn is_ok(gate: &Item) -> bool {
    gate.attrs.contains_key(OK)
}

/// The elements of attempts that are not known to be over.
pub fn unsettled(item: &Item) -> &[String] {
    item.attrs.get(UNSETTLED).and_then(Attr::as_ss).unwrap_or_default()
}

/// All gates of a record, of whose gate 0 this is the item.
pub fn all(first: &Item) -> Vec<Key> {
    let others = first.attrs.get(OTHERS).and_then(Attr::as_ss).unwrap_or_default();
    let shards = others.iter().filter_map(|shard| shard.parse::<u16>().ok()).filter(|shard| *shard > 0);
    let place = |shard: u16| Key::new(first.key.pk.clone(), shard.to_be_bytes());
    std::iter::once(0).chain(shards).map(place).collect()
}

/// Gate 0 of the record that a gate belongs to.
pub fn first(gate: &Key) -> Key {
    Key::new(gate.pk.clone(), 0u16.to_be_bytes())
}

/// Whether a gate is number 0.
pub fn is_first(gate: &Key) -> bool {
    gate.sk == 0u16.to_be_bytes()
}

/// Announces a reference, unless the gate is closed. Makes the gate where there is none.
pub fn announce(gate: &Key, element: &Element) -> Write {
    let update = Expr::new("ADD #u :e").name("#u", UNSETTLED).value(":e", Attr::Ss(vec![element.text()]));
    let condition = Expr::new("attribute_not_exists(#c)").name("#c", CLOSED);
    Write::Update { key: gate.clone(), update, condition: Some(condition) }
}

/// The part of a transaction that notes that the record is there, beside a check of the record, or of its creation.
pub fn confirm(gate: &Key) -> Write {
    let update = Expr::new("SET #ok = :true").name("#ok", OK).value(":true", Attr::Bool(true));
    // Whoever confirms has an element in it, unless somebody has settled that.
    Write::Update { key: gate.clone(), update, condition: Some(Expr::new("attribute_exists(pk)")) }
}

/// The part of a write's transaction by which it comes to refer to the record, on a table that commits atomically: the gate must be
/// open, and is there from now on for whoever deletes the record.
pub fn pass(gate: &Key) -> Write {
    let update = Expr::new("SET #ok = :true").name("#ok", OK).value(":true", Attr::Bool(true));
    let condition = Expr::new("attribute_not_exists(#c)").name("#c", CLOSED);
    Write::Update { key: gate.clone(), update, condition: Some(condition) }
}

/// The part of that transaction that registers gates other than 0 with gate 0; `confirmed`: which is confirmed as well.
pub fn register(gates: &[&Key], confirmed: bool) -> Option<Write> {
    let shard = |gate: &&Key| Some(u16::from_be_bytes(gate.sk.as_slice().try_into().ok()?).to_string());
    let shards: Vec<String> = gates.iter().filter_map(shard).collect();
    let first = first(gates.first()?);
    let text = if confirmed { "SET #ok = :true ADD #k :k" } else { "ADD #k :k" };
    let mut update = Expr::new(text).name("#k", OTHERS).value(":k", Attr::Ss(shards));
    if confirmed {
        update = update.name("#ok", OK).value(":true", Attr::Bool(true));
    }
    // A deletion that has closed gate 0 has read already which others there are.
    let condition = Expr::new("attribute_not_exists(#c)").name("#c", CLOSED);
    Some(Write::Update { key: first, update, condition: Some(condition) })
}

/// Takes elements out of a tag or gate.
pub fn settle(item: &Key, elements: Vec<String>) -> Write {
    let update = Expr::new("DELETE #u :u").name("#u", UNSETTLED).value(":u", Attr::Ss(elements));
    Write::Update { key: item.clone(), update, condition: Some(Expr::new("attribute_exists(pk)")) }
}

/// Whether a gate says nothing: left by an attempt to refer to a record that does not exist.
pub fn is_unused(gate: &Item) -> bool {
    [UNSETTLED, OK, CLOSED, OTHERS].into_iter().all(|attribute| !gate.attrs.contains_key(attribute))
}

/// The part of a repair that removes the gate of a record that does not exist.
pub fn remove_orphan(gate: &Key) -> Write {
    let condition = Expr::new("attribute_not_exists(#u)").name("#u", UNSETTLED);
    Write::Delete { key: gate.clone(), condition: Some(condition) }
}

/// Removes a gate that says nothing.
pub fn discard(gate: &Key) -> Write {
    let text = "attribute_not_exists(#u) AND attribute_not_exists(#ok) AND attribute_not_exists(#c) AND attribute_not_exists(#k)";
    let condition = Expr::new(text).name("#u", UNSETTLED).name("#ok", OK).name("#c", CLOSED).name("#k", OTHERS);
    Write::Delete { key: gate.clone(), condition: Some(condition) }
}

/// Closes a gate for the deletion of its record, unless another deletion has.
pub fn close(gate: &Key, element: &Element) -> Write {
    let update = Expr::new("SET #c = :d").name("#c", CLOSED).value(":d", Attr::S(element.text()));
    let condition = Some(Expr::new("attribute_not_exists(#c) OR #c = :d"));
    Write::Update { key: gate.clone(), update, condition }
}

/// Opens a gate that this deletion has closed.
pub fn reopen(gate: &Key, element: &Element) -> Write {
    Write::Update { key: gate.clone(), update: Expr::new("REMOVE #c").name("#c", CLOSED), condition: Some(closed_by(element)) }
}

/// The part of a deletion's transaction that removes a gate which it has closed.
pub fn remove(gate: &Key, element: &Element) -> Write {
    Write::Delete { key: gate.clone(), condition: Some(closed_by(element)) }
}

/// The part of a deletion's transaction that requires that nobody ever referred to the record: it has no gate.
pub fn require_none(first: &Key) -> Write {
    Write::Check { key: first.clone(), condition: Expr::new("attribute_not_exists(pk)") }
}

/// The part of the first transaction of a deletion in steps that keeps a gate closed until the last.
pub fn mark_gone(gate: &Key, element: &Element) -> Write {
    let update = Expr::new("SET #c = :gone").name("#c", CLOSED).value(":gone", Attr::S(GONE.to_owned()));
    Write::Update { key: gate.clone(), update, condition: Some(closed_by(element)) }
}

/// Gate 0 of a record that is gone, as [`mark_gone`] leaves it.
pub fn of_gone(entity: &Entity, id: &str) -> Item {
    Item::new(keys::gate(entity, id, 0)).with(CLOSED, Attr::S(GONE.to_owned()))
}

/// The part of the last transaction of a deletion in steps: the gate goes.
pub fn bury(gate: &Key) -> Write {
    let condition = Expr::new("attribute_not_exists(pk) OR (#c = :gone AND attribute_not_exists(#u))");
    let condition = condition.name("#c", CLOSED).name("#u", UNSETTLED).value(":gone", Attr::S(GONE.to_owned()));
    Write::Delete { key: gate.clone(), condition: Some(condition) }
}

fn closed_by(element: &Element) -> Expr {
    Expr::new("#c = :d").name("#c", CLOSED).value(":d", Attr::S(element.text()))
}
