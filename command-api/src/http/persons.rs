//! Forgetting a person.

use axum::extract::State;
use axum::response::Response;
use domain::account::{Account, Command, ErasedOrder};
use domain::ids::{DataKeyId, OrderId, PersonId, ShowId};
use serde::{Deserialize, Serialize};
use service_kit::extract::Path;
use service_kit::json::Json;
use service_kit::problem::Problem;
use service_kit::validate::{Errors, Validate};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::submit::Asking;

/// So many orders at once, so that one event holds them.
const MOST: usize = 500;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(erase))
}

/// In which orders the person is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Erase {
    /// 1 to 500 of them, as `GET /v1/persons` tells them.
    orders: Vec<Told>,
}

/// An order, and the key of what is known of its buyer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Told {
    order: Uuid,
    show: Uuid,
    key: Uuid,
}

/// A person who was forgotten.
#[derive(Debug, Serialize, ToSchema)]
struct Erased {
    /// Who.
    person: Uuid,
    /// In how many orders, all in all.
    erased: usize,
}

impl Validate for Erase {
    fn validate(&self, errors: &mut Errors) {
        if !(1..=MOST).contains(&self.orders.len()) {
            errors.reject("orders", format!("must be 1 to {MOST} orders"));
        }
    }
}

impl From<&Told> for ErasedOrder {
    fn from(told: &Told) -> Self {
        Self { order: OrderId(told.order), show: ShowId(told.show), key: DataKeyId(told.key) }
    }
}

#[utoipa::path(post, path = "/v1/persons/{person}/erase", tag = "persons", params(("person" = Uuid, Path)), request_body = Erase,
    security(("bearer" = [])),
    responses((status = 200, body = Erased, description = "For support and admins. What was erased can never be read again; tickets, payments and totals stay. Again changes nothing.")))]
async fn erase(
    State(app): State<App>,
    Path(person): Path<PersonId>,
    asking: Asking,
    body: Json<Erase>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let orders = body.value.orders.iter().map(ErasedOrder::from).collect();
    let answer = app.submit::<Account>(person.0, Command::Erase { person, orders }, &write).await?;
    let erased = Erased { person: person.0, erased: answer.state.erased().count() };
    Ok(app.receipt(&answer).ok(&erased))
}
