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
