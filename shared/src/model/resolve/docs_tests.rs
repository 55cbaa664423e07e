//! The reference page of the format: its examples are right, and no key is missing from them.

use super::parse::parse;
use crate::model::source::{Mistake, keys, types};

const PAGE: &str = include_str!("../../../../docs/model.md");
const DEMO: &str = include_str!("../../../../model.yaml");

/// The YAML examples of the page, with the line that each begins in.
fn examples() -> Vec<(usize, String)> {
    let mut examples: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (at, line) in PAGE.lines().enumerate() {
        match (inside, line) {
            (false, "```yaml") => {
                examples.push((at + 2, String::new()));
                inside = true;
            }
            (true, "```") => inside = false,
            (true, line) => examples.last_mut().unwrap().1.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    examples
}

/// The demo's sections by their top-level keys.
fn sections() -> Vec<(&'static str, String)> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in DEMO.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, _)) = line.split_once(':').filter(|_| !line.starts_with(' ')) {
            sections.push((key, String::new()));
        }
        if let Some((_, text)) = sections.last_mut() {
            text.push_str(&format!("{line}\n"));
        }
    }
    sections
}

/// A whole model from an example: `fields` get an entity around them; other sections that are missing come from the demo,
/// unless the example brings entities of its own, which the demo's roles would not know.
fn completed(example: &str) -> String {
    if example.starts_with("fields:") {
        let body: String = example.lines().map(|line| format!("    {line}\n")).collect();
        return format!("name: Example\nentities:\n  example:\n{body}");
    }
    let has = |key: &str| example.lines().any(|line| line.starts_with(&format!("{key}:")));
    // The demo's roles and auth name entities, roles and plans that an example replaces.
    let replaces = has("entities") || has("roles") || has("plans");
    let wanted = |key: &str| !has(key) && (key == "name" || !has("entities")) && !(replaces && matches!(key, "roles" | "auth"));
    let mut whole = example.to_owned();
    sections().into_iter().filter(|(key, _)| wanted(key)).for_each(|(_, text)| whole.push_str(&text));
    if has("roles") && !has("auth") {
        whole.push_str("auth: {claims: [customer_id]}\n");
    }
    whole
}

#[test]
fn every_example_is_a_right_model() {
    let examples = examples();
    assert!(examples.len() > 10);
    for (line, example) in examples {
        if let Err(mistakes) = parse("example", &completed(&example)) {
            let shown: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
            panic!("docs/model.md, the example in line {line}:\n{}", shown.join("\n"));
        }
    }
}

#[test]
fn every_key_has_an_example() {
    let all: String = examples().into_iter().map(|(_, example)| example).collect();
    let types = types().flat_map(|(name, keys)| keys.iter().copied().chain([name]));
    let known =
        [keys::MODEL.as_slice(), &keys::ENTITY, &keys::FIELD, &keys::INDEX, &keys::CACHE, &keys::DEPRECATION, &keys::ROLE]
            .into_iter()
            .chain([
                keys::PERMISSION.as_slice(),
                &keys::PLAN,
                &keys::RATE,
                &keys::AUTH,
                &keys::ISSUER,
                &keys::CLAIMS,
                &keys::SCOPES,
                &keys::CORS,
            ])
            .chain([keys::LIMITS.as_slice()]);
    let keys = known.flatten().copied().chain(types);
    for key in keys {
        let used = [format!("{key}:"), format!(": {key}"), format!("type: {key}")].iter().any(|form| all.contains(form.as_str()));
        assert!(used, "docs/model.md has no example of `{key}`");
    }
}
