//! A store in memory with the times and limits of DynamoDB, for measuring what these allow: the embedded store behind the proxy is slower
//! than they are, on a small machine.
//!
//! - a call takes [`Times::call`]; a transaction holds its items for [`Times::window`] and becomes visible in two parts within it;
//! - what meets an item that a transaction holds is refused with a conflict;
//! - an item takes so many write units a second, counted by its size; what comes beyond is throttled.

mod expression;
mod unreliable;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use holdfast::core::clock::Random as _;
use holdfast::core::clock::SystemRandom;
use holdfast::store::items;
use holdfast::store::table::{
    Attr, Expr, Item, Key, RangePage, RangeQuery, Reason, Returning, ScanPage, Table, TableError, TableName, Transaction, Write,
};

use expression::{holds, updated};

pub use unreliable::{Chances, Unreliable};

/// How long things take and how much an item takes.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Shortest and longest time of a call.
    pub call: (Duration, Duration),
    /// Shortest and longest time for which a transaction holds its items.
    pub window: (Duration, Duration),
    /// Write units that an item takes in a second.
    pub units: f64,
    /// Items of a page of a scan.
    pub page: usize,
}

impl Times {
    /// Nothing takes time and everything is taken: for what is tried, and not measured.
    pub fn none(page: usize) -> Self {
        Self { call: (Duration::ZERO, Duration::ZERO), window: (Duration::ZERO, Duration::ZERO), units: 1e12, page }
    }
}

impl Default for Times {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { call: (ms(3), ms(6)), window: (ms(10), ms(40)), units: 1000.0, page: usize::MAX }
    }
}

/// What was refused.
#[derive(Debug, Default)]
pub struct Refused {
    /// Conflicts, and those of them on tags, gates and guards.
    pub conflicts: AtomicU64,
    /// Of these, on items that many writes share.
    pub hot_conflicts: AtomicU64,
    /// Refusals for an item's limit, on items that many writes share.
    pub hot_throttles: AtomicU64,
}

#[derive(Default)]
struct State {
    items: HashMap<(TableName, String), BTreeMap<Vec<u8>, Item>>,
    held: HashSet<(TableName, Key)>,
    /// Units that an item had left, and when.
    left: HashMap<(TableName, Key), (f64, Instant)>,
}

/// The store.
pub struct Modelled {
    times: Times,
    state: Mutex<State>,
    /// What was refused so far.
    pub refused: Refused,
}

type Place = (TableName, Key);

impl Modelled {
    /// An empty store.
    pub fn new(times: Times) -> Self {
        Self { times, state: Mutex::default(), refused: Refused::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take((shortest, longest): (Duration, Duration)) {
        if longest.is_zero() {
            return;
        }
        let span = u32::try_from((longest - shortest).as_micros()).unwrap_or(u32::MAX);
        tokio::time::sleep(shortest + Duration::from_micros(SystemRandom.below(span).into())).await;
    }

    fn conflict(&self, place: &Place) {
        self.refused.conflicts.fetch_add(1, Ordering::Relaxed);
        if is_hot(place) {
            self.refused.hot_conflicts.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn admits(&self, state: &mut State, place: &Place) -> bool {
        let units = self.times.units;
        let (left, at) = state.left.entry(place.clone()).or_insert((units, Instant::now()));
        *left = (*left + at.elapsed().as_secs_f64() * units).min(units);
        *at = Instant::now();
        if *left <= 0.0 && is_hot(place) {
            self.refused.hot_throttles.fetch_add(1, Ordering::Relaxed);
        }
        *left > 0.0
    }

    async fn get_all(&self, keys: &[Place], transaction: bool) -> Result<Vec<Option<Item>>, TableError> {
        Self::take(self.times.call).await;
        let state = self.state();
        if let Some(place) = keys.iter().find(|place| transaction && state.held.contains(place)) {
            self.conflict(place);
            return Err(TableError::Busy("held".to_owned()));
        }
        Ok(keys.iter().map(|place| state.find(place)).collect())
    }

    async fn write_one(&self, place: Place, write: Write, returning: Returning) -> Result<Option<Item>, TableError> {
        Self::take(self.times.call).await;
        let mut state = self.state();
        if state.held.contains(&place) {
            self.conflict(&place);
            return Err(TableError::Busy("held".to_owned()));
        }
        if !self.admits(&mut state, &place) {
            return Err(TableError::Busy("throttled".to_owned()));
        }
        let before = state.find(&place);
        if !condition(&write).is_none_or(|condition| holds(&condition, before.as_ref())) {
            return Err(TableError::ConditionFailed(before.map(Box::new)));
        }
        let after = state.apply(&place, write, 1.0);
        Ok(match returning {
            Returning::Nothing => None,
            Returning::New => after,
            Returning::Old => before,
        })
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), TableError> {
        Self::take(self.times.call).await;
        let writes: Vec<(Place, Write)> =
            transaction.writes.into_iter().map(|(table, write)| ((table, write.key().clone()), write)).collect();
        {
            let mut state = self.state();
            let reasons: Vec<Reason> = writes.iter().map(|(place, write)| self.reason(&mut state, place, write)).collect();
            if reasons.iter().any(|reason| *reason != Reason::None) {
                return Err(TableError::Cancelled(reasons));
            }
            state.held.extend(writes.iter().map(|(place, _)| place.clone()));
        }
        self.become_visible(writes).await;
        Ok(())
    }

    /// The items of a commit become visible in two parts, in any order, and are all held until the last is.
    async fn become_visible(&self, mut writes: Vec<(Place, Write)>) {
        let (shortest, longest) = self.times.window;
        let half = (shortest / 2, longest / 2);
        let places: Vec<Place> = writes.iter().map(|(place, _)| place.clone()).collect();
        let turn = SystemRandom.below(u32::try_from(writes.len().max(1)).unwrap_or(1));
        writes.rotate_left(usize::try_from(turn).unwrap_or(0));
        let later = writes.split_off(writes.len() / 2);
        for part in [writes, later] {
            Self::take(half).await;
            let mut state = self.state();
            for (place, write) in part {
                state.apply(&place, write, 2.0);
            }
        }
        let mut state = self.state();
        for place in &places {
            state.held.remove(place);
        }
    }

    fn reason(&self, state: &mut State, place: &Place, write: &Write) -> Reason {
        if state.held.contains(place) {
            self.conflict(place);
            return Reason::Conflict;
        }
        if !self.admits(state, place) {
            return Reason::Throttled;
        }
        let before = state.find(place);
        match condition(write).is_none_or(|condition| holds(&condition, before.as_ref())) {
            true => Reason::None,
            false => Reason::ConditionFailed(before),
        }
    }
}

impl State {
    fn find(&self, (table, key): &Place) -> Option<Item> {
        self.items.get(&(*table, key.pk.clone()))?.get(&key.sk).cloned()
    }

    /// Applies a write and takes its units: `factor` for each started KB of the larger of the states before and after.
    fn apply(&mut self, place: &Place, write: Write, factor: f64) -> Option<Item> {
        let before = self.find(place);
        let after = match write {
            Write::Put { item, .. } => Some(item),
            Write::Update { key, update, .. } => Some(updated(&update, before.clone().unwrap_or_else(|| Item::new(key)))),
            Write::Delete { .. } => None,
            Write::Check { .. } => before.clone(),
        };
        let bytes = before.iter().chain(&after).map(items::size).max().unwrap_or(1);
        #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
        let units = factor * bytes.div_ceil(1024) as f64;
        if let Some((left, _)) = self.left.get_mut(place) {
            *left -= units;
        }
        let partition = self.items.entry((place.0, place.1.pk.clone())).or_default();
        match &after {
            Some(item) => drop(partition.insert(place.1.sk.clone(), item.clone())),
            None => drop(partition.remove(&place.1.sk)),
        }
        after
    }
}

/// The condition of a write. Names and values of an update are its condition's as well.
fn condition(write: &Write) -> Option<Expr> {
    match write {
        Write::Put { condition, .. } | Write::Delete { condition, .. } => condition.clone(),
        Write::Update { condition, update, .. } => condition.clone().map(|mut condition| {
            condition.names.extend(update.names.clone());
            condition.values.extend(update.values.clone());
            condition
        }),
        Write::Check { condition, .. } => Some(condition.clone()),
    }
}

/// Tags, gates, guards.
fn is_hot((_, key): &Place) -> bool {
    key.pk.starts_with("t#") || key.pk.starts_with("g#")
}

impl Table for Modelled {
    fn get<'a>(&'a self, keys: &'a [Place], _: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.get_all(keys, false))
    }

    fn get_transaction<'a>(&'a self, keys: &'a [Place]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.get_all(keys, true))
    }

    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(async move {
            Self::take(self.times.call).await;
            let state = self.state();
            let found = state.items.get(&(query.table, query.pk)).into_iter().flatten();
            let within = |sk: &Vec<u8>| {
                query.from.as_ref().is_none_or(|from| sk >= from)
                    && query.to.as_ref().is_none_or(|to| sk <= to)
                    && query.after.as_ref().is_none_or(|after| if query.descending { sk < after } else { sk > after })
            };
            let mut items: Vec<Item> = found.filter(|(sk, _)| within(sk)).map(|(_, item)| item.clone()).collect();
            if query.descending {
                items.reverse();
            }
            let limit = query.limit.unwrap_or(usize::MAX);
            let next = (items.len() > limit).then(|| items[limit - 1].key.sk.clone());
            let items: Vec<Item> = items.into_iter().take(limit).collect();
            Ok(RangePage { count: items.len(), items, next })
        })
    }

    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        let place = (table, write.key().clone());
        Box::pin(self.write_one(place, write, returning))
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(async move {
            for (table, write) in writes {
                let place = (table, write.key().clone());
                self.write_one(place, write, Returning::Nothing).await?;
            }
            Ok(())
        })
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.commit(transaction))
    }

    fn scan<'a>(&'a self, table: TableName, after: Option<Key>, _: (u32, u32)) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        Box::pin(async move {
            let state = self.state();
            let of_table = state.items.iter().filter(|((of, _), _)| *of == table).flat_map(|(_, items)| items.values());
            let place = |key: &Key| (key.pk.clone(), key.sk.clone());
            let after = after.as_ref().map(place);
            let mut found: Vec<&Item> =
                of_table.filter(|item| after.as_ref().is_none_or(|after| place(&item.key) > *after)).collect();
            found.sort_by_cached_key(|item| place(&item.key));
            let next = (found.len() > self.times.page).then(|| found[self.times.page - 1].key.clone());
            Ok((found.into_iter().take(self.times.page).cloned().collect(), next))
        })
    }
}

/// The landed way, for comparison: tags and the guard of the parent are changed by the transaction itself. Unlike it, gates need not be
/// there, so that both can run over one model.
pub fn landed(mut transaction: Transaction, shared: &[Key]) -> Transaction {
    for key in shared {
        let update = Expr::new("ADD #c :one").name("#c", "c").value(":one", Attr::N(1));
        let write = Write::Update { key: key.clone(), update, condition: None };
        transaction.writes.push((TableName::Data, write));
    }
    transaction
}
