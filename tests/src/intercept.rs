//! A table with something around each of its calls.

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast::store::table::{
    Item, Key, RangePage, RangeQuery, Returning, ScanPage, SharedTable, Table, TableError, TableName, Transaction, Write,
};

/// What is done around a call.
pub trait Hook: Send + Sync {
    /// Makes the call, or does not.
    fn around<T: Send>(&self, call: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send;
}

impl<H: Hook> Hook for Arc<H> {
    async fn around<T: Send>(&self, call: impl Future<Output = T> + Send) -> T {
        (**self).around(call).await
    }
}

/// A table whose calls go through a hook.
pub struct Intercept<H> {
    table: SharedTable,
    /// The hook.
    pub hook: H,
}

impl<H: Hook> Intercept<H> {
    /// Puts `hook` around the calls of `table`.
    pub fn new(table: SharedTable, hook: H) -> Self {
        Self { table, hook }
    }
}

impl<H: Hook> Table for Intercept<H> {
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.hook.around(self.table.get(keys, consistent)))
    }

    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.hook.around(self.table.get_transaction(keys)))
    }

    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(self.hook.around(self.table.query(query)))
    }

    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(self.hook.around(self.table.write(table, write, returning)))
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.hook.around(self.table.write_batch(writes)))
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.hook.around(self.table.transact(transaction)))
    }

    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        Box::pin(self.hook.around(self.table.scan(table, after, segment)))
    }
}
