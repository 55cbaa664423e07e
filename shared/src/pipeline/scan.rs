//! Rows of a plan in its order: the scans are merged, each by pages of DynamoDB, and never further than the caller goes on asking.

use std::collections::VecDeque;

use futures::future;

use crate::app::App;
use crate::model::value::Record;
use crate::model::{Entity, IndexIx};
use crate::query::plan::{MAX_SCANS, QueryPlan, Scan};
use crate::store::table::{Item, RangeQuery, TableError, TableName};
use crate::store::{items, keys};

/// Reason why rows cannot be read.
#[derive(Debug)]
pub enum ScanError {
    /// More parents match a filter over a relation than may be merged.
    TooManyParents,
    /// Errors of the table.
    Table(TableError),
}

impl From<TableError> for ScanError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

/// A row: where it stands and what it holds.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its sort key.
    pub position: Vec<u8>,
    /// The record.
    pub record: Record,
}

struct Source {
    scan: Scan,
    buffer: VecDeque<Item>,
    after: Option<Vec<u8>>,
    done: bool,
}

/// The merged rows.
pub struct Rows<'a> {
    app: &'a App,
    entity: &'a Entity,
    reverse: bool,
    page: usize,
    sources: Vec<Source>,
    last: Option<Vec<u8>>,
}

impl<'a> Rows<'a> {
    /// Opens the rows of a plan behind a position. `page` is how many rows a call may ask for.
    ///
    /// # Errors
    /// [`ScanError`], from finding the parents of a join.
    pub async fn open(app: &'a App, plan: &QueryPlan, after: Option<Vec<u8>>, page: usize) -> Result<Self, ScanError> {
        let entity = app.model.entity(plan.entity);
        let mut scans = plan.scans.clone();
        for join in &plan.joins {
            scans.extend(parents(app, entity, join).await?);
            if scans.len() > MAX_SCANS {
                return Err(ScanError::TooManyParents);
            }
        }
        let sources =
            scans.into_iter().map(|scan| Source { scan, buffer: VecDeque::new(), after: after.clone(), done: false }).collect();
        Ok(Self { app, entity, reverse: plan.reverse, page, sources, last: None })
    }

    /// The next rows in order, at most `most`, and whether these were the last.
    ///
    /// # Errors
    /// Errors of the table.
    pub async fn next(&mut self, most: usize) -> Result<(Vec<Row>, bool), ScanError> {
        let mut found: Vec<Row> = Vec::new();
        let mut partial = Vec::new();
        let mut ended = false;
        while found.len() < most {
            self.fill().await?;
            let Some((item, index)) = self.pop() else {
                ended = true;
                break;
            };
            // A record that two scans cover stands at one position in both.
            if self.last.as_ref() == Some(&item.key.sk) {
                continue;
            }
            self.last = Some(item.key.sk.clone());
            let record = items::decode(&item).ok_or_else(|| TableError::Broken("an index row cannot be read".into()))?;
            if self.entity.index(index).projection.is_some() {
                partial.push(found.len());
            }
            found.push(Row { position: item.key.sk, record });
        }
        Ok((self.complete(found, &partial).await?, ended))
    }

    /// Fills the buffers that are empty, all at once.
    async fn fill(&mut self) -> Result<(), TableError> {
        let (app, reverse, page) = (self.app, self.reverse, self.page);
        let empty = self.sources.iter_mut().filter(|source| source.buffer.is_empty() && !source.done);
        future::try_join_all(empty.map(|source| source.fill(app, reverse, page))).await.map(|_| ())
    }

    fn pop(&mut self) -> Option<(Item, IndexIx)> {
        let reverse = self.reverse;
        let heads = self.sources.iter_mut().filter(|source| !source.buffer.is_empty());
        let first = heads.min_by(|a, b| {
            let order = a.head().cmp(b.head());
            if reverse { order.reverse() } else { order }
        })?;
        let index = first.scan.index;
        first.buffer.pop_front().map(|item| (item, index))
    }

    /// Rows of an index that carries fewer fields are completed from their records, in one batch.
    async fn complete(&self, mut rows: Vec<Row>, partial: &[usize]) -> Result<Vec<Row>, ScanError> {
        if partial.is_empty() {
            return Ok(rows);
        }
        let places: Vec<_> =
            partial.iter().map(|at| (TableName::Data, keys::record(self.entity, &rows[*at].record.id))).collect();
        let found = self.app.table.get(&places, true).await?;
        let mut gone = Vec::new();
        for (at, item) in partial.iter().zip(found) {
            match item.as_ref().and_then(items::decode) {
                Some(record) => rows[*at].record = record,
                // Deleted since the row was read.
                None => gone.push(*at),
            }
        }
        let mut at = 0;
        rows.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        Ok(rows)
    }
}

impl Source {
    fn head(&self) -> &[u8] {
        self.buffer.front().map_or(&[], |item| &item.key.sk)
    }

    async fn fill(&mut self, app: &App, reverse: bool, page: usize) -> Result<(), TableError> {
        // A page of DynamoDB may be empty although more follows.
        while self.buffer.is_empty() && !self.done {
            let found = app.table.query(self.query(reverse, page)).await?;
            self.buffer.extend(found.items);
            self.done = found.next.is_none();
            self.after = found.next;
        }
        Ok(())
    }

    fn query(&self, reverse: bool, page: usize) -> RangeQuery {
        RangeQuery {
            from: self.scan.from.clone(),
            to: self.scan.to.clone(),
            after: self.after.clone(),
            descending: reverse,
            limit: Some(page),
            ..RangeQuery::partition(TableName::Data, self.scan.pk.clone())
        }
    }
}

/// One scan per parent that a join finds.
async fn parents(app: &App, entity: &Entity, join: &crate::query::plan::Join) -> Result<Vec<Scan>, ScanError> {
    let parent = app.model.entity(join.parent);
    let index = entity.index(join.index);
    let mut scans = Vec::new();
    for pk in &join.partitions {
        let mut after = None;
        loop {
            let query = RangeQuery {
                after: after.clone(),
                limit: Some(MAX_SCANS + 1),
                ..RangeQuery::partition(TableName::Data, pk.clone())
            };
            let page = app.table.query(query).await?;
            for record in page.items.iter().filter_map(items::decode) {
                let order = crate::model::value::encode::order_of_id(&parent.id);
                let value = crate::model::value::encode::encode(&order, &record.id_value(parent));
                let pk = keys::partition(entity, index, &[value]);
                scans.push(Scan { index: index.ix, pk, from: None, to: None });
            }
            if scans.len() > MAX_SCANS {
                return Err(ScanError::TooManyParents);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(scans)
}
