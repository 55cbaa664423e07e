//! The modules of `shared` import only what lies below them: the table in its `lib.rs` is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use holdfast_tests::root;
use regex::Regex;

/// Layer by module, from the lines `//! N name, name` of the crate's documentation.
fn layers(source: &str) -> BTreeMap<String, u8> {
    let line = Regex::new(r"(?m)^//! (\d+) +([a-z0-9_]+(?:, [a-z0-9_]+)*)$").unwrap();
    line.captures_iter(source)
        .flat_map(|found| {
            let layer = found[1].parse().unwrap();
            found[2].split(", ").map(|name| (name.trim().to_owned(), layer)).collect::<Vec<_>>()
        })
        .collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A file of tests may reach wherever it wants.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_string_lossy().contains("test"))
        || ["support.rs", "embedded.rs"].iter().any(|name| path.ends_with(name))
}

/// The modules that a file names by `crate::`, outside of its comments and its own tests.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let direct = Regex::new(r"crate::([a-z0-9_]+)").unwrap();
    let listed = Regex::new(r"use crate::\{([^;]*)\};").unwrap();
    let first = Regex::new(r"(?:^|,)\s*([a-z0-9_]+)").unwrap();
    let nested = Regex::new(r"\{[^{}]*\}").unwrap();
    let mut found: BTreeSet<String> = direct.captures_iter(&code).map(|found| found[1].to_owned()).collect();
    for list in listed.captures_iter(&code) {
        let list = nested.replace_all(&list[1], "");
        found.extend(first.captures_iter(&list).map(|found| found[1].to_owned()));
    }
    found
}

#[test]
fn a_module_imports_only_lower_ones() {
    let directory = root().join("shared/src");
    let layers = layers(&std::fs::read_to_string(directory.join("lib.rs")).unwrap());
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in files(&directory) {
        let inside = path.strip_prefix(&directory).unwrap();
        let module = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" || is_test(inside) || path.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        let Some(layer) = layers.get(&module) else {
            wrong.push(format!("{module} stands in no layer of shared/src/lib.rs"));
            continue;
        };
        seen.insert(module.clone());
        for import in imports(&std::fs::read_to_string(&path).unwrap()) {
            if import != module && layers.get(&import).is_some_and(|below| below >= layer) {
                wrong.push(format!("{} (layer {layer}) imports {import} (layer {})", inside.display(), layers[&import]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed: BTreeSet<String> = layers.into_keys().collect();
    assert_eq!(listed, seen, "modules of the table and of the crate");
}
