//! Tests of the limiter through the real adapter against the embedded store. Time is passed in; nothing sleeps.

mod concurrent;
mod exact;
mod guards;
mod leases;
mod reference;

use std::sync::Arc;
use std::time::Duration;

use super::{Call, LimitSubject, Limiter, LimiterSettings, Overrides, ResolvedPlan};
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::clock::{Env, Micros};
use crate::model::{Cost, EntityIx, Operation, Quota, Rate, RatePlan, Window};
use crate::store::table::SharedTable;

/// 2027-03-31T23:59:00Z: a minute before an hour, a day and a month end.
const START: i64 = 1_806_537_540 * 1_000_000;

const ORDERS: Option<EntityIx> = Some(EntityIx(0));

fn rate(name: &str, rate: u64, per: Duration, burst: u64) -> Rate {
    Rate { name: name.into(), rate, per, burst, only: vec![] }
}

fn quota(name: &str, limit: u64, window: Window) -> Quota {
    Quota { name: name.into(), limit, window }
}

fn plan(rates: Vec<Rate>, quotas: Vec<Quota>) -> RatePlan {
    RatePlan {
        name: "test".into(),
        description: None,
        rates,
        quotas,
        costs: vec![Cost { entity: ORDERS, operation: Some(Operation::List), units: 3 }],
        thresholds: vec![80, 95, 100],
        fail_open: false,
    }
}

fn subject(consumer: &str, plan: &RatePlan) -> LimitSubject {
    let plan = Arc::new(ResolvedPlan::new(plan, &Overrides::new()).unwrap());
    LimitSubject { consumer: consumer.into(), plan, key_id: None, used_key: None, epoch: 0 }
}

fn one(operation: Operation) -> [Call; 1] {
    [Call { entity: ORDERS, operation, count: 1 }]
}

fn limiter(table: &SharedTable, hot: Option<u64>) -> Limiter {
    Limiter::new(Arc::clone(table), Env::still(Micros(0)), LimiterSettings { hot })
}

async fn store() -> (Embedded, SharedTable) {
    let embedded = Embedded::start().await;
    let table: SharedTable = Arc::new(embedded.table.clone());
    (embedded, table)
}

/// A fixed sequence of pseudo-random numbers (SplitMix64), so that a failure repeats.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn at(offset: u64) -> Micros {
    Micros(START + i64::try_from(offset).unwrap())
}
