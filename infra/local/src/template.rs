//! What the local gateway takes from `template.yaml`: routes, the functions behind them and the authorizer.
//!
//! Only the part of SAM that Holdfast uses is understood; anything else about a route is an error here rather than a gateway
//! that silently behaves differently from the deployed one.

use std::time::Duration;

use http::Method;
use saphyr::{LoadableYamlNode, YamlOwned};

/// The template of this checkout, as it was when the binary was built.
pub const EMBEDDED: &str = include_str!("../../../template.yaml");

/// Longest time that an HTTP API waits for a function.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// Routes, functions and authorizer of an HTTP API.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// All functions, in the order of the file.
    pub functions: Vec<FunctionDef>,
    /// All routes, in the order of the file.
    pub routes: Vec<RouteDef>,
    /// All schedules, in the order of the file.
    pub schedules: Vec<ScheduleDef>,
    /// The authorizer, if there is one.
    pub authorizer: Option<AuthorizerDef>,
}

/// A function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDef {
    /// Logical id in the template: `DataApiFunction`.
    pub logical_id: String,
    /// Name of its binary, under which `cargo lambda watch` serves it: `data-api`.
    pub binary: String,
    /// Longest run.
    pub timeout: Duration,
}

/// A function that runs by the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleDef {
    /// Logical id of the function.
    pub function: String,
    /// How often.
    pub every: Duration,
}

/// A route of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteDef {
    /// Its method; `None`: `ANY`, or `$default`.
    pub method: Option<Method>,
    /// Its path with variables (`/v1/{plural}/{id}`); `None`: `$default`.
    pub path: Option<String>,
    /// Logical id of the function.
    pub function: String,
    /// Whether the authorizer is called first.
    pub authorized: bool,
}

impl RouteDef {
    /// The key under which API Gateway knows it: `GET /v1/{plural}`, `$default`.
    pub fn key(&self) -> String {
        match &self.path {
            None => "$default".to_owned(),
            Some(path) => format!("{} {path}", self.method.as_ref().map_or("ANY", Method::as_str)),
        }
    }
}

/// A REQUEST authorizer with payload 2.0 and simple responses.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizerDef {
    /// Logical id of the function.
    pub function: String,
    /// Headers that identify the caller; one that is missing means no call.
    pub identity_headers: Vec<String>,
    /// How long an answer is reused for the same identity.
    pub ttl: Duration,
}

/// Why a template cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError(pub String);

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "template.yaml: {}", self.0)
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Reads a SAM template.
    ///
    /// # Errors
    /// When it is no YAML, or says something of a route or the authorizer that this gateway would not honour.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let documents = YamlOwned::load_from_str(source).map_err(|error| TemplateError(error.to_string()))?;
        let root = documents.first().ok_or_else(|| TemplateError("it is empty".to_owned()))?;
        let resources = child(root, "Resources").ok_or_else(|| TemplateError("it has no Resources".to_owned()))?;
        let default_timeout = child(root, "Globals")
            .and_then(|globals| child(globals, "Function"))
            .and_then(|function| child(function, "Timeout"))
            .and_then(YamlOwned::as_integer)
            .unwrap_or(3);
        let authorizer =
            of_type(resources, "AWS::Serverless::HttpApi").map(|(_, api)| authorizer(api)).next().transpose()?.flatten();
        let mut template = Self { functions: Vec::new(), routes: Vec::new(), schedules: Vec::new(), authorizer };
        for (logical_id, function) in of_type(resources, "AWS::Serverless::Function") {
            // What has its code in the template is for a deployment alone, and serves no route.
            if child(function, "Properties").is_some_and(|properties| child(properties, "InlineCode").is_some()) {
                continue;
            }
            template.functions.push(function_def(logical_id, function, default_timeout)?);
            template.schedules.extend(schedules(logical_id, function)?);
            template.routes.extend(routes(logical_id, function, template.authorizer.is_some())?);
        }
        template.check()?;
        Ok(template)
    }

    /// The function with this logical id.
    pub fn function(&self, logical_id: &str) -> Option<&FunctionDef> {
        self.functions.iter().find(|function| function.logical_id == logical_id)
    }

    fn check(&self) -> Result<(), TemplateError> {
        for (at, route) in self.routes.iter().enumerate() {
            if self.routes[..at].iter().any(|other| other.key() == route.key()) {
                return Err(TemplateError(format!("the route `{}` stands there twice", route.key())));
            }
        }
        match &self.authorizer {
            Some(authorizer) if self.function(&authorizer.function).is_none() => {
                Err(TemplateError(format!("the authorizer's function `{}` does not exist", authorizer.function)))
            }
            _ => Ok(()),
        }
    }
}

fn child<'a>(node: &'a YamlOwned, key: &str) -> Option<&'a YamlOwned> {
    let value = node.as_mapping_get(key)?;
    Some(value.get_tagged_node().unwrap_or(value))
}

fn entries(node: &YamlOwned) -> impl Iterator<Item = (&str, &YamlOwned)> {
    node.as_mapping().into_iter().flatten().filter_map(|(key, value)| Some((key.as_str()?, value)))
}

fn of_type<'a>(resources: &'a YamlOwned, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a YamlOwned)> {
    entries(resources).filter(move |(_, node)| child(node, "Type").and_then(YamlOwned::as_str) == Some(kind))
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

fn function_def(logical_id: &str, node: &YamlOwned, default_timeout: i64) -> Result<FunctionDef, TemplateError> {
    let binary = child(node, "Metadata")
        .and_then(|metadata| child(metadata, "BuildProperties"))
        .and_then(|properties| child(properties, "Binary"))
        .and_then(YamlOwned::as_str)
        .ok_or_else(|| TemplateError(format!("{logical_id} has no Metadata.BuildProperties.Binary")))?;
    let timeout = child(node, "Properties")
        .and_then(|properties| child(properties, "Timeout"))
        .and_then(YamlOwned::as_integer)
        .unwrap_or(default_timeout);
    Ok(FunctionDef { logical_id: logical_id.to_owned(), binary: binary.to_owned(), timeout: seconds(timeout) })
}

fn routes(logical_id: &str, node: &YamlOwned, has_authorizer: bool) -> Result<Vec<RouteDef>, TemplateError> {
    let events = child(node, "Properties").and_then(|properties| child(properties, "Events"));
    let http = events
        .into_iter()
        .flat_map(entries)
        .filter(|(_, event)| child(event, "Type").and_then(YamlOwned::as_str) == Some("HttpApi"));
    http.map(|(name, event)| {
        let at = format!("{logical_id}.Events.{name}");
        let properties = child(event, "Properties").ok_or_else(|| TemplateError(format!("{at} has no Properties")))?;
        let text = |key| child(properties, key).and_then(YamlOwned::as_str);
        let authorizer = child(properties, "Auth").and_then(|auth| child(auth, "Authorizer")).and_then(YamlOwned::as_str);
        let method = match text("Method") {
            None => None,
            Some(any) if any.eq_ignore_ascii_case("any") => None,
            Some(name) => Some(name.parse().map_err(|_| TemplateError(format!("{at}: `{name}` is no method")))?),
        };
        Ok(RouteDef {
            method,
            path: text("Path").map(str::to_owned),
            function: logical_id.to_owned(),
            authorized: has_authorizer && authorizer != Some("NONE"),
        })
    })
    .collect()
}

/// The schedules of a function; only rates are understood, no cron expressions.
fn schedules(logical_id: &str, node: &YamlOwned) -> Result<Vec<ScheduleDef>, TemplateError> {
    let events = child(node, "Properties").and_then(|properties| child(properties, "Events"));
    let scheduled = events
        .into_iter()
        .flat_map(entries)
        .filter(|(_, event)| child(event, "Type").and_then(YamlOwned::as_str) == Some("Schedule"));
    scheduled
        .map(|(name, event)| {
            let text = child(event, "Properties").and_then(|properties| child(properties, "Schedule"));
            let every = text
                .and_then(YamlOwned::as_str)
                .and_then(rate)
                .ok_or_else(|| TemplateError(format!("{logical_id}.Events.{name}.Schedule must be such as rate(5 minutes)")))?;
            Ok(ScheduleDef { function: logical_id.to_owned(), every })
        })
        .collect()
}

fn rate(text: &str) -> Option<Duration> {
    let (count, unit) = text.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let unit = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    let seconds = count.parse::<u64>().ok().filter(|count| *count > 0)?.checked_mul(unit)?;
    Some(Duration::from_secs(seconds))
}

fn authorizer(api: &YamlOwned) -> Result<Option<AuthorizerDef>, TemplateError> {
    let Some(auth) = child(api, "Properties").and_then(|properties| child(properties, "Auth")) else {
        return Ok(None);
    };
    let Some(name) = child(auth, "DefaultAuthorizer").and_then(YamlOwned::as_str) else {
        return Ok(None);
    };
    let missing = |what: &str| TemplateError(format!("the authorizer `{name}` {what}"));
    let node = child(auth, "Authorizers")
        .and_then(|authorizers| child(authorizers, name))
        .ok_or_else(|| missing("is not among Authorizers"))?;
    if child(node, "AuthorizerPayloadFormatVersion").and_then(YamlOwned::as_str) != Some("2.0") {
        return Err(missing("must have AuthorizerPayloadFormatVersion \"2.0\""));
    }
    if child(node, "EnableSimpleResponses").and_then(YamlOwned::as_bool) != Some(true) {
        return Err(missing("must have EnableSimpleResponses: true"));
    }
    let function = child(node, "FunctionArn")
        .and_then(YamlOwned::as_str)
        .and_then(|arn| arn.strip_suffix(".Alias"))
        .ok_or_else(|| missing("needs FunctionArn: !Ref Function.Alias"))?;
    let identity = child(node, "Identity").ok_or_else(|| missing("has no Identity"))?;
    let identity_headers: Vec<String> = child(identity, "Headers")
        .and_then(YamlOwned::as_vec)
        .into_iter()
        .flatten()
        .filter_map(|header| header.as_str().map(str::to_ascii_lowercase))
        .collect();
    if identity_headers.is_empty() {
        return Err(missing("has no Identity.Headers"));
    }
    let ttl = child(identity, "ReauthorizeEvery").and_then(YamlOwned::as_integer).unwrap_or(0);
    Ok(Some(AuthorizerDef { function: function.to_owned(), identity_headers, ttl: seconds(ttl) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_template_of_this_checkout() {
        let template = Template::parse(EMBEDDED).unwrap();
        let authorizer = template.authorizer.as_ref().unwrap();
        assert_eq!(authorizer.function, "AuthorizerFunction");
        assert_eq!(authorizer.identity_headers, ["authorization"]);
        assert_eq!(authorizer.ttl, Duration::from_secs(300));
        let find = |key: &str| template.routes.iter().find(|route| route.key() == key).unwrap();
        assert!(find("PUT /v1/{plural}/{id}").authorized);
        assert!(!find("GET /v1/{plural}/{id}").authorized);
        assert!(!find("GET /v1/_health").authorized);
        assert!(!find("$default").authorized);
        assert_eq!(template.function("DataApiFunction").unwrap().binary, "data-api");
        assert_eq!(template.function("AuthorizerFunction").unwrap().timeout, Duration::from_secs(10));
        assert_eq!(template.function("DataApiFunction").unwrap().timeout, Duration::from_secs(29));
        let reporter = ScheduleDef { function: "UsageReporterFunction".into(), every: Duration::from_secs(60) };
        assert_eq!(template.schedules, [reporter]);
    }

    #[test]
    fn rates_are_understood_and_nothing_else() {
        assert_eq!(rate("rate(1 minute)"), Some(Duration::from_secs(60)));
        assert_eq!(rate("rate(2 hours)"), Some(Duration::from_secs(7_200)));
        for wrong in ["rate(0 minutes)", "rate(1 week)", "cron(0 12 * * ? *)", "rate(1)", ""] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn refuses_a_route_that_stands_there_twice() {
        let doubled = EMBEDDED.replacen("Path: \"/v1/{plural}/{id}\"", "Path: \"/v1/{plural}\"", 1);
        let error = Template::parse(&doubled).unwrap_err();
        assert!(error.0.contains("GET /v1/{plural}"), "{error}");
    }
}
