//! Calls that may be repeated: reads and unconditional batches, with jitter and within the patience of the client.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::DynamoTable;
use super::convert::units;
use super::convert::{self, SdkItem};
use super::error::meaning;
use crate::core::backoff::Backoff;
use crate::core::deadline;
use crate::store::meter::Kind;
use crate::store::table::{Item, Key, TableError, TableName, Write};

/// Most items of one `BatchGetItem`.
const READ_BATCH: usize = 100;
/// Most items of one `BatchWriteItem`.
const WRITE_BATCH: usize = 25;
/// Batches under way at a time, of one call of the port.
const PARALLEL: usize = 8;

/// First and longest pause between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(400);

/// Pauses between attempts, within a time, the request's deadline and the process's budget of retries.
struct Patience<'a> {
    table: &'a DynamoTable,
    until: Instant,
    backoff: Backoff<'a>,
    repeated: bool,
}

impl<'a> Patience<'a> {
    fn new(table: &'a DynamoTable) -> Self {
        let until = Instant::now() + deadline::at_most(table.options.patience);
        Self { table, until, backoff: Backoff::new(&table.env, FIRST_PAUSE, MAX_PAUSE), repeated: false }
    }

    /// Waits, or gives `error` back where no time is left, or nothing may be repeated any more.
    async fn wait(&mut self, error: TableError) -> Result<(), TableError> {
        let pause = self.backoff.draw();
        if Instant::now() + pause > self.until || !self.table.retries.take() {
            return Err(error);
        }
        self.repeated = true;
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// The call has succeeded.
    fn rewarded(self) {
        self.table.retries.earn(self.repeated);
    }
}

impl DynamoTable {
    /// Repeats a read while DynamoDB is busy or does not answer.
    pub(super) async fn patiently<T, F>(&self, mut read: impl FnMut() -> F) -> Result<T, TableError>
    where
        F: Future<Output = Result<T, TableError>>,
    {
        let mut patience = Patience::new(self);
        loop {
            match read().await {
                Err(error @ (TableError::Busy(_) | TableError::Unknown(_))) => patience.wait(error).await?,
                other => {
                    patience.rewarded();
                    return other;
                }
            }
        }
    }

    /// Items by key, each key asked for once, in batches.
    pub(super) async fn read(&self, keys: &[(TableName, Key)], consistent: bool) -> Result<Vec<Option<Item>>, TableError> {
        let mut distinct: Vec<&(TableName, Key)> = keys.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        // Boxed one by one: a closure that returns its future unboxed is not general enough over lifetimes.
        let mut batches: Vec<BoxFuture<'_, _>> = Vec::new();
        for batch in distinct.chunks(READ_BATCH) {
            batches.push(Box::pin(self.read_batch(batch, consistent)));
        }
        let found: Vec<BTreeMap<(TableName, Key), Item>> = stream::iter(batches).buffer_unordered(PARALLEL).try_collect().await?;
        Ok(keys.iter().map(|key| found.iter().find_map(|items| items.get(key)).cloned()).collect())
    }

    async fn read_batch(
        &self,
        batch: &[&(TableName, Key)],
        consistent: bool,
    ) -> Result<BTreeMap<(TableName, Key), Item>, TableError> {
        let mut rest: HashMap<String, Vec<SdkItem>> = HashMap::new();
        for (table, key) in batch {
            rest.entry(self.options.name(*table).to_owned()).or_default().push(convert::key(key));
        }
        let mut found = BTreeMap::new();
        let mut patience = Patience::new(self);
        while !rest.is_empty() {
            let error = match self.read_once(&rest, consistent, &mut found).await {
                Ok(unprocessed) => {
                    rest = unprocessed;
                    if rest.is_empty() {
                        break;
                    }
                    TableError::Busy("keys stay unprocessed".to_owned())
                }
                Err(error @ (TableError::Busy(_) | TableError::Unknown(_))) => error,
                Err(error) => return Err(error),
            };
            patience.wait(error).await?;
        }
        patience.rewarded();
        Ok(found)
    }

    async fn read_once(
        &self,
        keys: &HashMap<String, Vec<SdkItem>>,
        consistent: bool,
        found: &mut BTreeMap<(TableName, Key), Item>,
    ) -> Result<HashMap<String, Vec<SdkItem>>, TableError> {
        let mut request = self.client.batch_get_item().return_consumed_capacity(ReturnConsumedCapacity::Total);
        for (name, keys) in keys {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys.clone())).consistent_read(consistent).build();
            request = request.request_items(name, keys.map_err(|error| TableError::Broken(error.to_string()))?);
        }
        self.meter.call(Kind::BatchGet);
        let output = request.send().await.map_err(meaning)?;
        self.meter.units(Kind::BatchGet, units(output.consumed_capacity()));
        for (name, items) in output.responses.unwrap_or_default() {
            let table = self.options.table(&name)?;
            for item in items {
                let item = convert::item_back(item)?;
                found.insert((table, item.key.clone()), item);
            }
        }
        let unprocessed = output.unprocessed_keys.unwrap_or_default();
        Ok(unprocessed.into_iter().map(|(name, keys)| (name, keys.keys)).filter(|(_, keys)| !keys.is_empty()).collect())
    }

    /// Unconditional puts and deletes, in batches.
    pub(super) async fn write_all(&self, writes: Vec<(TableName, Write)>) -> Result<(), TableError> {
        let mut requests = Vec::with_capacity(writes.len());
        for (table, write) in writes {
            requests.push((self.options.name(table).to_owned(), write_request(write)?));
        }
        let mut batches: Vec<BoxFuture<'_, _>> = Vec::new();
        for batch in requests.chunks(WRITE_BATCH) {
            batches.push(Box::pin(self.write_batch_of(batch)));
        }
        stream::iter(batches).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn write_batch_of(&self, batch: &[(String, WriteRequest)]) -> Result<(), TableError> {
        let mut rest: HashMap<String, Vec<WriteRequest>> = HashMap::new();
        for (name, request) in batch {
            rest.entry(name.clone()).or_default().push(request.clone());
        }
        let mut patience = Patience::new(self);
        loop {
            let error = match self.write_once(&rest).await {
                Ok(unprocessed) if unprocessed.is_empty() => {
                    patience.rewarded();
                    return Ok(());
                }
                Ok(unprocessed) => {
                    rest = unprocessed;
                    TableError::Busy("items stay unprocessed".to_owned())
                }
                Err(error @ (TableError::Busy(_) | TableError::Unknown(_))) => error,
                Err(error) => return Err(error),
            };
            patience.wait(error).await?;
        }
    }

    async fn write_once(
        &self,
        requests: &HashMap<String, Vec<WriteRequest>>,
    ) -> Result<HashMap<String, Vec<WriteRequest>>, TableError> {
        self.meter.call(Kind::BatchWrite);
        let request = self.client.batch_write_item().set_request_items(Some(requests.clone()));
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::BatchWrite, units(output.consumed_capacity()));
        let unprocessed = output.unprocessed_items.unwrap_or_default();
        Ok(unprocessed.into_iter().filter(|(_, requests)| !requests.is_empty()).collect())
    }
}

fn write_request(write: Write) -> Result<WriteRequest, TableError> {
    let broken = |error: &dyn std::fmt::Display| TableError::Broken(error.to_string());
    match write {
        Write::Put { item, condition: None } => {
            let put = PutRequest::builder().set_item(Some(convert::item(item))).build().map_err(|error| broken(&error))?;
            Ok(WriteRequest::builder().put_request(put).build())
        }
        Write::Delete { key, condition: None } => {
            let delete = DeleteRequest::builder().set_key(Some(convert::key(&key))).build().map_err(|error| broken(&error))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        }
        _ => Err(broken(&"a batch takes unconditional puts and deletes only")),
    }
}
