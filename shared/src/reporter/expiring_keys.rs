//! API keys that end soon: their consumer and the operator hear of it once, in time to make another. The reporter looks through all
//! consumers once a day, one query each, and goes on where it was if its time does not suffice.
//!
//! A key is told of when a quarter of its life is left, at most [`NOTICE`] before its end. Keys that live for less than [`SHORT`] are
//! not: whoever makes such keys makes them all the time.

use futures::future;

use crate::app::App;
use crate::core::clock::Micros;
use crate::identity::consumer::{ApiKey, Consumer, ConsumerError, Consumers};
use crate::notify::{self, Kind, Notice};
use crate::store::keys;
use crate::store::table::{Attr, Item, Returning, Table, TableError, TableName, Write};

const DAY: i64 = 86_400;
/// How long before its end a key is told of at most, seconds.
const NOTICE: i64 = 14 * DAY;
/// Life of keys that are not told of, seconds.
const SHORT: i64 = 7 * DAY;
/// Consumers read at once.
const PAGE: usize = 100;
/// Consumers looked at side by side.
const AT_ONCE: usize = 8;

const DONE: &str = "d";
const CURSOR: &str = "c";

/// Progress of the search.
#[derive(Default)]
struct State {
    /// The last day, since 1970, on which everybody was looked at.
    done: i64,
    /// Behind whom it goes on.
    cursor: Option<String>,
}

impl State {
    async fn read(table: &dyn Table) -> Result<Self, TableError> {
        let found = table.get(&[(TableName::Volatile, keys::expiring_state())], true).await?.into_iter().next().flatten();
        Ok(found.map_or_else(Self::default, |item| Self {
            done: item.n(DONE).unwrap_or(0),
            cursor: item.s(CURSOR).map(str::to_owned),
        }))
    }

    async fn write(&self, table: &dyn Table) -> Result<(), TableError> {
        let mut item = Item::new(keys::expiring_state()).with(DONE, Attr::N(self.done));
        if let Some(cursor) = &self.cursor {
            item = item.with(CURSOR, Attr::S(cursor.clone()));
        }
        table.write(TableName::Volatile, Write::Put { item, condition: None }, Returning::Nothing).await.map(drop)
    }
}

/// Tells of keys that end soon, if that has not been done today. `until`: when to stop. How many notices.
///
/// # Errors
/// The store's; the next tick goes on, and what was told is not told again.
pub async fn enqueue(app: &App, until: Micros) -> Result<usize, TableError> {
    let (table, now) = (&*app.table, app.env.now());
    let today = now.seconds().div_euclid(DAY);
    let mut state = State::read(table).await?;
    let consumers = Consumers { table, model: &app.model, env: &app.env, riders: &|_| Vec::new() };
    let mut told = 0;
    while state.done < today && app.env.now() < until {
        let page = consumers.list(PAGE, state.cursor.as_deref()).await.map_err(store)?;
        for some in page.consumers.chunks(AT_ONCE) {
            let looked = some.iter().map(|consumer| enqueue_due(app, &consumers, consumer, now));
            told += future::try_join_all(looked).await?.into_iter().sum::<usize>();
        }
        state.done = if page.next_cursor.is_none() { today } else { state.done };
        state.cursor = page.next_cursor;
        state.write(table).await?;
    }
    Ok(told)
}

async fn enqueue_due(app: &App, consumers: &Consumers<'_>, consumer: &Consumer, now: Micros) -> Result<usize, TableError> {
    if consumer.disabled {
        return Ok(0);
    }
    let moment = |seconds: i64| Micros(seconds.saturating_mul(1_000_000)).rfc3339();
    let mut told = 0;
    for key in consumers.stored_keys(&consumer.id).await.map_err(store)? {
        let Some(expires) = ends_soon(&key, now.seconds()) else { continue };
        let (created_at, expires_at) = (moment(key.created), moment(expires));
        let mark = keys::usage_told(&consumer.id, &format!("key.expiring {}", key.id), expires);
        let notice = Notice::new(&app.env, Some(&consumer.id), Kind::KeyExpiring { key_id: key.id, created_at, expires_at }, now);
        let first = notify::enqueue_first(&*app.table, &app.env, mark, expires + DAY, &notice, now).await?;
        told += usize::from(first);
    }
    Ok(told)
}

/// Expiry of the key, if that is to be told now.
fn ends_soon(key: &ApiKey, now: i64) -> Option<i64> {
    let expires = key.expires?;
    let (life, left) = (expires - key.created, expires - now);
    (life >= SHORT && left > 0 && left <= NOTICE.min(life / 4)).then_some(expires)
}

fn store(error: ConsumerError) -> TableError {
    TableError::Broken(error.to_string())
}
