//! Who may do what: rules of roles become conditions with the caller's claims filled in, and a query becomes a
//! [`Permitted`] one. Nothing else makes a `Permitted`, and plans and writes are made from nothing else.
//!
//! The access of a caller to an entity by an action is a list of *alternatives* (rows, fields). A record is visible if one of
//! them holds for it, and its mask is the union over those that hold, never all rows times all fields.

mod access;
mod lack;
mod permit;
pub mod system;
mod write;

pub use access::{Access, Alternative};
pub use lack::{Lack, claims_of_role};
pub use permit::{Denied, Permitted, PermittedInclude, View, permit_get, permit_list, view};
pub use system::{SystemPermit, allows_system, system_name};
pub use write::{PermittedBatch, State, Writer, permit_create, permit_delete, permit_update, permit_upload};
