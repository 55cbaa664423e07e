//! Which answers shared caches may keep: those to nobody in particular, of entities that the model makes public.

use std::time::Duration;

use http::header::AUTHORIZATION;

use crate::core::caller::Caller;
use crate::http::ApiRequest;
use crate::model::{Entity, FieldType, Model, Path};
use crate::query::ListQuery;
use crate::query::policy::Permitted;

/// For how long: the shortest `public` of all entities that the answer shows or depends on; `None` where one is not public, or the
/// request came with credentials.
pub(super) fn age(model: &Model, request: &ApiRequest, caller: &Caller, permitted: &Permitted<ListQuery>) -> Option<Duration> {
    let nobody = caller.anonymous && caller.key_id.is_none() && !request.headers.contains_key(AUTHORIZATION);
    if nobody { of_query(model, permitted) } else { None }
}

fn of_query(model: &Model, permitted: &Permitted<ListQuery>) -> Option<Duration> {
    let entity = model.entity(permitted.query().entity);
    let mut shortest = entity.public;
    let mut and = |age: Option<Duration>| shortest = shortest.zip(age).map(|(one, other)| one.min(other));
    permitted.includes().iter().for_each(|include| and(of_query(model, &include.target)));
    permitted.all_related().for_each(|(of, _)| and(model.entity(of).public));
    permitted.access().paths(&mut |path| {
        if let Some(target) = reached(model, entity, path) {
            and(target.public);
        }
    });
    shortest
}

/// The entity that a condition reads beside the record's own.
fn reached<'m>(model: &'m Model, entity: &Entity, path: Path) -> Option<&'m Entity> {
    let Path::Via(via, _) = path else { return None };
    match entity.field(via).kind {
        FieldType::Ref { target, .. } => Some(model.entity(target)),
        _ => None,
    }
}
