//! A planned list: rows are read in order, and kept by policy and filters, until the page is full or the budget is used up.

use serde_json::Value;

use super::related::Related;
use super::scan::{Row, Rows, ScanError};
use crate::app::App;
use crate::model::value::Record;
use crate::model::{Entity, FieldMask, Path};
use crate::query::ListQuery;
use crate::query::condition::{Targets as _, Values, own_fields};
use crate::query::plan::QueryPlan;
use crate::query::policy::{Access, Permitted};

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Visible records with the fields that may be seen of each.
    pub rows: Vec<(Record, FieldMask)>,
    /// Behind which sort key the next page begins, if there may be one.
    pub next: Option<Vec<u8>>,
    /// Rows that were read for it.
    pub examined: usize,
}

/// Reads a page behind a position.
///
/// # Errors
/// [`ScanError`].
pub async fn page(
    app: &App,
    permitted: &Permitted<ListQuery>,
    plan: &QueryPlan,
    after: Option<Vec<u8>>,
) -> Result<Page, ScanError> {
    let visibility = RowVisibility::new(app, permitted);
    let limit = permitted.query().limit;
    let mut examine = app.model.limits.examine.max(limit) + 1;
    let chunk = if visibility.open { limit + 1 } else { (2 * (limit + 1)).clamp(25, 200) };
    let mut rows = Rows::open(app, plan, after, chunk).await?;
    let mut page = Page::default();
    let mut last = None;
    loop {
        let wanted = chunk.min(examine);
        let (found, ended) = rows.next(wanted).await?;
        examine -= found.len();
        page.examined += found.len();
        for (row, mask) in visibility.visible(found).await? {
            let Some(mask) = mask else {
                last = Some(row.position);
                continue;
            };
            if page.rows.len() == limit {
                page.next = last;
                return Ok(page);
            }
            last = Some(row.position);
            page.rows.push((row.record, mask));
        }
        if ended {
            return Ok(page);
        }
        if examine == 0 {
            page.next = last;
            return Ok(page);
        }
    }
}

/// How many records the list has; `None` where counting them would examine more than the budget.
///
/// # Errors
/// [`ScanError`].
pub async fn count(app: &App, permitted: &Permitted<ListQuery>, plan: &QueryPlan) -> Result<Option<usize>, ScanError> {
    let visibility = RowVisibility::new(app, permitted);
    let most = app.model.limits.examine.max(permitted.query().limit);
    let mut rows = Rows::open(app, plan, None, most.min(1000) + 1).await?;
    let (found, _) = rows.next(most + 1).await?;
    if found.len() > most {
        return Ok(None);
    }
    Ok(Some(visibility.visible(found).await?.iter().filter(|(_, mask)| mask.is_some()).count()))
}

/// Decides row by row what is visible.
pub struct RowVisibility<'a> {
    app: &'a App,
    entity: &'a Entity,
    permitted: &'a Permitted<ListQuery>,
    /// Fields that filters and sort read: a row whose mask lacks one of them is not seen by this query.
    needed: FieldMask,
    /// Paths that conditions and filters read.
    paths: Vec<Path>,
    /// Every row of the scans is visible with the same fields.
    open: bool,
}

impl<'a> RowVisibility<'a> {
    /// For one permitted list.
    pub fn new(app: &'a App, permitted: &'a Permitted<ListQuery>) -> Self {
        let query = permitted.query();
        let entity = app.model.entity(query.entity);
        let mut paths: Vec<Path> = query.filters.iter().chain(&query.fixed).map(|comparison| comparison.path).collect();
        let mentioned = paths.iter().copied().chain(query.sort.iter().flatten().map(|part| part.by));
        let needed = own_fields(mentioned);
        permitted.access().paths(&mut |path| paths.push(path));
        let open = permitted.access().is_open(&permitted.access().widest()) && query.filters.is_empty();
        Self { app, entity, permitted, needed, paths, open }
    }

    /// Each row with its mask; `None` for those that the caller does not see by this query.
    ///
    /// # Errors
    /// Errors of the table when related records are read.
    pub async fn visible(&self, rows: Vec<Row>) -> Result<Vec<(Row, Option<FieldMask>)>, ScanError> {
        let records: Vec<&Record> = rows.iter().map(|row| &row.record).collect();
        let related = Related::load(self.app, self.entity, &records, &self.paths).await?;
        let second = self.second(&records, &related).await?;
        let masks: Vec<Option<FieldMask>> = records.iter().map(|record| self.mask(record, &related, &second)).collect();
        Ok(rows.into_iter().zip(masks).collect())
    }

    /// What the conditions on the records behind filters over relations read in turn.
    async fn second(&self, records: &[&Record], related: &Related) -> Result<Vec<(Path, Related)>, ScanError> {
        let mut loaded = Vec::new();
        for filter in &self.permitted.query().filters {
            let Path::Via(via, _) = filter.path else { continue };
            let Some((target, access)) = self.target(via) else { continue };
            let mut paths = Vec::new();
            access.paths(&mut |path| paths.push(path));
            let targets: Vec<&Record> = records.iter().filter_map(|record| related.target(record, via)).collect();
            loaded.push((filter.path, Related::load(self.app, target, &targets, &paths).await?));
        }
        Ok(loaded)
    }

    fn target(&self, via: crate::model::FieldIx) -> Option<(&'a Entity, &'a Access)> {
        let crate::model::FieldType::Ref { target, .. } = self.entity.field(via).kind else { return None };
        Some((self.app.model.entity(target), self.permitted.related(target)?))
    }

    fn mask(&self, record: &Record, related: &Related, second: &[(Path, Related)]) -> Option<FieldMask> {
        let model = &self.app.model;
        let mask = self.permitted.access().mask(model, self.entity, &related.values(record))?;
        if !mask.contains_all(&self.needed) {
            return None;
        }
        let values = VisibleValues { visibility: self, record, related, second };
        let query = self.permitted.query();
        let holds = query.filters.iter().chain(&query.fixed).all(|comparison| {
            // What may not be seen of the other side matches nothing, not even a negation.
            values.is_visible(comparison.path) && comparison.holds(model, self.entity, &values)
        });
        holds.then_some(mask)
    }
}

/// Values that the caller's own filters may read.
struct VisibleValues<'a> {
    visibility: &'a RowVisibility<'a>,
    record: &'a Record,
    related: &'a Related,
    second: &'a [(Path, Related)],
}

impl VisibleValues<'_> {
    fn is_visible(&self, path: Path) -> bool {
        let Path::Via(via, field) = path else { return true };
        let Some((target, access)) = self.visibility.target(via) else { return false };
        // No record on the other side: its fields are null, which anyone may know who may read the reference.
        let Some(record) = self.related.target(self.record, via) else { return true };
        let Some((_, behind)) = self.second.iter().find(|(of, _)| *of == path) else { return false };
        access.mask(&self.visibility.app.model, target, &behind.values(record)).is_some_and(|mask| mask.contains(field))
    }
}

impl Values for VisibleValues<'_> {
    fn value(&self, path: Path) -> Value {
        self.related.values(self.record).value(path)
    }
}
