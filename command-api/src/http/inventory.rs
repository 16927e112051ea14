//! Capacity and price of what is on sale: the organizer's hand on the stock.

use axum::extract::State;
use axum::response::Response;
use domain::ids::{ShowId, TicketClassId};
use domain::inventory::{Command, Inventory};
use event_log::owner::Answer;
use serde::{Deserialize, Serialize};
use service_kit::extract::Path;
use service_kit::json::Json;
use service_kit::problem::{Kind, Problem};
use service_kit::validate::{Errors, Validate};
use service_kit::views::Money;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::shows::{check_money, priced_in_its_currency};
use super::submit::Asking;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(change_capacity)).routes(routes!(change_price))
}

/// How many there are from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCapacity {
    capacity: i64,
}

/// What one costs from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPrice {
    price: Money,
}

impl Validate for NewCapacity {
    fn validate(&self, errors: &mut Errors) {
        errors.range("capacity", self.capacity, 0..=10_000_000);
    }
}

impl Validate for NewPrice {
    fn validate(&self, errors: &mut Errors) {
        check_money(errors, "price", &self.price);
    }
}

/// A class on sale, as its owner knows it.
#[derive(Debug, Serialize, ToSchema)]
struct Stock {
    id: Uuid,
    name: String,
    price: Money,
    capacity: i64,
    reserved: i64,
    sold: i64,
    available: i64,
}

#[utoipa::path(post, path = "/v1/shows/{show}/ticket-classes/{class}/capacity", tag = "shows", request_body = NewCapacity,
    params(("show" = Uuid, Path), ("class" = Uuid, Path)), responses((status = 200, body = Stock)))]
async fn change_capacity(
    State(app): State<App>,
    Path((show, ticket_class)): Path<(ShowId, TicketClassId)>,
    asking: Asking,
    body: Json<NewCapacity>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let command = Command::ChangeCapacity { ticket_class, capacity: body.value.capacity };
    let answer = app.submit::<Inventory>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&stock(&answer, ticket_class)?))
}

#[utoipa::path(post, path = "/v1/shows/{show}/ticket-classes/{class}/price", tag = "shows", request_body = NewPrice,
    params(("show" = Uuid, Path), ("class" = Uuid, Path)), responses((status = 200, body = Stock)))]
async fn change_price(
    State(app): State<App>,
    Path((show, ticket_class)): Path<(ShowId, TicketClassId)>,
    asking: Asking,
    body: Json<NewPrice>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    priced_in_its_currency(&app, &write.by, show, &body.value.price).await?;
    let command = Command::ChangePrice { ticket_class, price: body.value.price.amount };
    let answer = app.submit::<Inventory>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&stock(&answer, ticket_class)?))
}

fn stock(answer: &Answer<Inventory>, class: TicketClassId) -> Result<Stock, Problem> {
    let opened = answer.state.opened().ok_or_else(|| Problem::new(Kind::ShowNotFound))?;
    let class = answer.state.class(class).ok_or_else(|| Problem::new(Kind::TicketClassNotFound))?;
    Ok(Stock {
        id: class.terms.ticket_class.0,
        name: class.terms.name.clone(),
        price: Money::of(class.terms.price, opened.currency),
        capacity: class.terms.capacity,
        reserved: class.held,
        sold: class.sold,
        available: class.available(),
    })
}
