//! Bodies that describe a consumer or a key, and all their mistakes at once, each with its JSON pointer (RFC 6901).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::identity::auth::scopes;
use crate::model::{Model, RatePlan};
use crate::notify::target;

/// A mistake in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputViolation {
    /// Its place: a JSON pointer; empty for the whole body.
    pub pointer: String,
    /// Violated rule: `type`, `required`, `unknown`, `read_only`, `format`, `enum`, `minimum`, `maximum`, `max_length`, `min_items`,
    /// `max_items`, `unique_items`.
    pub code: &'static str,
    /// Description of what would be right.
    pub message: String,
}

/// Longest name, characters.
const MAX_NAME: usize = 200;
/// Most roles, and most addresses to notify.
const MAX_ITEMS: usize = 50;
/// Largest claims, bytes of their JSON: they travel in the authorizer's context.
const MAX_CLAIMS: usize = 4 * 1024;

/// The settings of a consumer that a body may choose.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsumerSettings {
    /// See [`super::Consumer::name`].
    pub name: Option<String>,
    /// See [`super::Consumer::plan`].
    pub plan: Option<String>,
    /// See [`super::Consumer::roles`].
    pub roles: Option<Vec<String>>,
    /// See [`super::Consumer::claims`].
    pub claims: BTreeMap<String, Value>,
    /// See [`super::Consumer::disabled`].
    pub disabled: bool,
    /// See [`super::Consumer::notify`].
    pub notify: Vec<String>,
    /// See [`super::Consumer::overrides`].
    pub overrides: Option<Value>,
    /// Whether its webhooks are to get a new secret.
    pub new_webhook_secret: bool,
}

impl ConsumerSettings {
    /// Their form in a body of the API.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "name": self.name,
            "plan": self.plan,
            "roles": self.roles,
            "claims": self.claims,
            "disabled": self.disabled,
            "notify": self.notify,
            "overrides": self.overrides,
        })
    }
}

/// A member that a body may have and no answer shows: the answer to it has the new secret instead.
const NEW_SECRET: &str = "webhook_secret";
/// Members that the API shows and does not take, unless they equal what is there.
const READ_ONLY: [&str; 2] = ["created_at", "updated_at"];
/// Members that a body may have.
pub(super) const MEMBERS: [&str; 7] = ["name", "plan", "roles", "claims", "disabled", "notify", "overrides"];

/// Whole seconds, also below zero so that the message can say what is wrong.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| crate::core::json::whole(value).and_then(|seconds| i64::try_from(seconds).ok()))
}

/// Whether a text may be a consumer's id.
pub fn is_consumer_id(id: &str) -> bool {
    // `anonymous` is the name under which callers without credentials are counted.
    crate::core::id::is_id_part(id) && id != crate::core::caller::ANONYMOUS
}

/// Description of the form of an id.
pub(super) const ID_RULE: &str = "it must match [A-Za-z0-9][A-Za-z0-9._:@-]{0,127} and not be `anonymous`";

/// Collects violations while a body is read.
struct Reader<'a> {
    body: &'a Map<String, Value>,
    violations: Vec<InputViolation>,
}

impl<'a> Reader<'a> {
    fn refuse(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.violations.push(InputViolation { pointer: pointer.into(), code, message: message.into() });
    }

    /// The member, unless it is absent or null.
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.member(name)?;
        if !value.is_string() {
            self.refuse(format!("/{name}"), "type", "must be a text or null");
        }
        value.as_str()
    }

    /// The texts of a list, each with its place.
    fn texts(&mut self, name: &str) -> Option<Vec<(usize, &'a str)>> {
        let value = self.member(name)?;
        let Some(elements) = value.as_array() else {
            self.refuse(format!("/{name}"), "type", "must be a list of texts or null");
            return None;
        };
        if elements.len() > MAX_ITEMS {
            self.refuse(format!("/{name}"), "max_items", format!("may have at most {MAX_ITEMS} elements"));
        }
        let (mut texts, mut seen) = (Vec::with_capacity(elements.len()), BTreeSet::new());
        for (at, element) in elements.iter().enumerate() {
            match element.as_str() {
                None => self.refuse(format!("/{name}/{at}"), "type", "must be a text"),
                Some(text) if !seen.insert(text) => self.refuse(format!("/{name}/{at}"), "unique_items", "stands here twice"),
                Some(text) => texts.push((at, text)),
            }
        }
        Some(texts)
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.member(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.refuse(format!("/{name}"), "type", "must be true or false");
                false
            }
        }
    }

    fn finish<T>(self, made: T) -> Result<T, Vec<InputViolation>> {
        if self.violations.is_empty() { Ok(made) } else { Err(self.violations) }
    }
}

/// Reads a whole consumer. `present` is its present form where there is one: read-only members may repeat it.
///
/// # Errors
/// Everything that is wrong.
pub fn settings(model: &Model, body: &Value, present: Option<&Value>) -> Result<ConsumerSettings, Vec<InputViolation>> {
    let mut reader = Reader { body: object(body)?, violations: Vec::new() };
    check_members(&mut reader, present);
    let name = name_of(&mut reader);
    let plan = reader.text("plan").map(str::to_owned);
    // What the model has no more may stay as it is, so that the rest can be changed.
    let stays = |member: &str, name: &str| {
        let value = present.and_then(|present| present.get(member));
        let elements = value.map_or(&[][..], |value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
        elements.iter().any(|element| element == name)
    };
    if let Some(name) = &plan
        && model.plan(name).is_none()
        && !stays("plan", name)
    {
        reader.refuse("/plan", "enum", one_of("plan", model.plans.iter().map(|plan| plan.name.as_str())));
    }
    let roles = roles(&mut reader, model, |name| stays("roles", name));
    let claims = claims(&mut reader);
    let disabled = reader.flag("disabled");
    let notify = notify(&mut reader);
    let overrides = overrides(&mut reader, model, plan.as_deref(), present);
    let new_webhook_secret = new_secret(&mut reader, &notify);
    reader.finish(ConsumerSettings { name, plan, roles, claims, disabled, notify, overrides, new_webhook_secret })
}

/// The id that a body of a creation names, if it does.
///
/// # Errors
/// It is not an id.
pub fn chosen_id(body: &Value) -> Result<Option<String>, Vec<InputViolation>> {
    match body.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if is_consumer_id(id) => Ok(Some(id.clone())),
        Some(_) => {
            let message = ID_RULE.to_owned();
            Err(vec![InputViolation { pointer: "/id".to_owned(), code: "format", message }])
        }
    }
}

/// The settings of a new key that a body may choose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySettings {
    /// Name for people.
    pub name: Option<String>,
    /// Scopes that narrow what its holder may do; `None`: not narrowed.
    pub scopes: Option<Vec<String>>,
    /// Seconds until it expires.
    pub expires_in: Option<i64>,
    /// Whether it may be published.
    pub publishable: bool,
}

/// Reads the body of a key's creation; `null` or an empty body means a key with the longest lifetime that the model allows.
///
/// # Errors
/// Everything that is wrong.
pub fn key_settings(model: &Model, body: &Value) -> Result<KeySettings, Vec<InputViolation>> {
    let nothing = Map::new();
    let body = if body.is_null() { &nothing } else { object(body)? };
    let mut reader = Reader { body, violations: Vec::new() };
    for name in body.keys().filter(|name| !KEY_MEMBERS.contains(&name.as_str())) {
        reader.refuse(pointer(&[name]), "unknown", format!("is not known here; known are: {}", KEY_MEMBERS.join(", ")));
    }
    let name = name_of(&mut reader);
    let scopes = scopes_of_key(&mut reader, model);
    let longest = model.auth.max_key_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let expires_in = match reader.member("expires_in") {
        None => longest,
        Some(value) => match (seconds(value), longest) {
            (Some(seconds), Some(longest)) if seconds > longest => {
                reader.refuse("/expires_in", "maximum", format!("may be at most {longest} seconds"));
                None
            }
            (Some(seconds), _) if (1..=MAX_EXPIRES_IN).contains(&seconds) => Some(seconds),
            (Some(_), _) => {
                reader.refuse("/expires_in", "minimum", format!("must be 1 to {MAX_EXPIRES_IN} seconds, or null"));
                None
            }
            (None, _) => {
                reader.refuse("/expires_in", "type", "must be whole seconds or null");
                None
            }
        },
    };
    let publishable = reader.flag("publishable");
    reader.finish(KeySettings { name, scopes, expires_in, publishable })
}

/// A name for people.
fn name_of(reader: &mut Reader<'_>) -> Option<String> {
    let name = reader.text("name").map(str::to_owned);
    if name.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > MAX_NAME) {
        reader.refuse("/name", "max_length", format!("must have 1 to {MAX_NAME} characters"));
    }
    name
}

/// Members that a body about a key may have.
const KEY_MEMBERS: [&str; 4] = ["name", "scopes", "expires_in", "publishable"];

/// Scopes of a key: at least one, each of the model.
fn scopes_of_key(reader: &mut Reader<'_>, model: &Model) -> Option<Vec<String>> {
    let texts = reader.texts("scopes")?;
    if texts.is_empty() && reader.body.get("scopes").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        reader.refuse("/scopes", "min_items", "must name at least one scope, or be null for a key that is not narrowed");
    }
    for (at, scope) in &texts {
        if !scopes::is_known(model, scope) {
            let message = "must be a scope of this model: entity:action, entity:*, *:action, system:permission or *";
            reader.refuse(format!("/scopes/{at}"), "enum", message);
        }
    }
    Some(texts.into_iter().map(|(_, scope)| scope.to_owned()).collect())
}

/// A hundred years.
const MAX_EXPIRES_IN: i64 = 100 * 366 * 86_400;

fn object(body: &Value) -> Result<&Map<String, Value>, Vec<InputViolation>> {
    let wrong = || vec![InputViolation { pointer: String::new(), code: "type", message: "must be an object".to_owned() }];
    body.as_object().ok_or_else(wrong)
}

fn check_members(reader: &mut Reader<'_>, present: Option<&Value>) {
    for (name, value) in reader.body {
        let known = MEMBERS.contains(&name.as_str()) || name == NEW_SECRET;
        let read_only = READ_ONLY.contains(&name.as_str()) || name == "id" && present.is_some();
        if known || name == "id" && present.is_none() {
            continue;
        }
        if !read_only {
            let message = format!("is not known here; known are: {}", MEMBERS.join(", "));
            reader.refuse(pointer(&[name]), "unknown", message);
        } else if present.is_none_or(|present| present.get(name) != Some(value)) {
            reader.refuse(pointer(&[name]), "read_only", "cannot be set; leave it out, or send the present value");
        }
    }
}

fn roles(reader: &mut Reader<'_>, model: &Model, stays: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let names = reader.texts("roles")?;
    for (at, name) in &names {
        if model.role(name).is_none() && !stays(name) {
            let message = one_of("role", model.roles.iter().map(|role| role.name.as_str()));
            reader.refuse(format!("/roles/{at}"), "enum", message);
        }
    }
    Some(names.into_iter().map(|(_, name)| name.to_owned()).collect())
}

fn claims(reader: &mut Reader<'_>) -> BTreeMap<String, Value> {
    let Some(value) = reader.member("claims") else { return BTreeMap::new() };
    let Some(claims) = value.as_object() else {
        reader.refuse("/claims", "type", "must be an object or null");
        return BTreeMap::new();
    };
    if value.to_string().len() > MAX_CLAIMS {
        reader.refuse("/claims", "max_length", format!("may have at most {MAX_CLAIMS} bytes"));
    }
    let scalar = |value: &Value| !value.is_object() && !value.is_array();
    for (name, value) in claims {
        if ["subject", "consumer"].contains(&name.as_str()) {
            reader.refuse(pointer(&["claims", name]), "unknown", "is given by who calls and cannot be set");
        } else if !scalar(value) && !value.as_array().is_some_and(|elements| elements.iter().all(scalar)) {
            reader.refuse(pointer(&["claims", name]), "type", "must be a text, number, truth value, null, or a list of them");
        }
    }
    claims.clone().into_iter().collect()
}

fn notify(reader: &mut Reader<'_>) -> Vec<String> {
    let addresses = reader.texts("notify").unwrap_or_default();
    for (at, address) in &addresses {
        if let Err(message) = check_address(address) {
            reader.refuse(format!("/notify/{at}"), "format", message);
        }
    }
    addresses.into_iter().map(|(_, address)| address.to_owned()).collect()
}

/// An address where notices can be sent: mail, or a webhook on the public Internet.
fn check_address(address: &str) -> Result<(), String> {
    let visible = address.len() <= 500 && address.bytes().all(|byte| byte.is_ascii_graphic());
    let mail = |rest: &str| rest.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'));
    match address.strip_prefix("mailto:") {
        Some(rest) if visible && mail(rest) => Ok(()),
        None if visible && address.starts_with("https://") => {
            target::check(address).map(drop).map_err(|refused| format!("cannot be used: {refused}"))
        }
        _ => Err("must be an address `mailto:...` or `https://...` without blanks, at most 500 characters".to_owned()),
    }
}

fn new_secret(reader: &mut Reader<'_>, notify: &[String]) -> bool {
    let Some(value) = reader.member(NEW_SECRET) else { return false };
    if value != "new" {
        reader.refuse(format!("/{NEW_SECRET}"), "enum", "can only be `new`, which asks for a new secret");
    } else if !notify.iter().any(|address| address.starts_with("https://")) {
        reader.refuse(format!("/{NEW_SECRET}"), "unknown", "needs an `https:` address in `notify`: it signs what is sent there");
    }
    true
}

/// `{"<rate or quota>": {"rate", "burst", "limit"}}`. Names are those of the plan, or of any plan where the record names none: a
/// token may name it then.
fn overrides(reader: &mut Reader<'_>, model: &Model, plan: Option<&str>, present: Option<&Value>) -> Option<Value> {
    let value = reader.member("overrides")?;
    let present = present.and_then(|present| present.get("overrides"));
    let Some(limits) = value.as_object() else {
        reader.refuse("/overrides", "type", "must be an object or null");
        return None;
    };
    let plans: Vec<&RatePlan> = model.plans.iter().filter(|candidate| plan.is_none_or(|name| candidate.name == name)).collect();
    let rates: Vec<&str> = plans.iter().flat_map(|plan| &plan.rates).map(|rate| rate.name.as_str()).collect();
    let quotas: Vec<&str> = plans.iter().flat_map(|plan| &plan.quotas).map(|quota| quota.name.as_str()).collect();
    for (name, limit) in limits {
        if present.is_some_and(|present| present.get(name) == Some(limit)) {
            continue;
        }
        let is_quota = quotas.contains(&name.as_str());
        let members: &[&str] = match (rates.contains(&name.as_str()), is_quota) {
            (true, true) => &["rate", "burst", "limit"],
            (true, false) => &["rate", "burst"],
            (false, true) => &["limit"],
            (false, false) => {
                let known = rates.iter().chain(&quotas).copied();
                reader.refuse(pointer(&["overrides", name]), "unknown", one_of("rate or quota of the plan", known));
                continue;
            }
        };
        override_of(reader, name, limit, members);
    }
    Some(value.clone())
}

fn override_of(reader: &mut Reader<'_>, name: &str, limit: &Value, members: &[&str]) {
    let known = members.join(", ");
    let Some(parts) = limit.as_object() else {
        reader.refuse(pointer(&["overrides", name]), "type", format!("must be an object of {known}"));
        return;
    };
    for (part, value) in parts {
        let place = pointer(&["overrides", name, part]);
        // A quota of nothing closes a door; a rate of nothing has no meaning.
        let least = u64::from(part != "limit");
        if !members.contains(&part.as_str()) {
            reader.refuse(place, "unknown", format!("is not known here; known are: {known}"));
        } else if !crate::core::json::whole(value).is_some_and(|units| (least..=MAX_UNITS).contains(&units)) {
            reader.refuse(place, "minimum", format!("must be a whole number from {least} to {MAX_UNITS}"));
        }
    }
}

/// Largest rate, burst or quota: 2^53 - 1, what every reader of JSON agrees on.
const MAX_UNITS: u64 = (1 << 53) - 1;

fn one_of<'n>(label: &str, names: impl Iterator<Item = &'n str>) -> String {
    format!("must be a {label}: {}", names.collect::<Vec<_>>().join(", "))
}

fn pointer(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}
