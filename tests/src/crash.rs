//! A table that ends its handler before or after its n-th call, as a function that is killed ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use holdfast::store::table::{
    Item, Key, RangePage, RangeQuery, Returning, ScanPage, SharedTable, Table, TableError, TableName, Transaction, Write,
};

/// When the handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Before the call has any effect.
    Before,
    /// After the call's effect, before its answer is seen.
    After,
}

/// Passes calls on until the n-th. A handler that makes that call never gets an answer: run it with [`Crashing::until_end`].
pub struct Crashing {
    table: SharedTable,
    left: AtomicU32,
    end: End,
    ended: tokio::sync::Notify,
}

impl Crashing {
    /// Ends at call `call` (from 1).
    pub fn at(table: SharedTable, call: u32, end: End) -> Arc<Self> {
        Arc::new(Self { table, left: AtomicU32::new(call), end, ended: tokio::sync::Notify::new() })
    }

    /// Runs a handler on this table until it is done (`Some`) or has come to its end (`None`).
    pub async fn until_end<T>(self: &Arc<Self>, handler: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended.notified() => None,
            done = handler => Some(done),
        }
    }

    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        // The last call is counted down to 0; whatever a handler has under way beside it stays unanswered too.
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        match left {
            Ok(0) => std::future::pending().await,
            Ok(1) => {
                if self.end == End::After {
                    call.await;
                }
                self.ended.notify_one();
                std::future::pending().await
            }
            _ => call.await,
        }
    }
}

impl Table for Crashing {
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.pass(self.table.get(keys, consistent)))
    }

    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.pass(self.table.get_transaction(keys)))
    }

    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(self.pass(self.table.query(query)))
    }

    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(self.pass(self.table.write(table, write, returning)))
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.pass(self.table.write_batch(writes)))
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.pass(self.table.transact(transaction)))
    }

    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        Box::pin(self.pass(self.table.scan(table, after, segment)))
    }
}
