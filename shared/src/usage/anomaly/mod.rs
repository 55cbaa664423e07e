//! Anomalies: a consumer's last hour against its own baseline. Pure: hours in, findings out.
//!
//! The habit is the same hour of the week over the last eight weeks; while there are fewer than three of those, the same hour of the
//! day over two weeks; while there are fewer than five of those, the last day. With less than twelve hours of history nothing is
//! compared, because everything would look new. Around the median the usual scatter is 1.4826 times the median absolute deviation
//! (which is the standard deviation where values scatter normally, and hardly moved by outliers), at least that of chance.

mod baseline;
#[cfg(test)]
mod generated;
mod hour;

pub use baseline::looked_at;
pub use hour::{History, Hour};

use baseline::{Baseline, habit};

/// Deviation, in units of the usual scatter, from which on a finding is made.
const FAR: f64 = 6.0;
/// Requests of an hour below which shares are not significant.
const ENOUGH: f64 = 50.0;

/// Kinds of anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// Far more requests than usual.
    Spike,
    /// A consumer that always calls does not.
    Silence,
    /// Far more of its requests fail.
    Errors,
    /// Far more of them ask for what does not exist or is not allowed: probing.
    Probing,
    /// One request makes up most of them.
    Loop,
    /// It uses routes that it never used.
    NewRoutes,
}

impl Sign {
    /// Its name in notices.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::Silence => "silence",
            Self::Errors => "errors",
            Self::Probing => "probing",
            Self::Loop => "loop",
            Self::NewRoutes => "new_routes",
        }
    }
}

/// An anomaly with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// Sign of the anomaly.
    pub sign: Sign,
    /// What was seen: requests, or a share between 0 and 1.
    pub seen: f64,
    /// What is usual.
    pub usual: f64,
    /// What would still have passed.
    pub limit: f64,
    /// In words.
    pub evidence: String,
}

/// The anomalies of `now`, compared with the same consumer's history.
pub fn find(now: &Hour, history: &History) -> Vec<Anomaly> {
    let habit = habit(now.start, history);
    let mut found = Vec::new();
    if let Some(habit) = &habit {
        found.extend(volume(now, habit));
        found.extend(errors(now, habit));
        found.extend(probing(now, habit));
        found.extend(new_routes(now, history));
    }
    found.extend(repeated(now, habit.as_ref()));
    found
}

fn volume(now: &Hour, habit: &Baseline) -> Option<Anomaly> {
    let (seen, usual) = (now.requests, habit.requests.middle);
    // Chance alone scatters counts by the root of their mean; no consumer is more even than a fifth of it.
    let scatter = habit.requests.scatter.max(usual.sqrt()).max(usual / 5.0).max(5.0);
    let limit = usual + FAR * scatter;
    if seen > limit && seen >= 2.0 * habit.requests.most && seen >= 2.0 * ENOUGH {
        let evidence = format!("{seen:.0} requests in an hour; usual are {usual:.0} ({})", habit.basis);
        return Some(Anomaly { sign: Sign::Spike, seen, usual, limit, evidence });
    }
    // Silence is told only of those who have never been quiet at this time.
    let limit = habit.requests.least / 10.0;
    if seen < limit && habit.requests.least >= ENOUGH {
        let evidence = format!("{seen:.0} requests in an hour; never fewer than {:.0} ({})", habit.requests.least, habit.basis);
        return Some(Anomaly { sign: Sign::Silence, seen, usual, limit, evidence });
    }
    None
}

/// A share that is far above its baseline and above the least share that matters.
fn share(now: &Hour, part: f64, habit: &baseline::Scatter, least: f64) -> Option<(f64, f64)> {
    if now.requests < ENOUGH {
        return None;
    }
    let seen = part / now.requests;
    let usual = habit.middle.clamp(0.001, 0.999);
    let chance = (usual * (1.0 - usual) / now.requests).sqrt();
    let limit = (usual + FAR * habit.scatter.max(chance)).max(least).max(habit.most * 1.5);
    (seen > limit).then_some((seen, limit))
}

fn errors(now: &Hour, habit: &Baseline) -> Option<Anomaly> {
    let found = share(now, now.errors, &habit.errors, 0.1)?;
    Some(of_share(Sign::Errors, now, found, habit.errors.middle, "failed", habit.basis))
}

fn probing(now: &Hour, habit: &Baseline) -> Option<Anomaly> {
    let found = share(now, now.refused, &habit.refused, 0.2)?;
    let verb = "were for what does not exist or is not allowed";
    Some(of_share(Sign::Probing, now, found, habit.refused.middle, verb, habit.basis))
}

/// A share of the requests that is above its limit.
fn of_share(sign: Sign, now: &Hour, (seen, limit): (f64, f64), usual: f64, verb: &str, basis: &str) -> Anomaly {
    let (percent, requests) = (seen * 100.0, now.requests);
    let evidence = format!("{percent:.0} % of {requests:.0} requests {verb}; usual are {:.1} % ({basis})", usual * 100.0);
    Anomaly { sign, seen, usual, limit, evidence }
}

/// Half of many requests being one and the same is a loop, unless that is what this consumer always does; without any history it
/// takes nearly all of very many.
fn repeated(now: &Hour, habit: Option<&Baseline>) -> Option<Anomaly> {
    let seen = now.repeated / now.requests.max(1.0);
    let (usual, limit, least) = match habit {
        Some(habit) => (habit.repeated.middle, (habit.repeated.most * 1.5).max(0.5), 10.0 * ENOUGH),
        None => (0.0, 0.95, 40.0 * ENOUGH),
    };
    if now.requests < least || seen < limit || usual > 0.4 {
        return None;
    }
    let evidence = format!("at least {:.0} % of {:.0} requests were the same {}", seen * 100.0, now.requests, now.repeated_route);
    Some(Anomaly { sign: Sign::Loop, seen, usual, limit, evidence })
}

/// Routes that nothing in the history used, in a consumer whose history is long enough to say so.
fn new_routes(now: &Hour, history: &History) -> Option<Anomaly> {
    if now.start - history.since < 7 * 86_400 {
        return None;
    }
    let known =
        |route: &String| history.routes.contains(route) || history.hours.iter().any(|hour| hour.routes.contains_key(route));
    let new: Vec<(&String, &f64)> = now.routes.iter().filter(|(route, _)| !known(route)).collect();
    let seen: f64 = new.iter().map(|(_, requests)| **requests).sum();
    let limit = (now.requests / 10.0).max(20.0);
    if seen <= limit || new.len() < 2 && seen <= 5.0 * limit {
        return None;
    }
    let names: Vec<&str> = new.iter().take(3).map(|(route, _)| route.as_str()).collect();
    let more = if new.len() > 3 { format!(" and {} more", new.len() - 3) } else { String::new() };
    let evidence =
        format!("{seen:.0} of {:.0} requests went to routes that it never used: {}{more}", now.requests, names.join(", "));
    Some(Anomaly { sign: Sign::NewRoutes, seen, usual: 0.0, limit, evidence })
}
