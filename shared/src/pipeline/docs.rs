//! `/v1/openapi.json`, `/v1/openapi.yaml`, `/v1/docs` and `/v1/docs/llms.txt`: what the caller may do, as documents. These addresses
//! need no credentials; without them the document is that of the anonymous role.

use std::time::Duration;

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::app::App;
use crate::core::caller::Caller;
use crate::http::problem::Problem;
use crate::http::route::Document;
use crate::http::{ApiRequest, JSON, Reply, header_value};
use crate::identity::auth::{self, Principal};
use crate::model::{self, Change, Model, Role, SystemPermission};
use crate::openapi::{self, Documents, Form, Site};
use crate::query::policy::allows_system;
use crate::query::split_parameters;

/// Answers a request for a document. `principal` is the caller, `None` without credentials; credentials that are not accepted are
/// refused before this.
///
/// # Errors
/// 400 for a parameter that is not known here or names no role; 403 for the role of others (`role`, and what changes to it from
/// another one, `diff`) without the permission `consumers`.
pub fn handle(app: &App, request: &ApiRequest, principal: Option<&Principal>, document: Document) -> Result<Reply, Problem> {
    let handler = DocumentHandler { model: &app.model, documents: &app.documents, environment: &app.environment };
    let age = if principal.is_none() { shared_age(&app.model) } else { None };
    handler.handle(request, principal, document).map(|reply| reply.public(age))
}

/// For how long shared caches may keep what everybody sees: as long as the shortest-lived public entity, which it describes. Where the
/// model makes nothing public, neither are its documents.
fn shared_age(model: &Model) -> Option<Duration> {
    model.entities.iter().filter_map(|entity| entity.public).min()
}

/// What a document is made of and kept in.
struct DocumentHandler<'a> {
    model: &'a Model,
    documents: &'a Documents,
    environment: &'a str,
}

impl DocumentHandler<'_> {
    fn handle(&self, request: &ApiRequest, principal: Option<&Principal>, document: Document) -> Result<Reply, Problem> {
        let (form, media_type) = match document {
            Document::Json => (Form::Json, JSON),
            Document::Yaml => (Form::Yaml, "application/yaml"),
            Document::Llms => (Form::Markdown, "text/markdown; charset=utf-8"),
            Document::Page => return Ok(self.page()),
        };
        let wanted = DocumentRequest::read(request)?;
        let principal = principal.cloned().or_else(|| auth::anonymous(self.model));
        let mut caller = principal.as_deref().cloned().unwrap_or_else(without_rights);
        if let Some(role) = &wanted.role {
            let role = self.role_of_others(&caller, "role", role)?;
            if let Some(before) = &wanted.diff {
                let before = self.role_of_others(&caller, "diff", before)?;
                return self.diff(before, role, form, media_type);
            }
            caller = openapi::of_role(self.model, &[&role.name]);
        }
        let site = Site { url: &request.base_url, environment: self.environment };
        let text = self.documents.get(self.model, &caller, site, form).map_err(Problem::internal)?;
        Ok(Reply::of(StatusCode::OK, HeaderValue::from_static(media_type), text).version(&self.model.hash))
    }

    fn page(&self) -> Reply {
        let page = openapi::page(&self.model.name);
        Reply::of(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), page.html)
            .header(CONTENT_SECURITY_POLICY, header_value(page.policy))
            .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
            .version(&self.model.hash)
    }

    /// A role that an administrator names.
    fn role_of_others(&self, caller: &Caller, parameter: &str, name: &str) -> Result<&Role, Problem> {
        if !administers(self.model, caller) {
            return Err(Problem::forbidden("The document of another role needs a role with the system permission consumers."));
        }
        self.model.role(name).ok_or_else(|| {
            let known: Vec<&str> = self.model.roles.iter().map(|role| role.name.as_str()).collect();
            let why = format!("There is no role \"{name}\"; there are: {}.", known.join(", "));
            Problem::invalid_parameter(parameter, why)
        })
    }

    /// What somebody gains and loses who held one role and gets another.
    fn diff(&self, before: &Role, after: &Role, form: Form, media_type: &'static str) -> Result<Reply, Problem> {
        let changes = model::diff_roles((self.model, before), (self.model, after));
        let document =
            json!({"from": before.name, "to": after.name, "changes": changes.iter().map(Change::json).collect::<Vec<_>>()});
        let text = match form {
            Form::Json => document.to_string(),
            Form::Yaml => openapi::yaml(&document).map_err(Problem::internal)?,
            Form::Markdown => changes.iter().map(|change| format!("- {change}\n")).collect(),
        };
        Ok(Reply::of(StatusCode::OK, HeaderValue::from_static(media_type), text).version(&self.model.hash))
    }
}

/// The anonymous caller of a model without an anonymous role.
fn without_rights() -> Caller {
    Caller { anonymous: true, ..Caller::default() }
}

fn administers(model: &Model, caller: &Caller) -> bool {
    allows_system(model, caller, SystemPermission::Consumers)
}

/// The parameters of a document.
#[derive(Default)]
struct DocumentRequest {
    /// Whose document, in place of the caller's.
    role: Option<String>,
    /// The role that `role` is compared with: what changes from this one to that.
    diff: Option<String>,
}

impl DocumentRequest {
    fn read(request: &ApiRequest) -> Result<Self, Problem> {
        let parameters = split_parameters(&request.query).map_err(|wrong| match wrong.into_iter().next() {
            Some(first) => Problem::invalid_parameter(&first.name, first.why),
            None => Problem::malformed("The query string cannot be read."),
        })?;
        let mut wanted = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "role" => wanted.role = Some(value),
                "diff" => wanted.diff = Some(value),
                _ => return Err(Problem::invalid_parameter(&name, "is not known here; role and diff are")),
            }
        }
        match &wanted {
            Self { role: None, diff: Some(_) } => {
                Err(Problem::invalid_parameter("diff", "goes with role: what changes from this role to that"))
            }
            _ => Ok(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;
    use crate::http::tests::request;
    use http::Method;
    use serde_json::Value;

    fn model() -> Model {
        crate::model::parse("model.yaml", include_str!("../../../model.yaml")).unwrap()
    }

    fn ask(query: &str, principal: Option<&Principal>, document: Document) -> Result<Reply, Problem> {
        let mut request = request(Method::GET, "/v1/openapi.json", &[]);
        request.query = query.to_owned();
        ask_of(&model(), &request, principal, document)
    }

    fn ask_of(model: &Model, request: &ApiRequest, principal: Option<&Principal>, document: Document) -> Result<Reply, Problem> {
        let documents = Documents::default();
        DocumentHandler { model, documents: &documents, environment: "test" }.handle(request, principal, document)
    }

    fn of_role(model: &Model, role: &str) -> Principal {
        Principal::unverified(openapi::of_role(model, &[role]))
    }

    fn paths(reply: &Reply) -> Vec<String> {
        let document: Value = serde_json::from_slice(&reply.body).unwrap();
        document["paths"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn without_credentials_it_is_the_anonymous_role_s() {
        let all = paths(&ask("", None, Document::Json).unwrap());
        assert!(all.contains(&"/v1/books".to_owned()), "{all:?}");
        assert!(!all.iter().any(|path| path.contains("orders") || path.contains("/_me")), "{all:?}");
    }

    #[test]
    fn without_an_anonymous_role_there_is_nothing() {
        let bare = crate::model::parse("m", "name: n\nentities:\n  book: {fields: {title: string}}\n").unwrap();
        let request = request(Method::GET, "/v1/openapi.json", &[]);
        let reply = ask_of(&bare, &request, None, Document::Json).unwrap();
        assert!(paths(&reply).is_empty());
    }

    #[test]
    fn other_roles_are_for_administrators() {
        let model = model();
        let admin = of_role(&model, "admin");
        let packer = of_role(&model, "packer");
        let of_packer = paths(&ask("role=packer", Some(&admin), Document::Json).unwrap());
        assert!(!of_packer.contains(&"/v1/_consumers".to_owned()) && of_packer.contains(&"/v1/orders".to_owned()));
        let code = |query: &str, caller| ask(query, caller, Document::Json).unwrap_err().code;
        assert_eq!(code("role=admin", Some(&packer)), Code::Forbidden);
        assert_eq!(code("role=admin", None), Code::Forbidden);
        assert_eq!(code("role=nobody", Some(&admin)), Code::InvalidParameter);
        assert_eq!(code("roles=packer", Some(&admin)), Code::InvalidParameter);
    }

    #[test]
    fn administrators_see_what_changes_from_one_role_to_another() {
        let model = model();
        let admin = of_role(&model, "admin");
        let changes = |query: &str| {
            let reply = ask(query, Some(&admin), Document::Json).unwrap();
            let told: Value = serde_json::from_slice(&reply.body).unwrap();
            told["changes"].as_array().unwrap().clone()
        };
        let gained = changes("role=packer&diff=public");
        assert!(gained.iter().all(|change| change["class"] == "compatible") && !gained.is_empty(), "{gained:?}");
        let lost = changes("role=public&diff=packer");
        assert!(lost.iter().any(|change| change["class"] == "breaking" && change["what"] == "no longer allowed"), "{lost:?}");
        assert!(changes("role=packer&diff=packer").is_empty());
        let lines = ask("role=packer&diff=public", Some(&admin), Document::Llms).unwrap();
        assert_eq!(String::from_utf8(lines.body.to_vec()).unwrap().lines().count(), gained.len());
        let packer = of_role(&model, "packer");
        let code = |query: &str, caller| ask(query, caller, Document::Json).unwrap_err().code;
        assert_eq!(code("role=packer&diff=admin", Some(&packer)), Code::Forbidden);
        assert_eq!(code("role=packer&diff=nobody", Some(&admin)), Code::InvalidParameter);
        assert_eq!(code("diff=packer", Some(&admin)), Code::InvalidParameter);
    }

    #[test]
    fn each_form_has_its_media_type() {
        for (document, media_type) in [
            (Document::Json, "application/json"),
            (Document::Yaml, "application/yaml"),
            (Document::Page, "text/html; charset=utf-8"),
            (Document::Llms, "text/markdown; charset=utf-8"),
        ] {
            let reply = ask("", None, document).unwrap();
            assert_eq!(reply.media_type.unwrap(), media_type);
            assert!(reply.body.len() > 1000);
        }
    }
}
