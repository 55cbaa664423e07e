//! The whole system, tested from outside and at its seams; filed by behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end by it")]

mod agreement;
mod alarms;
mod audit;
mod budgets;
mod cache;
mod callers;
mod ceilings;
mod counting;
mod documents;
mod evolution;
mod expiring;
mod faults;
mod files;
mod gateway;
mod habits;
mod layers;
mod leases;
mod limits;
mod migrate;
mod northwind;
mod notices;
mod oracle;
mod pairs;
mod publishable;
mod references;
mod rights;
mod scale;
mod setup;
mod store;
mod subjects;
mod traces;
mod trust;
mod usage;
mod used_up;
