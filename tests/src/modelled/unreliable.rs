//! What a network may do to calls while their signatures are valid: lose them or their answers, deliver them late, or a second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast::core::clock::{Random as _, SystemRandom};
use holdfast::store::double::Intercept;
use holdfast::store::table::{Item, Returning, SharedTable, TableError, TableName, Transaction, Write};
use tokio::sync::watch;

/// In how many calls of a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Chances {
    /// A call is executed late only, and its caller hears that nothing is known of it.
    pub late: u32,
    /// A call is executed, and a second time later.
    pub twice: u32,
    /// A call is executed and its answer lost.
    pub lost: u32,
    /// Longest time by which a call is late.
    pub by: Duration,
}

/// The network.
pub struct Unreliable {
    chances: Chances,
    waiting: watch::Sender<usize>,
    /// Calls that were executed late, for the first or the second time.
    pub late: AtomicU64,
    /// Answers that were lost.
    pub lost: AtomicU64,
}

/// What happens to a call.
enum Fate {
    Late,
    Twice,
    Lost,
    Usual,
}

impl Unreliable {
    /// With these chances.
    pub fn new(chances: Chances) -> Arc<Self> {
        Arc::new(Self { chances, waiting: watch::Sender::default(), late: AtomicU64::new(0), lost: AtomicU64::new(0) })
    }

    /// Waits until nothing is to be delivered any more.
    pub async fn quiet(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives as long as this does.
        let _none_left = waiting.wait_for(|calls| *calls == 0).await;
    }

    fn fate(&self) -> Fate {
        let Chances { late, twice, lost, .. } = self.chances;
        match SystemRandom.below(1000) {
            drawn if drawn < late => Fate::Late,
            drawn if drawn < late + twice => Fate::Twice,
            drawn if drawn < late + twice + lost => Fate::Lost,
            _ => Fate::Usual,
        }
    }

    fn unknown() -> TableError {
        TableError::Unknown("lost on purpose".to_owned())
    }

    /// Executes a call later, whatever becomes of it.
    fn later(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.late.fetch_add(1, Ordering::Relaxed);
        self.waiting.send_modify(|calls| *calls += 1);
        let longest = u32::try_from(self.chances.by.as_micros()).unwrap_or(u32::MAX);
        let (after, waiting) = (Duration::from_micros(SystemRandom.below(longest).into()), self.waiting.clone());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            call.await;
            waiting.send_modify(|calls| *calls -= 1);
        });
    }

    fn write_later(&self, table: &SharedTable, name: TableName, write: &Write) {
        let (table, write) = (table.clone(), write.clone());
        self.later(async move { drop(table.write(name, write, Returning::Nothing).await) });
    }

    fn commit_later(&self, table: &SharedTable, transaction: &Transaction) {
        let (table, transaction) = (table.clone(), transaction.clone());
        self.later(async move { drop(table.transact(transaction).await) });
    }

    fn lose<T>(&self, answer: Result<T, TableError>) -> Result<T, TableError> {
        self.lost.fetch_add(1, Ordering::Relaxed);
        answer.and(Err(Self::unknown()))
    }
}

impl Intercept for Unreliable {
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(async move {
            let fate = self.fate();
            if matches!(fate, Fate::Late | Fate::Twice) {
                self.write_later(table, name, &write);
            }
            match fate {
                Fate::Late => Err(Self::unknown()),
                Fate::Lost => self.lose(table.write(name, write, returning).await),
                Fate::Twice | Fate::Usual => table.write(name, write, returning).await,
            }
        })
    }

    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(async move {
            match self.fate() {
                Fate::Late => {
                    self.commit_later(table, &transaction);
                    Err(Self::unknown())
                }
                Fate::Lost => self.lose(table.transact(transaction).await),
                // A transaction's token is known for ten minutes: a second delivery has no effect of its own.
                Fate::Twice | Fate::Usual => table.transact(transaction).await,
            }
        })
    }
}
