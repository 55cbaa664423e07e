//! The port's methods, one request each.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Get, Put, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
    Select, TransactGetItem, TransactWriteItem, Update,
};
use futures::future::BoxFuture;

use super::DynamoTable;
use super::convert::units;
use super::convert::{self, PK, SK, SdkItem};
use super::error::meaning;
use crate::store::meter::Kind;
use crate::store::table::{
    Expr, Item, Key, RangePage, RangeQuery, Reason, Returning, Table, TableError, TableName, Transaction, Write,
};

const OLD_ON_FAILURE: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

impl Table for DynamoTable {
    fn commits_atomically(&self) -> bool {
        self.commits_atomically
    }

    fn get<'a>(&'a self, keys: &'a [(TableName, Key)], consistent: bool) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(async move {
            match keys {
                [] => Ok(Vec::new()),
                [(table, key)] => self.patiently(|| self.get_one(*table, key, consistent)).await.map(|item| vec![item]),
                keys => self.read(keys, consistent).await,
            }
        })
    }

    fn get_transaction<'a>(&'a self, keys: &'a [(TableName, Key)]) -> BoxFuture<'a, Result<Vec<Option<Item>>, TableError>> {
        Box::pin(self.get_all_at_once(keys))
    }

    fn query<'a>(&'a self, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        Box::pin(async move {
            match bounds(&query) {
                None => Ok(RangePage::default()),
                Some(after) => self.patiently(|| self.page(&query, after.clone())).await,
            }
        })
    }

    fn write<'a>(
        &'a self,
        table: TableName,
        write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        Box::pin(async move {
            match write {
                Write::Put { item, condition } => self.put(table, item, condition, returning).await,
                Write::Update { key, update, condition } => self.update(table, &key, update, condition, returning).await,
                Write::Delete { key, condition } => self.delete(table, &key, condition, returning).await,
                Write::Check { .. } => Err(TableError::Broken("a check stands in transactions only".to_owned())),
            }
        })
    }

    fn write_batch<'a>(&'a self, writes: Vec<(TableName, Write)>) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.write_all(writes))
    }

    fn transact<'a>(&'a self, transaction: Transaction) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.transact_write(transaction))
    }

    fn scan<'a>(
        &'a self,
        table: TableName,
        after: Option<Key>,
        segment: (u32, u32),
    ) -> BoxFuture<'a, Result<(Vec<Item>, Option<Key>), TableError>> {
        Box::pin(async move { self.patiently(|| self.scan_page(table, after.as_ref(), segment)).await })
    }
}

/// Where a query starts behind (`Some(None)`: at its beginning), or `None` where it cannot find anything. DynamoDB refuses
/// bounds in the wrong order and a start outside of them, which are no mistakes of a caller who pages.
fn bounds(query: &RangeQuery) -> Option<Option<Vec<u8>>> {
    let (from, to) = (query.from.as_ref(), query.to.as_ref());
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return None;
    }
    let Some(after) = query.after.as_ref() else { return Some(None) };
    let (before_first, at_end) = if query.descending {
        (to.is_some_and(|to| after > to), from.is_some_and(|from| after <= from))
    } else {
        (from.is_some_and(|from| after < from), to.is_some_and(|to| after >= to))
    };
    if at_end { None } else { Some((!before_first).then(|| after.clone())) }
}

fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

impl DynamoTable {
    async fn get_one(&self, table: TableName, key: &Key, consistent: bool) -> Result<Option<Item>, TableError> {
        self.meter.call(Kind::Get);
        let request = self.client.get_item().table_name(self.options.name(table)).set_key(Some(convert::key(key)));
        let request = request.consistent_read(consistent).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = request.send().await.map_err(meaning)?;
        self.meter.units(Kind::Get, units(output.consumed_capacity.as_slice()));
        found(output.item)
    }

    async fn get_all_at_once(&self, keys: &[(TableName, Key)]) -> Result<Vec<Option<Item>>, TableError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut request = self.client.transact_get_items().return_consumed_capacity(ReturnConsumedCapacity::Total);
        for (table, key) in keys {
            let get = Get::builder().table_name(self.options.name(*table)).set_key(Some(convert::key(key)));
            let get = get.build().map_err(broken)?;
            request = request.transact_items(TransactGetItem::builder().get(get).build());
        }
        self.meter.call(Kind::TransactGet);
        let output = match request.send().await.map_err(meaning) {
            Err(TableError::Cancelled(reasons))
                if reasons.iter().any(|reason| matches!(reason, Reason::Conflict | Reason::Throttled)) =>
            {
                return Err(TableError::Busy("a transaction holds an item that is to be read".to_owned()));
            }
            other => other?,
        };
        self.meter.units(Kind::TransactGet, units(output.consumed_capacity()));
        output.responses.unwrap_or_default().into_iter().map(|response| found(response.item)).collect()
    }

    async fn page(&self, query: &RangeQuery, after: Option<Vec<u8>>) -> Result<RangePage, TableError> {
        let condition = match (&query.from, &query.to) {
            (None, None) => "#pk = :pk",
            (Some(_), None) => "#pk = :pk AND #sk >= :from",
            (None, Some(_)) => "#pk = :pk AND #sk <= :to",
            (Some(_), Some(_)) => "#pk = :pk AND #sk BETWEEN :from AND :to",
        };
        let mut request = self.client.query().table_name(self.options.name(query.table)).key_condition_expression(condition);
        request = request.expression_attribute_names("#pk", PK);
        request = request.expression_attribute_values(":pk", AttributeValue::S(query.pk.clone()));
        if query.from.is_some() || query.to.is_some() {
            request = request.expression_attribute_names("#sk", SK);
        }
        for (name, bound) in [(":from", &query.from), (":to", &query.to)] {
            if let Some(bound) = bound {
                request = request.expression_attribute_values(name, bytes(bound));
            }
        }
        if let Some(after) = after {
            request = request.set_exclusive_start_key(Some(convert::key(&Key::new(query.pk.clone(), after))));
        }
        if let Some(limit) = query.limit {
            request = request.limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1));
        }
        if query.count_only {
            request = request.select(Select::Count);
        }
        request = request.scan_index_forward(!query.descending).consistent_read(query.consistent);
        self.meter.call(Kind::Query);
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::Query, units(output.consumed_capacity.as_slice()));
        let next = output.last_evaluated_key.filter(|key| !key.is_empty());
        let next = next.map(|mut key| convert::key_back(&mut key)).transpose()?.map(|key| key.sk);
        let items: Vec<Item> = output.items.unwrap_or_default().into_iter().map(convert::item_back).collect::<Result<_, _>>()?;
        Ok(RangePage { items, count: usize::try_from(output.count).unwrap_or(0), next })
    }

    async fn scan_page(
        &self,
        table: TableName,
        after: Option<&Key>,
        (segment, segments): (u32, u32),
    ) -> Result<(Vec<Item>, Option<Key>), TableError> {
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let request = self.client.scan().table_name(self.options.name(table)).consistent_read(true);
        let request = request.segment(number(segment)).total_segments(number(segments.max(1)));
        let request = request.set_exclusive_start_key(after.map(convert::key));
        self.meter.call(Kind::Scan);
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::Scan, units(output.consumed_capacity.as_slice()));
        let next = output.last_evaluated_key.filter(|key| !key.is_empty());
        let next = next.map(|mut key| convert::key_back(&mut key)).transpose()?;
        let items = output.items.unwrap_or_default().into_iter().map(convert::item_back).collect::<Result<_, _>>()?;
        Ok((items, next))
    }

    async fn put(
        &self,
        table: TableName,
        item: Item,
        condition: Option<Expr>,
        returning: Returning,
    ) -> Result<Option<Item>, TableError> {
        let after = (returning == Returning::New).then(|| item.clone());
        let (_, condition, placeholders) = convert::expressions(None, condition);
        let request = self.client.put_item().table_name(self.options.name(table)).set_item(Some(convert::item(item)));
        let request = request.set_return_values_on_condition_check_failure(condition.is_some().then_some(OLD_ON_FAILURE));
        let request = request.set_condition_expression(condition).set_return_values(old_values(returning));
        let request = request.set_expression_attribute_names(placeholders.names);
        let request = request.set_expression_attribute_values(placeholders.values);
        self.meter.call(Kind::Put);
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::Put, units(output.consumed_capacity.as_slice()));
        if after.is_some() { Ok(after) } else { found(output.attributes) }
    }

    async fn update(
        &self,
        table: TableName,
        key: &Key,
        update: Expr,
        condition: Option<Expr>,
        returning: Returning,
    ) -> Result<Option<Item>, TableError> {
        let (update, condition, placeholders) = convert::expressions(Some(update), condition);
        let values = match returning {
            Returning::Nothing => None,
            Returning::New => Some(ReturnValue::AllNew),
            Returning::Old => Some(ReturnValue::AllOld),
        };
        let request = self.client.update_item().table_name(self.options.name(table)).set_key(Some(convert::key(key)));
        let request = request.set_return_values_on_condition_check_failure(condition.is_some().then_some(OLD_ON_FAILURE));
        let request = request.set_update_expression(update).set_condition_expression(condition).set_return_values(values);
        let request = request.set_expression_attribute_names(placeholders.names);
        let request = request.set_expression_attribute_values(placeholders.values);
        self.meter.call(Kind::Update);
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::Update, units(output.consumed_capacity.as_slice()));
        found(output.attributes)
    }

    async fn delete(
        &self,
        table: TableName,
        key: &Key,
        condition: Option<Expr>,
        returning: Returning,
    ) -> Result<Option<Item>, TableError> {
        let (_, condition, placeholders) = convert::expressions(None, condition);
        let request = self.client.delete_item().table_name(self.options.name(table)).set_key(Some(convert::key(key)));
        let request = request.set_return_values_on_condition_check_failure(condition.is_some().then_some(OLD_ON_FAILURE));
        let request = request.set_condition_expression(condition).set_return_values(old_values(returning));
        let request = request.set_expression_attribute_names(placeholders.names);
        let request = request.set_expression_attribute_values(placeholders.values);
        self.meter.call(Kind::Delete);
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::Delete, units(output.consumed_capacity.as_slice()));
        found(output.attributes)
    }

    async fn transact_write(&self, transaction: Transaction) -> Result<(), TableError> {
        let mut request = self.client.transact_write_items().client_request_token(transaction.token);
        for (table, write) in transaction.writes {
            request = request.transact_items(action(self.options.name(table), write)?);
        }
        self.meter.call(Kind::TransactWrite);
        let output = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.map_err(meaning)?;
        self.meter.units(Kind::TransactWrite, units(output.consumed_capacity()));
        Ok(())
    }
}

/// One action of a transaction; each asks for the old item where its condition fails.
fn action(table: &str, write: Write) -> Result<TransactWriteItem, TableError> {
    let builder = TransactWriteItem::builder();
    Ok(match write {
        Write::Put { item, condition } => {
            let (_, condition, placeholders) = convert::expressions(None, condition);
            let put = Put::builder().table_name(table).set_item(Some(convert::item(item))).set_condition_expression(condition);
            let put = put.set_expression_attribute_names(placeholders.names);
            let put = put.set_expression_attribute_values(placeholders.values);
            builder.put(put.return_values_on_condition_check_failure(OLD_ON_FAILURE).build().map_err(broken)?).build()
        }
        Write::Update { key, update, condition } => {
            let (update, condition, placeholders) = convert::expressions(Some(update), condition);
            let change = Update::builder().table_name(table).set_key(Some(convert::key(&key))).set_update_expression(update);
            let change = change.set_condition_expression(condition).set_expression_attribute_names(placeholders.names);
            let change = change.set_expression_attribute_values(placeholders.values);
            builder.update(change.return_values_on_condition_check_failure(OLD_ON_FAILURE).build().map_err(broken)?).build()
        }
        Write::Delete { key, condition } => {
            let (_, condition, placeholders) = convert::expressions(None, condition);
            let delete = Delete::builder().table_name(table).set_key(Some(convert::key(&key)));
            let delete = delete.set_condition_expression(condition).set_expression_attribute_names(placeholders.names);
            let delete = delete.set_expression_attribute_values(placeholders.values);
            builder.delete(delete.return_values_on_condition_check_failure(OLD_ON_FAILURE).build().map_err(broken)?).build()
        }
        Write::Check { key, condition } => {
            let (_, condition, placeholders) = convert::expressions(None, Some(condition));
            let check = ConditionCheck::builder().table_name(table).set_key(Some(convert::key(&key)));
            let check = check.set_condition_expression(condition).set_expression_attribute_names(placeholders.names);
            let check = check.set_expression_attribute_values(placeholders.values);
            builder
                .condition_check(check.return_values_on_condition_check_failure(OLD_ON_FAILURE).build().map_err(broken)?)
                .build()
        }
    })
}

/// Puts and deletes can only give back what was there.
fn old_values(returning: Returning) -> Option<ReturnValue> {
    (returning == Returning::Old).then_some(ReturnValue::AllOld)
}

fn found(item: Option<SdkItem>) -> Result<Option<Item>, TableError> {
    item.filter(|item| !item.is_empty()).map(convert::item_back).transpose()
}

fn broken(error: impl std::fmt::Display) -> TableError {
    TableError::Broken(error.to_string())
}
