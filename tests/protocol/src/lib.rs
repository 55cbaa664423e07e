//! The proposed write protocol (record 25; the product does not follow it yet) as models that a checker explores exhaustively: no
//! interleaving is left out.
//!
//! ```text
//! references  gates, reference rows, fences: nobody refers to a record that is gone, and no gate stays shut
//! tags        announcements, fences, readers, replays: no answer is older than an acknowledgement
//! counters    the designs that count references, which requests that arrive twice break
//! ```
//!
//! What DynamoDB promises, and no more: a plain call changes one item at once, and fails on an item that a transaction has
//! prepared; a transaction is prepared as a whole and becomes visible item by item; a query reads row by row; a request may
//! be executed late, twice, or late only, after its sender gave up. A crash needs no action of its own: a writer that is
//! never scheduled again is a dead one, and `settles` demands of every state that others can clean up after all writers.
//!
//! Each model has flaws to switch on, one at a time. A test demands that the checker finds what each of them breaks, so a
//! model that has lost its teeth fails too.

pub mod check;
pub mod counters;
pub mod references;
pub mod tags;
