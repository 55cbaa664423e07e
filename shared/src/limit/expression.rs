//! The conditional update that admits: built for the state that the caller believes in, true for the state that there is.
//!
//! DynamoDB has no `max()`, so a rate has two forms. `active`: the TAT lies ahead and grows by the cost. `idle`: it has passed
//! (or is missing) and is set. Each form's condition holds only where its assignment is right, so a wrong belief costs one more
//! call and never a wrong number. A quota needs one form, because the attribute's name holds the window.
//!
//! **Leases.** `units` are then used up to `lead` after the debit. A debit counts as made at the lease's *end* (the forms part at
//! `now + lead` instead of `now`) but must conform at its *beginning* (the bound stays `now + burst * T`). Let `R` be the recorded
//! TAT and `t` the TAT of the true admissions. Every admission at `x` of a lease that began at `s` has `s <= x <= s + lead`, so
//! `t` after it is at most `max(t, s + lead) + cost`, hence `t <= R` always, and `R <= s + burst * T <= x + burst * T`: every true
//! admission conforms to the plan itself. The price is that an idle consumer's lease sees `burst - rate * lead`.
//!
//! **Carried units.** What a lease of this instance left over (debited before and never used) pays for part of the next one. A quota
//! counts it wherever it is used within the window (`credit`). A rate does so only while the lease it comes from still lives
//! (`live_credit`): until its end `e` every admission at `y <= e` leaves `t <= R - live_credit`, because that was at least `e` when the lease
//! was debited; after it, somebody else's admission at `y > e` need not. It is sound in the active form if the TAT without these
//! units still lies beyond `now + lead`; in the idle form all is debited anew.

use std::fmt::Write as _;
use std::time::Duration;

use super::item::{self, State};
use super::plan::{Charge, LimitRate, ResolvedPlan};
use super::window::Span;
use crate::core::clock::Micros;
use crate::store::table::{Attr, Expr, Key, Write};

/// Most attributes of forgotten windows that one update removes on the way.
const SWEEP: usize = 16;

/// Who is charged what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Debit<'a> {
    /// The plan with overrides.
    pub plan: &'a ResolvedPlan,
    /// What it costs.
    pub charge: &'a Charge,
    /// The key that was used, if one was.
    pub key_id: Option<&'a str>,
    /// The key whose use is noted.
    pub used_key: Option<&'a str>,
    /// The epoch that the caller's consumer has.
    pub epoch: i64,
    /// The present.
    pub now: Micros,
    /// Length of a lease; zero for a single request.
    pub lead: Duration,
    /// Units that leases of this instance left over in these windows: more than the charge gives the rest back.
    pub credit: u64,
    /// As many, or none if that lease has ended.
    pub live_credit: u64,
}

impl Debit<'_> {
    /// The TAT above which a rate is active.
    fn edge(&self, rate: &LimitRate) -> i64 {
        let gcra = &rate.gcra;
        gcra.at(self.now).saturating_add(gcra.span(self.lead)).saturating_add(gcra.cost(self.live_credit))
    }

    /// Units that quotas count; negative where leases left over more than this costs.
    fn owed(&self) -> i64 {
        signed(self.charge.total).saturating_sub(signed(self.credit))
    }

    /// Whether the update goes through in this state (guards apart).
    pub fn fits(&self, state: &State) -> bool {
        let rates = self.plan.rates.iter().zip(&self.charge.rates).filter(|(_, cost)| **cost > 0);
        let owed = self.owed();
        let room = |rate: &LimitRate| rate.gcra.lease_room(state.tat(&rate.attribute), self.now, self.lead, self.live_credit);
        rates.into_iter().all(|(rate, cost)| *cost <= room(rate))
            && (self.charge.total == 0
                || self.plan.quotas.iter().all(|quota| {
                    let start = Span::of(quota.window, self.now).start;
                    signed(state.count(&quota.name, start)).saturating_add(owed) <= signed(quota.limit)
                }))
    }

    /// The update, in the forms that fit `belief`.
    pub fn write(&self, key: Key, belief: &State) -> Write {
        let mut parts = Parts::default();
        parts.guards(self);
        for (rate, cost) in self.plan.rates.iter().zip(&self.charge.rates).filter(|(_, cost)| **cost > 0) {
            parts.rate(self, rate, *cost, belief);
        }
        parts.quotas(self, belief);
        parts.total(self);
        parts.used(self);
        parts.finish(key)
    }
}

#[derive(Default)]
struct Parts {
    set: Vec<String>,
    /// Settings that only count.
    count: Vec<String>,
    remove: Vec<String>,
    require: Vec<String>,
    update: Expr,
    condition: Expr,
}

impl Parts {
    /// Neither disabled nor revoked, and of the epoch that the caller believes in; absence means that nothing ever happened.
    fn guards(&mut self, debit: &Debit<'_>) {
        self.require.push("attribute_not_exists(#d)".into());
        self.require.push("(attribute_not_exists(#e) OR #e = :e)".into());
        self.name("#d", item::DISABLED);
        self.name("#e", item::EPOCH);
        self.value(":e", Attr::N(debit.epoch));
        if let Some(key_id) = debit.key_id {
            self.require.push("(attribute_not_exists(#v) OR NOT contains(#v, :v))".into());
            self.name("#v", item::REVOKED);
            self.value(":v", Attr::S(key_id.to_owned()));
        }
    }

    fn rate(&mut self, debit: &Debit<'_>, rate: &LimitRate, cost: u64, belief: &State) {
        let at = self.set.len();
        let gcra = &rate.gcra;
        let edge = debit.edge(rate);
        self.name(&format!("#r{at}"), &rate.attribute);
        self.value(&format!(":n{at}"), Attr::N(edge));
        if belief.tat(&rate.attribute) > edge {
            let owed = cost.saturating_sub(debit.live_credit);
            self.set.push(format!("#r{at} = #r{at} + :i{at}"));
            self.require.push(format!("#r{at} > :n{at} AND #r{at} <= :b{at}"));
            self.value(&format!(":i{at}"), Attr::N(gcra.cost(owed)));
            self.value(&format!(":b{at}"), Attr::N(gcra.bound(debit.now, owed)));
        } else {
            let end = gcra.at(debit.now).saturating_add(gcra.span(debit.lead));
            self.set.push(format!("#r{at} = :s{at}"));
            self.require.push(format!("(attribute_not_exists(#r{at}) OR #r{at} <= :n{at})"));
            self.value(&format!(":s{at}"), Attr::N(end.saturating_add(gcra.cost(cost))));
        }
        if !rate.only.is_empty() {
            self.name(&format!("#w{at}"), &item::counter(rate));
            self.value(":z", Attr::N(0));
            self.value(&format!(":w{at}"), Attr::N(signed(cost.saturating_sub(debit.live_credit))));
            self.count.push(format!("#w{at} = if_not_exists(#w{at}, :z) + :w{at}"));
        }
        for (name, tat) in belief.drained(rate, debit.now).into_iter().take(SWEEP) {
            // Another version of the model may still use it.
            let nth = self.remove.len();
            self.name(&format!("#x{nth}"), &name);
            self.value(&format!(":x{nth}"), Attr::N(tat));
            self.require.push(format!("(attribute_not_exists(#x{nth}) OR #x{nth} = :x{nth})"));
            self.remove.push(format!("#x{nth}"));
        }
    }

    fn quotas(&mut self, debit: &Debit<'_>, belief: &State) {
        let owed = debit.owed();
        for (at, quota) in debit.plan.quotas.iter().enumerate() {
            let span = Span::of(quota.window, debit.now);
            if debit.charge.total > 0 {
                let room = signed(quota.limit).saturating_sub(owed);
                self.name(&format!("#q{at}"), &item::count_name(&quota.name, span.start));
                self.value(":z", Attr::N(0));
                self.value(":k", Attr::N(owed));
                self.value(&format!(":q{at}"), Attr::N(room));
                self.set.push(format!("#q{at} = if_not_exists(#q{at}, :z) + :k"));
                // A window in which nothing was counted has no room either where the quota is nothing.
                let unless_new = if room < 0 { "" } else { "attribute_not_exists(#q{at}) OR " };
                self.require.push(format!("({unless_new}#q{at} <= :q{at})").replace("{at}", &at.to_string()));
            }
            let mut gone = belief.stale(&quota.name, quota.window, debit.now);
            let previous = item::count_name(&quota.name, span.start_before(quota.window, 2));
            if !gone.contains(&previous) {
                gone.push(previous);
            }
            for name in gone.into_iter().take(SWEEP) {
                let placeholder = format!("#x{}", self.remove.len());
                self.name(&placeholder, &name);
                self.remove.push(placeholder);
            }
        }
    }

    /// Counts what is debited, so that every instance sees how much all of them ask for.
    fn total(&mut self, debit: &Debit<'_>) {
        let owed = debit.owed();
        if owed != 0 {
            self.name("#u", item::UNITS);
            self.value(":z", Attr::N(0));
            self.value(":u", Attr::N(owed));
            self.set.push("#u = if_not_exists(#u, :z) + :u".into());
        }
    }

    /// Notes when the key was used, to the minute.
    fn used(&mut self, debit: &Debit<'_>) {
        if let Some(key_id) = debit.used_key {
            self.name("#k", &item::used_name(key_id));
            self.value(":m", Attr::N(item::minute(debit.now)));
            self.set.push("#k = :m".into());
        }
    }

    fn finish(mut self, key: Key) -> Write {
        if self.set.is_empty() && self.remove.is_empty() {
            // A free request of a plan without quotas still has to meet the guards; an update must name something.
            self.name("#x0", "none");
            self.remove.push("#x0".into());
        }
        self.set.append(&mut self.count);
        if !self.set.is_empty() {
            let _infallible = write!(self.update.text, "SET {} ", self.set.join(", "));
        }
        if !self.remove.is_empty() {
            let _infallible = write!(self.update.text, "REMOVE {}", self.remove.join(", "));
        }
        self.update.text = self.update.text.trim_end().to_owned();
        self.condition.text = self.require.join(" AND ");
        Write::Update { key, update: self.update, condition: Some(self.condition) }
    }

    fn name(&mut self, placeholder: &str, attribute: &str) {
        self.update.names.insert(placeholder.to_owned(), attribute.to_owned());
    }

    fn value(&mut self, placeholder: &str, value: Attr) {
        self.update.values.insert(placeholder.to_owned(), value);
    }
}

/// Units as the store counts them.
fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
