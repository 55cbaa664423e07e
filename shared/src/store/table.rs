//! The port to the database: what Holdfast needs of DynamoDB and nothing more, without an SDK type in it.
//!
//! `crate::aws::dynamodb` implements it with the AWS SDK; tests implement it to end a handler before or after its n-th call.
//! Semantics are DynamoDB's: a transaction is atomic but becomes visible item by item, a query is consistent per item.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;

/// Table, of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableName {
    /// Records and all that must not be lost.
    Data,
    /// Cache entries, usage: what may be lost. Time to live is on.
    Volatile,
}

/// Primary key of an item. `pk` is text, `sk` bytes that DynamoDB orders as unsigned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Partition key, at most 2048 bytes.
    pub pk: String,
    /// Sort key, 1 to 1024 bytes.
    pub sk: Vec<u8>,
}

impl Key {
    /// A key.
    pub fn new(pk: impl Into<String>, sk: impl Into<Vec<u8>>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// A text.
    S(String),
    /// A whole number.
    N(i64),
    /// Bytes.
    B(Vec<u8>),
    /// A truth value.
    Bool(bool),
    /// A set of texts, never empty.
    Ss(Vec<String>),
    /// A map.
    M(BTreeMap<String, Attr>),
}

impl Attr {
    /// The text, if it is one.
    pub fn as_s(&self) -> Option<&str> {
        if let Self::S(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    pub fn as_n(&self) -> Option<i64> {
        if let Self::N(number) = self { Some(*number) } else { None }
    }

    /// The bytes, if it is bytes.
    pub fn as_b(&self) -> Option<&[u8]> {
        if let Self::B(bytes) = self { Some(bytes) } else { None }
    }

    /// The elements, if it is a set of texts.
    pub fn as_ss(&self) -> Option<&[String]> {
        if let Self::Ss(set) = self { Some(set) } else { None }
    }
}

/// An item: its key and its other attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Primary key.
    pub key: Key,
    /// The other attributes.
    pub attrs: BTreeMap<String, Attr>,
}

impl Item {
    /// An item with no attribute but its key.
    pub fn new(key: Key) -> Self {
        Self { key, attrs: BTreeMap::new() }
    }

    /// With one attribute more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: Attr) -> Self {
        self.attrs.insert(name.into(), value);
        self
    }

    /// A text attribute.
    pub fn s(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).and_then(Attr::as_s)
    }

    /// A number attribute.
    pub fn n(&self, name: &str) -> Option<i64> {
        self.attrs.get(name).and_then(Attr::as_n)
    }

    /// A bytes attribute.
    pub fn b(&self, name: &str) -> Option<&[u8]> {
        self.attrs.get(name).and_then(Attr::as_b)
    }
}

/// An expression of DynamoDB with its names (`#n`) and values (`:v`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expr {
    /// The text.
    pub text: String,
    /// What `#name` stands for; keys with their `#`.
    pub names: BTreeMap<String, String>,
    /// What `:value` stands for; keys with their `:`.
    pub values: BTreeMap<String, Attr>,
}

impl Expr {
    /// An expression without placeholders.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// With the meaning of `#placeholder`.
    #[must_use]
    pub fn name(mut self, placeholder: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.names.insert(placeholder.into(), attribute.into());
        self
    }

    /// With the meaning of `:placeholder`.
    #[must_use]
    pub fn value(mut self, placeholder: impl Into<String>, value: Attr) -> Self {
        self.values.insert(placeholder.into(), value);
        self
    }
}

/// One write. In a transaction each item may stand in one action only.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Replace or create an item.
    Put {
        /// The item.
        item: Item,
        /// Condition on what was there.
        condition: Option<Expr>,
    },
    /// Change attributes, creating the item where it is missing.
    Update {
        /// Which item.
        key: Key,
        /// `SET ... ADD ... REMOVE ... DELETE ...`.
        update: Expr,
        /// Condition on what was there. Names and values are merged with those of `update`.
        condition: Option<Expr>,
    },
    /// Remove an item.
    Delete {
        /// Which item.
        key: Key,
        /// Condition on what was there.
        condition: Option<Expr>,
    },
    /// Only require something of an item (transactions).
    Check {
        /// Which item.
        key: Key,
        /// The condition.
        condition: Expr,
    },
}

impl Write {
    /// The key of the item that it concerns.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { item, .. } => &item.key,
            Self::Update { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }
}

/// A transaction: at most 100 actions and 4 MB, each item once.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// `ClientRequestToken`, 1..36 characters: the same token with the same body within ten minutes has one effect.
    pub token: String,
    /// The actions, with the table of each.
    pub writes: Vec<(TableName, Write)>,
}

/// Why one action made its transaction fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It did not.
    None,
    /// Its condition was not met; the item as it was, if there is one.
    ConditionFailed(Option<Item>),
    /// Another transaction holds the item.
    Conflict,
    /// Too many requests.
    Throttled,
    /// Anything else, with DynamoDB's code.
    Other(String),
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq)]
pub enum TableError {
    /// The condition of a single write was not met; the item as it was, if there is one.
    ConditionFailed(Option<Box<Item>>),
    /// A transaction was cancelled; one reason per action.
    Cancelled(Vec<Reason>),
    /// Nothing was done, and the same call may go through later (throttling, conflicts).
    Busy(String),
    /// The outcome is unknown (time-out, reset, 5xx after sending, `TransactionInProgress`).
    Unknown(String),
    /// The call is wrong or not allowed: a fault of ours or of the deployment.
    Broken(String),
}

impl TableError {
    /// Whether the call certainly had no effect.
    pub fn changed_nothing(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConditionFailed(_) => f.write_str("condition not met"),
            Self::Cancelled(reasons) => write!(f, "transaction cancelled: {reasons:?}"),
            Self::Busy(why) => write!(f, "busy: {why}"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
            Self::Broken(why) => write!(f, "refused: {why}"),
        }
    }
}

impl std::error::Error for TableError {}

/// A read of one partition in the order of its sort keys.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeQuery {
    /// Which table.
    pub table: TableName,
    /// The partition.
    pub pk: String,
    /// First sort key, inclusive.
    pub from: Option<Vec<u8>>,
    /// Last sort key, inclusive.
    pub to: Option<Vec<u8>>,
    /// Continue behind this sort key (exclusive, in the direction of reading).
    pub after: Option<Vec<u8>>,
    /// Greatest first.
    pub descending: bool,
    /// Most items to examine.
    pub limit: Option<usize>,
    /// Strongly consistent.
    pub consistent: bool,
    /// Only count; `items` stays empty.
    pub count_only: bool,
}

impl RangeQuery {
    /// All items of a partition, lowest sort key first, strongly consistent; other variants set the fields that differ.
    pub fn partition(table: TableName, pk: impl Into<String>) -> Self {
        let pk = pk.into();
        Self { table, pk, from: None, to: None, after: None, descending: false, limit: None, consistent: true, count_only: false }
    }
}

/// What a query found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RangePage {
    /// The items.
    pub items: Vec<Item>,
    /// How many there are in this page.
    pub count: usize,
    /// Where to go on, if there may be more.
    pub next: Option<Vec<u8>>,
}

/// Items of a scan, and the key behind which it goes on if there may be more.
pub type ScanPage = (Vec<Item>, Option<Key>);

/// What `update` gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// Nothing.
    Nothing,
    /// The item after the change (and before it, where the condition fails).
    New,
    /// The item before the change.
    Old,
}

/// Calls that Holdfast makes. Unprocessed keys are retried inside; each method is one wait of the caller unless the answer was
/// partial.
pub trait Table: Send + Sync {
    /// Whether a transaction becomes visible all at once, and nobody else's can come in between: so for a store in this process, never
    /// for DynamoDB. What a write otherwise announces beforehand stands in its transaction then ([`crate::store::write`]).
    fn commits_atomically(&self) -> bool {
        false
    }

    /// Reads items by key, in the order of `keys`; missing ones are `None`. Any number of keys (batches of 100, in parallel).
    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>>;

    /// Reads up to 100 items in one serialisable `TransactGetItems`: a prepared item answers with a conflict ([`TableError::Busy`]).
    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>>;

    /// Reads part of a partition: one page of DynamoDB.
    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>>;

    /// One conditional write outside a transaction.
    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>>;

    /// Many unconditional puts and deletes, not atomic (`BatchWriteItem`, batches of 25).
    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>>;

    /// A transaction.
    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>>;

    /// Reads a table from a position on in no particular order: for maintenance (`verify`, `reindex`), never for a request.
    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<ScanPage, TableError>>;
}

/// A table shared by many.
pub type SharedTable = Arc<dyn Table>;
