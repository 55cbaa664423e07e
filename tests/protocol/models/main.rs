//! The models, and what the checker must find in them.

mod counters;
mod references;
mod tags;
