//! Whether the archive holds what the trail says: every object since the first window, with the same entries.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::export::{Archive, Checkpoint, ExportError, ExportPosition, WINDOW, checkpoint, key};
use super::part::{self, Part};
use crate::store::table::Table;

/// Windows that are compared at once.
const TOGETHER: usize = 8;

/// What is wrong with an exported object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is no gzip of lines.
    Unreadable,
    /// It has other entries than the trail: how many it has, how many the trail has.
    Differs(usize, usize),
}

/// Compared values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// How far the trail is exported; `None`: nothing is.
    pub checkpoint: Option<Checkpoint>,
    /// Objects that were looked for.
    pub objects: usize,
    /// Entries that they should hold.
    pub entries: usize,
    /// Keys of objects that are not as they should be.
    pub faults: Vec<(String, Fault)>,
}

/// Compares everything that was exported with the trail.
///
/// # Errors
/// When one of the two cannot be read.
pub async fn check(table: &dyn Table, archive: &dyn Archive) -> Result<Checked, ExportError> {
    let Some(checkpoint) = checkpoint(table).await? else { return Ok(Checked::default()) };
    let Checkpoint { first, next } = checkpoint;
    let windows = (first..=next.window).step_by(usize::try_from(WINDOW).unwrap_or(1));
    let compared = stream::iter(windows).map(|window| of_window(table, archive, window, next)).buffered(TOGETHER);
    let start = Checked { checkpoint: Some(checkpoint), ..Checked::default() };
    compared
        .try_fold(start, |mut all, one| async move {
            all.objects += one.objects;
            all.entries += one.entries;
            all.faults.extend(one.faults);
            Ok(all)
        })
        .await
}

/// The parts of one window, as far as they are exported.
async fn of_window(table: &dyn Table, archive: &dyn Archive, window: i64, end: ExportPosition) -> Result<Checked, ExportError> {
    let mut checked = Checked::default();
    let mut place = ExportPosition { window, part: 0, after: None };
    while place.window == window && (place.window, place.part) < (end.window, end.part) {
        let part = Part::read(table, &place).await?;
        let key = key(&place);
        let fault = match archive.get(&key).await? {
            None => Some(Fault::Missing),
            Some(object) => match part::unpacked(&object) {
                None => Some(Fault::Unreadable),
                Some(lines) if lines != part.lines => Some(Fault::Differs(lines.len(), part.lines.len())),
                Some(_) => None,
            },
        };
        checked.objects += 1;
        checked.entries += part.lines.len();
        checked.faults.extend(fault.map(|fault| (key, fault)));
        place = place.behind(&part);
    }
    Ok(checked)
}
