//! Roles: what a caller may do, by entity and action.

use std::collections::HashMap;

use super::mask::FieldMask;
use super::positions::EntityIx;
use super::rule::Rule;

/// A role. What it inherits is merged in as further alternatives.
#[derive(Debug, Clone)]
pub struct Role {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Grants by entity and action: alternatives, of which one is enough.
    pub grants: HashMap<(EntityIx, Action), Vec<Grant>>,
    /// Permissions on system resources.
    pub system: Vec<SystemPermission>,
    /// Roles that it inherits from (already applied to `grants` and `system`).
    pub inherits: Vec<String>,
}

/// One alternative of a permission: rows by condition, fields by mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Condition of the rows that it covers.
    pub rows: Rule,
    /// Fields that it covers: readable ones for list and read, writable ones for create and update; ignored for delete.
    pub fields: FieldMask,
    /// Those refs among `fields` that may name records which the caller may not read; empty except for create and update.
    pub links: FieldMask,
}

/// Action on a record that a role may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Showing it in lists and embedded in other records.
    List,
    /// Reading it by id.
    Read,
    /// Creating it.
    Create,
    /// Changing it.
    Update,
    /// Deleting it.
    Delete,
    /// Uploading files into its file fields.
    Upload,
    /// Downloading files from its file fields.
    Download,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 7] = [Self::List, Self::Read, Self::Create, Self::Update, Self::Delete, Self::Upload, Self::Download];

    /// Name in the model.
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

impl SystemPermission {
    /// All permissions.
    pub const ALL: [Self; 4] = [Self::Consumers, Self::Usage, Self::Cache, Self::Audit];

    /// Name in the model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consumers => "consumers",
            Self::Usage => "usage",
            Self::Cache => "cache",
            Self::Audit => "audit",
        }
    }
}

/// Permission on a system resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemPermission {
    /// Managing consumers and their keys.
    Consumers,
    /// Reading the usage of all consumers.
    Usage,
    /// Purging the cache.
    Cache,
    /// Reading the audit trail.
    Audit,
}
