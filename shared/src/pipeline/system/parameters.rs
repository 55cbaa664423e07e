//! Query parameters of the system resources, and their pages.

use http::StatusCode;
use http::header::LINK;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::core::clock::Micros;
use crate::core::id::is_id_part;
use crate::http::problem::Problem;
use crate::http::{ApiRequest, Reply, header_value};
use crate::query::{DEFAULT_LIMIT, MAX_CURSOR, page_limit, split_parameters};

/// The parameters of a request, all of them known to its resource, none twice.
#[derive(Debug)]
pub(in crate::pipeline) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them; `known` are those that the resource has.
    ///
    /// # Errors
    /// 400 `invalid_parameter` that names the parameter and those that there are.
    pub(in crate::pipeline) fn read(request: &ApiRequest, known: &[&str]) -> Result<Self, Problem> {
        let parameters = split_parameters(&request.query).map_err(|wrong| match wrong.into_iter().next() {
            Some(first) => refuse(&first.name, &first.why),
            None => Problem::malformed("The query string cannot be read."),
        })?;
        match parameters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(Self(parameters)),
            Some((name, _)) if known.is_empty() => Err(refuse(name, "is not known; this resource has no parameters")),
            Some((name, _)) => Err(refuse(name, &format!("is not known here; known are: {}", known.join(", ")))),
        }
    }

    /// The value of one.
    pub(in crate::pipeline) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How many rows a page may have.
    pub(in crate::pipeline) fn limit(&self) -> Result<usize, Problem> {
        self.get("limit").map_or(Ok(DEFAULT_LIMIT), |value| page_limit(value).map_err(|why| refuse("limit", &why)))
    }

    /// The id of a consumer: those of tokens are made so that they fit too.
    pub(in crate::pipeline) fn consumer(&self) -> Result<Option<&str>, Problem> {
        match self.get("consumer") {
            Some(other) if !is_id_part(other) => Err(refuse("consumer", "must be the id of a consumer")),
            consumer => Ok(consumer),
        }
    }

    /// Where to go on.
    pub(in crate::pipeline) fn cursor(&self) -> Result<Option<&str>, Problem> {
        match self.get("cursor") {
            Some(cursor) if cursor.is_empty() || cursor.len() > MAX_CURSOR => Err(bad_cursor()),
            cursor => Ok(cursor),
        }
    }

    /// The answer with a page: the envelope of every list, and the link to the next one.
    pub(in crate::pipeline) fn page(&self, request: &ApiRequest, data: &[Value], next: Option<&str>) -> Reply {
        let reply = Reply::json(StatusCode::OK, &json!({ "data": data, "next_cursor": next }));
        let Some(next) = next else { return reply };
        let kept = self.0.iter().filter(|(name, _)| name != "cursor").map(|(name, value)| (name.as_str(), value.as_str()));
        let query: Vec<String> = kept
            .chain([("cursor", next)])
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        reply.header(LINK, header_value(format!("<{}{}?{}>; rel=\"next\"", request.base_url, request.path, query.join("&"))))
    }
}

/// A moment, as RFC 3339 writes it.
pub(super) fn moment(name: &str, text: &str) -> Result<Micros, Problem> {
    let wrong = || refuse(name, "must be a timestamp of RFC 3339, such as 2026-01-31T00:00:00Z");
    // The `+` of an offset reads as a space where a client forgot to escape it.
    let moment = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).map_err(|_| wrong())?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000).map(Micros).map_err(|_| wrong())
}

/// 400 for one parameter.
pub(in crate::pipeline) fn refuse(name: &str, why: &str) -> Problem {
    Problem::invalid_parameter(name, format!("{name} {why}."))
}

/// 400 for a cursor that is none of ours.
pub(in crate::pipeline) fn bad_cursor() -> Problem {
    refuse("cursor", "is not a cursor of this list")
}

/// Rows of a list as JSON.
///
/// # Errors
/// 500 for a row that has no JSON form.
pub(in crate::pipeline) fn to_values(rows: &[impl serde::Serialize]) -> Result<Vec<Value>, Problem> {
    rows.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(Problem::internal)
}
