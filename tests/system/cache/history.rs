//! Concurrent readers and writers on several instances, with commits that become visible item by item and writers that are
//! killed at any call: no read is older than the last write that was acknowledged before it began.
//!
//! `HOLDFAST_CACHE_WRITES=2000` is the long run.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::store::table::SharedTable;
use holdfast_tests::crash::{End, crashing};
use holdfast_tests::proxy::{Faults, Proxy};
use serde_json::{Value, json};

use super::broken::{Breach, perhaps_broken};
use super::{Caller, Instance, World, patient, table};
use holdfast_tests::rng::Rng;

/// Teams whose books may be seen while they are open; books move between shelves. One writer for each record, and with each
/// write its `n` grows by one; `open` and `shelf` follow from `n`.
const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  team:
    id: string
    timestamps: false
    fields:
      n: {type: integer, required: true}
      open: {type: boolean, required: true, filter: scan}
  book:
    id: string
    timestamps: false
    fields:
      n: {type: integer, required: true}
      shelf: {type: string, max: 5, required: true}
      team: {ref: team, on_delete: restrict, inverse: books, required: true}
    indexes:
      by_shelf: {equality: shelf}
roles:
  admin: {all: true}
  guest: {entities: {team: {view: true}, book: {view: {rows: {team.open: true}}}}}
";

const TEAMS: usize = 2;
const BOOKS: usize = 6;
const READERS: usize = 4;
/// Reads for each write, or nothing would ever be a hit.
const READS: u64 = 20;

fn is_open(n: i64) -> bool {
    n % 2 == 0
}

fn shelf(n: i64) -> &'static str {
    if n % 3 == 0 { "low" } else { "high" }
}

fn team_of(book: usize) -> usize {
    book % TEAMS
}

/// What is known of one record: the greatest `n` that was acknowledged, and the greatest that was tried.
#[derive(Default)]
struct Known {
    acknowledged: AtomicI64,
    tried: AtomicI64,
}

impl Known {
    /// The state between these two moments, if no write was under way or lost.
    fn certain(&self, acknowledged: i64) -> Option<i64> {
        (self.tried.load(Ordering::SeqCst) == acknowledged).then_some(acknowledged)
    }
}

/// A clock that goes ahead, so that every element of a tag is overdue at once and readers try to settle it.
struct Ahead(Arc<dyn Clock>);

impl Clock for Ahead {
    fn now(&self) -> Micros {
        self.0.now().plus(Duration::from_secs(10))
    }
}

struct History {
    world: World,
    through: SharedTable,
    proxy: Proxy,
    teams: Vec<Known>,
    books: Vec<Known>,
    reads: AtomicU64,
    writes: AtomicU64,
    killed: AtomicU64,
    left: AtomicI64,
}

impl History {
    async fn begin(seed: u64, writes: i64) -> Arc<Self> {
        let world = World::new(MODEL).await;
        let root = Caller::new("root", &["admin"]);
        let instance = world.instance();
        for team in 0..TEAMS {
            instance.done(&root, "POST teams", &json!({"id": format!("t{team}"), "n": 0, "open": true})).await;
        }
        for book in 0..BOOKS {
            let team = format!("t{}", team_of(book));
            let body = json!({"id": format!("b{book}"), "n": 0, "shelf": shelf(0), "team_id": team});
            instance.done(&root, "POST books", &body).await;
        }
        let faults =
            Faults { between_items: Duration::from_millis(2), free_each: true, twice: 0.05, late: 0.01, ..Faults::none(seed) };
        let proxy = Proxy::start(world.endpoint(), faults).await.unwrap();
        let through: SharedTable = Arc::new(table(&proxy.endpoint));
        let known = |count| (0..count).map(|_| Known::default()).collect();
        Arc::new(Self {
            world,
            through,
            proxy,
            teams: known(TEAMS),
            books: known(BOOKS),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            killed: AtomicU64::new(0),
            left: AtomicI64::new(writes),
        })
    }

    /// Writes one record again and again, each time on an instance that may be killed.
    async fn write(self: Arc<Self>, of_team: bool, number: usize, seed: u64, breach: Option<Breach>) -> Result<(), String> {
        let mut rng = Rng::new(seed);
        let known = if of_team { &self.teams[number] } else { &self.books[number] };
        let root = Caller::new("root", &["admin"]);
        let breach = breach.filter(|breach| *breach == Breach::NoUnsettledSet);
        while self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            let n = known.tried.fetch_add(1, Ordering::SeqCst) + 1;
            let (line, body) = match of_team {
                true => (format!("PATCH teams/t{number}"), json!({"n": n, "open": is_open(n)})),
                false => (format!("PATCH books/b{number}"), json!({"n": n, "shelf": shelf(n)})),
            };
            let end = if rng.percent(50) { End::Before } else { End::After };
            // A write makes about eight calls; most live longer.
            let crashing = crashing(Arc::clone(&self.through), 1 + u32::try_from(rng.below(40)).unwrap(), end);
            let dying: SharedTable = Arc::clone(&crashing) as SharedTable;
            let instance = self.world.instance_over(&perhaps_broken(&dying, breach), Env::system(), patient());
            match crashing.until_end(instance.call(&root, &line, &[], &body)).await {
                Some(seen) if seen.status == 200 => {
                    known.acknowledged.store(n, Ordering::SeqCst);
                }
                Some(seen) if seen.status >= 500 => {}
                Some(seen) => return Err(format!("{line} {body}: {} {}", seen.status, seen.text())),
                None => {
                    self.killed.fetch_add(1, Ordering::SeqCst);
                }
            }
            let writes = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
            while self.reads.load(Ordering::SeqCst) < writes * READS && self.left.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        Ok(())
    }

    /// Reads until the writers are done.
    async fn read(self: Arc<Self>, instance: Instance, seed: u64) -> Result<u64, String> {
        let mut rng = Rng::new(seed);
        while self.left.load(Ordering::SeqCst) > 0 {
            self.one_read(&instance, &mut rng).await?;
            self.reads.fetch_add(1, Ordering::SeqCst);
        }
        instance.idle().await;
        Ok(instance.app.cache.counters.hits())
    }

    async fn one_read(&self, instance: &Instance, rng: &mut Rng) -> Result<(), String> {
        let acknowledged =
            |known: &Vec<Known>| -> Vec<i64> { known.iter().map(|known| known.acknowledged.load(Ordering::SeqCst)).collect() };
        let (teams, books) = (acknowledged(&self.teams), acknowledged(&self.books));
        let guest = rng.percent(50);
        let caller = if guest { Caller::new("g", &["guest"]) } else { Caller::new("root", &["admin"]) };
        let of_shelf = rng.word(&["low", "high"]);
        let number = rng.below(TEAMS);
        let (address, only) = match rng.below(4) {
            0 => ("books?include=team&limit=100".to_owned(), None),
            1 => (format!("books?shelf={of_shelf}&limit=100"), Some(of_shelf)),
            2 => ("teams?include=books&include[books][limit]=100".to_owned(), None),
            _ => (format!("teams/t{number}?include=books"), None),
        };
        let seen = instance.get(&caller, &address).await;
        if seen.status != 200 {
            return Err(format!("{address}: {} {}", seen.status, seen.text()));
        }
        let wrong = |what: String| Err(format!("{address} (guest: {guest}, {}): {what}\n{}", seen.cache(), seen.text()));
        let body = seen.json();
        // All records in the answer, wherever they stand.
        let mut found = Vec::new();
        collect(&body, &mut found);
        for (id, n) in &found {
            let at: usize = id[1..].parse().unwrap();
            let least = if id.starts_with('t') { teams[at] } else { books[at] };
            if *n < least {
                return wrong(format!("{id} is at {n}, acknowledged before was {least}"));
            }
        }
        // What is certain must be there, or must not.
        for (at, book) in self.books.iter().enumerate() {
            let team = &self.teams[team_of(at)];
            let (Some(n), Some(of_team)) = (book.certain(books[at]), team.certain(teams[team_of(at)])) else { continue };
            let in_question =
                only.is_none_or(|only| only == shelf(n)) && (!address.starts_with("teams/") || team_of(at) == number);
            let expected = in_question && (!guest || is_open(of_team));
            if found.iter().any(|(id, _)| *id == format!("b{at}")) != expected {
                return wrong(format!("b{at} at {n} of a team at {of_team}: should be there: {expected}"));
            }
        }
        Ok(())
    }
}

/// Ids and numbers of all records in an answer.
fn collect(value: &Value, found: &mut Vec<(String, i64)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            if let (Some(id), Some(n)) = (members.get("id").and_then(Value::as_str), members.get("n").and_then(Value::as_i64)) {
                found.push((id.to_owned(), n));
            }
            members.values().for_each(|member| collect(member, found));
        }
        _ => {}
    }
}

/// What a history came to.
struct Tally {
    reads: u64,
    hits: u64,
    killed: u64,
    conflicts: u64,
}

/// One history; what is wrong, if anything is.
async fn run(seed: u64, writes: i64, breach: Option<Breach>) -> Result<Tally, String> {
    let history = History::begin(seed, writes).await;
    let mut readers = Vec::new();
    for reader in 0..READERS {
        let breach = breach.filter(|breach| *breach != Breach::NoUnsettledSet);
        let mut env = Env::system();
        if reader % 2 == 1 {
            env.clock = Arc::new(Ahead(Arc::clone(&env.clock)));
        }
        let instance = history.world.instance_over(&perhaps_broken(&history.through, breach), env, patient());
        readers.push(tokio::spawn(Arc::clone(&history).read(instance, seed * 100 + reader as u64)));
    }
    let writer = |of_team, number: usize| {
        let seed = seed * 100 + 50 + number as u64 + if of_team { 20 } else { 0 };
        tokio::spawn(Arc::clone(&history).write(of_team, number, seed, breach))
    };
    let writers: Vec<_> = (0..TEAMS).map(|at| writer(true, at)).chain((0..BOOKS).map(|at| writer(false, at))).collect();
    let (mut hits, mut wrong) = (0, None);
    for outcome in join_all(readers).await {
        match outcome.unwrap() {
            Ok(count) => hits += count,
            Err(what) => wrong = Some(what),
        }
        // The others need not go on.
        if wrong.is_some() {
            history.left.store(0, Ordering::SeqCst);
        }
    }
    for outcome in join_all(writers).await {
        outcome.unwrap()?;
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    match wrong {
        Some(what) => Err(what),
        None => Ok(Tally {
            reads: count(&history.reads),
            hits,
            killed: count(&history.killed),
            conflicts: history.proxy.tally().conflicts,
        }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_what_was_acknowledged_before_it() {
    let writes = std::env::var("HOLDFAST_CACHE_WRITES").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    for seed in [1, 2] {
        let tally = run(seed, writes, None).await.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let Tally { reads, hits, killed, conflicts } = tally;
        println!("{reads} reads, {hits} hits, {killed} writers killed, {conflicts} conflicts");
        assert!(killed > 10 && hits > reads / 20 && conflicts > 0, "it says little");
    }
}

/// Rng decides in how many histories a breach shows.
const HISTORIES: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_notices_each_part_of_the_protocol_that_is_left_out() {
    for breach in [Breach::TagsAfterData, Breach::NoUnsettledSet, Breach::LeftOut("team"), Breach::LeftOut("book")] {
        let mut noticed = None;
        for seed in 10..10 + HISTORIES {
            if let Err(what) = run(seed, 100, Some(breach)).await {
                noticed = Some(what);
                break;
            }
        }
        println!("{breach:?}: {}", noticed.as_deref().unwrap_or("not noticed").lines().next().unwrap_or_default());
        assert!(noticed.is_some(), "{breach:?} stays unnoticed");
    }
}
