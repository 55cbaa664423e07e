//! Suggestions of known names in place of an unknown one, for mistakes of a model and violations of a body.

/// `did you mean ...` with the nearest of the known names, or all of them when none is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let best = known.iter().map(|other| (strsim::damerau_levenshtein(name, other), *other)).min();
    match best {
        Some((distance, other)) if distance <= (name.chars().count() / 2).clamp(1, 3) => format!("did you mean `{other}`?"),
        Some(_) => format!("known here: {}", list(known)),
        None => "there is none yet".to_owned(),
    }
}

/// `` `a`, `b`, `c` ``.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Words of other formats, and what is said here; the first one that is known in its place is meant.
const SYNONYMS: [(&str, &[&str]); 44] = [
    ("maxlength", &["max"]),
    ("maximum", &["max"]),
    ("maxitems", &["max_items", "max"]),
    ("length", &["max"]),
    ("size", &["max", "max_size"]),
    ("minlength", &["min"]),
    ("minimum", &["min"]),
    ("regex", &["pattern"]),
    ("regexp", &["pattern"]),
    ("optional", &["nullable"]),
    ("null", &["nullable"]),
    ("primarykey", &["id"]),
    ("key", &["id"]),
    ("references", &["ref"]),
    ("foreignkey", &["ref"]),
    ("belongsto", &["ref"]),
    ("ondelete", &["on_delete"]),
    ("values", &["enum"]),
    ("options", &["enum"]),
    ("items", &["list"]),
    ("precision", &["scale"]),
    ("index", &["indexes", "filter"]),
    ("properties", &["fields"]),
    ("columns", &["fields"]),
    ("attributes", &["fields"]),
    ("renamedfrom", &["was"]),
    ("title", &["name"]),
    ("order", &["sort"]),
    ("orderby", &["sort"]),
    ("where", &["rows"]),
    ("filter", &["rows"]),
    ("condition", &["rows"]),
    ("extends", &["inherits"]),
    ("permissions", &["entities"]),
    ("like", &["contains"]),
    ("ilike", &["contains"]),
    ("matches", &["contains"]),
    ("startswith", &["prefix"]),
    ("equals", &["eq"]),
    ("not", &["ne"]),
    ("neq", &["ne"]),
    ("notin", &["nin"]),
    ("isnull", &["null"]),
    ("exists", &["null"]),
];

/// The known word that means what a word of other formats does: `maxLength` is `max`.
pub(super) fn synonym<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = name.to_ascii_lowercase().replace(['_', '-', '$'], "");
    let (_, meant) = SYNONYMS.iter().find(|(word, _)| *word == plain)?;
    meant.iter().find_map(|right| known.iter().copied().find(|known| known == right))
}
