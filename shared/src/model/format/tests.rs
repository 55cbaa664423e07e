//! The schema of the format: it has every key, right models fit it, broken ones do not, and the file that editors read is this one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use super::format_schema;
use crate::model::parse;
use crate::model::schema::compile;
use crate::model::source::{keys, load, to_json, types};

const DEMO: &str = include_str!("../../../../model.yaml");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator() -> Validator {
    compile(&format_schema()).unwrap()
}

/// What the schema says against a file; the YAML is read as an editor reads it.
fn refused(validator: &Validator, source: &str) -> Vec<String> {
    let document = to_json(&load("m", source).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
    validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Keys of a mapping at a JSON pointer of the schema.
fn properties(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let found = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    found["properties"].as_object().unwrap_or_else(|| panic!("{pointer}")).keys().cloned().collect()
}

#[test]
fn it_has_every_key_of_the_format_and_a_description_of_each() {
    let schema = format_schema();
    let entity = "/properties/entities/additionalProperties";
    let role = "/properties/roles/additionalProperties";
    let plan = "/properties/plans/additionalProperties";
    let issuer = "/properties/auth/properties/issuers/additionalProperties";
    let places: [(&str, &[&str]); 16] = [
        ("", &keys::MODEL),
        (entity, &keys::ENTITY),
        (&format!("{entity}/properties/indexes/additionalProperties"), &keys::INDEX),
        (&format!("{entity}/properties/cache/anyOf/1"), &keys::CACHE),
        ("/$defs/deprecation", &keys::DEPRECATION),
        ("/$defs/field_deprecation", &keys::DEPRECATION[..3]),
        (role, &keys::ROLE),
        ("/$defs/permission/anyOf/1", &keys::PERMISSION),
        (plan, &keys::PLAN),
        (&format!("{plan}/properties/rates/additionalProperties"), &keys::RATE),
        ("/properties/auth", &keys::AUTH),
        (issuer, &keys::ISSUER),
        (&format!("{issuer}/properties/claims"), &keys::CLAIMS),
        (&format!("{issuer}/properties/scopes"), &keys::SCOPES),
        ("/properties/cors", &keys::CORS),
        ("/properties/limits", &keys::LIMITS),
    ];
    for (pointer, known) in places {
        assert_eq!(properties(&schema, pointer), known.iter().map(|key| (*key).to_owned()).collect(), "{pointer}");
        for (key, value) in schema.pointer(pointer).unwrap()["properties"].as_object().unwrap() {
            assert!(value["description"].as_str().is_some_and(|text| text.len() > 5), "{pointer}: {key}");
        }
    }
    let rules = schema.pointer(&format!("{entity}/properties/fields/additionalProperties/anyOf/1/allOf")).unwrap();
    for (name, own) in types() {
        let rule = rules.as_array().unwrap().iter().find(|rule| rule["if"]["properties"]["type"]["const"] == name).unwrap();
        let mut known: BTreeSet<String> = own.iter().chain(&keys::FIELD).map(|key| (*key).to_owned()).collect();
        known.insert("type".to_owned());
        known.extend(["ref", "enum", "list"].into_iter().filter(|short| *short == name).map(str::to_owned));
        assert_eq!(rule["then"]["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), known, "{name}");
    }
}

#[test]
fn it_is_a_json_schema_itself() {
    jsonschema::meta::validate(&format_schema()).unwrap_or_else(|error| panic!("{error}"));
}

/// Files below a directory whose name ends so.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let skipped = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.') || name == "target")
    };
    entries
        .filter(|path| !skipped(path))
        .flat_map(|path| match path.is_dir() {
            true => files(&path, end),
            false => Some(path).filter(|path| path.to_string_lossy().ends_with(end)).into_iter().collect(),
        })
        .collect()
}

/// Models that stand in the repository: files, and literals of several lines in the code and its tests.
fn models() -> Vec<String> {
    let literal = regex::Regex::new(r##"(?s)"\n?(name: [^"\\]*\nentities:\n[^"\\]*)""##).unwrap();
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let mut found: Vec<String> = files(&root(), ".yaml").into_iter().map(read).collect();
    for text in files(&root(), ".rs").into_iter().map(read) {
        found.extend(literal.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    found.retain(|source| parse("m", source).is_ok());
    found
}

#[test]
fn every_model_that_loads_fits_it() {
    let (validator, models) = (validator(), models());
    assert!(models.len() > 8 && models.iter().any(|model| model == DEMO), "{}", models.len());
    for model in models {
        assert_eq!(refused(&validator, &model), [""; 0], "{model}");
    }
}

/// Mistakes of structure in the demo, as a hand makes them: a text in it and what stands there instead.
const BROKEN: [(&str, &str); 40] = [
    ("name: Paper Lantern Books", "nam: Paper Lantern Books"),
    ("name: Paper Lantern Books", "name: [Paper]"),
    ("version: 1.0.0", "version: 1.0"),
    ("entities:\n  shelf:", "entitys:\n  shelf:"),
    ("    plural: shelves", "    plurals: shelves"),
    ("    plural: shelves", "    plural: docs"),
    ("    plural: shelves", "    plural: Shelves"),
    ("    id: integer", "    id: number"),
    ("    id: integer", "    id: [order]"),
    ("  order:\n", "  Order:\n"),
    ("    contention: 100", "    contention: often"),
    ("    contention: 100", "    contention: 5000"),
    ("    require_if_match: true", "    require_if_match: \"yes\""),
    ("    cache: off", "    cache: never"),
    ("{bounded: 30s}", "{bounded: 30}"),
    ("max_bytes: 32 KB", "max_bytes: 32 kilobytes"),
    ("website: url", "website: uri"),
    ("website: url", "website: {max: 3}"),
    ("website: url", "website:"),
    ("website: url", "webSite: url"),
    ("{type: integer, min: 1, max: 20000}", "{type: integer, min: 1, maximum: 20000}"),
    ("{type: integer, min: 1, max: 20000}", "{type: integer, pattern: \"1\"}"),
    ("{type: integer, min: 1, max: 20000}", "{type: integer, min: low}"),
    ("{type: boolean, default: true, filter: scan}", "{type: boolean, default: maybe, filter: scan}"),
    ("{type: boolean, default: true, filter: scan}", "{type: boolean, default: true, filter: index}"),
    ("{enum: [paperback, hardcover, audio]", "{type: enum"),
    ("{list: {type: string, max: 30}, max_items: 12, filter: scan}", "{list: json}"),
    ("{ref: author, on_delete: restrict", "{ref: author, on_delete: delete"),
    ("{ref: author, on_delete: restrict", "{reference: author, on_delete: restrict"),
    ("by_title: {sort: title,", "by_title: {sorts: title,"),
    ("by_name: {sort: name}", "by_name: {}"),
    ("since: 2026-01-01, sunset: 2027-06-30, replacement: leave", "since: soon, sunset: 2027-06-30, replacement: leave"),
    ("    all: true\n    system: all", "    all: 1\n    system: all"),
    ("    system: usage", "    system: logs"),
    ("shelf: {view: true}", "shelf: {veiw: true}"),
    ("shelf: {view: true}", "shelf: {view: {row: {id: a}}}"),
    ("channel: $consumer, status: {ne: sent}", "channel: $consumer, status: {not_equal: sent}"),
    ("burst: {rate: 10, per: 1s, burst: 20}", "burst: {rate: 10, per: second, burst: 20}"),
    ("quotas: {hour: 1_000, day: 5_000}", "quotas: {week: 1_000, day: 5_000}"),
    ("algorithms: [RS256, ES256]", "algorithms: [HS256]"),
];

#[test]
fn no_model_with_a_mistake_of_structure_fits_it() {
    let validator = validator();
    for (from, to) in BROKEN {
        let broken = DEMO.replacen(from, to, 1);
        assert_ne!(broken, DEMO, "{from}");
        assert!(parse("m", &broken).is_err(), "{from} -> {to}: the model loads");
        assert_ne!(refused(&validator, &broken), [""; 0], "{from} -> {to}");
    }
}

/// The file that editors read: `UPDATE_DOCS=1 cargo test --workspace --lib format` writes it anew.
#[test]
fn the_file_that_editors_read_is_this_schema() {
    let first = DEMO.lines().next().unwrap();
    let named =
        first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("model.yaml begins with {first}"));
    let path = root().join(named);
    let schema = format!("{:#}\n", format_schema());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, schema).unwrap();
        return;
    }
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(file == schema, "{}: UPDATE_DOCS=1 cargo test --workspace --lib format", path.display());
}
