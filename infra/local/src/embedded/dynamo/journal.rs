//! Durability: SQLite's write-ahead log, made durable for many commits at once.
//!
//! The writer's connection has `synchronous=NORMAL`: a commit appends to the log without an fsync. A thread of its own then makes one
//! fdatasync of the log for all commits that happened until it began, and those who wait are told. What comes back after a loss of
//! power is the log up to the last whole commit, so an acknowledged one is there, as with `synchronous=FULL`. SQLite itself syncs
//! what a checkpoint needs.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::watch;

use super::engine::Engine;

/// How often the log is synced and copied to the database: no more than this is lost of what may be lost.
const TIDY: Duration = Duration::from_secs(1);

/// What the thread that syncs has done.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The last commit that is durable.
    durable: u64,
    /// How many fsyncs were made.
    syncs: u64,
    /// An fsync failed: from then on nothing is promised.
    failed: bool,
}

/// How far the log has come, and how far it is durable. A commit is known by its number, from 1.
pub(super) struct Journal {
    committed: Arc<AtomicU64>,
    /// The last commit that must last.
    lasting: AtomicU64,
    wake: SyncSender<()>,
    progress: watch::Receiver<Progress>,
}

impl Journal {
    /// That of a database which is open, so that its log is there.
    ///
    /// # Errors
    /// When the log cannot be opened or no thread be started.
    pub(super) fn open(database: &Path) -> std::io::Result<Self> {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        let log = File::open(name)?;
        let committed = Arc::<AtomicU64>::default();
        let ((wake, calls), (told, progress)) = (sync_channel(1), watch::channel(Progress::default()));
        let counted = committed.clone();
        std::thread::Builder::new().name("dynamodb-fsync".into()).spawn(move || sync(&log, &counted, &calls, &told))?;
        Ok(Self { committed, lasting: AtomicU64::new(0), wake, progress })
    }

    /// Notes a commit, while the writer is held.
    pub(super) fn note(&self, lasting: bool) {
        let number = self.committed.fetch_add(1, Ordering::SeqCst) + 1;
        if lasting {
            self.lasting.store(number, Ordering::SeqCst);
        }
    }

    /// Waits until all that must last is durable.
    ///
    /// # Errors
    /// When the log could not be synced: what was committed since the last time may be lost.
    pub(super) async fn lasting(&self) -> Result<(), &'static str> {
        self.until(self.lasting.load(Ordering::SeqCst)).await
    }

    /// Waits until all that was committed is durable; whether there was anything to wait for.
    ///
    /// # Errors
    /// As [`Self::lasting`].
    pub(super) async fn all(&self) -> Result<bool, &'static str> {
        let committed = self.committed.load(Ordering::SeqCst);
        let behind = self.progress.borrow().durable < committed;
        self.until(committed).await.map(|()| behind)
    }

    async fn until(&self, number: u64) -> Result<(), &'static str> {
        let mut progress = self.progress.clone();
        let is_there = |progress: &Progress| progress.durable >= number || progress.failed;
        if !is_there(&progress.borrow()) {
            // Where a call waits already, it will see this commit too.
            let _waiting = self.wake.try_send(());
        }
        match progress.wait_for(is_there).await.map(|progress| progress.failed) {
            Ok(false) => Ok(()),
            Ok(true) | Err(_) => Err("the log could not be made durable"),
        }
    }

    /// Commits that are not durable yet.
    #[cfg(test)]
    pub(super) fn behind(&self) -> u64 {
        self.committed.load(Ordering::SeqCst) - self.progress.borrow().durable
    }

    /// How many fsyncs were made.
    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.progress.borrow().syncs
    }
}

/// Syncs once for every call, until nobody can call any more.
fn sync(log: &File, committed: &AtomicU64, calls: &Receiver<()>, told: &watch::Sender<Progress>) {
    while calls.recv().is_ok() {
        let durable = committed.load(Ordering::SeqCst);
        let synced = log.sync_data();
        told.send_modify(|progress| match &synced {
            Ok(()) => *progress = Progress { durable, syncs: progress.syncs + 1, failed: false },
            Err(_) => progress.failed = true,
        });
        if let Err(error) = synced {
            tracing::error!(%error, "the log of the embedded DynamoDB could not be synced: writes fail from here on");
            return;
        }
    }
}

/// Keeps the log durable and short: what is written is synced and copied to the database within a second or so, beside the writer;
/// once nobody writes, the log is emptied.
pub(super) async fn tidy(engine: Arc<Engine>) {
    let Some(journal) = engine.journal() else { return };
    let (mut ticks, mut is_tidy) = (tokio::time::interval(TIDY), false);
    loop {
        ticks.tick().await;
        let wrote = match journal.all().await {
            Ok(wrote) => wrote,
            Err(why) => {
                tracing::error!(why, "embedded DynamoDB");
                return;
            }
        };
        if wrote || !is_tidy {
            is_tidy = !wrote;
            let engine = engine.clone();
            let copied = tokio::task::spawn_blocking(move || engine.checkpoint(is_tidy)).await;
            if let Ok(Err(error)) = copied {
                tracing::warn!(%error, "the log of the embedded DynamoDB was not copied to the database");
            }
        }
    }
}
