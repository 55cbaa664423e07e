//! What would be accepted, said to whoever asked for something else. Only names that exist for the caller are ever listed.

/// Most names in a message.
const MAX_NAMES: usize = 25;

/// The end of "there is no such thing": the name that was meant, if one is near, and the names that there are.
pub(super) fn instead<'a>(name: &str, there_are: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = there_are.into_iter().collect();
    let near = names.iter().map(|other| (strsim::damerau_levenshtein(other, name), *other)).min();
    match near {
        None => "there is none".to_owned(),
        Some((distance, other)) if distance <= 2 && 2 * distance <= name.chars().count() => {
            format!("did you mean \"{other}\"? There are {}", few(&names))
        }
        Some(_) => format!("there are {}", few(&names)),
    }
}

/// `a, b, c`, or the first of them and how many more.
fn few(names: &[&str]) -> String {
    match names.len().checked_sub(MAX_NAMES) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MAX_NAMES].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, instead};

    #[test]
    fn the_nearest_name_comes_first_and_the_list_is_bounded() {
        assert_eq!(instead("nmae", ["id", "name"]), "did you mean \"name\"? There are id, name");
        assert_eq!(instead("b", ["id", "name"]), "there are id, name", "nothing of a name of one letter is near");
        assert_eq!(instead("x", []), "there is none");
        let many: Vec<String> = (0..MAX_NAMES + 3).map(|at| format!("field{at}")).collect();
        assert!(instead("zzz", many.iter().map(String::as_str)).ends_with("field24 and 3 more"));
    }
}
