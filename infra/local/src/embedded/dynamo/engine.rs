//! The connections of the store, and who may use which: any call that only reads takes a free reader; writes take turns.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use dynoxide::storage::Storage;
use dynoxide::{DynoxideError, Result};

use super::Durability;
use super::journal::Journal;
use super::operation::{Answer, Operation};
use super::tokens::{Identity, Seen, Tokens};

/// Beginning of an idempotency row's partition in a request: whoever reads one may acknowledge what it tells.
const IDEMPOTENCY_ROW: &[u8] = b"\"k#";
/// Settings of the writer: commits do not sync (`journal` does), and the log is copied by `journal::tidy`, or here once it has 32 MB.
const WRITER: &str = "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=8000; PRAGMA journal_size_limit=4194304;";

/// The store.
pub(super) struct Engine {
    writer: Arc<tokio::sync::Mutex<Writer>>,
    /// None in memory, where each connection is a store of its own.
    file: Option<OnDisk>,
    durability: Durability,
}

struct OnDisk {
    readers: Readers,
    journal: Arc<Journal>,
    /// Copies the log to the database, beside the writer.
    copier: Mutex<Storage>,
}

impl Engine {
    /// Opens the store in `file`, or a new one in memory.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn open(file: Option<&Path>, durability: Durability) -> std::io::Result<Self> {
        let failed = |error: DynoxideError| std::io::Error::other(format!("embedded DynamoDB: {error}"));
        let storage = match file {
            Some(path) => connection(path),
            None => Storage::memory(),
        };
        let storage = storage.map_err(failed)?;
        let file = file.map(|path| OnDisk::open(&storage, path)).transpose()?;
        let journal = file.as_ref().map(|file| file.journal.clone());
        let writer = Writer { storage, tokens: Tokens::default(), journal };
        Ok(Self { writer: Arc::new(tokio::sync::Mutex::new(writer)), file, durability })
    }

    /// The log, where there is one.
    pub(super) fn journal(&self) -> Option<&Journal> {
        self.file.as_ref().map(|file| &*file.journal)
    }

    /// One call of the API; `None` stands for an operation that is not served.
    pub(super) async fn call(self: &Arc<Self>, operation: Option<Operation>, body: Bytes) -> Answer {
        match operation {
            None => Answer::unknown_operation(),
            Some(operation) if operation.is_read() => self.read(operation, body).await,
            Some(operation) => self.write(operation, body).await,
        }
    }

    async fn read(self: &Arc<Self>, operation: Operation, body: Bytes) -> Answer {
        let Some(file) = &self.file else {
            return operation.read(&self.writer.lock().await.storage, &body);
        };
        let acknowledges = body.windows(IDEMPOTENCY_ROW.len()).any(|part| part == IDEMPOTENCY_ROW);
        let answer = if operation.is_long() {
            let engine = self.clone();
            aside(move || engine.file.as_ref().map(|file| operation.read(&file.readers.free(), &body))).await.flatten()
        } else {
            Some(operation.read(&file.readers.free(), &body))
        };
        let answer = answer.unwrap_or_else(|| Answer::fault("the read was broken off"));
        if acknowledges { self.durably(answer).await } else { answer }
    }

    async fn write(&self, operation: Operation, body: Bytes) -> Answer {
        let mut writer = self.writer.clone().lock_owned().await;
        // The writer is let go of before the wait for the fsync.
        let write = move || {
            let written = writer.write(operation, &body);
            drop(writer);
            written
        };
        let written = if operation.is_long() { aside(write).await } else { Some(write()) };
        match written {
            Some((answer, true)) => answer,
            Some((answer, false)) => self.durably(answer).await,
            None => Answer::fault("the write was broken off"),
        }
    }

    /// Holds an answer back until all is durable that it may tell of: a refusal tells of the write that stood in its way.
    async fn durably(&self, answer: Answer) -> Answer {
        match (self.journal(), self.durability) {
            (Some(journal), Durability::Full) => journal.lasting().await.map_or_else(Answer::fault, |()| answer),
            _ => answer,
        }
    }

    /// Copies the log to the database; with `empty`, empties it too.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn checkpoint(&self, empty: bool) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let copier = file.copier.lock().unwrap_or_else(PoisonError::into_inner);
        let how = if empty { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
        Ok(copier.conn().query_row(how, [], |_| Ok(()))?)
    }
}

/// Does what takes long on a thread that nobody waits for.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Who writes; one at a time.
struct Writer {
    storage: Storage,
    tokens: Tokens,
    journal: Option<Arc<Journal>>,
}

impl Writer {
    /// Does a write; with it, whether it may be lost.
    fn write(&mut self, operation: Operation, body: &[u8]) -> (Answer, bool) {
        let (answer, may_be_lost) = match operation {
            Operation::TransactWriteItems => self.transact(body),
            operation => operation.write(&self.storage, body),
        };
        if let Some(journal) = &self.journal
            && answer.is_success()
        {
            journal.note(!may_be_lost);
        }
        (answer, may_be_lost)
    }

    /// A transaction, once for its token.
    fn transact(&mut self, body: &[u8]) -> (Answer, bool) {
        let operation = Operation::TransactWriteItems;
        let Some((token, content)) = Identity::of(body) else { return operation.write(&self.storage, body) };
        let now = Instant::now();
        match self.tokens.seen(&token, content, now) {
            Seen::Done(answer) => (Answer { status: 200, body: answer.to_vec() }, false),
            Seen::Other => {
                let why = "An error occurred (IdempotentParameterMismatchException)";
                (Answer::failed(&DynoxideError::IdempotentParameterMismatchException(why.into())), false)
            }
            Seen::Never => {
                let (answer, may_be_lost) = operation.write(&self.storage, body);
                if answer.is_success() {
                    self.tokens.keep(token, content, &answer.body, now);
                }
                (answer, may_be_lost)
            }
        }
    }
}

impl OnDisk {
    fn open(writer: &Storage, path: &Path) -> std::io::Result<Self> {
        let failed = |error: DynoxideError| std::io::Error::other(format!("embedded DynamoDB: {error}"));
        writer.conn().execute_batch(WRITER).map_err(|error| failed(error.into()))?;
        // One for each worker of the runtime, and some for the long reads beside them.
        let count = std::thread::available_parallelism().map_or(4, |cores| cores.get() + 4);
        let readers = (0..count).map(|_| connection(path).map(Mutex::new)).collect::<Result<Vec<_>>>().map_err(failed)?;
        let copier = Mutex::new(connection(path).map_err(failed)?);
        Ok(Self { readers: Readers { all: readers, next: AtomicUsize::new(0) }, journal: Arc::new(Journal::open(path)?), copier })
    }
}

fn connection(path: &Path) -> Result<Storage> {
    Storage::new(&path.to_string_lossy())
}

/// Connections that read.
struct Readers {
    all: Vec<Mutex<Storage>>,
    next: AtomicUsize,
}

impl Readers {
    /// One that nobody uses; where all are in use, the turn of one.
    fn free(&self) -> MutexGuard<'_, Storage> {
        if let Some(free) = self.all.iter().find_map(|reader| reader.try_lock().ok()) {
            return free;
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        self.all[next].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
