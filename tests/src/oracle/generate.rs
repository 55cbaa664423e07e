//! Random models: entities with their fields, ids, relations and indexes.

use serde_json::json;

use super::grants;
use super::spec::{Entity, Field, Id, Index, Kind, OnDelete, Path, Reference, Spec, WORDS};
use super::value;
use crate::rng::Rng;

/// Names that nothing else in an answer contains, so that a hidden field that shows anywhere is found.
pub const NAMES: [&str; 40] = [
    "kiwano",
    "mangosteen",
    "papaya",
    "tamarind",
    "quince",
    "medlar",
    "damson",
    "lychee",
    "durian",
    "guava",
    "feijoa",
    "rambutan",
    "soursop",
    "jackfruit",
    "persimmon",
    "kumquat",
    "pomelo",
    "cherimoya",
    "sapodilla",
    "longan",
    "salak",
    "loquat",
    "jabuticaba",
    "acerola",
    "cupuacu",
    "bilberry",
    "cloudberry",
    "boysenberry",
    "gooseberry",
    "elderberry",
    "mulberry",
    "currant",
    "nectarine",
    "apricot",
    "tangerine",
    "clementine",
    "plantain",
    "avocado",
    "breadfruit",
    "carambola",
];
const RELATIONS: [&str; 12] =
    ["warden", "maker", "keeper", "sponsor", "vendor", "holder", "broker", "pilot", "butcher", "fiddler", "glazier", "potter"];
const ENTITIES: [(&str, &str); 4] = [("alder", "alders"), ("birch", "birches"), ("cedar", "cedars"), ("dogwood", "dogwoods")];

/// A random model. Whether the parser takes it is the parser's to say: a condition of a list may turn out unserved.
pub fn spec(rng: &mut Rng) -> Spec {
    let mut names = NAMES.iter();
    let mut relations = RELATIONS.iter();
    let count = rng.within(2, 4);
    let mut spec = Spec { entities: Vec::new(), roles: Vec::new(), examine: *rng.pick(&[1000, 1000, 1000, 6]) };
    for (at, (name, plural)) in ENTITIES.iter().take(count).enumerate() {
        let mut fields: Vec<Field> = Vec::new();
        for _ in 0..rng.within(3, 6) {
            fields.extend(names.next().map(|name| field(rng, name)));
        }
        for _ in 0..rng.within(usize::from(at > 0), 2) {
            fields.extend(relations.next().map(|name| reference(rng, &spec, at, name)));
        }
        let id = id(rng, &spec, at, &mut fields);
        if rng.percent(30) {
            let stamp = |name: &str| Field { name: name.to_owned(), kind: Kind::Timestamp, stamp: true, ..Field::default() };
            fields.extend(["created_at", "updated_at"].map(stamp));
        }
        let indexes = vec![Index { name: "id".into(), equality: vec![], sort: vec![], projection: None, declared: false }];
        spec.entities.push(Entity { name: (*name).to_owned(), plural: (*plural).to_owned(), id, fields, indexes });
    }
    for at in 0..count {
        indexes(rng, &mut spec, at);
    }
    for at in 0..count {
        joins(rng, &mut spec, at);
    }
    implied(&mut spec);
    grants::roles(rng, &mut spec);
    spec
}

fn field(rng: &mut Rng, name: &str) -> Field {
    let words = || Kind::Enum(WORDS.map(str::to_owned).to_vec());
    let kinds = [
        Kind::String,
        Kind::String,
        Kind::String,
        Kind::Integer,
        Kind::Integer,
        Kind::Decimal,
        Kind::Number,
        Kind::Boolean,
        Kind::Date,
        Kind::Timestamp,
        words(),
        words(),
        Kind::Uuid,
        Kind::Text,
        Kind::Words,
        Kind::Numbers,
        Kind::Json,
    ];
    let kind = rng.pick(&kinds).clone();
    let mut field = Field { name: name.to_owned(), scan: kind != Kind::Json && rng.percent(40), kind, ..Field::default() };
    let stored_as_chosen = matches!(field.kind, Kind::String | Kind::Integer | Kind::Enum(_) | Kind::Boolean);
    match rng.below(10) {
        0 | 1 => field.required = true,
        2 if stored_as_chosen => field.default = Some(value::of(rng, &field.kind)),
        3 if matches!(field.kind, Kind::String | Kind::Integer) => (field.unique, field.scan) = (true, false),
        4 => field.immutable = true,
        5 if stored_as_chosen => (field.read_only, field.default) = (true, Some(value::of(rng, &field.kind))),
        6 => field.write_only = true,
        _ => {}
    }
    field
}

fn reference(rng: &mut Rng, spec: &Spec, at: usize, relation: &str) -> Field {
    let own = spec.entities.is_empty() || rng.percent(15);
    let target = if own { at } else { rng.below(spec.entities.len()) };
    let on_delete = *rng.pick(&[OnDelete::Restrict, OnDelete::Cascade, OnDelete::SetNull]);
    let inverse = rng.percent(75).then(|| relation.chars().rev().collect());
    let required = !own && on_delete != OnDelete::SetNull && rng.percent(40);
    let kind = Kind::Ref(Reference { relation: relation.to_owned(), target, on_delete, inverse });
    Field {
        name: format!("{relation}_id"),
        kind,
        required,
        immutable: rng.percent(15),
        scan: rng.percent(30),
        ..Field::default()
    }
}

fn id(rng: &mut Rng, spec: &Spec, at: usize, fields: &mut Vec<Field>) -> Id {
    match rng.below(8) {
        0 | 1 => Id::Uuid,
        2 | 3 => Id::Integer,
        4 if at > 0 => {
            let part = fields.iter().position(|field| {
                let simple = |reference: &Reference| {
                    reference.target < at
                        && !matches!(spec.entities[reference.target].id, Id::Parts(_))
                        && reference.on_delete != OnDelete::SetNull
                };
                field.kind.reference().is_some_and(simple)
            });
            let Some(part) = part else { return Id::Text };
            fields.push(Field { name: format!("place{at}"), kind: Kind::Integer, ..Field::default() });
            let parts = vec![part, fields.len() - 1];
            for part in &parts {
                let field = &mut fields[*part];
                (field.required, field.immutable) = (true, true);
            }
            Id::Parts(parts)
        }
        _ => Id::Text,
    }
}

fn indexes(rng: &mut Rng, spec: &mut Spec, at: usize) {
    let sortable: Vec<Path> = sortable(&spec.entities[at]);
    for number in 0..rng.within(1, 3) {
        let most = *rng.pick(&[0, 1, 1, 1, 2]);
        let equality = rng.sample(&sortable, most);
        let left: Vec<Path> = sortable.iter().filter(|path| !equality.contains(path)).copied().collect();
        let most = rng.below(3);
        let mut sort: Vec<(Path, bool)> = rng.sample(&left, most).into_iter().map(|path| (path, rng.percent(40))).collect();
        if rng.percent(10) {
            sort.push((Path::Id, rng.percent(50)));
        }
        let all: Vec<usize> = (0..spec.entities[at].fields.len()).collect();
        let projection = rng.percent(20).then(|| rng.some(&all, 50));
        let name = format!("by{number}");
        spec.entities[at].indexes.push(Index { name, equality, sort, projection, declared: true });
    }
}

fn sortable(entity: &Entity) -> Vec<Path> {
    let fields = entity.fields.iter().enumerate().filter(|(_, field)| field.kind.is_sortable());
    fields.map(|(at, _)| Path::Own(at)).collect()
}

/// An index over a field of a to-one relation, with the two that it needs.
fn joins(rng: &mut Rng, spec: &mut Spec, at: usize) {
    let references: Vec<(usize, usize)> =
        spec.entities[at].references().map(|(field, reference)| (field, reference.target)).collect();
    let Some((via, target)) = rng.perhaps(&references).copied() else { return };
    let Some(Path::Own(field)) = rng.perhaps(&sortable(&spec.entities[target])).copied() else { return };
    if rng.percent(40) {
        return;
    }
    let left: Vec<Path> = sortable(&spec.entities[at]).into_iter().filter(|path| *path != Path::Own(via)).collect();
    let most = rng.below(2);
    let sort: Vec<(Path, bool)> = rng.sample(&left, most).into_iter().map(|path| (path, rng.percent(50))).collect();
    let index = |name: &str, equality: Path, sort: &[(Path, bool)]| Index {
        name: name.to_owned(),
        equality: vec![equality],
        sort: sort.to_vec(),
        projection: None,
        declared: true,
    };
    spec.entities[target].indexes.push(index(&format!("for{at}"), Path::Own(field), &[]));
    spec.entities[at].indexes.push(index("by_ref", Path::Own(via), &sort));
    spec.entities[at].indexes.push(index("over", Path::Via(via, field), &sort));
}

/// Indexes that are there without being declared: of relations, and of unique fields.
fn implied(spec: &mut Spec) {
    for entity in &mut spec.entities {
        let mut needed: Vec<usize> = Vec::new();
        for (at, field) in entity.fields.iter().enumerate() {
            let by_itself = |reference: &Reference| reference.inverse.is_some() || reference.on_delete != OnDelete::Restrict;
            if field.unique || field.kind.reference().is_some_and(by_itself) {
                needed.push(at);
            }
        }
        for at in needed {
            if !entity.indexes.iter().any(|index| index.equality == [Path::Own(at)]) {
                let (name, equality) = (format!("implied{at}"), vec![Path::Own(at)]);
                entity.indexes.push(Index { name, equality, sort: vec![], projection: None, declared: false });
            }
        }
    }
}

/// Claims that rules may read: what each is for, and its name.
pub fn claims(spec: &Spec) -> Vec<String> {
    let mut names: Vec<String> = ["word", "words", "level", "levels"].map(str::to_owned).to_vec();
    names.extend(spec.entities.iter().map(|entity| format!("home_{}", entity.name)));
    names
}

/// A caller's claims: most are there, some are lists, some of a wrong type.
pub fn claim_values(rng: &mut Rng, spec: &Spec, ids: &[Vec<serde_json::Value>]) -> Vec<(String, serde_json::Value)> {
    let mut found = Vec::new();
    for name in claims(spec) {
        if rng.percent(15) {
            continue;
        }
        let claim = match name.as_str() {
            "word" => value::of(rng, &Kind::String),
            "level" => value::of(rng, &Kind::Integer),
            "words" => (0..rng.below(3)).map(|_| value::of(rng, &Kind::String)).collect(),
            "levels" => (0..rng.below(3)).map(|_| value::of(rng, &Kind::Integer)).collect(),
            home => {
                let at = spec.entities.iter().position(|entity| home == format!("home_{}", entity.name)).unwrap_or(0);
                match rng.perhaps(&ids[at]) {
                    Some(one) if rng.percent(70) => one.clone(),
                    Some(_) => rng.sample(&ids[at], 2).into(),
                    None => continue,
                }
            }
        };
        found.push((name, if rng.percent(4) { json!(true) } else { claim }));
    }
    found
}
