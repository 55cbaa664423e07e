//! Mistakes of YAML in the words of somebody who writes a model.

/// Begins every message about a text that is not YAML.
pub(super) const NOT_YAML: &str = "not YAML";

/// Messages of the parser that need another word, by a part of each.
const MEANINGS: [(&str, &str, &str); 14] = [
    ("tab", "a tab stands where YAML takes spaces only", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a second `: ` in one line",
        "a text that contains `: ` needs quotes, and what follows a key its own line",
    ),
    ("simple key expect", "this line is no `key: value`", "a key ends in `:` and a space; indent the lines of a longer text"),
    ("did not find expected key", "this line fits no mapping around it", "members of one mapping have one indentation"),
    (
        "did not find expected node content",
        "a value is missing, or a bracket too many",
        "close each `[` and `{`, and quote a text that begins with one",
    ),
    ("flow mapping", "a `{` is not closed, or a comma is missing", "write `{a: 1, b: 2}`"),
    ("flow construct", "a `{` or `[` is not closed", "write `{a: 1, b: 2}` and `[a, b]`"),
    ("flow sequence", "a `[` is not closed, or a comma is missing", "write `[a, b]`"),
    (
        "found unknown anchor",
        "`*` begins an alias, and there is no such anchor",
        "a text that begins with `*` needs quotes: `\"*\"`",
    ),
    (
        "scanning an anchor or alias",
        "`*` and `&` begin an alias or an anchor",
        "a text that begins with one needs quotes: `\"*\"`",
    ),
    ("unexpected character", "this character begins no text", "a text that begins with `@`, `` ` `` or `%` needs quotes"),
    (
        "quoted scalar, found unknown escape",
        "`\\` begins an escape between double quotes",
        "write `'\\d+'` between single quotes, or `\"\\\\d+\"`",
    ),
    ("unexpected end of stream", "a quote is not closed", "close it; a `'` between single quotes is written twice"),
    (
        "block sequence entries are not allowed",
        "a `-` where no list can begin",
        "a list begins in a line of its own, or is written `[a, b]`",
    ),
];

/// A mistake of the parser in other words; its own are kept where there are none.
pub(super) fn explained(info: &str) -> (String, &'static str) {
    match MEANINGS.iter().find(|(part, ..)| info.contains(part)) {
        Some((_, meaning, help)) => (format!("{NOT_YAML}: {meaning}"), help),
        None => (format!("{NOT_YAML}: {info}"), "see https://yaml.org/spec/1.2.2/"),
    }
}
