//! Grouping sheets into the rows of `/v1/_usage`. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cell::Numbers;
use super::counts::UsageCounts;
use crate::core::clock::Micros;

/// What rows may be grouped by, besides time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Consumer.
    Consumer,
    /// Route.
    Route,
    /// Status class.
    Status,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Consumer, Self::Route, Self::Status];

    /// Its name in parameters and rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Route => "route",
            Self::Status => "status",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Start of its time, seconds since 1970.
    pub start: i64,
    /// The consumer, if all of the row is of one.
    pub consumer: Option<String>,
    /// The route, if rows are grouped by it.
    pub route: Option<String>,
    /// The status class, if rows are grouped by it.
    pub status: Option<String>,
    /// The sums.
    pub numbers: Numbers,
}

/// The rows of sheets, by time and then by what they are grouped by; times without requests have none. `of`: the consumer whose
/// sheets these are, if they are of one.
pub fn rows(sheets: &BTreeMap<i64, UsageCounts>, by: &[Dimension], of: Option<&str>) -> Vec<Row> {
    let mut sums: BTreeMap<(i64, Option<&str>, Option<&str>, Option<String>), Numbers> = BTreeMap::new();
    for (start, sheet) in sheets {
        for ((consumer, route, class), numbers) in &sheet.cells {
            let key = (
                *start,
                by.contains(&Dimension::Consumer).then_some(consumer.as_str()).or(of),
                by.contains(&Dimension::Route).then_some(route.as_str()),
                by.contains(&Dimension::Status).then(|| class.name()),
            );
            sums.entry(key).or_default().merge(numbers);
        }
    }
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let row = |((start, consumer, route, status), numbers)| Row {
        start,
        consumer: owned(consumer),
        route: owned(route),
        status,
        numbers,
    };
    sums.into_iter().map(row).collect()
}

impl Row {
    /// The row as the API shows it. `consumer` is null where a row sums over several.
    pub fn document(&self) -> Map<String, Value> {
        let Numbers { requests, denied, errors, hits, latency, .. } = &self.numbers;
        let mut document = Map::new();
        document.insert("start".into(), Micros(self.start.saturating_mul(1_000_000)).rfc3339().into());
        document.insert("consumer".into(), json!(self.consumer));
        for (name, value) in [("route", &self.route), ("status", &self.status)] {
            if let Some(value) = value {
                document.insert(name.into(), json!(value));
            }
        }
        for (name, value) in [("requests", requests), ("denied", denied), ("errors", errors), ("cache_hits", hits)] {
            document.insert(name.into(), json!(value));
        }
        for (name, share) in [("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
            document.insert(name.into(), json!(latency.quantile(share).map(rounded)));
        }
        document.insert("units".into(), json!(rounded(self.numbers.units())));
        document
    }
}

/// To thousandths.
pub fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// Rows as CSV (RFC 4180) with a header line; the same names and order as in JSON, null as nothing.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn csv(rows: &[Row], by: &[Dimension]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut header = vec!["start", "consumer"];
    header.extend([Dimension::Route, Dimension::Status].iter().filter(|one| by.contains(one)).map(|one| one.name()));
    header.extend(["requests", "denied", "errors", "cache_hits", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "units"]);
    writer.write_record(&header)?;
    for row in rows {
        let cells = row.document().into_iter().map(|(_, value)| match value {
            Value::Null => String::new(),
            Value::String(text) => harmless(text),
            other => other.to_string(),
        });
        writer.write_record(cells)?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// A text that no spreadsheet takes for a formula: consumers may choose their names.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '@', '\t']) || text.len() > 1 && text.starts_with('-') { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Finished;
    use std::time::Duration;

    fn sheets() -> BTreeMap<i64, UsageCounts> {
        let mut sheets = BTreeMap::new();
        for (start, consumer, route, status, millis) in [
            (60, "a", "GET /v1/books", 200, 10),
            (60, "a", "GET /v1/books", 404, 20),
            (60, "b", "POST /v1/books", 429, 1),
            (120, "a", "GET /v1/books", 200, 30),
        ] {
            let (consumer, route) = (consumer.to_owned(), route.to_owned());
            let done = Finished {
                consumer,
                route,
                status,
                duration: Duration::from_millis(millis),
                read_units: 0.5,
                ..Finished::default()
            };
            sheets.entry(start).or_insert_with(UsageCounts::default).add(done);
        }
        sheets
    }

    #[test]
    fn rows_are_sums_over_what_they_are_not_grouped_by() {
        let sheets = sheets();
        let all = rows(&sheets, &[], None);
        assert_eq!(all.iter().map(|row| (row.start, row.numbers.requests)).collect::<Vec<_>>(), [(60, 3), (120, 1)]);
        assert_eq!((all[0].numbers.denied, all[0].numbers.errors, &all[0].consumer), (1, 1, &None));
        let by = rows(&sheets, &Dimension::ALL, None);
        assert_eq!(by.len(), 4);
        let of = |row: &Row| (row.consumer.clone().unwrap(), row.status.clone().unwrap());
        assert_eq!(of(&by[1]), ("a".into(), "4xx".into()));
        assert_eq!(rows(&sheets, &[Dimension::Consumer], None).len(), 3);
    }

    #[test]
    fn a_row_has_the_members_of_the_contract() {
        let row = rows(&sheets(), &[], Some("a")).remove(1).document();
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        let members =
            ["start", "consumer", "requests", "denied", "errors", "cache_hits", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "units"];
        assert_eq!(names, members);
        assert_eq!(
            (&row["start"], &row["consumer"], &row["units"]),
            (&json!("1970-01-01T00:02:00.000Z"), &json!("a"), &json!(0.5))
        );
        assert!((row["p99_ms"].as_f64().unwrap() - 30.0).abs() < 0.3);
    }

    #[test]
    fn csv_says_the_same() {
        let mut sheets = sheets();
        let done = Finished { consumer: "=cmd()".into(), route: "a,\"b\"".into(), status: 200, ..Finished::default() };
        sheets.entry(180).or_default().add(done);
        let by = [Dimension::Consumer, Dimension::Route];
        let text = String::from_utf8(csv(&rows(&sheets, &by, None), &by).unwrap()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "start,consumer,route,requests,denied,errors,cache_hits,p50_ms,p90_ms,p95_ms,p99_ms,units");
        assert!(lines[1].starts_with("1970-01-01T00:01:00.000Z,a,GET /v1/books,2,0,1,0,"), "{}", lines[1]);
        assert!(lines[4].starts_with("1970-01-01T00:03:00.000Z,'=cmd(),\"a,\"\"b\"\"\",1,"), "{}", lines[4]);
    }
}
