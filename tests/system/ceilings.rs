//! How many writes a second one item takes: the documents say what shards and `model check` go by.

use holdfast::model::{self, PER_ITEM};
use holdfast_tests::root;
use regex::Regex;

/// A document, each gap between words one space.
fn document(path: &str) -> String {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a document says one item takes, however it says it.
fn said(text: &str) -> Vec<u32> {
    let forms = [
        r"ceil\((?:N|contention) / (\d+)\)",
        r"about (?:\*\*)?(\d+) (?:writes|transactions) a second",
        r"(\d+) writes/s through one",
        r"\| default \| (?:1 \| )?(\d+) \|",
    ];
    let found = forms.iter().flat_map(|form| {
        let form = Regex::new(form).unwrap();
        form.captures_iter(text).map(|found| found[1].parse().unwrap()).collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn every_document_says_what_one_item_takes() {
    for (path, times) in [("docs/cache.md", 1), ("docs/model.md", 1), ("docs/operations.md", 2), ("docs/writes.md", 3)] {
        assert_eq!(said(&document(path)), vec![PER_ITEM; times], "{path}");
    }
}

/// Shards and the ceiling on all writes of an entity, as the model and `model check` have them.
fn ceiling(contention: &str) -> (u16, u32) {
    let source = format!("name: T\nentities:\n  a:\n{contention}    fields: {{t: string}}\n");
    let model = model::parse("model.yaml", &source).unwrap();
    let shards = model.entities[0].shards;
    let report = model::check(&model).entities.remove(0);
    let tags = format!("all writes: {shards} tag(s) of the entity");
    (shards, report.ceilings.iter().find(|ceiling| ceiling.why.starts_with(&tags)).unwrap().writes)
}

#[test]
fn the_tables_of_the_documents_are_what_model_check_prints() {
    let row = Regex::new(r"\| (default|\d+) \| (?:(\d+) \| )?(\d+) \| (\d+) \|").unwrap();
    for (path, rows) in [("docs/writes.md", 4)] {
        let text = document(path);
        let table = text.split("| `contention` |").nth(1).unwrap();
        let found: Vec<_> = row.captures_iter(table).take(rows).collect();
        assert_eq!(found.len(), rows, "{path}");
        for row in found {
            let contention = if &row[1] == "default" { String::new() } else { format!("    contention: {}\n", &row[1]) };
            let (shards, writes) = ceiling(&contention);
            let said = row.get(2).map_or(shards.to_string(), |shards| shards.as_str().to_owned());
            let expected = (shards.to_string(), writes.to_string(), shards.to_string());
            assert_eq!((said, row[3].to_owned(), row[4].to_owned()), expected, "{path}: `contention: {}`", &row[1]);
        }
    }
}
