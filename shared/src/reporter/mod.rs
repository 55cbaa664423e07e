//! The work of the scheduled function, once a minute: notices that nobody enqueued yet, their delivery, and keys that are about
//! to expire.
//!
//! Imports everything below `pipeline`. Nothing here runs on the path of a request, and a tick that dies anywhere leaves work
//! that the next tick finds again.

pub mod expiring_keys;
pub mod notices;
