//! The parameters of a list and of a single read.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::scope::FilterScope;
use super::{Include, ListQuery, MAX_CURSOR, MAX_DEPTH, MAX_LIMIT, Relation, Selection, Visibility, filter};
use crate::model::{Entity, Model, Path, SortPart};

/// A parameter that cannot be accepted: its name, and what is wrong and would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter {
    /// The parameter as it was sent.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

type Parameters = Vec<(String, String)>;

/// Parses the query string of a list by what exists for the caller. All mistakes at once.
///
/// # Errors
/// Every parameter that is unknown, malformed or repeated.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "parse", skip_all)]
pub fn parse_list(model: &Model, entity: &Entity, sight: &dyn Visibility, query: &str) -> Result<ListQuery, Vec<BadParameter>> {
    parse(&FilterScope::new(model, entity, sight), query, true)
}

/// Parses the query string of a single read: `fields` and `include` only.
///
/// # Errors
/// As [`parse_list`].
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "parse", skip_all)]
pub fn parse_get(model: &Model, entity: &Entity, sight: &dyn Visibility, query: &str) -> Result<ListQuery, Vec<BadParameter>> {
    parse(&FilterScope::new(model, entity, sight), query, false)
}

fn parse(scope: &FilterScope<'_>, query: &str, list: bool) -> Result<ListQuery, Vec<BadParameter>> {
    let parameters = split(query)?;
    let mut parsed = ListQuery::all(scope.entity.ix);
    let mut wrong = Vec::new();
    // Relations first: the parameters of a relation need it to be there.
    if let Some((_, value)) = parameters.iter().find(|(name, _)| name == "include") {
        match includes(scope, value) {
            Ok(found) => parsed.includes = found,
            Err(why) => wrong.push(BadParameter { name: "include".into(), why }),
        }
    }
    let mut filtered = std::collections::BTreeSet::new();
    for (name, value) in &parameters {
        let plain = filter::plain(name);
        if !filtered.insert(plain) {
            wrong
                .push(BadParameter { name: name.clone(), why: format!("must not be repeated: {plain} and {plain}[eq] are one") });
            continue;
        }
        if let Err(why) = one(scope, &mut parsed, name, value, list) {
            wrong.push(BadParameter { name: name.clone(), why });
        }
    }
    if wrong.is_empty() { Ok(parsed) } else { Err(wrong) }
}

pub(crate) fn split(query: &str) -> Result<Parameters, Vec<BadParameter>> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut parameters = Vec::new();
    let mut wrong = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) => {
                let times = counts.entry(name.clone()).or_default();
                *times += 1;
                if *times == 2 {
                    wrong.push(BadParameter { name: name.clone(), why: "must not be repeated".into() });
                }
                parameters.push((name, value));
            }
            _ => wrong.push(BadParameter { name: name.into(), why: "must be percent-encoded UTF-8 (RFC 3986, 2.1)".into() }),
        }
    }
    if wrong.is_empty() { Ok(parameters) } else { Err(wrong) }
}

fn decode(text: &str) -> Option<String> {
    // The crate leaves a `%` without two hexadecimal digits as it is.
    let broken = |part: &str| !part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if text.split('%').skip(1).any(broken) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn one(scope: &FilterScope<'_>, parsed: &mut ListQuery, name: &str, value: &str, list: bool) -> Result<(), String> {
    match name {
        "include" => {}
        "fields" => parsed.fields = Some(fields(scope, value)?),
        _ if name.starts_with("include[") => include_parameter(scope, &mut parsed.includes, name, value)?,
        _ if !list => return Err("is not known here; fields and include are".into()),
        "limit" => parsed.limit = limit(value)?,
        "cursor" if value.is_empty() || value.len() > MAX_CURSOR => return Err("is not a cursor of this API".into()),
        "cursor" => parsed.cursor = Some(value.to_owned()),
        "count" => parsed.count = value.parse().map_err(|_| "expects true or false".to_owned())?,
        "sort" => parsed.sort = Some(sort(scope, value)?),
        _ => parsed.filters.push(filter::parse(scope, name, value)?),
    }
    Ok(())
}

pub(crate) fn limit(value: &str) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit) && !value.starts_with('+'))
        .ok_or_else(|| format!("expects a whole number from 1 to {MAX_LIMIT}"))
}

/// Names between commas, none of them twice.
fn once(value: &str) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::new();
    match value.split(',').find(|name| !names.insert(*name)) {
        Some(twice) => Err(format!("\"{twice}\" stands there twice")),
        None => Ok(()),
    }
}

fn fields(scope: &FilterScope<'_>, value: &str) -> Result<Selection, String> {
    let mut selection = Selection::default();
    once(value)?;
    for name in value.split(',') {
        match filter::own_path(scope, name, false)? {
            Path::Own(field) => selection.mask.insert(field),
            Path::Id | Path::Via(..) => selection.id = true,
        }
    }
    Ok(selection)
}

fn sort(scope: &FilterScope<'_>, value: &str) -> Result<Vec<SortPart>, String> {
    let mut parts: Vec<SortPart> = Vec::new();
    for name in value.split(',') {
        let (descending, name) = name.strip_prefix('-').map_or((false, name), |name| (true, name));
        let by = filter::own_path(scope, name, true)?;
        if parts.iter().any(|part| part.by == by) {
            return Err(format!("\"{name}\" stands there twice"));
        }
        parts.push(SortPart { by, descending });
    }
    Ok(parts)
}

fn includes(scope: &FilterScope<'_>, value: &str) -> Result<Vec<Include>, String> {
    let mut roots = Vec::new();
    once(value)?;
    for path in value.split(',') {
        let names: Vec<&str> = path.split('.').collect();
        if names.len() > MAX_DEPTH {
            return Err(format!("\"{path}\" is deeper than {MAX_DEPTH}"));
        }
        insert(scope, &mut roots, &names)?;
    }
    Ok(roots)
}

fn insert(scope: &FilterScope<'_>, includes: &mut Vec<Include>, names: &[&str]) -> Result<(), String> {
    let Some((name, rest)) = names.split_first() else { return Ok(()) };
    let relation = scope.relation(name).ok_or_else(|| unknown_relation(scope, name))?;
    if !includes.iter().any(|include| include.relation == relation) {
        includes.push(Include::new(relation));
    }
    if rest.is_empty() {
        return Ok(());
    }
    let there = scope.reach(relation.target(scope.entity));
    match includes.iter_mut().find(|include| include.relation == relation) {
        Some(include) => insert(&there, &mut include.includes, rest),
        None => Ok(()),
    }
}

fn unknown_relation(scope: &FilterScope<'_>, name: &str) -> String {
    let (entity, known) = (&scope.entity.name, scope.relations());
    match known.is_empty() {
        true => format!("{entity} has no relation \"{name}\""),
        false => format!("{entity} has no relation \"{name}\"; it has {}", known.join(", ")),
    }
}

/// `include[lines][limit]=10`, `include[lines.product][sort]=-price`.
fn include_parameter(scope: &FilterScope<'_>, includes: &mut [Include], name: &str, value: &str) -> Result<(), String> {
    let shape = || "expects include[relation][limit] or include[relation][sort]".to_owned();
    let inner = name.strip_prefix("include[").and_then(|rest| rest.strip_suffix(']')).ok_or_else(shape)?;
    let (path, parameter) = inner.split_once("][").ok_or_else(shape)?;
    let names: Vec<&str> = path.split('.').collect();
    let (include, target) = find(scope, includes, &names).ok_or_else(|| format!("\"{path}\" is not among include"))?;
    if matches!(include.relation, Relation::One(_)) {
        return Err(format!("\"{path}\" is one record: nothing to limit or sort"));
    }
    match parameter {
        "limit" => include.limit = limit(value)?,
        "sort" => include.sort = Some(sort(&target, value)?),
        _ => return Err(shape()),
    }
    Ok(())
}

fn find<'a, 'm>(
    scope: &FilterScope<'m>,
    includes: &'a mut [Include],
    names: &[&str],
) -> Option<(&'a mut Include, FilterScope<'m>)> {
    let (name, rest) = names.split_first()?;
    let include = includes.iter_mut().find(|include| include.relation.name(scope.entity) == *name)?;
    let target = scope.reach(include.relation.target(scope.entity));
    if rest.is_empty() { Some((include, target)) } else { find(&target, &mut include.includes, rest) }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_and_values_are_percent_decoded_once() {
        let expected = [("a b", "ü"), ("c", "%41"), ("d", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(split("a+b=%C3%BC&c=%2541&&d").unwrap(), expected);
    }

    #[test]
    fn what_is_not_percent_encoded_utf_8_is_named() {
        for query in ["title=%ZZ", "title=%F", "title=50%", "title=%FF", "%=1"] {
            let wrong = split(query).unwrap_err();
            assert_eq!(wrong.len(), 1, "{query}");
            assert!(wrong[0].why.contains("percent-encoded"), "{}", wrong[0].why);
        }
    }

    #[test]
    fn a_parameter_that_stands_there_twice_is_refused_however_it_is_written() {
        assert_eq!(split("a=1&%61=2&a=3").unwrap_err().len(), 1);
    }
}
