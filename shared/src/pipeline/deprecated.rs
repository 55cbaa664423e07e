//! Headers of an answer about deprecated resources and fields: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read on.
//!
//! Where several things in one answer are deprecated the earliest moments count: whoever heeds them is ready for all.

use http::header::LINK;
use http::{HeaderName, Method};

use super::{Context, RequestContext};
use crate::http::{Reply, header_value};
use crate::limit::Call;
use crate::model::{Action, Deprecation, Entity, FieldMask, Model, Operation};
use crate::query::ListQuery;
use crate::query::policy::{Access, Permitted};

/// A read's reply with what is deprecated of the records that it may show, and of what the query mentions.
pub(super) fn of_read(cx: &Context<'_>, reply: Reply, permitted: &Permitted<ListQuery>, operation: Operation) -> Reply {
    let mut found = Vec::new();
    of_query(cx.model(), permitted, Some(operation), &mut found);
    marked(cx, reply, &found)
}

/// A write's reply with what is deprecated of the record that it shows; a delete shows none.
pub(super) fn of_write(cx: &Context<'_>, reply: Reply, entity: &Entity, operations: &[Operation]) -> Reply {
    let mut found: Vec<&Deprecation> = operations.iter().filter_map(|operation| entity.deprecation(Some(*operation))).collect();
    if cx.request.method != Method::DELETE {
        let read = Access::of(cx.model(), cx.principal, entity, Action::Read).widest();
        let write = Access::of(cx.model(), cx.principal, entity, Action::Update).widest();
        of_fields(entity, |mask| read.contains(mask) || write.contains(mask), &mut found);
    }
    marked(cx, reply, &found)
}

/// A reply about a file with what is deprecated of the operations on it.
pub(super) fn of_file(cx: &RequestContext<'_>, reply: Reply, calls: &[Call]) -> Reply {
    let files = calls.iter().filter(|call| matches!(call.operation, Operation::Upload | Operation::Download));
    let found: Vec<&Deprecation> =
        files.filter_map(|call| cx.model().entity(call.entity?).deprecation(Some(call.operation))).collect();
    marked(cx, reply, &found)
}

/// `operation` is `None` for what is embedded.
fn of_query<'m>(
    model: &'m Model,
    permitted: &Permitted<ListQuery>,
    operation: Option<Operation>,
    found: &mut Vec<&'m Deprecation>,
) {
    let (query, entity) = (permitted.query(), model.entity(permitted.query().entity));
    let readable = permitted.access().widest();
    let mentioned: FieldMask = crate::query::condition::own_fields(
        query.filters.iter().map(|filter| filter.path).chain(query.sort.iter().flatten().map(|part| part.by)),
    );
    let selected = |field| query.fields.as_ref().is_none_or(|fields| fields.shows(field));
    found.extend(entity.deprecation(operation));
    of_fields(entity, |field| readable.contains(field) && (selected(field) || mentioned.contains(field)), found);
    permitted.includes().iter().for_each(|include| of_query(model, &include.target, None, found));
}

fn of_fields<'m>(entity: &'m Entity, shown: impl Fn(crate::model::FieldIx) -> bool, found: &mut Vec<&'m Deprecation>) {
    found.extend(entity.fields.iter().filter(|field| shown(field.ix)).filter_map(|field| field.deprecated.as_ref()));
}

fn marked(cx: &RequestContext<'_>, reply: Reply, found: &[&Deprecation]) -> Reply {
    let Some(since) = found.iter().map(|deprecation| deprecation.since).min() else { return reply };
    let about = format!("<{}/v1/docs>; rel=\"deprecation\"; type=\"text/html\"", cx.request.base_url);
    let reply = reply.header(HeaderName::from_static("deprecation"), header_value(format!("@{since}")));
    let reply = reply.also(LINK, header_value(about));
    match found.iter().filter_map(|deprecation| deprecation.sunset).min().and_then(http_date) {
        Some(date) => reply.header(HeaderName::from_static("sunset"), header_value(date)),
        None => reply,
    }
}

/// A moment as an HTTP date (RFC 9110, 5.6.7).
fn http_date(seconds: i64) -> Option<String> {
    let format =
        time::macros::format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    time::OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(format).ok()
}
