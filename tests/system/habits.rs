//! What contributors and readers go by is true: checks, toolchain, bans, links between pages, lists that follow from the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast::http::problem::Code;
use holdfast_tests::root;
use regex::Regex;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below a directory, without what builds and tools leave there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let made = ["target", "node_modules", "__pycache__", ".git", ".holdfast", ".aws-sam", "tools"];
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| made.contains(&name)))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// The checks that a script or a workflow runs: scripts of `tests/` with their word, and commands of cargo that are more than a build.
fn checks(text: &str) -> BTreeSet<String> {
    let check = Regex::new(r"tests/[a-z]+\.sh(?: [a-z]+)?|cargo (?:fmt|clippy|test)\b[^&|;\n]*").unwrap();
    let code = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let found =
        code.flat_map(|line| check.find_iter(line).map(|found| found.as_str().trim_end_matches(['}', '>', ' ']).to_owned()));
    found.filter(|check| !check.ends_with(" tools") && !check.contains("--no-run")).collect()
}

#[test]
fn the_workflow_runs_what_one_machine_runs() {
    let script = read(".ci/run");
    let mut here = checks(&script);
    // On one machine the build lints: one build of the dependencies serves both.
    assert!(script.contains("RUSTC_WORKSPACE_WRAPPER=$PWD/.ci/lint-and-compile\n"), "clippy");
    here.insert("cargo clippy --workspace --all-targets -- -D warnings".to_owned());
    assert!(here.len() > 6 && here.contains("cargo fmt --all --check"), "{here:?}");
    // Their database is on GitHub.
    here.insert("tests/deny.sh advisories".to_owned());
    assert_eq!(checks(&read(".github/workflows/ci.yml")), here, ".ci/run and .github/workflows/ci.yml");
}

#[test]
fn the_toolchain_stands_in_one_place() {
    let channel = Regex::new(r#"(?m)^channel = "(\d+\.\d+)\.\d+"$"#).unwrap();
    let pinned = read("rust-toolchain.toml");
    let pinned = channel.captures(&pinned).expect("a full version: rustup looks for a toolchain of exactly this name");
    let least = format!("rust-version = \"{}\"", &pinned[1]);
    assert!(read("Cargo.toml").contains(&least), "{least}");
    for path in files(&root().join(".github")) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("rustup default") && !text.contains(&pinned[1]),
            "{}: rust-toolchain.toml has the version",
            path.display()
        );
    }
}

#[test]
fn every_ban_has_its_reason() {
    let bans = read("deny.toml");
    let bans: Vec<&str> = bans.split("[[bans.deny]]").skip(1).collect();
    assert!(bans.len() > 10);
    for ban in bans {
        assert!(ban.contains("\nreason = \""), "deny.toml:{ban}");
    }
}

#[test]
fn what_is_deployed_is_built_without_the_helpers_of_tests() {
    let functions = std::fs::read_dir(root().join("functions")).unwrap().map(|entry| entry.unwrap().path());
    let manifests: Vec<PathBuf> = functions.chain([root().join("infra/local")]).map(|path| path.join("Cargo.toml")).collect();
    assert!(manifests.len() > 5, "{manifests:?}");
    for path in manifests {
        let manifest = std::fs::read_to_string(&path).unwrap();
        let (product, _) = manifest.split_once("[dev-dependencies]").unwrap_or((&manifest, ""));
        assert!(!product.contains("test-util"), "{}: a dependency, not only a dev-dependency, enables test-util", path.display());
    }
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("\nholdfast = { path = \"shared\" }\n"), "the workspace's dependency has no features");
}

#[test]
fn nothing_in_the_tree_was_copied_from_a_package() {
    let relative = files(&root()).into_iter().filter_map(|path| path.strip_prefix(root()).map(Path::to_owned).ok());
    let copied =
        |path: &PathBuf| path.components().any(|part| part.as_os_str() == "vendor") || path.to_string_lossy().contains(".min.");
    let found: Vec<PathBuf> = relative.filter(copied).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// The pages in Markdown: path and text.
fn pages() -> Vec<(PathBuf, String)> {
    let pages = files(&root()).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |symbol: &char| symbol.is_alphanumeric() || matches!(symbol, '-' | '_' | ' ');
    headings.map(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)").unwrap();
    let mut seen = 0;
    for (path, text) in pages() {
        for found in link.captures_iter(&text).filter(|found| !found[1].contains("://") && !found[1].starts_with("mailto:")) {
            let target = if found[1].is_empty() { path.clone() } else { path.parent().unwrap().join(&found[1]) };
            assert!(target.exists(), "{}: {} is not there", path.display(), &found[0]);
            if let Some(anchor) = found.get(2) {
                let known = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(
                    known.contains(anchor.as_str()),
                    "{}: {} has no such heading; it has {known:?}",
                    path.display(),
                    &found[0]
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} links");
}

#[test]
fn every_page_is_in_the_index() {
    let readme = read("README.md");
    for path in files(&root().join("docs")) {
        let name = format!("docs/{}", path.file_name().unwrap().to_string_lossy());
        assert!(readme.contains(&format!("({name})")), "README.md has no link to {name}");
    }
    for name in ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        assert!(readme.contains(&format!("({name})")), "README.md has no link to {name}");
    }
}

#[test]
fn the_readme_begins_with_a_model_that_is_right() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (model, _) = rest.split_once("```").unwrap();
    assert!(holdfast::model::parse("README.md", model).is_ok_and(|model| model.by_plural("books").is_some()), "{model}");
}

#[test]
fn the_page_on_http_lists_every_error_code() {
    let page = read("docs/http.md");
    let row = Regex::new(r"(?m)^\| (\d{3}) \| (`[a-z_`, ]+) \|$").unwrap();
    let listed: BTreeSet<String> = row
        .captures_iter(&page)
        .flat_map(|row| row[2].split(", ").map(|code| format!("{} {}", &row[1], code.trim_matches('`'))).collect::<Vec<_>>())
        .collect();
    let known = Code::ALL.iter().map(|code| format!("{} {}", code.status().as_u16(), code.name())).collect();
    assert_eq!(listed, known, "docs/http.md");
}
