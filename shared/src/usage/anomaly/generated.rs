//! The evaluation: traffic of many consumers over ten weeks, made up from a seed, with anomalies put into the last two. What is
//! found of them and what is reported without reason stands in docs/usage.md.
//!
//! `cargo test --workspace --lib anomaly -- --nocapture`

use std::collections::BTreeMap;

use super::*;

const NOW: i64 = 1_795_219_200;
const HOUR: i64 = 3_600;
const WEEK: i64 = 7 * 86_400;
const WEEKS: i64 = 10;
const CONSUMERS: usize = 60;
const ROUTES: [&str; 6] =
    ["GET /v1/books", "GET /v1/books/{id}", "GET /v1/orders", "POST /v1/orders", "GET /v1/orders/{id}", "PATCH /v1/orders/{id}"];

/// SplitMix64 and what is made of it.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.next()
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }

    /// A count around a mean: chance of its own and of the hour (over-dispersed, as real traffic is).
    fn count(&mut self, mean: f64, spread: f64) -> f64 {
        let mean = mean * (self.normal() * spread).exp();
        (mean + mean.sqrt() * self.normal()).round().max(0.0)
    }
}

/// How a consumer usually calls.
struct Usual {
    mean: f64,
    /// Share of the night, share of the weekend.
    night: f64,
    weekend: f64,
    spread: f64,
    errors: f64,
    refused: f64,
    repeated: f64,
    routes: usize,
    /// Growth over the ten weeks.
    growth: f64,
    since: i64,
}

impl Usual {
    fn draw(chance: &mut Chance, n: usize) -> Self {
        // A fifth are new: less than three weeks old.
        let weeks = if n.is_multiple_of(5) { chance.between(0.2, 2.9) } else { WEEKS as f64 };
        Self {
            mean: 10f64.powf(chance.between(0.7, 3.8)),
            night: chance.between(0.02, 1.0),
            weekend: chance.between(0.05, 1.0),
            spread: chance.between(0.03, 0.35),
            errors: chance.between(0.0, 0.04),
            refused: chance.between(0.0, 0.08),
            // Some poll one address all day.
            repeated: if n.is_multiple_of(7) { chance.between(0.5, 0.95) } else { chance.between(0.0, 0.2) },
            routes: 1 + (chance.next() * 4.0) as usize,
            growth: chance.between(0.8, 1.8),
            since: NOW - (weeks * WEEK as f64) as i64 / HOUR * HOUR,
        }
    }

    fn hour(&self, chance: &mut Chance, start: i64) -> Hour {
        let (of_day, of_week) = (start.rem_euclid(86_400) / HOUR, (start.div_euclid(86_400) + 3).rem_euclid(7));
        let day = if (7..20).contains(&of_day) { 1.0 } else { self.night };
        let week = if of_week >= 5 { self.weekend } else { 1.0 };
        let grown = 1.0 + (self.growth - 1.0) * (start - (NOW - WEEKS * WEEK)) as f64 / (WEEKS * WEEK) as f64;
        let requests = chance.count(self.mean * day * week * grown, self.spread);
        let part = |chance: &mut Chance, share: f64| chance.count(requests * share, 0.3).min(requests);
        let errors = part(chance, self.errors);
        let refused = part(chance, self.refused).min(requests - errors);
        let repeated = part(chance, self.repeated);
        let routes = (0..self.routes).map(|n| (ROUTES[n].to_owned(), requests / self.routes as f64)).collect();
        Hour {
            start,
            requests,
            errors,
            refused,
            repeated,
            repeated_route: ROUTES[0].into(),
            routes: if requests > 0.0 { routes } else { BTreeMap::new() },
        }
    }
}

/// Puts an anomaly into an hour; `None` where this consumer cannot have it (silence of one that is often silent).
fn inject(sign: Sign, hour: &Hour, usual: &Usual, quiet: bool) -> Option<Hour> {
    let mut hour = hour.clone();
    match sign {
        Sign::Spike => {
            hour.requests = (hour.requests * 6.0).max(300.0);
            hour.routes.values_mut().for_each(|requests| *requests *= 6.0);
        }
        Sign::Silence if !quiet => hour = Hour { start: hour.start, ..Hour::default() },
        Sign::Errors if hour.requests >= 100.0 => hour.errors = (hour.requests * 0.4).round(),
        Sign::Probing if hour.requests >= 100.0 => hour.refused = (hour.requests * 0.5).round(),
        Sign::Loop if hour.requests >= 600.0 && usual.repeated < 0.4 => hour.repeated = (hour.requests * 0.8).round(),
        Sign::NewRoutes if hour.requests >= 100.0 && usual.since < NOW - 4 * WEEK => {
            hour.routes.insert("GET /v1/customers".into(), hour.requests * 0.3);
            hour.routes.insert("GET /v1/customers/{id}".into(), hour.requests * 0.3);
        }
        _ => return None,
    }
    Some(hour)
}

#[test]
fn injected_anomalies_are_found_and_ordinary_traffic_is_left_alone() {
    let mut chance = Chance(7);
    let signs = [Sign::Spike, Sign::Silence, Sign::Errors, Sign::Probing, Sign::Loop, Sign::NewRoutes];
    let mut tally: BTreeMap<Sign, (u32, u32)> = BTreeMap::new();
    let mut false_alarms: BTreeMap<Sign, u32> = BTreeMap::new();
    let mut hours_judged = 0u32;
    for n in 0..CONSUMERS {
        let usual = Usual::draw(&mut chance, n);
        let starts = (usual.since..NOW).step_by(HOUR as usize);
        let history: Vec<Hour> = starts.map(|start| usual.hour(&mut chance, start)).filter(|hour| hour.requests > 0.0).collect();
        let first = history.first().map_or(NOW, |hour| hour.start);
        let before = |start: i64| {
            let wanted = looked_at(start);
            let hours = history.iter().filter(|hour| hour.start < start && wanted.binary_search(&hour.start).is_ok());
            let routes = (0..usual.routes).map(|n| ROUTES[n].to_owned()).collect();
            History { since: first, hours: hours.cloned().collect(), routes }
        };
        let judged: Vec<&Hour> = history.iter().filter(|hour| hour.start >= NOW - 2 * WEEK).collect();
        for hour in &judged {
            hours_judged += 1;
            for anomaly in find(hour, &before(hour.start)) {
                *false_alarms.entry(anomaly.sign).or_default() += 1;
            }
        }
        for sign in signs {
            // Three hours of the last two weeks, each on its own.
            for _ in 0..3 {
                let Some(hour) = judged.get((chance.next() * judged.len() as f64) as usize) else { continue };
                let earlier = before(hour.start);
                let habit = habit(hour.start, &earlier);
                let quiet = habit.as_ref().is_none_or(|habit| habit.requests.least < 2.0 * ENOUGH);
                let Some(odd) = inject(sign, hour, &usual, quiet) else { continue };
                let new = habit.is_none();
                if new {
                    continue;
                }
                let (found, of) = tally.entry(sign).or_default();
                *of += 1;
                *found += u32::from(find(&odd, &earlier).iter().any(|anomaly| anomaly.sign == sign));
            }
        }
    }
    let (found, of) = tally.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let wrong: u32 = false_alarms.values().sum();
    let weeks = f64::from(hours_judged) / 168.0;
    println!("found {found} of {of} injected: {tally:?}");
    println!(
        "raised falsely: {wrong} in {hours_judged} hours, {:.2} per consumer and week: {false_alarms:?}",
        f64::from(wrong) / weeks
    );
    assert!(of >= 300 && f64::from(found) >= 0.9 * f64::from(of), "{found} of {of}");
    assert!(tally.values().all(|(found, of)| *of >= 10 && f64::from(*found) >= 0.7 * f64::from(*of)), "{tally:?}");
    assert!(f64::from(wrong) / weeks < 0.1, "{wrong} in {weeks} weeks");
}

#[test]
fn what_is_found_is_told_with_its_numbers() {
    let hour = |start, requests| Hour {
        start,
        requests,
        routes: BTreeMap::from([("GET /v1/books".to_owned(), requests)]),
        ..Hour::default()
    };
    let hours: Vec<Hour> = (1..=8).map(|n| hour(NOW - n * WEEK, 100.0 + n as f64)).collect();
    let earlier = History { since: NOW - 8 * WEEK, hours, ..History::default() };
    assert_eq!(find(&hour(NOW, 130.0), &earlier), []);
    let spike = find(&hour(NOW, 900.0), &earlier).remove(0);
    assert_eq!((spike.sign, spike.seen, spike.usual), (Sign::Spike, 900.0, 104.5));
    assert_eq!(spike.evidence, "900 requests in an hour; usual are 104 (at this hour of the week)");
    assert_eq!(find(&Hour { start: NOW, ..Hour::default() }, &earlier).remove(0).sign, Sign::Silence);
    assert_eq!(find(&hour(NOW, 900.0), &History { since: NOW, ..History::default() }), [], "a new consumer has no anomalies");
    let probing = find(&Hour { refused: 60.0, ..hour(NOW, 110.0) }, &earlier).remove(0);
    assert_eq!((probing.sign, (probing.seen * 100.0).round()), (Sign::Probing, 55.0));
}
