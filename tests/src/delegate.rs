//! A table that passes calls on, except for what a test wants to be otherwise.

use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast::store::table::{
    Item, Key, RangePage, RangeQuery, Returning, ScanPage, SharedTable, Table, TableError, TableName, Transaction, Write,
};

/// What is otherwise. Whatever is not written here goes to `table` as it is.
pub trait Otherwise: Send + Sync + 'static {
    /// `Table::get`.
    fn get<'a>(
        &'a self,
        table: &'a SharedTable,
        keys: &'a [(TableName, Key)],
        consistent: bool,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        table.get(keys, consistent)
    }

    /// `Table::query`.
    fn query<'a>(&'a self, table: &'a SharedTable, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        table.query(query)
    }

    /// `Table::write`.
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        table.write(name, write, returning)
    }

    /// `Table::transact`.
    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        table.transact(transaction)
    }
}

/// The table with what is otherwise.
pub struct Delegate<O> {
    /// Where calls go.
    pub table: SharedTable,
    /// What is otherwise.
    pub otherwise: Arc<O>,
}

impl<O: Otherwise> Table for Delegate<O> {
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.otherwise.get(&self.table, keys, consistent)
    }

    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        self.table.get_transaction(keys)
    }

    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        self.otherwise.query(&self.table, query)
    }

    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        self.otherwise.write(&self.table, table, write, returning)
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        self.table.write_batch(writes)
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        self.otherwise.transact(&self.table, transaction)
    }

    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        self.table.scan(table, after, segment)
    }
}
