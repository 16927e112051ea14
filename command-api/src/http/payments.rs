//! Where payment providers call, and where they send browsers back to.

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::{CommandId, PaymentId};
use domain::order::{self, Order};
use domain::payment::{Command, Movement, Payment};
use domain::value::{Actor, Fingerprint, Provider};
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
use crate::payments::gateway::{self, Answer, Notification, Notified};

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
    let outcome = match gateway.notify(&raw) {
        Ok(notified) => record(app, gateway.provider(), notified).await,
        Err(rejected) => {
            tracing::warn!(provider, reason = %rejected, "a webhook was turned away");
            metrics::counter!("boxoffice_webhooks_rejected_total", "provider" => provider.to_owned()).increment(1);
            gateway::Outcome::Rejected
        }
    };
    Ok(spoken(gateway.answer(outcome)))
}

async fn record(app: &App, provider: Provider, notified: Notified) -> gateway::Outcome {
    if notified.report.movements.is_empty() {
        return gateway::Outcome::Accepted;
    }
    let Ok(serial) = u64::try_from(notified.serial) else { return gateway::Outcome::Rejected };
    let movements = notified.report.movements;
    let report = Command::Report { movements: movements.clone(), standing: notified.report.standing };
    match app.outcome::<Payment>(Target::Serial(serial), report, &by_system()).await {
        Outcome::Done(_) => gateway::Outcome::Accepted,
        Outcome::NoSuchSerial => quarantine(app, provider, notified.serial, movements).await,
        outcome => not_recorded(provider, notified.serial, &outcome),
    }
}

/// Whatever the reason, the provider still knows of money that is not in the log: it must say so again.
fn not_recorded(provider: Provider, serial: i64, outcome: &Outcome<Payment>) -> gateway::Outcome {
    if let Outcome::Refused(_) | Outcome::KeyReused | Outcome::TooLarge = outcome {
        tracing::error!(
            provider = provider.as_str(),
            serial,
            ?outcome,
            "a payment does not take what its provider reports"
        );
    }
    gateway::Outcome::RetryLater
}

/// Money for a reference nobody knows is kept under a name of its own, for a person to look at.
async fn quarantine(app: &App, provider: Provider, serial: i64, movements: Vec<Movement>) -> gateway::Outcome {
    for movement in movements {
        let name = format!("{}:{serial}", provider.as_str());
        let payment = PaymentId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        let command = Command::Quarantine { payment, provider, serial, movement };
        match app.outcome::<Payment>(Target::Id(payment.0), command, &by_system()).await {
            Outcome::Done(_) => {}
            outcome => return not_recorded(provider, serial, &outcome),
        }
    }
    gateway::Outcome::Unknown
}

fn by_system() -> Write {
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
    let back = gateway.returned(query.as_deref().unwrap_or_default()).map_err(|_| Problem::new(Kind::NotFound))?;
    let serial = u64::try_from(back.serial).map_err(|_| Problem::new(Kind::NotFound))?;
    let payment = match app.outcome::<Payment>(Target::Serial(serial), Command::Look, &by_system()).await {
        Outcome::Refused(_) => return Err(Problem::new(Kind::NotFound)),
        outcome => super::submit::done(outcome)?.state,
    };
    // Only a browser that was at the payment's page knows its name: strangers learn neither orders nor addresses.
    let known = payment.known().filter(|known| known.reference.as_deref() == Some(&*back.reference));
    let known = known.ok_or_else(|| Problem::new(Kind::NotFound))?;
    let order = app.look::<Order>(known.order.0, order::Command::Look).await?;
    let status = order.known().map_or("reserved", super::orders::status_word);
    let to = match (&known.cancel_url, back.cancelled) {
        (Some(cancel_url), true) => cancel_url,
        _ => &known.return_url,
    };
    let location =
        HeaderValue::from_str(&with_query(to, known.order.0, status)).map_err(|_| Problem::new(Kind::Internal))?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
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
}
