//! GET /v1/events: everything that was told or should have been, so that a shop finds what it missed.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::fields::Fields;
use super::refusal::{Refusal, Stop};
use super::{call, checks, views};
use crate::app::App;
use crate::provider::Provider;

/// How long events are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Which events are wanted.
struct Wanted {
    kinds: Vec<String>,
    from: i64,
    to: i64,
}

/// Events, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let mut fields = Fields::read(query.unwrap_or_default().as_bytes())?;
    let wanted = wanted(&mut fields)?;
    let (limit, after) = (checks::limit(&mut fields)?, fields.text("starting_after")?);
    fields.finish()?;
    let fits = |event: &Value| {
        let created = event["created"].as_i64().unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or_default();
        (wanted.from..=wanted.to).contains(&created)
            && (wanted.kinds.is_empty() || wanted.kinds.iter().any(|pattern| matches(pattern, kind)))
    };
    let found = all(&app).into_iter().filter(fits).collect();
    Ok(call::answer(&views::list("/v1/events", found, after.as_deref(), limit)))
}

/// One event.
pub async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Stop> {
    call::admit(&app, &headers)?;
    let found = all(&app).into_iter().find(|event| event["id"] == id.as_str());
    Ok(call::answer(&found.ok_or_else(|| Refusal::no_such("event", &id, "id"))?))
}

fn wanted(fields: &mut Fields) -> Result<Wanted, Refusal> {
    let mut kinds = fields.texts("types")?;
    kinds.extend(fields.text("type")?);
    let mut wanted = Wanted { kinds, from: i64::MIN, to: i64::MAX };
    if let Some(mut created) = fields.below("created")? {
        let after = created.integer("gt")?.map(|seconds| seconds.saturating_add(1));
        let before = created.integer("lt")?.map(|seconds| seconds.saturating_sub(1));
        wanted.from = after.or(created.integer("gte")?).unwrap_or(wanted.from);
        wanted.to = before.or(created.integer("lte")?).unwrap_or(wanted.to);
        created.finish()?;
    }
    Ok(wanted)
}

/// A kind, or all below a prefix: `charge.*`.
fn matches(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |prefix| kind.starts_with(prefix))
}

/// Every event that is still kept, newest first, each once.
fn all(app: &App) -> Vec<Value> {
    let oldest = app.clock.now().checked_sub(KEPT).unwrap_or(Timestamp::MIN).as_second();
    let books = app.books();
    let mut seen = HashSet::new();
    let ours = books.deliveries().iter().rev().filter(|delivery| delivery.provider == Provider::Stripe);
    let first = ours.filter(|delivery| seen.insert(delivery.reference.clone()));
    let events = first.filter_map(|delivery| serde_json::from_str::<Value>(&delivery.body).ok());
    events.filter(|event| event["created"].as_i64().is_some_and(|created| created >= oldest)).collect()
}
