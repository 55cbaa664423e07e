//! DynamoDB's expressions, as far as Holdfast uses them in writes: conditions and updates.

use std::collections::BTreeMap;

use holdfast::store::table::{Attr, Expr, Item};

/// Whether an item, or its absence, meets a condition.
///
/// # Panics
/// For an expression that this does not know.
pub(super) fn holds(condition: &Expr, item: Option<&Item>) -> bool {
    let mut parser = Parser { tokens: tokens(&condition.text), at: 0, of: condition, item };
    let outcome = parser.any();
    assert!(parser.at == parser.tokens.len(), "{}", condition.text);
    outcome
}

/// The item after an update.
///
/// # Panics
/// For an expression that this does not know.
pub(super) fn updated(update: &Expr, mut item: Item) -> Item {
    let mut clause = "";
    for part in tokens(&update.text).split(|token| *token == ",").flat_map(clauses) {
        let words = match part.first() {
            Some(word @ (&"SET" | &"ADD" | &"REMOVE" | &"DELETE")) => {
                clause = word;
                &part[1..]
            }
            _ => &part[..],
        };
        let name = update.names.get(words[0]).cloned().unwrap_or_else(|| words[0].to_owned());
        let value = || update.values[words[words.len() - 1]].clone();
        match clause {
            "SET" => drop(item.attrs.insert(name, value())),
            "REMOVE" => drop(item.attrs.remove(&name)),
            "ADD" => add(&mut item.attrs, name, value()),
            "DELETE" => remove(&mut item.attrs, &name, &value()),
            other => panic!("{other} in {}", update.text),
        }
    }
    item
}

/// A part between commas, divided where another clause begins.
fn clauses<'t>(part: &[&'t str]) -> Vec<Vec<&'t str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    for token in part {
        match all.last_mut() {
            Some(clause) if !matches!(*token, "SET" | "ADD" | "REMOVE" | "DELETE") => clause.push(token),
            _ => all.push(vec![token]),
        }
    }
    all
}

fn add(attrs: &mut BTreeMap<String, Attr>, name: String, value: Attr) {
    let sum = match (attrs.remove(&name), value) {
        (None, value) => value,
        (Some(Attr::N(there)), Attr::N(more)) => Attr::N(there + more),
        (Some(Attr::Ss(mut there)), Attr::Ss(more)) => {
            there.extend(more.into_iter().filter(|one| !there.contains(one)).collect::<Vec<_>>());
            Attr::Ss(there)
        }
        (there, more) => panic!("{more:?} added to {there:?}"),
    };
    attrs.insert(name, sum);
}

fn remove(attrs: &mut BTreeMap<String, Attr>, name: &str, value: &Attr) {
    let (Some(Attr::Ss(there)), Attr::Ss(gone)) = (attrs.get_mut(name), value) else { return };
    there.retain(|one| !gone.contains(one));
    if there.is_empty() {
        attrs.remove(name);
    }
}

fn tokens(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | ',' => 1,
            '<' | '>' | '=' => rest.find(|symbol| !"<>=".contains(symbol)).unwrap_or(rest.len()),
            _ => rest.find(|symbol: char| symbol.is_whitespace() || "(),<>=".contains(symbol)).unwrap_or(rest.len()),
        };
        all.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    all
}

struct Parser<'e> {
    tokens: Vec<&'e str>,
    at: usize,
    of: &'e Expr,
    item: Option<&'e Item>,
}

impl<'e> Parser<'e> {
    fn next(&mut self) -> &'e str {
        self.at += 1;
        self.tokens[self.at - 1]
    }

    fn comes(&mut self, token: &str) -> bool {
        let comes = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(comes);
        comes
    }

    fn any(&mut self) -> bool {
        let mut outcome = self.all();
        while self.comes("OR") {
            outcome |= self.all();
        }
        outcome
    }

    fn all(&mut self) -> bool {
        let mut outcome = self.one();
        while self.comes("AND") {
            outcome &= self.one();
        }
        outcome
    }

    fn one(&mut self) -> bool {
        match self.next() {
            "(" => {
                let outcome = self.any();
                assert!(self.comes(")"), "{}", self.of.text);
                outcome
            }
            function @ ("attribute_exists" | "attribute_not_exists") => {
                assert!(self.comes("("), "{}", self.of.text);
                let there = match self.next() {
                    "pk" => self.item.is_some(),
                    name => self.value(name).is_some(),
                };
                assert!(self.comes(")"), "{}", self.of.text);
                there == (function == "attribute_exists")
            }
            left => {
                let (operator, right) = (self.next(), self.next());
                compared(operator, self.value(left).as_ref(), self.value(right).as_ref())
            }
        }
    }

    fn value(&self, name: &str) -> Option<Attr> {
        if name.starts_with(':') {
            return self.of.values.get(name).cloned();
        }
        let mut names = name.split('.').map(|name| self.of.names.get(name).map_or(name, String::as_str));
        let first = self.item?.attrs.get(names.next()?)?;
        let found = names.try_fold(first, |value, name| match value {
            Attr::M(map) => map.get(name),
            _ => None,
        });
        found.cloned()
    }
}

fn compared(operator: &str, left: Option<&Attr>, right: Option<&Attr>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return false };
    match (operator, left, right) {
        ("=", ..) => left == right,
        ("<=", Attr::N(left), Attr::N(right)) => left <= right,
        ("<", Attr::N(left), Attr::N(right)) => left < right,
        (">", Attr::N(left), Attr::N(right)) => left > right,
        _ => panic!("{left:?} {operator} {right:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast::store::table::Key;

    #[test]
    fn what_writes_ask_is_understood() {
        let item = Item::new(Key::new("p", [1])).with("v", Attr::S("1".into())).with("n", Attr::N(2));
        let ask = |text: &str| {
            let condition = Expr::new(text).name("#v", "v").name("#n", "n").name("#x", "x");
            let condition = condition.value(":v", Attr::S("1".into())).value(":n", Attr::N(2));
            (holds(&condition, Some(&item)), holds(&condition, None))
        };
        assert_eq!(ask("attribute_not_exists(pk)"), (false, true));
        assert_eq!(ask("#v = :v"), (true, false));
        assert_eq!(ask("attribute_not_exists(pk) OR (#v = :v AND attribute_not_exists(#x))"), (true, true));
        assert_eq!(ask("#n <= :n AND attribute_exists(#x)"), (false, false));
        let inner = [("s".to_owned(), Attr::S("ready".into()))].into();
        let nested = item.clone().with("m", Attr::M(inner));
        let condition = Expr::new("#m.#s = :s").name("#m", "m").name("#s", "s").value(":s", Attr::S("ready".into()));
        assert_eq!((holds(&condition, Some(&nested)), holds(&condition, Some(&item))), (true, false));
    }

    #[test]
    fn updates_change_what_they_name() {
        let item = Item::new(Key::new("p", [1]));
        let update = Expr::new("SET #v = :v ADD #c :one, #u :e").name("#v", "v").name("#c", "c").name("#u", "u");
        let update = update.value(":v", Attr::S("x".into())).value(":one", Attr::N(1)).value(":e", Attr::Ss(vec!["a".into()]));
        let item = updated(&update, updated(&update, item));
        assert_eq!((item.s("v"), item.n("c"), item.attrs["u"].as_ss().map(<[_]>::len)), (Some("x"), Some(2), Some(1)));
        let gone = Expr::new("REMOVE #v DELETE #u :e").name("#v", "v").name("#u", "u").value(":e", Attr::Ss(vec!["a".into()]));
        assert_eq!(updated(&gone, item).attrs.keys().collect::<Vec<_>>(), ["c"]);
    }
}
