//! An endpoint: a row of the table, and how a path fits its pattern. `R` is the type of the routes that the table makes.

use http::Method;

use crate::core::id::is_id_part;
use crate::http::path_id;
use crate::http::problem::{Code, Problem};
use crate::model::{Entity, EntityIx, Field, FieldIx, FieldType, Model, Operation};

/// A method of a path, and everything that is decided by that alone.
#[derive(Debug)]
pub struct Endpoint<R> {
    /// Method; `GET` serves `HEAD` too.
    pub method: Method,
    /// Segments. `{plural}` and `{field}` stand for names of the model, `{id}` for the id of a record of that entity, other names
    /// for an id of ours.
    pub pattern: &'static str,
    /// Charge for a request.
    pub charge: Charge,
    /// Whether a request changes anything.
    pub effect: Effect,
    /// Whether credentials are needed, and who asks for them.
    pub auth: Auth,
    /// The Lambda function behind it.
    pub function: Function,
    /// The route of a path that fits.
    pub(super) make: Make<R>,
}

/// From the variable segments of a path to its route.
pub(super) type Make<R> = fn(Found) -> R;

/// Charge for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// An operation on the entity of the path.
    Entity(Operation),
    /// Each operation of a bulk body.
    Bulk,
    /// One call of a system resource.
    System,
    /// A look at one's own limits and usage, a change of a consumer, or a document: an allowance first, beyond it one call of a system
    /// resource.
    Allowance,
    /// Nothing: limited by the client's address at most.
    Free,
}

/// Whether a request changes anything. One that only reads may begin beside its admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does not.
    Read,
    /// It may; nothing is changed before it is admitted.
    Write,
}

/// Part that asks for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// API Gateway's authorizer; without credentials there is no answer.
    Authorizer,
    /// The function, where there are any.
    Optional,
    /// Nobody.
    Open,
}

/// A function of the deployment that serves HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `data-api`.
    DataApi,
    /// `download`.
    Download,
    /// `docs`.
    Docs,
}

impl Function {
    /// Its name: that of its crate and binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataApi => "data-api",
            Self::Download => "download",
            Self::Docs => "docs",
        }
    }
}

/// A file field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// Entity of the record.
    pub entity: EntityIx,
    /// Id of the record.
    pub id: String,
    /// The field.
    pub field: FieldIx,
}

/// What the variable segments of a path stand for; those that its pattern lacks keep their defaults, which no row reads.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entity: EntityIx,
    pub(super) id: String,
    pub(super) field: FieldIx,
    pub(super) other: String,
}

impl Found {
    /// The file field that the path names.
    pub(super) fn file(&self) -> FileRef {
        FileRef { entity: self.entity, id: self.id.clone(), field: self.field }
    }
}

impl<R> Endpoint<R> {
    /// What the path's segments stand for, if it has this form.
    pub(super) fn find(&self, model: &Model, path: &str) -> Option<Found> {
        let mut found = Found { entity: EntityIx(0), id: String::new(), field: FieldIx(0), other: String::new() };
        let (mut ours, mut theirs) = (self.pattern.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(found),
                (Some(pattern), Some(segment)) => self.segment(model, pattern, segment, &mut found)?,
                _ => return None,
            }
        }
    }

    fn segment(&self, model: &Model, pattern: &str, segment: &str, found: &mut Found) -> Option<()> {
        match pattern {
            "{plural}" => found.entity = model.by_plural(segment)?.ix,
            "{field}" => found.field = self.file_field(model.entity(found.entity).by_field(segment)?)?,
            "{id}" | "{consumer}" if !segment.is_empty() => found.id = segment.to_owned(),
            _ if pattern.starts_with('{') && !segment.is_empty() => found.other = segment.to_owned(),
            _ if pattern == segment => {}
            _ => return None,
        }
        Some(())
    }

    /// The field, if it is a file, and one that may be shared where this endpoint is about shares.
    fn file_field(&self, field: &Field) -> Option<FieldIx> {
        match &field.kind {
            FieldType::File(limits) if limits.share_expiry.is_some() || !self.pattern.contains("/shares") => Some(field.ix),
            _ => None,
        }
    }

    /// The entity that the pattern names.
    pub(super) fn entity(&self, found: &Found) -> Option<EntityIx> {
        self.pattern.contains("{plural}").then_some(found.entity)
    }

    /// Holds the ids to their syntax.
    ///
    /// # Errors
    /// 422 `validation_failed` for an id that could never be one.
    pub(super) fn check(&self, model: &Model, mut found: Found) -> Result<Found, Problem> {
        if self.pattern.contains("{id}") {
            found.id = path_id::check(model, model.entity(found.entity), &found.id)?;
        }
        for (name, id) in [("consumer", &found.id), ("key_id", &found.other), ("share_id", &found.other)] {
            if self.pattern.contains(&format!("{{{name}}}")) && !is_id_part(id) {
                let detail = format!("`{name}` in the path {}.", path_id::PART);
                return Err(Problem::new(Code::ValidationFailed, detail));
            }
        }
        Ok(found)
    }

    /// The path as requests are counted under it: names of the model in full, ids as `{id}`.
    pub(super) fn route_pattern(&self, path: &str) -> String {
        // What fits the pattern is a name of the model where the pattern has one.
        let named = |(ours, theirs): (&'static str, &str)| match ours {
            "{plural}" | "{field}" => theirs.to_owned(),
            "{consumer}" => "{id}".to_owned(),
            other => other.to_owned(),
        };
        self.pattern.split('/').zip(path.split('/')).map(named).collect::<Vec<_>>().join("/")
    }

    /// The paths that it stands for in a model.
    pub(super) fn paths(&self, model: &Model) -> Vec<String> {
        if !self.pattern.contains("{plural}") {
            return vec![self.pattern.replace("{consumer}", "{id}")];
        }
        model.entities.iter().flat_map(|entity| self.paths_of(entity)).collect()
    }

    fn paths_of(&self, entity: &Entity) -> Vec<String> {
        let path = self.pattern.replace("{plural}", &entity.plural);
        if !path.contains("{field}") {
            return vec![path];
        }
        let files = entity.fields.iter().filter(|field| self.file_field(field).is_some());
        files.map(|field| path.replace("{field}", &field.name)).collect()
    }
}
