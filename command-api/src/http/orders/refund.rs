//! Staff gives the money of an order back, or of some of its tickets.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use domain::ids::{OrderId, RefundId, TicketId, derived};
use domain::order;
use serde::Deserialize;
use service_kit::extract::Path;
use service_kit::json::Json;
use service_kit::problem::Problem;
use service_kit::validate::{Errors, Validate};
use service_kit::views;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::App;
use super::super::submit::Asking;
use super::seen;

/// An order has at most so many tickets: 20 lines of 100.
const MOST_TICKETS: usize = 2000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(refund))
}

/// What goes back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    /// Tickets of the order, 1 to 2,000: they die, the others stay valid. Left out, the whole order is refunded.
    tickets: Option<Vec<Uuid>>,
}

impl Validate for NewRefund {
    fn validate(&self, errors: &mut Errors) {
        let Some(tickets) = &self.tickets else { return };
        if !(1..=MOST_TICKETS).contains(&tickets.len()) {
            errors.reject("tickets", "must be from 1 to 2,000 tickets, or left out for the whole order");
        }
        let mut known = BTreeSet::new();
        errors.within("tickets", |errors| {
            for (n, ticket) in tickets.iter().enumerate().take(MOST_TICKETS) {
                if !known.insert(*ticket) {
                    errors.reject(n, "is named twice");
                }
            }
        });
    }
}

#[utoipa::path(post, path = "/v1/orders/{order}/refunds", tag = "orders", params(("order" = Uuid, Path)), request_body = NewRefund,
    security(("bearer" = [])),
    responses((status = 201, body = views::Order, description = "For support, admins and the show's organizer. The order's `refund` tells how it stands.")))]
async fn refund(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    asking: Asking,
    body: Json<NewRefund>,
) -> Result<Response, Problem> {
    let write = asking.write_with_key(&app, body.fingerprint(&app.0.keys))?;
    let refund = RefundId(derived(write.id.0, "refund", 0));
    let tickets = body.value.tickets.unwrap_or_default().into_iter().map(TicketId).collect();
    let answer = app.submit_to_order(order, order::Command::Refund { refund, tickets }, &write).await?;
    let view = seen(&app, &answer).await?;
    Ok(app.receipt(&answer).created(&view))
}
