//! Where payment providers call, and where they send browsers back to.

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::{CommandId, PaymentId};
use domain::order::{self, Order};
use domain::payment::{Command, Payment};
use domain::value::{Actor, Fingerprint};
use event_log::owner::{Outcome, Target};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use service_kit::extract::Path;
use service_kit::json;
use service_kit::problem::{Kind, Problem};
use service_kit::random;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::submit::Write;
use super::webhooks;
use crate::payments::gateway::{self, Answer, Notification};

/// A raw query longer than this is no provider's.
const LONGEST_QUERY: usize = 4096;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(notify, notify_get)).routes(routes!(returned))
}

#[utoipa::path(post, path = "/v1/payments/{provider}/notify", tag = "payments", params(("provider" = String, Path)),
    responses((status = 200, description = "In the provider's own words.")))]
async fn notify(State(app): State<App>, Path(provider): Path<String>, request: Request) -> Result<Response, Problem> {
    notified(&app, &provider, request).await
}

#[utoipa::path(get, path = "/v1/payments/{provider}/notify", tag = "payments", params(("provider" = String, Path)),
    responses((status = 200, description = "In the provider's own words.")))]
async fn notify_get(
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    notified(&app, &provider, request).await
}

/// The provider hears "accepted" only after what it said is acknowledged in the log.
async fn notified(app: &App, provider: &str, request: Request) -> Result<Response, Problem> {
    let gateway = app.0.gateways.by_name(provider).ok_or_else(|| Problem::new(Kind::NotFound))?;
    let (parts, body) = request.into_parts();
    let body = json::read(body).await?;
    let query = parts.uri.query().unwrap_or_default();
    let raw = Notification { method: &parts.method, headers: &parts.headers, query, body: &body };
    let outcome = match gateway.notify(&raw).await {
        Ok(notified) => webhooks::record(app, gateway.as_ref(), notified).await,
        Err(rejected) => {
            tracing::warn!(provider, reason = %rejected, "a webhook was turned away");
            metrics::counter!("boxoffice_webhooks_rejected_total", "provider" => provider.to_owned()).increment(1);
            gateway::Outcome::Rejected(rejected)
        }
    };
    Ok(spoken(gateway.answer(outcome)))
}

pub(super) fn by_system() -> Write {
    Write::of(Actor::System, CommandId(random::id()), Fingerprint::default())
}

fn spoken(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

#[utoipa::path(get, path = "/v1/payments/{provider}/return", tag = "payments", params(("provider" = String, Path)),
    responses((status = 303, description = "To the order's return_url or cancel_url, with order and status.")))]
async fn returned(
    State(app): State<App>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let gateway = app.0.gateways.by_name(&provider).ok_or_else(|| Problem::new(Kind::NotFound))?;
    let query = query.unwrap_or_default();
    let back = Back::read(&query).ok_or_else(|| Problem::new(Kind::NotFound))?;
    let payment = match app.outcome::<Payment>(Target::Id(back.payment.0), Command::Look, &by_system()).await {
        Outcome::Refused(_) => return Err(Problem::new(Kind::NotFound)),
        outcome => super::submit::done(outcome)?.state,
    };
    let known = payment.known().filter(|known| known.provider == gateway.provider());
    let known = known.ok_or_else(|| Problem::new(Kind::NotFound))?;
    let order = app.look::<Order>(known.order.0, order::Command::Look).await?;
    let status = order.known().map_or("reserved", super::orders::status_word);
    let to = match (&known.cancel_url, back.gave_up || gateway.gave_up(&query)) {
        (Some(cancel_url), true) => cancel_url,
        _ => &known.return_url,
    };
    let location =
        HeaderValue::from_str(&with_query(to, known.order.0, status)).map_err(|_| Problem::new(Kind::Internal))?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

/// What we told the provider to send the browser back with. Only who was at the payment's page, or ordered it, knows its
/// id: strangers learn neither orders nor addresses.
struct Back {
    payment: PaymentId,
    gave_up: bool,
}

impl Back {
    fn read(query: &str) -> Option<Self> {
        if query.len() > LONGEST_QUERY {
            return None;
        }
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let payment = value("payment")?.parse().ok()?;
        Some(Self { payment, gave_up: value("gave_up") == Some("true") })
    }
}

/// Display only: whoever comes back this way has proved nothing.
fn with_query(url: &str, order: Uuid, status: &str) -> String {
    let (page, fragment) = url.split_once('#').map_or((url, None), |(page, fragment)| (page, Some(fragment)));
    let joint = if page.contains('?') { '&' } else { '?' };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{page}{joint}order={order}&status={status}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_goes_back_with_order_and_status_before_any_fragment() {
        let order = Uuid::nil();
        let plain = with_query("https://shop.test/r", order, "completed");
        assert_eq!(plain, format!("https://shop.test/r?order={order}&status=completed"));
        let full = with_query("https://shop.test/r?a=1#top", order, "completed");
        assert_eq!(full, format!("https://shop.test/r?a=1&order={order}&status=completed#top"));
    }

    #[test]
    fn a_browser_names_the_payment_it_comes_from() {
        let payment = Uuid::from_u128(7);
        let read = |query: &str| Back::read(query).map(|back| (back.payment.0, back.gave_up));
        assert_eq!(read(&format!("payment={payment}")), Some((payment, false)));
        let more = format!("payment={payment}&gave_up=true&code=00&orderCode=1");
        assert_eq!(read(&more), Some((payment, true)));
        let long = format!("payment={payment}&x={}", "x".repeat(LONGEST_QUERY));
        for nothing in ["", "payment=", "payment=1", "orderCode=1", &long] {
            assert!(read(nothing).is_none(), "{nothing}");
        }
    }
}
