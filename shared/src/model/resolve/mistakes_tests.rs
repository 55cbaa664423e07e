//! Files with mistakes, and exactly what is said about them. The first line of each file is line 1.

use crate::model::parse;

/// What is said of a file, one mistake a line, without the file's name.
fn said(source: &str) -> Vec<String> {
    match parse("m", source) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(|mistake| mistake.to_string().trim_start_matches("m:").to_owned()).collect(),
    }
}

/// A model around entities, which begin in line 3.
fn entities(body: &str) -> String {
    format!("name: T\nentities:\n{body}")
}

/// A model around the fields of the entity `a`, which begin in line 4 and column 7; entity `b` follows.
fn fields(body: &str) -> String {
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!("entities:\n  a:\n    fields:\n{indented}  b: {{fields: {{x: string}}}}\nname: T\n")
}

macro_rules! mistakes {
    ($($name:ident: $source:expr => [$($expected:literal),* $(,)?];)*) => {
        $(#[test] fn $name() {
            let expected: &[&str] = &[$($expected),*];
            assert_eq!(said(&$source), expected);
        })*
    };
}

mistakes! {
    links: "name: T\nentities:\n  a: {fields: {t: string, b: {ref: b}}}\n  b: {fields: {x: string}}\nroles:\n  r:\n    entities:\n      a:\n        view: {fields: [t, {b: {link: true}}]}\n        create: {fields: {t: {link: true}, b: {lnk: true}, c: true}}\n        update: {fields: [{b: {link: maybe}}, {t: false}]}\n" => [
        "9:33: `link` says nothing about an action that writes no reference; it is for create and update: a reference that is written",
        "10:31: field `t` of entity `a` refers to nothing; `link` is for a ref",
        "10:48: unknown key `lnk`; did you mean `link`?",
        "10:60: entity `a` has no field `c`; did you mean `t`?",
        "11:38: `link` must be true or false",
        "11:51: `t` is listed and refused; leave it out, or name it under `except`",
    ];
    syntax: "name: T\nentities: {a: [}\n" => ["2:16: not YAML: a value is missing, or a bracket too many; close each `[` and `{`, and quote a text that begins with one"];
    tab: "name: T\nentities:\n\ta: {}\n" => ["3:1: not YAML: a tab stands where YAML takes spaces only; indent with spaces"];
    empty: "" => ["1:1: the file is empty; a model needs at least `name` and `entities`"];
    two_documents: "name: T\n---\nname: U\n" => ["3:1: a second YAML document; a model is one document; remove the `---`"];
    no_mapping: "- a\n" => ["1:1: a model must be a mapping; its keys are `name`, `description`, `version`, `entities`, `roles`, `plans`, `auth`, `cors`, `limits`"];
    nothing: "version: \"1\"\n" => [
        "1:1: the model has no `entities`; add `entities: {book: {fields: {title: string}}}`",
        "1:1: the model has no `name`; add `name: Bookshop`",
    ];
    alias_bomb: format!("a: &a [x, x, x, x, x, x, x, x, x]\n{}", (0..6).map(|n| format!("{c}: &{c} [*{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}, *{p}]\n", c = char::from(b'b' + n), p = char::from(b'a' + n))).collect::<String>())
        => ["5:12: aliases expand to too much"];
    unknown_keys: "name: T\nentitys: {}\nentities:\n  a:\n    plurals: as\n    fields: {t: {type: string, maxx: 3}}\n" => [
        "2:1: unknown key `entitys`; did you mean `entities`?",
        "5:5: unknown key `plurals`; did you mean `plural`?",
        "6:32: unknown key `maxx`; did you mean `max`?",
    ];
    duplicate_keys: entities("  a:\n    fields:\n      t: string\n      t: text\n    fields: {u: string}\n") => [
        "6:7: key `t` is there twice; it stands in line 5 already",
        "7:5: key `fields` is there twice; it stands in line 4 already",
    ];
    yaml_numbers: "name: 12\nversion: 1.0\nentities: {a: {fields: {t: string}}}\n" => [
        "1:7: `name` must be a text; put it in quotes: \"12\"",
        "2:10: `version` must be a text; put it in quotes: \"1.0\"",
    ];
    reserved_plurals: entities("  a: {plural: docs, fields: {t: string}}\n  b: {plural: _b, fields: {t: string}}\n  c: {plural: openapi.json, fields: {t: string}}\n  d: {plural: Ds, fields: {t: string}}\n") => [
        "3:15: the plural `docs` is reserved; reserved are `docs`, `openapi.json`, `openapi.yaml` and names that start with `_`",
        "4:15: the plural `_b` is reserved; reserved are `docs`, `openapi.json`, `openapi.yaml` and names that start with `_`",
        "5:15: the plural `openapi.json` is reserved; reserved are `docs`, `openapi.json`, `openapi.yaml` and names that start with `_`",
        "6:15: `Ds` cannot be a plural; a path segment of lower case letters, digits, `-` and `_` that begins with a letter",
    ];
    plural_twice: entities("  a: {fields: {t: string}}\n  b: {plural: as, fields: {t: string}}\n") =>
        ["4:15: two entities have the plural `as`; line 3 has it already; give one of the two a `plural`"];
    reserved_fields: fields("  limit: string\n  id: string\n  updated_at: date\n  cursor: {ref: b}\n") => [
        "4:7: the field name `limit` is reserved; it is a parameter of lists; choose another",
        "5:7: the field name `id` is reserved; every entity has an `id`; say `id: ...` beside `fields`",
        "6:7: the field name `updated_at` is reserved; Holdfast keeps it itself; remove the field or say `timestamps: false`",
        "7:7: the field name `cursor` is reserved; it is a parameter of lists; choose another",
    ];
    renames: entities("  a:\n    was: b\n    fields: {t: {type: string, was: u}, u: text, v: {type: string, was: w}, x: {type: date, was: w}, y: {ref: b, was: y}}\n  b: {was: c, fields: {t: {type: string, was: t}}}\n  d: {was: c, fields: {t: {ref: b, was: Old}, u: {type: string, was: created_at}}}\n") => [
        "4:10: there is still the entity `b`; `was` names what the entity replaces, which is gone; remove one of the two",
        "5:37: there is still the field `u`; `was` names what the field replaces, which is gone; remove one of the two",
        "5:98: two of them were the field `w`; line 5 says so already",
        "6:47: there is still the field `t`; `was` names what the field replaces, which is gone; remove one of the two",
        "7:12: two of them were the entity `c`; line 6 says so already",
        "7:41: `Old` cannot name a field; a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63",
        "7:70: there is still the field `created_at`; `was` names what the field replaces, which is gone; remove one of the two",
    ];
    fills: entities("  a:\n    id: [x, y]\n    fields:\n      x: {type: string, fill: z}\n      y: string\n      f: {type: file, fill: none}\n      u: {type: string, unique: true, fill: z}\n      s: {type: string, max: 2, fill: abc}\n      n: {type: integer, required: true, fill: many}\n") => [
        "6:31: `x` is part of the id, which every record has; remove `fill`",
        "8:29: `f` is a file, which is uploaded; remove `fill`",
        "9:45: `u` is unique: one value fills one record at most; fill the records by PATCH, then make it unique",
        "10:39: the fill of `s` must have at most 2 characters",
        "11:48: the fill of `n` must be a whole number",
    ];
    names: entities("  Order: {fields: {t: string}}\n  a: {fields: {firstName: string}}\n") => [
        "3:3: `Order` cannot name an entity; a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63",
        "4:16: `firstName` cannot name a field; a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63",
    ];
    types: fields("  a: strng\n  b: {max: 3}\n  c:\n  d: {type: boolean, max: 3}\n  e: {enum: []}\n  f: {list: json}\n") => [
        "4:10: unknown type `strng`; did you mean `string`?",
        "5:10: the field has no type; add `type: ...`, one of `string`, `text`, `integer`, `decimal`, `number`, `boolean`, `date`, `timestamp`, `enum`, `email`, `url`, `uuid`, `json`, `ref`, `file`, `list`",
        "6:7: the field has no type; write `title: string` or `title: {type: string, max: 80}`",
        "7:26: unknown key `max`; known here: `type`, `was`, `required`, `nullable`, `default`, `fill`, `unique`, `immutable`, `read_only`, `write_only`, `description`, `example`, `deprecated`, `filter`",
        "8:17: an enum needs at least one word; write `enum: [open, paid]`",
        "9:17: a list holds scalars only; a type other than list, json, ref and file",
    ];
    limits_of_types: fields("  a: {type: string, min: 3, max: 2}\n  b: {type: integer, max: 9007199254740992}\n  c: {type: string, pattern: \"[a\"}\n  d: {type: file, max_size: 6 GB, link_expiry: 2h}\n") => [
        "4:25: `min` is greater than `max`; nothing could be valid",
        "5:31: `max` must be a whole number from -9007199254740991 to 9007199254740991",
        "6:34: `[a` is no regular expression: unclosed character class; it must match the whole value",
        "7:33: `max_size` must be a size of at most 5368709120 bytes; for example `64 KB` or `5 MB`",
        "7:39: a link lives at most one hour; write `link_expiry: 1h` or less",
    ];
    defaults: fields("  a: {type: string, max: 2, default: abc}\n  b: {type: integer, min: 1, default: 0}\n  c: {type: decimal, scale: 2, default: 1.005}\n  d: {enum: [open], default: opn}\n  e: {type: date, default: 2026-02-30}\n  f: {ref: b, default: nobody}\n") => [
        "4:42: the default of `a` must have at most 2 characters",
        "5:43: the default of `b` must be at least 1",
        "6:45: the default of `c` must have at most 2 digits after the point",
        "7:34: the default of `d` must be one of open",
        "8:32: the default of `e` must be a day such as 2026-11-21",
        "9:28: the default of `f_id` must be a UUID such as 0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10",
    ];
    flags: fields("  a: {type: string, nullable: false}\n  b: {type: file, required: true}\n  c: {type: text, unique: true}\n  d: {type: string, read_only: true, required: true}\n  e: {ref: b, required: true, on_delete: set_null}\n  f: {type: json, filter: scan}\n") => [
        "4:7: `a` may be left out, but not be null; add `required: true` or a `default`",
        "5:7: the file `b` cannot be required; a record exists before its file is uploaded",
        "6:7: `c` cannot be unique; text, json, file and list fields cannot",
        "7:7: `d` is read_only and required; nobody could create a record; drop one of the two",
        "8:7: `e_id` has `on_delete: set_null` but cannot be null; add `nullable: true` or drop `required`",
        "9:7: `f` cannot be filtered by; remove `filter: scan`",
    ];
    references: fields("  a: {ref: bb}\n  b: {ref: b, on_delete: delete}\n  c: {ref: b, inverse: x}\n  d: {ref: b, inverse: as}\n  e: {ref: b, inverse: as}\n") => [
        "4:16: there is no entity `bb`; did you mean `b`?",
        "5:30: `delete` is no rule for `on_delete`; known here: `restrict`, `cascade`, `set_null`",
        "6:28: entity `b` has something named `x` already; choose another `inverse`",
        "8:28: entity `b` has something named `as` already; choose another `inverse`",
    ];
    composite_ids: entities("  a:\n    id: [x, y, zz]\n    fields: {x: string, y: json, z: string}\n  b: {id: [x], fields: {x: string}}\n  c: {id: uid, fields: {x: string}}\n") => [
        "4:13: `y` cannot be part of an id; a part is a string, integer, enum, date, uuid or ref",
        "4:16: entity `a` has no field `zz`; did you mean `z`?",
        "6:11: a composite id needs at least two fields; for example `id: [order, product]`",
        "7:11: `uid` is no kind of id; did you mean `uuid`?",
    ];
    indexes: entities("  a:\n    fields: {t: text, u: {type: string, max: 9}, v: string, w: {type: string, max: 178}}\n    indexes:\n      i: {equality: [t], sort: [x]}\n      id: {sort: u}\n      j: {}\n      k: {sort: [u, -v]}\n      l: {sort: [w, u]}\n      m: {equality: [u], sort: [u]}\n      n: {equality: u, sorts: v}\n") => [
        "6:22: `t` cannot be in an index; text, json, file and list fields have no order; `filter: scan` lets filters read text and list fields",
        "6:33: entity `a` has no field `x`; did you mean `t`?",
        "7:7: the index `id` is there already; remove it: lists by id need none",
        "8:7: index `j` says nothing; add `equality: [..]`, `sort: [-placed_at]` or both",
        "9:21: `v` has no `max`, so index `k` cannot sort by it; give `v` a `max`: 4 bytes a character, at most 720 bytes for the whole key",
        "10:18: the sort key of index `l` may take 793 bytes, at most 720 fit; `w` takes up to 715 of them: give it a smaller `max` (4 bytes a character)",
        "11:33: `u` is in the index twice; one place is enough",
        "12:24: unknown key `sorts`; did you mean `sort`?",
    ];
    joins: entities("  c: {fields: {country: {type: string, max: 2}}}\n  o:\n    fields: {c: {ref: c}, at: date}\n    indexes:\n      by_country: {equality: c.country, sort: [-at]}\n      by_x: {equality: d.country}\n      by_y: {sort: c.country}\n") => [
        "7:7: index `by_country` needs an index by `c` with the same sort; add the index `by_c: {equality: [c], sort: [-at]}`",
        "7:7: index `by_country` needs an index of `c` by `country`; add to `c` the index `by_country: {equality: [country]}`",
        "8:24: entity `o` has no to-one relation `d`; did you mean `c`?",
        "9:20: `c.country` cannot be sorted by; only fields of the entity itself can",
    ];
    roles: format!("{}roles:\n  r: {{inherits: [s, x], entities: {{a: {{list: maybe, reed: true}}, c: all}}, system: [usage, logs]}}\n  s: {{inherits: r}}\n", entities("  a: {fields: {t: string}}\n")) => [
        "5:18: role `r` inherits from itself over `s`; break the cycle",
        "5:21: there is no role `x`; did you mean `r`?",
        "5:46: a permission (or `{rows: ..., fields: ...}`) must be true or false",
        "5:53: unknown key `reed`; did you mean `read`?",
        "5:66: there is no entity `c`; did you mean `a`?",
        "5:91: `logs` is no system permission (or `all`); known here: `consumers`, `usage`, `cache`, `audit`",
        "6:17: role `s` inherits from itself over `r`; break the cycle",
    ];
    rules: format!("{}roles:\n  r:\n    entities:\n      a:\n        read:\n          rows: {{tt: 1, n: abc, t: {{like: x}}, or: x, l: {{gt: 1}}, s: $claim.org, u: $me}}\n          fields: [t, nope]\n", entities("  a: {fields: {t: string, n: integer, l: {list: string}, s: string, u: string}}\n")) => [
        "9:18: entity `a` has no field `tt`; did you mean `t`?",
        "9:28: the value for `n` must be a whole number",
        "9:37: unknown operator `like`; here it is `contains`, or `prefix` for a beginning",
        "9:51: `and` and `or` take a list of conditions; for example `or: [{a: 1}, {b: 2}]`",
        "9:62: `l` cannot be compared by `gt`; its type does not have that comparison",
        "9:69: unknown claim `org`; declare it: `auth: {claims: [org]}`",
        "9:84: unknown variable `$me`; known are `$subject`, `$consumer` and `$claim.<name>`; a constant that begins with `$` begins with `$$`",
        "10:23: entity `a` has no field `nope`; known here: `t`, `n`, `l`, `s`, `u`, `created_at`, `updated_at`, `all`",
    ];
    unserved_rows: format!("{}roles:\n  r: {{entities: {{a: {{list: {{rows: {{s: x, n: {{gt: 1}}}}}}, read: {{rows: {{s: x}}}}, create: {{fields: [n]}}}}}}}}\n", entities("  a: {fields: {s: {type: string, required: true}, n: integer}}\n")) => [
        "5:29: no index serves this row condition of a list; add to `a` the index `by_s: {equality: [s]}`, or mark `s`, `n` with `filter: scan`",
        "5:78: the role may create `a` but not write its required field `s`; add the field, or give it a default",
    ];
    plans: format!("{}plans:\n  p: {{quotas: {{week: 3, day: 0}}, costs: {{list: 0, a.creat: 1}}, thresholds: [101], when_unavailable: wait}}\n  q: {{rates: {{r: {{per: 1s}}, s: {{rate: 2000000, per: 1s, only: [b]}}}}}}\n", entities("  a: {fields: {t: string}}\n")) => [
        "5:3: plan `p` has no rate; add `rates: {burst: {rate: 10, per: 1s, burst: 20}}`",
        "5:16: unknown window `week`; known here: `hour`, `day`, `month`",
        "5:30: a quota (units) must be a whole number from 1 to 1125899906842624",
        "5:48: a cost (units) must be a whole number from 1 to 1125899906842624",
        "5:51: `a.creat` is no operation, entity or `entity.operation`; did you mean `create`?",
        "5:77: a threshold (per cent of a quota) must be a whole number from 1 to 100",
        "5:101: `wait` is no behaviour (`admit` or `refuse`); known here: `admit`, `refuse`",
        "6:15: rate `r` needs `rate`; for example `{rate: 10, per: 1s, burst: 20}`",
        "6:33: more than one unit a microsecond; a smaller `rate` or a longer `per`",
        "6:64: `b` is no operation, entity or `entity.operation`; did you mean `a`?",
    ];
    auth: format!("{}auth:\n  issuers: {{i: {{issuer: x, jwks_uri: \"http://keys.example.com/\", algorithms: [HS256], leeway: 1h, default_roles: [r]}}}}\n  anonymous_role: r\n  default_plan: p\n  max_key_age: 3 weeks\ncors: {{origins: [\"https://a.example/\"]}}\nlimits: {{examine: -1}}\n", entities("  a: {fields: {t: string}}\n")) => [
        "5:13: issuer `i` needs `audiences`; tokens are checked against it; for tokens without `aud`, such as Cognito's access tokens, `clients` names the clients they are issued to",
        "5:38: `http://keys.example.com/` is not safe to fetch keys from; an https URL (http for this machine only)",
        "5:79: `HS256` is no algorithm; did you mean `ES256`?",
        "5:87: `leeway` is more than five minutes; clocks differ by seconds: `leeway: 30s`",
        "5:115: there is no role `r`; there is none yet",
        "6:19: there is no role `r`; there is none yet",
        "7:17: there is no plan `p`; there is none yet",
        "8:16: `max_key_age` must be a duration; for example `30s`, `15m`, `1h` or `7d`",
        "9:18: `https://a.example/` is no origin; for example `https://shop.example.com`: scheme and host, no path, no slash at its end; or `\"*\"`",
        "10:19: `examine` (rows) must be a whole number from 0 to 10000",
    ];
    issuer_aliases: format!("{}auth:\n  issuers:\n    key: {{issuer: x, jwks_uri: \"https://keys.example.com/\", audiences: [a]}}\n    local: {{issuer: y, jwks_uri: \"https://keys.example.com/\", audiences: [a]}}\n    \"a:b\": {{issuer: z, jwks_uri: \"https://keys.example.com/\", audiences: [a]}}\n", entities("  a: {fields: {t: string}}\n")) => [
        "6:5: `key` cannot name an issuer; `key:...` are the subjects of API keys; for example `key_issuer`",
        "7:5: `local` cannot name an issuer; `local:...` are the subjects of tokens of `holdfast token`; for example `local_issuer`",
        "8:5: `a:b` cannot name an issuer; a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63",
    ];
    subjects_that_cannot_be: format!("{}roles:\n  r: {{entities: {{a: {{read: {{rows: {{or: [{{n: $subject}}, {{u: [$subject]}}, {{e: {{ne: $subject}}}}, {{b_id: $subject}}, {{id: $subject}}, {{c.d: $subject}}]}}}}}}}}}}\n", entities("  a: {fields: {n: integer, u: uuid, e: {enum: [x]}, b: {ref: b}, c: {ref: c}, s: string}}\n  b: {fields: {x: string}}\n  c: {id: string, fields: {d: email}}\n")) => [
        "7:45: `n` can never equal `$subject`, which is `<issuer alias>:<sub>`; make it a string, or compare with a claim: `$claim.sub`",
        "7:61: `u` can never equal `$subject`, which is `<issuer alias>:<sub>`; make it a string, or compare with a claim: `$claim.sub`",
        "7:82: `e` can never equal `$subject`, which is `<issuer alias>:<sub>`; make it a string, or compare with a claim: `$claim.sub`",
        "7:101: `b_id` can never equal `$subject`, which is `<issuer alias>:<sub>`; make it a string, or compare with a claim: `$claim.sub`",
        "7:117: `id` can never equal `$subject`, which is `<issuer alias>:<sub>`; make it a string, or compare with a claim: `$claim.sub`",
        "7:134: `c.d` can never equal `$subject`, which is `<issuer alias>:<sub>`; make it a string, or compare with a claim: `$claim.sub`",
    ];
    remote_schema: fields("  a: {type: json, schema: {$ref: \"https://example.com/s.json\"}}\n") => [
        "4:31: not a JSON Schema (2020-12): Resource 'https://example.com/s.json' is not present in a registry and retrieving it failed: `resolve-http` feature or a custom resolver is required to resolve external schemas via HTTP; `$ref` may point into the schema itself only",
    ];
    too_many_items: fields(&(0..24).map(|at| format!("  t{at}: {{type: string, unique: true}}\n")).collect::<String>()) =>
        ["2:3: a write of `a` may need 101 items; a transaction has at most 100; fewer indexes, refs or unique fields"];
}

mistakes! {
    what_other_formats_call_it: fields("  a: {type: varchar, maxLength: 3}\n  b: {type: string, max_length: 3, regex: x}\n  c: datetime\n  d: {type: boolean, required: yes, unique: \"true\", immutable: 1}\n  e: {references: b}\n") => [
        "4:17: unknown type `varchar`; here it is `string`",
        "4:26: unknown key `maxLength`; here it is `max`",
        "5:25: unknown key `max_length`; here it is `max`",
        "5:40: unknown key `regex`; here it is `pattern`",
        "6:10: unknown type `datetime`; here it is `timestamp`",
        "7:36: `required` must be true or false; write `true`: YAML 1.2 reads `yes` as something else",
        "7:49: `unique` must be true or false; without quotes: `true`",
        "7:68: `immutable` must be true or false; write `true`: YAML 1.2 reads `1` as something else",
        "8:10: the field has no type; add `type: ...`, one of `string`, `text`, `integer`, `decimal`, `number`, `boolean`, `date`, `timestamp`, `enum`, `email`, `url`, `uuid`, `json`, `ref`, `file`, `list`",
        "8:11: unknown key `references`; here it is `ref`",
    ];
    operators_and_paths: format!("{}roles:\n  r:\n    entities:\n      line:\n        read: {{rows: {{n: {{like: x}}}}}}\n        update: {{rows: {{n: {{\">=\": 1, \"!=\": 2, between: 3, startsWith: 4}}}}}}\n        delete: {{rows: {{invoice.customer.country: DE, n.x: 1}}}}\n        create: {{rows: {{lines: 1, lines.n: 2}}}}\n      invoice: {{read: {{rows: {{lines: 1, lines.n: 2}}}}}}\n", entities("  customer: {fields: {country: string}}\n  invoice: {fields: {customer: {ref: customer}}}\n  line:\n    fields: {invoice: {ref: invoice, inverse: lines}, n: string}\n    indexes: {i: {equality: invoice.customer.country}}\n")) => [
        "7:29: an index reaches over one relation, `invoice.customer.country` goes over two; `invoice.customer` is the farthest; keep the value in `line` or in `invoice`",
        "12:27: unknown operator `like`; here it is `contains`, or `prefix` for a beginning",
        "13:29: unknown operator `>=`; here they are `gt`, `gte`, `lt`, `lte`",
        "13:38: unknown operator `!=`; here it is `ne`",
        "13:47: unknown operator `between`; write `{gte: 1, lte: 5}`",
        "13:59: unknown operator `startsWith`; here it is `prefix`",
        "14:25: a condition reaches over one relation, `invoice.customer.country` goes over two; `invoice.customer` is the farthest; keep the value in `line` or in `invoice`",
        "14:55: entity `line` has no to-one relation `n`; `n` is a field that refers to nothing",
        "15:25: entity `line` has no field `lines`; known here: `invoice_id`, `n`, `created_at`, `updated_at`, `and`, `or`, `not`, `id`",
        "15:35: entity `line` has no to-one relation `lines`; known here: `invoice`",
        "16:31: entity `invoice` has no field `lines`; `lines` are records that refer to it; conditions reach over a ref",
        "16:41: entity `invoice` has no to-one relation `lines`; `lines` are records that refer to it; a condition reaches over a ref",
    ];
    merge_keys_and_stars: "base: &base {x: string}\nname: T\nentities:\n  a:\n    fields:\n      <<: *base\n      y: string\nroles:\n  r: {entities: {a: {<<: *base}}}\n" => [
        "1:1: unknown key `base`; did you mean `name`?",
        "1:14: unknown key `x`; no type takes it",
        "6:7: `<<` cannot name a field; a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63",
        "6:11: the field has no type; add `type: ...`, one of `string`, `text`, `integer`, `decimal`, `number`, `boolean`, `date`, `timestamp`, `enum`, `email`, `url`, `uuid`, `json`, `ref`, `file`, `list`",
        "9:22: unknown key `<<`; YAML 1.2 has no merge keys: repeat the members, or use an alias as a whole value",
    ];
    a_colon_without_quotes: "name: T\nentities:\n  a:\n    description: An order: what a customer bought.\n    fields: {x: string}\n  b: {fields: {a: {ref: a}, y: strin}}\n" => [
        "4:26: not YAML: a second `: ` in one line; a text that contains `: ` needs quotes, and what follows a key its own line",
        "6:32: unknown type `strin`; did you mean `string`?",
    ];
    all_mistakes_of_a_file_that_is_not_yaml: "name: T\nentities:\n  a:\n    fields:\n      x: {type: string\n  b:\n\tfields: {y: string}\n  c:\n    fields: {a: {ref: a}, b: {ref: b}, d: {ref: d}}\nroles:\n  r:\n    entities:\n      *: {read: true}\n  s: {inherits: r, entities: {a: all, d: all}}\nplans:\n  p: {rates: {x: {rate: 1}}\n  q: {rates: {x: {rate: 0}}}\nauth: {default_plan: p, anonymous_role: r}\n" => [
        "5:1: not YAML: a `{` is not closed, or a comma is missing; write `{a: 1, b: 2}`",
        "7:1: not YAML: a tab stands where YAML takes spaces only; indent with spaces",
        "9:49: there is no entity `d`; did you mean `c`?",
        "13:7: not YAML: `*` begins an alias, and there is no such anchor; a text that begins with `*` needs quotes: `\"*\"`",
        "14:39: there is no entity `d`; did you mean `c`?",
        "16:1: not YAML: a `{` is not closed, or a comma is missing; write `{a: 1, b: 2}`",
        "17:25: `rate` (units) must be a whole number from 1 to 1125899906842624",
    ];
    every_entity_cannot_be_read: "name: T\nentities:\n  a:\n    description: x: y\nroles:\n  r: {all: yes, entities: {a: all}}\n" => [
        "4:19: not YAML: a second `: ` in one line; a text that contains `: ` needs quotes, and what follows a key its own line",
        "6:12: `all` must be true or false; write `true`: YAML 1.2 reads `yes` as something else",
    ];
    a_section_that_cannot_be_read: "name: T\nentities: {a: {fields: {x: string}}\nroles:\n  r: {all: 1}\n" => [
        "2:1: not YAML: a `{` is not closed, or a comma is missing; write `{a: 1, b: 2}`",
    ];
    a_broken_part_is_not_unknown: entities("  a: {fields: {t: strin, u: {type: string, max: 3}}, indexes: {i: {equality: t}, j: {equality: v}}}\n  b: [x]\n  c: {fields: {b: {ref: b}, a: {ref: a}}, indexes: {k: {equality: a.t}}}\n") => [
        "3:19: unknown type `strin`; did you mean `string`?",
        "3:96: entity `a` has no field `v`; did you mean `u`?",
        "4:6: an entity must be a mapping; its keys are `was`, `plural`, `description`, `id`, `fields`, `indexes`, `cache`, `public`, `contention`, `require_if_match`, `deprecated`, `max_bytes`, `timestamps`",
    ];
    everything_of_one_entity: entities("  A: {plural: 12, id: 7, cache: {}, contention: x, deprecated: {sunset: 3, operations: [x]}, fields: {t: {type: x, min: 3, mix: 4}, u: {type: string, min: x, unique: 1}}, indexes: {i: {}}}\n") => [
        "3:3: `A` cannot name an entity; a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63",
        "3:15: `plural` must be a text; put it in quotes: \"12\"",
        "3:23: `7` is no kind of id; known here: `uuid`, `string`, `integer`",
        "3:33: `cache` says nothing; write `{bounded: 30s}`, `strict` or `off`",
        "3:49: `contention` (writes per second) must be a whole number from 1 to 2500",
        "3:64: `deprecated` needs `since`; for example `deprecated: {since: 2026-01-01}`",
        "3:73: `sunset` must be a day; for example `2026-11-21`",
        "3:89: `x` is no operation; known here: `read`, `list`, `create`, `update`, `delete`, `upload`, `download`",
        "3:113: unknown type `x`; known here: `string`, `text`, `integer`, `decimal`, `number`, `boolean`, `date`, `timestamp`, `enum`, `email`, `url`, `uuid`, `json`, `ref`, `file`, `list`",
        "3:124: unknown key `mix`; no type takes it",
        "3:156: `min` (code points) must be a whole number from 0 to 1000000",
        "3:167: `unique` must be true or false; write `true`: YAML 1.2 reads `1` as something else",
        "3:182: index `i` says nothing; add `equality: [..]`, `sort: [-placed_at]` or both",
    ];
}
