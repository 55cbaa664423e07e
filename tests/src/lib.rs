//! The harness of whole-system tests: a system on port 0 in memory, and actors who speak HTTP to it.
//!
//! ```text
//! let system = System::start(model).await;
//! let created = system.admin().post("/v1/customers", json!({"id": "a", "name": "A"})).await.expect(201);
//! ```

mod actor;
pub mod crash;
pub mod modelled;
pub mod modules;
pub mod oracle;
pub mod proxy;
pub mod rng;
pub mod shared_cache;
pub mod stack;
mod system;
pub mod upload;
pub mod waits;

pub use actor::{Actor, Call, Reply};
pub use system::{System, northwind_data, northwind_model, root};
