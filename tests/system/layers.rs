//! The architecture of the crate `holdfast`, held to what its documents say: rooms import only lower rooms, only the adapters know an SDK,
//! no files import one another in a circle, and the picture in `docs/architecture.md` is true.
//!
//! `UPDATE_DOCS=1 cargo test --workspace --test system layers` draws the picture anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use holdfast_tests::modules::{ModulePath, Modules};
use holdfast_tests::root;
use regex::Regex;

const BEGIN: &str = "<!-- rooms: drawn by tests/system/layers.rs -->\n";
const END: &str = "<!-- /rooms -->";
/// Rooms that may name a crate of an AWS SDK or of Lambda.
const ADAPTERS: [&str; 2] = ["aws", "compose"];

fn modules() -> Modules {
    Modules::read(&root().join("shared/src"))
}

/// Layer by room, from the lines `//! N name, name` of the crate's documentation.
fn layers() -> BTreeMap<String, u8> {
    let source = std::fs::read_to_string(root().join("shared/src/lib.rs")).unwrap();
    let line = Regex::new(r"(?m)^//! (\d+) +([a-z0-9_]+(?:, [a-z0-9_]+)*)$").unwrap();
    line.captures_iter(&source)
        .flat_map(|found| {
            let layer = found[1].parse().unwrap();
            found[2].split(", ").map(|name| (name.to_owned(), layer)).collect::<Vec<_>>()
        })
        .collect()
}

/// Rooms with the rooms that they import, and why: the first file that does.
fn rooms(modules: &Modules) -> BTreeMap<String, BTreeMap<String, ModulePath>> {
    let mut rooms: BTreeMap<String, BTreeMap<String, ModulePath>> = BTreeMap::new();
    for (module, imports) in modules.imports() {
        let Some(room) = module.first() else { continue };
        let entry = rooms.entry(room.clone()).or_default();
        for import in imports.iter().filter_map(|import| import.first()).filter(|import| *import != room) {
            entry.entry(import.clone()).or_insert_with(|| module.clone());
        }
    }
    rooms
}

#[test]
fn a_room_imports_only_lower_rooms() {
    let (modules, layers) = (modules(), layers());
    let rooms = rooms(&modules);
    let listed: BTreeSet<_> = layers.keys().collect();
    assert_eq!(listed, rooms.keys().collect(), "rooms of the table in shared/src/lib.rs, and of the crate");
    let upward = rooms.iter().flat_map(|(room, imports)| imports.iter().map(move |(import, by)| (room, import, by)));
    let wrong: Vec<String> = upward
        .filter(|(room, import, _)| layers[*import] >= layers[*room])
        .map(|(room, import, by)| {
            format!("{} (layer {}) imports {import} (layer {})", modules.file(by).display(), layers[room], layers[import])
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_adapters_know_an_sdk() {
    let modules = modules();
    let knows = |name: &str| name.starts_with("aws_") || name.starts_with("lambda_");
    let wrong: Vec<String> = modules
        .crates()
        .into_iter()
        .filter(|(module, _)| module.first().is_some_and(|room| !ADAPTERS.contains(&room.as_str())))
        .flat_map(|(module, names)| names.into_iter().filter(|name| knows(name)).map(move |name| (module.clone(), name)))
        .map(|(module, name)| format!("{} names {name}", modules.file(&module).display()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Everything else writes what `query::policy` has permitted.
#[test]
fn only_policy_the_store_and_migrations_name_the_writer_that_asks_nobody() {
    let writers = modules().importers(&["store", "write"], "Writer");
    let may = |path: &ModulePath| match path[0].as_str() {
        "store" | "migrate" => true,
        _ => path[..] == ["query", "policy", "write"],
    };
    assert!(writers.iter().any(|path| path[0] == "query"), "{writers:?}");
    let wrong: Vec<_> = writers.iter().filter(|path| !may(path)).collect();
    assert!(wrong.is_empty(), "{wrong:?} must write through query::policy::Writer");
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let circles: Vec<String> = modules().circles().into_iter().map(|files| files.join(" <-> ")).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

/// The picture: a line per room, highest first, with the rooms that it imports. No number of files: a new file is no news here.
fn picture() -> String {
    let (modules, layers) = (modules(), layers());
    let rooms = rooms(&modules);
    let mut by_layer: BTreeMap<u8, Vec<&String>> = BTreeMap::new();
    for (room, layer) in &layers {
        by_layer.entry(*layer).or_default().push(room);
    }
    let mut text = String::from("```text\n");
    for (layer, room) in by_layer.iter().rev().flat_map(|(layer, rooms)| rooms.iter().map(move |room| (layer, *room))) {
        let imports: Vec<&str> = rooms[room].keys().map(String::as_str).collect();
        let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join(" ") };
        writeln!(text, "{layer:>2}  {room:<9}  -> {imports}").unwrap();
    }
    text + "```\n"
}

#[test]
fn the_picture_of_the_rooms_is_true() {
    let path = root().join("docs/architecture.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/architecture.md has the mark of the picture");
    let (shown, after) = rest.split_once(END).unwrap();
    let picture = picture();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{picture}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(shown, picture, "UPDATE_DOCS=1 cargo test --workspace --test system layers");
}
