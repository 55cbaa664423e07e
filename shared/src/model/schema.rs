//! The validated model: what the other layers read. It is made by [`crate::model::parse`] only, so whatever stands here has
//! been checked: every name resolves, every index serves a field that exists, every relation has its other side.
//!
//! Positions (`EntityIx`, `FieldIx`) instead of names make the hot path free of look-ups by string; names stay for the edge.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// Position of an entity in [`Model::entities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityIx(pub u16);

/// Position of a field in [`Entity::fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldIx(pub u16);

/// Position of an index in [`Entity::indexes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexIx(pub u16);

/// Everything that `model.yaml` says.
#[derive(Debug, Clone)]
pub struct Model {
    /// Name of the API, shown in its documents.
    pub name: String,
    /// What the API is for, Markdown.
    pub description: Option<String>,
    /// The team's own version of the API (`1.4.0`), shown in its documents.
    pub version: String,
    /// Hash over the canonical model: changes with everything that can change an answer. 16 hex digits.
    pub hash: String,
    /// The file as it was read.
    pub source: Arc<str>,
    /// All entities, in the file's order.
    pub entities: Vec<Entity>,
    /// All roles, in the file's order, inheritance already applied.
    pub roles: Vec<Role>,
    /// All plans, in the file's order.
    pub plans: Vec<RatePlan>,
    /// Who may call.
    pub auth: Auth,
    /// Cross-origin requests.
    pub cors: Cors,
    /// Limits that concern the whole API.
    pub limits: Limits,
    pub(crate) by_name: HashMap<String, EntityIx>,
    pub(crate) by_plural: HashMap<String, EntityIx>,
    pub(crate) validators: Arc<super::compiled::Validators>,
}

impl Model {
    /// The entity at a position.
    pub fn entity(&self, ix: EntityIx) -> &Entity {
        &self.entities[usize::from(ix.0)]
    }

    /// The entity with this singular name.
    pub fn by_name(&self, name: &str) -> Option<&Entity> {
        self.by_name.get(name).map(|ix| self.entity(*ix))
    }

    /// The entity with this plural, as it stands in paths.
    pub fn by_plural(&self, plural: &str) -> Option<&Entity> {
        self.by_plural.get(plural).map(|ix| self.entity(*ix))
    }

    /// All entities, those that others refer to first, so that data can be loaded in this order. Within a cycle of refs the
    /// file's order counts.
    pub fn dependency_order(&self) -> Vec<EntityIx> {
        let mut order: Vec<EntityIx> = Vec::with_capacity(self.entities.len());
        while order.len() < self.entities.len() {
            let mut left = self.entities.iter().filter(|entity| !order.contains(&entity.ix));
            let ready = |entity: &&Entity| {
                entity.to_one.iter().all(|relation| relation.target == entity.ix || order.contains(&relation.target))
            };
            let next = left.clone().find(ready).or_else(|| left.next());
            order.extend(next.map(|entity| entity.ix));
        }
        order
    }

    /// The role with this name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The plan with this name.
    pub fn plan(&self, name: &str) -> Option<&RatePlan> {
        self.plans.iter().find(|plan| plan.name == name)
    }
}

/// One kind of record.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Its position in the model.
    pub ix: EntityIx,
    /// Singular name: `order`.
    pub name: String,
    /// Plural, the path segment: `orders`.
    pub plural: String,
    /// What it is, Markdown.
    pub description: Option<String>,
    /// Where ids come from.
    pub id: IdKind,
    /// All stored fields in the order in which answers show them: the declared ones (a relation's field by its API name,
    /// `customer_id`), then `created_at` and `updated_at` unless the model drops them. `id` is not among them.
    pub fields: Vec<Field>,
    /// All indexes: first the implicit `id` index, then the declared ones, then those that inverse relations imply.
    pub indexes: Vec<Index>,
    /// The to-one relations of this entity: one for each `ref` field.
    pub to_one: Vec<ToOne>,
    /// The to-many relations: the named inverse sides of other entities' refs.
    pub to_many: Vec<ToMany>,
    /// Refs of other entities (or of this one) that point here: they decide about guards and what a delete must do.
    pub referenced_by: Vec<(EntityIx, FieldIx)>,
    /// What the cache may do.
    pub cache: CacheMode,
    /// Shards of guards and entity tags: `ceil(contention / 25)`, at least 1.
    pub shards: u16,
    /// Peak writes per second that the model expects.
    pub contention: Option<u32>,
    /// Whether a write without `If-Match` is refused with 428.
    pub require_if_match: bool,
    /// Deprecation of the whole resource, or of some operations on it.
    pub deprecated: Option<Deprecation>,
    /// Largest stored record, bytes of its JSON.
    pub max_bytes: usize,
    pub(crate) by_field: HashMap<String, FieldIx>,
}

impl Entity {
    /// The field at a position.
    pub fn field(&self, ix: FieldIx) -> &Field {
        &self.fields[usize::from(ix.0)]
    }

    /// The field with this API name (`customer_id` for the relation `customer`).
    pub fn by_field(&self, name: &str) -> Option<&Field> {
        self.by_field.get(name).map(|ix| self.field(*ix))
    }

    /// The index at a position.
    #[allow(clippy::should_implement_trait, reason = "named as `field` is; nothing is indexed by brackets here")]
    pub fn index(&self, ix: IndexIx) -> &Index {
        &self.indexes[usize::from(ix.0)]
    }

    /// The index with this name.
    pub fn by_index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// The to-one relation with this name (`customer`).
    pub fn to_one(&self, name: &str) -> Option<&ToOne> {
        self.to_one.iter().find(|relation| relation.name == name)
    }

    /// The to-many relation with this name (`orders`).
    pub fn to_many(&self, name: &str) -> Option<&ToMany> {
        self.to_many.iter().find(|relation| relation.name == name)
    }

    /// Fields that make up a composite id; empty for the other kinds.
    pub fn id_parts(&self) -> &[FieldIx] {
        match &self.id {
            IdKind::Composite(parts) => parts,
            _ => &[],
        }
    }

    /// Whether any record of another (or this) entity may refer to one of this entity, so that it needs guards.
    pub fn is_referenced(&self) -> bool {
        !self.referenced_by.is_empty()
    }
}

/// Where ids come from. Ids and their parts match `[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}`.
#[derive(Debug, Clone, PartialEq)]
pub enum IdKind {
    /// UUIDv7 made by the server.
    Uuid,
    /// Chosen by the client.
    String,
    /// Chosen by the client: a whole number from 0 to 2^53 - 1 without leading zeros; JSON shows it as a number.
    Integer,
    /// The values of these fields joined by `,` in this order; each is required and immutable.
    Composite(Vec<FieldIx>),
}

/// One stored field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its position in the entity.
    pub ix: FieldIx,
    /// API name.
    pub name: String,
    /// Type with its own limits.
    pub kind: FieldType,
    /// Must be given at creation, unless it has a default.
    pub required: bool,
    /// May be `null`.
    pub nullable: bool,
    /// Value where a creation gives none.
    pub default: Option<Value>,
    /// No two records have the same value (nulls apart).
    pub unique: bool,
    /// Cannot change after creation.
    pub immutable: bool,
    /// Set by the server alone.
    pub read_only: bool,
    /// Never shown.
    pub write_only: bool,
    /// What it means, Markdown.
    pub description: Option<String>,
    /// A valid value, for documents.
    pub example: Option<Value>,
    /// Deprecation of this field.
    pub deprecated: Option<Deprecation>,
    /// Whether filters without an index may read it within the examine budget.
    pub scan: bool,
}

/// A field's type with what limits it.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldType {
    /// A short text, indexable. Lengths count Unicode code points.
    String(TextLimits),
    /// A long text, not indexable.
    Text(TextLimits),
    /// A whole number within ±(2^53 - 1).
    Integer {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// An exact decimal, a string in JSON.
    Decimal {
        /// Most digits after the point.
        scale: u32,
        /// Least value.
        min: Option<rust_decimal::Decimal>,
        /// Greatest value.
        max: Option<rust_decimal::Decimal>,
    },
    /// A binary floating-point number (IEEE 754 double, finite).
    Number {
        /// Least value.
        min: Option<f64>,
        /// Greatest value.
        max: Option<f64>,
    },
    /// `true` or `false`.
    Boolean,
    /// A calendar day, `2026-11-21`.
    Date,
    /// A moment, RFC 3339, stored in UTC with milliseconds.
    Timestamp,
    /// One of these words; they sort in this order.
    Enum(Vec<String>),
    /// An address of electronic mail.
    Email,
    /// An absolute http or https URL.
    Url,
    /// A UUID, lower case.
    Uuid,
    /// Any JSON value, optionally held to a JSON Schema (2020-12).
    Json {
        /// The schema.
        schema: Option<Value>,
    },
    /// The id of a record of another (or this) entity.
    Ref {
        /// The entity referred to.
        target: EntityIx,
        /// What happens to this record when that one is deleted.
        on_delete: OnDelete,
    },
    /// A file: `{filename, content_type, size, sha256, uploaded_at}` or null; changed by upload and complete only (null clears it).
    File(FileLimits),
    /// A list of scalars.
    List {
        /// Type of the elements: never List, Json, Ref or File.
        item: Box<FieldType>,
        /// Most elements.
        max_items: usize,
    },
}

/// Limits of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextLimits {
    /// Least code points.
    pub min: Option<usize>,
    /// Most code points.
    pub max: Option<usize>,
    /// A regular expression that the whole value must match.
    pub pattern: Option<String>,
}

/// What happens to a record when the one that it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The delete is refused.
    Restrict,
    /// It is deleted too.
    Cascade,
    /// Its reference becomes null.
    SetNull,
}

/// Limits of a file field.
#[derive(Debug, Clone, PartialEq)]
pub struct FileLimits {
    /// Most bytes, at most 5 GiB.
    pub max_size: u64,
    /// Accepted media types; `image/*` accepts a whole family. Empty: any.
    pub content_types: Vec<String>,
    /// Media types that a browser may show in place.
    pub inline: Vec<String>,
    /// Longest life of a download link.
    pub link_expiry: Duration,
    /// Longest life of a share; `None`: shares are off.
    pub share_expiry: Option<Duration>,
}

/// A to-one relation.
#[derive(Debug, Clone)]
pub struct ToOne {
    /// Its name in `include`, in answers and in filters: `customer`.
    pub name: String,
    /// The field that holds the id: `customer_id`.
    pub field: FieldIx,
    /// The entity referred to.
    pub target: EntityIx,
}

/// A to-many relation, the inverse of a ref.
#[derive(Debug, Clone)]
pub struct ToMany {
    /// Its name in `include` and in answers: `orders`.
    pub name: String,
    /// The entity that holds the ref.
    pub target: EntityIx,
    /// The ref field in that entity.
    pub field: FieldIx,
}

/// An access path: records with equal values of some fields, in an order.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its position in the entity.
    pub ix: IndexIx,
    /// Its name: `by_customer`.
    pub name: String,
    /// Fields that a query must fix, in the order of the partition key.
    pub equality: Vec<Path>,
    /// Fields that order a partition; the id follows as last part (ascending, unless `id` stands here itself).
    pub sort: Vec<SortPart>,
    /// Fields that the row carries; `None`: the whole record.
    pub projection: Option<Vec<FieldIx>>,
    /// Whether the file declares it (otherwise Holdfast needs it: the id index, inverse relations).
    pub declared: bool,
}

impl Index {
    /// The implicit index over all records in the order of their ids.
    pub const ID: &'static str = "id";

    /// Whether rows are stored for it. An index over a field of a to-one relation (`customer.country`) stores none: it is a
    /// declared permission to join, served by the target's index on that field and this entity's index on the ref.
    pub fn is_stored(&self) -> bool {
        !self.equality.iter().any(|path| matches!(path, Path::Via(..)))
    }
}

/// A field of the entity, or of the target of a to-one relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// The record's id.
    Id,
    /// A field of the record.
    Own(FieldIx),
    /// A field of the record that the ref `0` points to (`customer.country`).
    Via(FieldIx, FieldIx),
}

/// One part of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SortPart {
    /// By what: never [`Path::Via`].
    pub by: Path,
    /// Greatest first.
    pub descending: bool,
}

/// What the cache may do with an entity's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// Nothing.
    Off,
    /// Never older than the last acknowledged write.
    Strict,
    /// May be this much older.
    Bounded(Duration),
}

/// When something ends (RFC 9745, RFC 8594).
#[derive(Debug, Clone, PartialEq)]
pub struct Deprecation {
    /// Seconds since 1970 from which it counts as deprecated.
    pub since: i64,
    /// Seconds since 1970 after which it may be gone.
    pub sunset: Option<i64>,
    /// What to use in its place.
    pub replacement: Option<String>,
    /// Of an entity: only these operations; none: all of them.
    pub operations: Vec<Operation>,
}

/// What a role may do, with what it inherits already merged in as further alternatives.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Grants by entity and action.
    pub grants: HashMap<(EntityIx, Action), Vec<Grant>>,
    /// System resources that it may use.
    pub system: Vec<SystemPermission>,
    /// Roles that it inherits from (already applied to `grants` and `system`).
    pub inherits: Vec<String>,
}

/// One way to be allowed: rows by condition, fields by mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Which rows.
    pub rows: Rule,
    /// Which fields: readable ones for list/read, writable ones for create/update; ignored for delete.
    pub fields: FieldMask,
    /// Those refs among `fields` that may name records which the caller may not read; empty but for create/update.
    pub links: FieldMask,
}

/// A set of an entity's fields, by position.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct FieldMask(Vec<u64>);

impl FieldMask {
    /// No field.
    pub fn none() -> Self {
        Self::default()
    }

    /// All of `count` fields.
    pub fn all(count: usize) -> Self {
        let mut mask = Self::default();
        for position in 0..count {
            mask.insert(FieldIx(u16::try_from(position).unwrap_or(u16::MAX)));
        }
        mask
    }

    /// Adds a field.
    pub fn insert(&mut self, ix: FieldIx) {
        let (word, bit) = (usize::from(ix.0) / 64, ix.0 % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    /// Whether a field is in it.
    pub fn contains(&self, ix: FieldIx) -> bool {
        self.0.get(usize::from(ix.0) / 64).is_some_and(|word| word & (1 << (ix.0 % 64)) != 0)
    }

    /// Adds all fields of the other.
    pub fn union(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether all fields of `other` are in it.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().enumerate().all(|(at, word)| word & !self.0.get(at).copied().unwrap_or(0) == 0)
    }

    /// The fields in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = FieldIx> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64u16)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| FieldIx(u16::try_from(at).unwrap_or(0) * 64 + bit))
        })
    }

    /// Whether no field is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<FieldIx> for FieldMask {
    fn from_iter<I: IntoIterator<Item = FieldIx>>(fields: I) -> Self {
        let mut mask = Self::default();
        for field in fields {
            mask.insert(field);
        }
        mask
    }
}

/// What may be done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Find it in lists and embedded.
    List,
    /// Read it by id.
    Read,
    /// Create it.
    Create,
    /// Change it.
    Update,
    /// Delete it.
    Delete,
    /// Put files into its file fields.
    Upload,
    /// Get files out of its file fields.
    Download,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::List, Self::Read, Self::Create, Self::Update, Self::Delete, Self::Upload, Self::Download];

    /// Its name in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

/// What a role may do with the system resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemPermission {
    /// Consumers and their keys.
    Consumers,
    /// Usage of everybody.
    Usage,
    /// Purging the cache.
    Cache,
    /// The audit trail.
    Audit,
}

/// A row condition as the model states it: claims are still names. [`crate::query::policy`] fills them in.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Every one of these (empty: always true).
    All(Vec<Rule>),
    /// At least one of these (empty: never true).
    Any(Vec<Rule>),
    /// Not this.
    Not(Box<Rule>),
    /// A comparison.
    Compare {
        /// What is compared.
        path: Path,
        /// How.
        op: Op,
        /// With what (several for `in` and `nin`).
        operands: Vec<Operand>,
    },
}

impl Rule {
    /// The condition that every row meets.
    pub const fn always() -> Self {
        Self::All(Vec::new())
    }
}

/// The right side of a comparison in a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A constant, already of the field's type.
    Constant(Value),
    /// A claim of the caller; a list claim stands for all of its elements. `subject`, `consumer` are claims of everyone.
    Claim(String),
}

/// Comparisons, of filters and of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal (true for null).
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// One of several.
    In,
    /// None of several.
    Nin,
    /// Begins with (texts).
    Prefix,
    /// A text contains the text; a list contains the element.
    Contains,
    /// Is null (`true`) or is not (`false`).
    Null,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Ne,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::In,
        Self::Nin,
        Self::Prefix,
        Self::Contains,
        Self::Null,
    ];

    /// Its name in query strings and in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Prefix => "prefix",
            Self::Contains => "contains",
            Self::Null => "null",
        }
    }

    /// The comparison of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }
}

/// A plan: how much a consumer may do.
#[derive(Debug, Clone, PartialEq)]
pub struct RatePlan {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Rates: a token bucket each (GCRA).
    pub rates: Vec<Rate>,
    /// Quotas per calendar window in UTC.
    pub quotas: Vec<Quota>,
    /// Cost of operations; 1 where nothing is said.
    pub costs: Vec<Cost>,
    /// Percentages of a quota at which consumer and operator are told.
    pub thresholds: Vec<u8>,
    /// What happens while the store cannot be reached: `true` admits within a conservative limit in memory.
    pub fail_open: bool,
}

/// A rate with a burst.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Its name in the headers.
    pub name: String,
    /// Units of cost per `per`.
    pub rate: u64,
    /// The time that `rate` refers to.
    pub per: Duration,
    /// Units that may come at once.
    pub burst: u64,
    /// Only these operations of these entities count, where given: a tighter rate for single operations.
    pub only: Vec<(Option<EntityIx>, Option<Operation>)>,
}

/// A quota per calendar window.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    /// Its name in the headers.
    pub name: String,
    /// Units of cost per window.
    pub limit: u64,
    /// The window.
    pub window: Window,
}

/// Calendar windows in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// A full hour.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

/// What an operation costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Of this entity; `None`: of every one.
    pub entity: Option<EntityIx>,
    /// Of this operation; `None`: of every one.
    pub operation: Option<Operation>,
    /// Units.
    pub units: u64,
}

/// Operations as plans see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Read one.
    Read,
    /// List.
    List,
    /// Create.
    Create,
    /// Put or patch.
    Update,
    /// Delete.
    Delete,
    /// Ask for an upload link or complete an upload.
    Upload,
    /// Ask for a download link or a share.
    Download,
    /// A system resource.
    System,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Read, Self::List, Self::Create, Self::Update, Self::Delete, Self::Upload, Self::Download, Self::System];

    /// Its name in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::System => "system",
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    /// Accepted issuers of tokens.
    pub issuers: Vec<Issuer>,
    /// Role of callers without credentials on routes that have no authorizer, if any.
    pub anonymous_role: Option<String>,
    /// Plan of consumers that name none.
    pub default_plan: Option<String>,
    /// Longest life of an API key, if there is one.
    pub max_key_age: Option<Duration>,
    /// Names of all claims that rules use: only these travel in the authorizer's context.
    pub used_claims: Vec<String>,
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Its name in consumer ids: `<alias>:<claim>`.
    pub alias: String,
    /// The exact `iss`.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Accepted `aud` values, at least one.
    pub audiences: Vec<String>,
    /// Accepted algorithms: among RS256, PS256, ES256, EdDSA.
    pub algorithms: Vec<String>,
    /// Claim that names the consumer (default `sub`).
    pub consumer_claim: String,
    /// Claim that names the subject (default `sub`).
    pub subject_claim: String,
    /// Claim that lists the roles (default `roles`).
    pub roles_claim: String,
    /// Claim that names the plan (default `plan`).
    pub plan_claim: String,
    /// Claim that lists the scopes (default `scope`).
    pub scopes_claim: String,
    /// Longest accepted `exp - iat`.
    pub max_lifetime: Duration,
    /// Tolerance of clocks.
    pub leeway: Duration,
    /// Roles of a token that names none.
    pub default_roles: Vec<String>,
}

/// Cross-origin requests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cors {
    /// Accepted origins; `*` for any. Empty: none.
    pub origins: Vec<String>,
    /// How long a browser may remember a preflight.
    pub max_age: Duration,
}

/// Limits that concern the whole API.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Rows that a request may examine beyond those it returns.
    pub examine: usize,
    /// Requests per minute and client address on open routes and with invalid credentials.
    pub per_address: u64,
}
