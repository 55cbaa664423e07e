//! A run: the table is scanned once, each page compared.

use std::sync::Arc;

use super::Verifier;
use super::report::Report;
use crate::core::clock::Micros;
use crate::store::constraints::Constraints;
use crate::store::table::{TableError, TableName};

impl Verifier {
    /// Reads everything; `progress` is called after each page. `deadline` bounds only the completion of abandoned cascades.
    ///
    /// # Errors
    /// What the table says; [`TableError::Broken`] for one that an earlier version has written and nobody has converted.
    pub async fn run(&self, deadline: Micros, mut progress: impl FnMut(&Report) + Send) -> Result<Report, TableError> {
        Constraints::new(Arc::clone(&self.table), Arc::clone(&self.model), self.env.clone()).check_protocol().await?;
        let mut report = Report::default();
        if self.repair {
            self.sweep(deadline).await?;
        }
        let mut after = None;
        loop {
            let (page, next) = self.table.scan(TableName::Data, after, (0, 1)).await?;
            report.items += page.len() as u64;
            self.page(page, &mut report).await?;
            progress(&report);
            after = next;
            if after.is_none() {
                return Ok(report);
            }
        }
    }
}
