//! The test double of [`Table`]: it stands before a table and intercepts the calls that a test is about. Only tests have it
//! (feature `test-util`).
//!
//! ```text
//! Double::new(table, intercept)   calls go to `intercept`, which passes on to `table` what it does not answer itself
//! Double::alone(intercept)        whatever `intercept` does not answer is refused
//! Fail                            the intercept that makes some calls of some operations fail, before or after their effect
//! ```

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;

use super::table::{
    Item, Key, RangePage, RangeQuery, Returning, ScanPage, SharedTable, Table, TableError, TableName, Transaction, Write,
};

/// The operations of [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableCall {
    /// [`Table::get`].
    Get,
    /// [`Table::get_transaction`].
    GetTransaction,
    /// [`Table::query`].
    Query,
    /// [`Table::write`].
    Write,
    /// [`Table::write_batch`].
    WriteBatch,
    /// [`Table::transact`].
    Transact,
    /// [`Table::scan`].
    Scan,
}

/// Keys that are read.
pub type Keys<'a> = &'a [(TableName, Key)];
/// What is found under them, in their order.
pub type FoundItems<'a> = BoxFuture<'a, Result<Vec<Option<Item>>, TableError>>;

/// The part of a [`Double`] that is a test's own. Each method gets the `table` behind the double; by default all of them pass
/// their call on through [`Self::around`], which by default does nothing else.
pub trait Intercept: Send + Sync {
    /// Makes the call by awaiting `pass`, or does not, or does something before or after it: the same for every operation.
    fn around<T: Send>(
        &self,
        call: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> impl Future<Output = Result<T, TableError>> + Send {
        let _all_alike = call;
        pass
    }

    /// In place of [`Table::get`].
    fn get<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        Box::pin(self.around(TableCall::Get, table.get(keys, consistent)))
    }

    /// In place of [`Table::get_transaction`].
    fn get_transaction<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>) -> FoundItems<'a> {
        Box::pin(self.around(TableCall::GetTransaction, table.get_transaction(keys)))
    }

    /// In place of [`Table::query`].
    fn query<'a>(&'a self, table: &'a SharedTable, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(self.around(TableCall::Query, table.query(query)))
    }

    /// In place of [`Table::write`].
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(self.around(TableCall::Write, table.write(name, write, returning)))
    }

    /// In place of [`Table::write_batch`].
    fn write_batch<'a>(
        &'a self,
        table: &'a SharedTable,
        writes: Vec<(TableName, Write)>,
    ) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.around(TableCall::WriteBatch, table.write_batch(writes)))
    }

    /// In place of [`Table::transact`].
    fn transact<'a>(&'a self, table: &'a SharedTable, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.around(TableCall::Transact, table.transact(transaction)))
    }

    /// In place of [`Table::scan`].
    fn scan<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        Box::pin(self.around(TableCall::Scan, table.scan(name, after, segment)))
    }
}

/// A table with an [`Intercept`] before it, which can be reached through it.
pub struct Double<I> {
    table: SharedTable,
    /// What intercepts its calls.
    pub intercept: Arc<I>,
}

impl<I: Intercept> Double<I> {
    /// `intercept` before `table`.
    pub fn new(table: SharedTable, intercept: impl Into<Arc<I>>) -> Self {
        Self { table, intercept: intercept.into() }
    }

    /// `intercept` with nothing behind it: calls that it passes on are refused.
    pub fn alone(intercept: impl Into<Arc<I>>) -> Self {
        Self::new(Arc::new(Refusing), intercept)
    }
}

impl<I: Intercept + Default> Default for Double<I> {
    fn default() -> Self {
        Self::alone(I::default())
    }
}

impl<I> Deref for Double<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.intercept
    }
}

impl<I: Intercept> Table for Double<I> {
    fn commits_atomically(&self) -> bool {
        self.table.commits_atomically()
    }

    fn get<'a>(&'a self, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        self.intercept.get(&self.table, keys, consistent)
    }

    fn get_transaction<'a>(&'a self, keys: Keys<'a>) -> FoundItems<'a> {
        self.intercept.get_transaction(&self.table, keys)
    }

    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        self.intercept.query(&self.table, query)
    }

    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        self.intercept.write(&self.table, table, write, returning)
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        self.intercept.write_batch(&self.table, writes)
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        self.intercept.transact(&self.table, transaction)
    }

    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        self.intercept.scan(&self.table, table, after, segment)
    }
}

/// An intercept that makes calls of some operations fail.
pub struct Fail {
    calls: Vec<TableCall>,
    error: TableError,
    /// Whether a call has its effect before it fails: its answer is lost.
    effective: bool,
    passes: AtomicU32,
    times: AtomicU32,
}

impl Fail {
    /// Every call of these operations fails without an effect.
    pub fn before(calls: &[TableCall], error: TableError) -> Self {
        let (passes, times) = (AtomicU32::new(0), AtomicU32::new(u32::MAX));
        Self { calls: calls.to_vec(), error, effective: false, passes, times }
    }

    /// Every call of these operations has its effect, and then fails.
    pub fn after(calls: &[TableCall], error: TableError) -> Self {
        Self { effective: true, ..Self::before(calls, error) }
    }

    /// Lets the first `passes` calls of these operations pass.
    #[must_use]
    pub fn passing(self, passes: u32) -> Self {
        Self { passes: passes.into(), ..self }
    }

    /// Fails `times` calls and lets the others pass.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: times.into(), ..self }
    }

    /// Fails the next `times` calls; 0: passes everything from now on.
    pub fn next(&self, times: u32) {
        self.times.store(times, Ordering::SeqCst);
    }

    fn fails(&self, call: TableCall) -> bool {
        let take = |left: &AtomicU32| left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        self.calls.contains(&call) && !take(&self.passes) && take(&self.times)
    }
}

impl Intercept for Fail {
    async fn around<T: Send>(
        &self,
        call: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        if !self.fails(call) {
            return pass.await;
        }
        if self.effective {
            pass.await?;
        }
        Err(self.error.clone())
    }
}

/// A table that refuses every call.
struct Refusing;

fn refused<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, TableError>> {
    Box::pin(async { Err(TableError::Broken("the test does not expect this call".to_owned())) })
}

impl Table for Refusing {
    fn get<'a>(&'a self, _: &'a [(TableName, Key)], _: bool) -> FoundItems<'a> {
        refused()
    }

    fn get_transaction<'a>(&'a self, _: &'a [(TableName, Key)]) -> FoundItems<'a> {
        refused()
    }

    fn query<'a>(&'a self, _: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        refused()
    }

    fn write<'a>(&'a self, _: TableName, _: Write, _: Returning) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        refused()
    }

    fn write_batch<'a>(&'a self, _: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        refused()
    }

    fn transact<'a>(&'a self, _: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        refused()
    }

    fn scan<'a>(&'a self, _: TableName, _: Option<Key>, _: (u32, u32)) -> BoxFuture<'a, Result<ScanPage, TableError>> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers gets itself.
    #[derive(Default)]
    struct Empty(AtomicU32);

    impl Intercept for Empty {
        fn get<'a>(&'a self, _: &'a SharedTable, keys: Keys<'a>, _: bool) -> FoundItems<'a> {
            Box::pin(async move {
                self.0.fetch_add(1, Ordering::SeqCst);
                Ok(vec![None; keys.len()])
            })
        }
    }

    const LOST: TableError = TableError::Unknown(String::new());

    #[tokio::test]
    async fn calls_fail_as_often_as_they_are_to_and_have_their_effect_or_not() {
        let empty = Arc::new(Double::<Empty>::default());
        let key = [(TableName::Data, Key::new("a", "b"))];
        let before = Double::new(empty.clone(), Fail::before(&[TableCall::Get], LOST).passing(1).times(1));
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(before.get(&key, true).await);
        }
        assert_eq!(answers, [Ok(vec![None]), Err(LOST), Ok(vec![None])]);
        assert_eq!(empty.0.swap(0, Ordering::SeqCst), 2);
        let after = Double::new(empty.clone(), Fail::after(&[TableCall::Get], LOST));
        assert_eq!(after.get(&key, true).await, Err(LOST));
        assert_eq!(empty.0.load(Ordering::SeqCst), 1, "the effect is there");
        after.next(0);
        assert!(after.get(&key, true).await.is_ok());
    }

    #[tokio::test]
    async fn what_nobody_answers_is_refused() {
        let alone = Double::<Empty>::default();
        assert!(matches!(alone.query(RangeQuery::partition(TableName::Data, "a")).await, Err(TableError::Broken(_))));
        let others = Double::new(Arc::new(alone), Fail::before(&[TableCall::Get], LOST));
        assert!(matches!(others.write_batch(Vec::new()).await, Err(TableError::Broken(_))), "not an operation that fails");
    }
}
