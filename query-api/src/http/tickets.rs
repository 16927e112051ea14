//! Tickets: what a gate scans.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::ids::{OrderId, ShowId, TicketId};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde::Deserialize;
use service_kit::caller::Caller;
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::views::{Page, Ticket};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::orders::{VIEWS, Wish};
use super::since::Since;

/// The side of a picture, pixels at least.
const SIDE: u32 = 320;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(qr))
}

/// Of which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Which one, should two shows have an order of this id.
    show: Option<Uuid>,
}

#[utoipa::path(get, path = "/v1/orders/{order}/tickets", tag = "tickets", params(("order" = Uuid, Path), Which), security(("bearer" = [])),
    responses((status = 200, body = Page<Ticket>, description = "All of them; none before the order is completed.")))]
async fn list(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    caller: Caller,
    since: Since,
    Query(which): Query<Which>,
) -> Result<axum::Json<Page<Ticket>>, Problem> {
    let wish = Wish { order, show: which.show.map(ShowId), actor: caller.actor()? };
    since.seen(&app, &VIEWS).await?;
    let whole = app.order(&wish).await?;
    Ok(axum::Json(Page { items: app.tickets_view(&whole).await?, next_cursor: None }))
}

#[utoipa::path(get, path = "/v1/orders/{order}/tickets/{ticket}/qr.svg", tag = "tickets",
    params(("order" = Uuid, Path), ("ticket" = Uuid, Path)), security(("bearer" = [])),
    responses((status = 200, body = String, content_type = "image/svg+xml", description = "The ticket's code as a picture; a revoked ticket has none.")))]
async fn qr(
    State(app): State<App>,
    Path((order, ticket)): Path<(OrderId, TicketId)>,
    caller: Caller,
    since: Since,
) -> Result<Response, Problem> {
    let wish = Wish { order, show: None, actor: caller.actor()? };
    since.seen(&app, &VIEWS).await?;
    let orders = app.orders(&wish).await?;
    let found =
        orders.iter().find(|whole| whole.tickets.0.iter().any(|it| it.id == ticket.0 && it.status != "revoked"));
    let whole = found.ok_or_else(|| Problem::new(Kind::NotFound))?;
    let picture = picture(&app.ticket_code(whole, ticket)?)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Opened by itself it is a document; it needs nothing from anywhere.
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'")),
    ];
    Ok((headers, picture).into_response())
}

fn picture(code: &str) -> Result<String, Problem> {
    let drawn = QrCode::with_error_correction_level(code, EcLevel::M);
    let drawn = drawn.map_err(|_| Problem::new(Kind::Internal))?;
    Ok(drawn.render::<svg::Color>().min_dimensions(SIDE, SIDE).build())
}
