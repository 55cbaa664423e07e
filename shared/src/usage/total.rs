//! Counts since ever, which never fall.

use super::counts::{OTHERS, UsageCounts};

/// Maximum number of consumers with counts of their own since ever.
const COUNTED: usize = 2_000;

/// Adds to the counts since ever. A consumer with counts of its own keeps them, so none of them ever falls.
pub(super) fn add_to_total(total: &mut UsageCounts, added: &UsageCounts) {
    for ((consumer, route, class), numbers) in &added.cells {
        total.cells.entry((String::new(), route.clone(), *class)).or_default().merge(numbers);
        let known = total.habits.contains_key(consumer);
        let place = if known || total.habits.len() < COUNTED { consumer } else { OTHERS };
        total.habits.entry(place.to_owned()).or_default();
        let mut own = numbers.clone();
        // Percentiles of each consumer since ever say nothing and would fill the item.
        own.latency = Default::default();
        total.cells.entry((place.to_owned(), String::new(), *class)).or_default().merge(&own);
    }
    for ((_, name), count) in &added.deprecated {
        *total.deprecated.entry((String::new(), name.clone())).or_default() += count;
    }
    total.lost += added.lost;
    total.stale += added.stale;
    total.fallbacks[0] += added.fallbacks[0];
    total.fallbacks[1] += added.fallbacks[1];
}
