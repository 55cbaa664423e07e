//! A run: the table is scanned, each page compared, and references counted part by part.

use super::Verifier;
use super::counts::Counts;
use super::report::Report;
use crate::core::clock::Micros;
use crate::store::table::{TableError, TableName};

impl Verifier {
    /// Reads everything; `progress` is called after each page. `deadline` bounds only the completion of abandoned cascades.
    ///
    /// # Errors
    /// What the table says.
    pub async fn run(&self, deadline: Micros, mut progress: impl FnMut(&Report) + Send) -> Result<Report, TableError> {
        let mut report = Report::default();
        if self.repair {
            self.sweep(deadline).await?;
        }
        let mut counts = Counts::new(self.most_counters);
        loop {
            let first = report.scans == 0;
            report.scans += 1;
            let mut after = None;
            loop {
                let (page, next) = self.table.scan(TableName::Data, after, (0, 1)).await?;
                report.items += page.len() as u64;
                for item in &page {
                    self.count(&mut counts, item);
                }
                if first {
                    self.page(page, &mut report).await?;
                }
                progress(&report);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            for (key, wrong) in counts.wrong() {
                self.recount(&key, wrong, &mut report).await?;
            }
            progress(&report);
            if !counts.next_part() {
                return Ok(report);
            }
        }
    }
}
