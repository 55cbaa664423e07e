//! One case: a model, data, callers, and what they ask and try.

use std::collections::BTreeMap;

use holdfast::model::parse;
use serde_json::Value;

use super::ask::{self, OracleRequest};
use super::attempt;
use super::change::Change;
use super::generate;
use super::judge::{self, Went};
use super::spec::Spec;
use super::stage::Stage;
use super::viewer::{Caller, Viewer, World};
use crate::rng::Rng;

/// Models that are tried until the parser takes one.
const TRIES: u64 = 60;

/// What a case did: a test that nothing happens in proves nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Reads that were answered.
    pub answered: usize,
    /// Rows in them.
    pub rows: usize,
    /// Reads that were refused for want of an index.
    pub unserved: usize,
    /// Reads that were refused for want of a right, or found nothing.
    pub refused: usize,
    /// Writes that had an effect.
    pub written: usize,
    /// Writes that were refused.
    pub unwritten: usize,
    /// Models that the parser refused first.
    pub models: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.rows += other.rows;
        self.unserved += other.unserved;
        self.refused += other.refused;
        self.written += other.written;
        self.unwritten += other.unwritten;
        self.models += other.models;
    }
}

/// How much a case does.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Records of each entity.
    pub records: usize,
    /// Callers.
    pub callers: usize,
    /// Reads of each caller.
    pub reads: usize,
    /// Writes of each caller.
    pub writes: usize,
}

struct Case {
    spec: Spec,
    yaml: String,
    stage: Stage,
    rng: Rng,
    world: World,
    tally: Tally,
}

/// Runs the case of a seed.
///
/// # Errors
/// What the system did otherwise than the oracle, with all that is needed to see why.
pub async fn run(seed: u64, size: Size) -> Result<Tally, String> {
    let mut case = begin(seed).await?;
    let told = |why: String, case: &Case| format!("{why}\n\nseed {seed}\nrecords {:#?}\nmodel {}", case.world, case.yaml);
    case.load(size.records).await.map_err(|why| told(why, &case))?;
    let callers: Vec<Caller> = (0..size.callers).map(|number| case.caller(number)).collect();
    case.reads(&callers, size.reads).await.map_err(|why| told(why, &case))?;
    case.writes(&callers, size.writes).await.map_err(|why| told(why, &case))?;
    case.reads(&callers, size.reads / 4).await.map_err(|why| told(why, &case))?;
    case.stage.assert_sound().await;
    Ok(case.tally)
}

async fn begin(seed: u64) -> Result<Case, String> {
    let mut last = String::new();
    for attempt in 0..TRIES {
        let mut rng = Rng::of(seed.wrapping_mul(TRIES).wrapping_add(attempt));
        let spec = generate::spec(&mut rng);
        let yaml = spec.yaml(&generate::claims(&spec));
        match parse("model.yaml", &yaml) {
            Ok(model) => {
                let stage = Stage::of(model, seed).await;
                let world = World(vec![BTreeMap::new(); spec.entities.len()]);
                let tally = Tally { models: usize::try_from(attempt).unwrap_or(0), ..Tally::default() };
                return Ok(Case { spec, yaml, stage, rng, world, tally });
            }
            Err(mistakes) => last = format!("{mistakes:#?}\n{yaml}"),
        }
    }
    Err(format!("no model of {TRIES} was valid; the last: {last}"))
}

fn admin() -> Caller {
    let (claims, consumer) = (BTreeMap::new(), "admin".to_owned());
    Caller { name: "admin".into(), roles: vec![0], claims, subject: "admin".into(), consumer, scopes: None }
}

impl Case {
    /// Creates records; a few of them are refused, which is judged as well.
    async fn load(&mut self, records: usize) -> Result<(), String> {
        let root = admin();
        for entity in 0..self.spec.entities.len() {
            let count = self.rng.within(records / 2, records);
            for _ in 0..count {
                let viewer = Viewer { spec: &self.spec, world: &self.world, caller: &root };
                let body = attempt::body(&mut self.rng, &viewer, entity, "create", true);
                let what = Change::Create { body };
                let written = attempt::write(&self.stage, &viewer, entity, &what, &[]).await;
                let (world, _) = written.map_err(|why| format!("{why}\nadmin: {what:#?}"))?;
                self.world = world;
            }
        }
        Ok(())
    }

    fn ids(&self) -> Vec<Vec<Value>> {
        let of = |(at, rows): (usize, &BTreeMap<String, super::viewer::Row>)| {
            rows.values().map(|row| row.id_value(&self.spec, at)).collect()
        };
        self.world.0.iter().enumerate().map(of).collect()
    }

    fn caller(&mut self, number: usize) -> Caller {
        let ids = self.ids();
        let roles: Vec<usize> = (1..self.spec.roles.len()).collect();
        let most = *self.rng.pick(&[1, 1, 2, 2, 3]);
        let mut roles = self.rng.sample(&roles, most);
        if self.rng.percent(8) {
            roles = vec![0];
        }
        let scopes = self.rng.percent(12).then(|| self.scopes());
        Caller {
            name: format!("caller{number}"),
            roles,
            claims: generate::claim_values(&mut self.rng, &self.spec, &ids).into_iter().collect(),
            subject: (*self.rng.pick(&["a", "ab", "b"])).to_owned(),
            consumer: format!("c{number}"),
            scopes,
        }
    }

    fn scopes(&mut self) -> Vec<String> {
        let entities: Vec<String> = self.spec.entities.iter().map(|entity| entity.name.clone()).chain(["*".into()]).collect();
        let mut one = || {
            let (entity, action) = (self.rng.pick(&entities).clone(), *self.rng.pick(&["list", "read", "update", "create", "*"]));
            format!("{entity}:{action}")
        };
        (0..4).map(|_| one()).collect()
    }

    async fn reads(&mut self, callers: &[Caller], count: usize) -> Result<(), String> {
        let ids = self.ids();
        for caller in callers {
            for number in 0..count {
                let asked = self.allowed(&ids, caller);
                let viewer = Viewer { spec: &self.spec, world: &self.world, caller };
                let told = |why: String| format!("{why}\n\nasked {}\n{asked:?}\nby {caller:?}", asked.query(&self.spec));
                match judge::read(&self.stage, &viewer, &asked).await.map_err(told)? {
                    Went::Answered { rows } => {
                        self.tally.answered += 1;
                        self.tally.rows += rows;
                    }
                    Went::Unserved => self.tally.unserved += 1,
                    Went::Refused => self.tally.refused += 1,
                }
                if asked.id.is_none() && number % 5 == 0 {
                    let other = Viewer { caller: self.rng.pick(callers), ..viewer };
                    judge::foreign_cursor(&self.stage, &viewer, &other, &asked).await.map_err(told)?;
                }
            }
        }
        Ok(())
    }

    /// A read that is mostly one that the caller may make.
    fn allowed(&mut self, ids: &[Vec<Value>], caller: &Caller) -> OracleRequest {
        let mut asked = self.asked(ids);
        for _ in 0..self.rng.below(6) {
            let viewer = Viewer { spec: &self.spec, world: &self.world, caller };
            if judge::faults(&viewer, &asked).is_empty() {
                break;
            }
            asked = self.asked(ids);
        }
        asked
    }

    fn asked(&mut self, ids: &[Vec<Value>]) -> OracleRequest {
        if self.rng.percent(75) {
            return ask::list(&mut self.rng, &self.spec, ids);
        }
        let entity = self.rng.below(self.spec.entities.len());
        let known: Vec<String> = self.world.0[entity].keys().cloned().collect();
        let id = match self.rng.perhaps(&known) {
            Some(id) if self.rng.percent(92) => id.clone(),
            _ => attempt::new_id(&mut self.rng, &self.spec, entity),
        };
        ask::get(&mut self.rng, &self.spec, entity, &id)
    }

    async fn writes(&mut self, callers: &[Caller], count: usize) -> Result<(), String> {
        for number in 0..count {
            for caller in callers {
                let entity = self.rng.below(self.spec.entities.len());
                let other = self.rng.pick(callers).clone();
                let written = match number % 6 {
                    0 => self.bulk(caller, entity).await?,
                    1 => self.keyed(caller, &other, entity, number).await?,
                    2 => self.conditional(caller, entity).await?,
                    _ => {
                        let viewer = Viewer { spec: &self.spec, world: &self.world, caller };
                        let what = attempt::random(&mut self.rng, &viewer, entity);
                        let done = attempt::write(&self.stage, &viewer, entity, &what, &[]).await;
                        done.map_err(|why| format!("{why}\n\n{what:#?}\nby {caller:?}"))?
                    }
                };
                self.accept(written).await.map_err(|why| format!("{why}\nby {caller:?}"))?;
            }
        }
        Ok(())
    }

    /// The stored records must be those of the new world, all of them.
    async fn accept(&mut self, (world, status): (World, u16)) -> Result<(), String> {
        if status < 300 {
            self.tally.written += 1
        } else {
            self.tally.unwritten += 1
        }
        let stored = self.stage.stored(&self.spec).await;
        if stored != world {
            return Err(format!("stored {stored:#?}\nexpected {world:#?}"));
        }
        self.world = world;
        Ok(())
    }

    async fn bulk(&mut self, caller: &Caller, entity: usize) -> Result<(World, u16), String> {
        let viewer = Viewer { spec: &self.spec, world: &self.world, caller };
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..self.rng.within(1, 4) {
            let what = attempt::random(&mut self.rng, &viewer, entity);
            let fits =
                attempt::operation(&what).is_some() && !changes.iter().any(|other| meets(&self.spec, entity, other, &what));
            changes.extend(fits.then_some(what));
        }
        let atomic = self.rng.percent(50);
        let done = attempt::bulk(&self.stage, &viewer, entity, &changes, atomic).await;
        let world = done.map_err(|why| format!("{why}\n\natomic {atomic} {changes:#?}\nby {caller:?}"))?;
        let status = if world == self.world { 400 } else { 200 };
        Ok((world, status))
    }

    async fn keyed(&mut self, caller: &Caller, other: &Caller, entity: usize, number: usize) -> Result<(World, u16), String> {
        let viewer = Viewer { spec: &self.spec, world: &self.world, caller };
        let what = attempt::random(&mut self.rng, &viewer, entity);
        let key = format!("key-{number}-{}-{}", caller.name, self.rng.below(1_000_000));
        let done = attempt::replayed(&self.stage, &viewer, other, entity, &what, &key).await;
        done.map_err(|why| format!("{why}\n\n{what:#?}\nby {caller:?} and {other:?}"))
    }

    /// `If-Match` with the record's own ETag changes nothing; with a wrong one nobody learns more than that, and who may not see
    /// the record not even that.
    async fn conditional(&mut self, caller: &Caller, entity: usize) -> Result<(World, u16), String> {
        let root = admin();
        let viewer = Viewer { spec: &self.spec, world: &self.world, caller };
        let what = attempt::random(&mut self.rng, &viewer, entity);
        let Some(id) = what.id() else {
            return attempt::write(&self.stage, &viewer, entity, &what, &[]).await.map_err(|why| format!("{why}\n{what:#?}"));
        };
        // The version that an administrator sees: whoever has learnt it elsewhere must not find out more by it.
        let known = attempt::etag(&self.stage, &Viewer { caller: &root, ..viewer }, entity, id).await;
        let right = known.filter(|_| self.rng.percent(60));
        let tag = right.clone().unwrap_or_else(|| "\"wrong.tag\"".to_owned());
        let done = attempt::conditional(&self.stage, &viewer, entity, &what, &tag, right.is_some()).await;
        done.map_err(|why| format!("{why}\n\nIf-Match {tag} {what:#?}\nby {caller:?}"))
    }
}

/// Whether two operations of one call would meet: at one record, or at one unique value.
fn meets(spec: &Spec, entity: usize, one: &Change, other: &Change) -> bool {
    let body = |change: &Change| match change {
        Change::Create { body } | Change::Put { body, .. } | Change::Merge { body, .. } => body.clone(),
        Change::Patch { .. } | Change::Delete { .. } => serde_json::Map::new(),
    };
    let id = |change: &Change| change.id().map(str::to_owned).or_else(|| body(change).get("id").map(super::value::text));
    let (a, b) = (body(one), body(other));
    let of = &spec.entities[entity];
    let unique = of.fields.iter().filter(|field| field.unique);
    let clash = unique.map(|field| &field.name).any(|name| a.get(name).is_some_and(|value| b.get(name) == Some(value)));
    let parts = !of.parts().is_empty()
        && of.parts().iter().all(|part| {
            let name = &of.fields[*part].name;
            a.get(name) == b.get(name)
        });
    let refers = of.references().any(|(_, reference)| reference.target == entity);
    clash || parts || refers || (id(one).is_some() && id(one) == id(other))
}
