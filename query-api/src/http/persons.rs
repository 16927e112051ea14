//! What is known of whom: for support, when a person asks what there is, or asks to be forgotten.

use axum::extract::State;
use domain::value::Role;
use serde::{Deserialize, Serialize};
use service_kit::caller::Caller;
use service_kit::extract::Query;
use service_kit::problem::{Kind, Problem};
use service_kit::views::Page;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::orders::{NEWEST, hex};
use super::paging::Paging;
use super::shows::at;
use super::since::Since;
use crate::cursor::Place;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Exactly one of `person`, `email`, `order` and `principal`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// A person's id.
    person: Option<Uuid>,
    /// A mail address, in any case. It no longer finds who was forgotten.
    email: Option<String>,
    /// An order's id.
    order: Option<Uuid>,
    /// `account:<sub>` or `guest:<uuid>`.
    principal: Option<String>,
    /// 1 to 200, 50 if not said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An order with whose it is.
#[derive(Debug, Serialize, ToSchema)]
struct PersonOrder {
    /// An account's person, or the guest of one order.
    person: Uuid,
    /// `account:<sub>` or `guest:<uuid>`.
    principal: String,
    order: Uuid,
    show: Uuid,
    /// The order's code.
    code: String,
    /// As of orders.
    status: String,
    created_at: jiff::Timestamp,
    /// Names the key of what is known of the buyer.
    key: Uuid,
    /// Whether that key is still there, and with it name, mail address and phone number.
    readable: bool,
    /// When the buyer was forgotten.
    erased_at: Option<jiff::Timestamp>,
}

#[derive(Debug, FromRow)]
struct Row {
    person_id: Uuid,
    principal: String,
    order_id: Uuid,
    show_id: Uuid,
    code: String,
    status: String,
    created_at_us: i64,
    key_id: Uuid,
    readable: bool,
    erased_at_us: Option<i64>,
}

impl From<Row> for PersonOrder {
    fn from(row: Row) -> Self {
        Self {
            person: row.person_id,
            principal: row.principal,
            order: row.order_id,
            show: row.show_id,
            code: row.code,
            status: row.status,
            created_at: at(row.created_at_us),
            key: row.key_id,
            readable: row.readable,
            erased_at: row.erased_at_us.map(at),
        }
    }
}

const SELECT: &str =
    "select o.person_id, o.principal, o.order_id, o.show_id, o.code, o.status, o.created_at_us, o.key_id,
    exists(select from person_keys k where k.key_id = o.key_id) as readable, o.erased_at_us
from orders o
where o.key_id is not null and ";

#[utoipa::path(get, path = "/v1/persons", tag = "persons", params(Filter), security(("bearer" = [])),
    responses((status = 200, body = Page<PersonOrder>, description = "For support and admins: one item an order, the newest first.")))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    since: Since,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Page<PersonOrder>>, Problem> {
    let actor = caller.actor()?;
    if !actor.has(Role::Support) && !actor.has(Role::Admin) {
        return Err(Problem::new(Kind::Forbidden));
    }
    let (query, which) = selected(&app, &filter)?;
    let paging = Paging::of(&app, which, filter.limit, filter.cursor.as_deref())?;
    since.seen(&app, &["orders"]).await?;
    let place = |row: &Row| Place { us: row.created_at_us, id: row.order_id, within: row.show_id };
    let (rows, next_cursor) = paging.rows(&app, query, NEWEST, place).await?;
    Ok(axum::Json(Page { items: rows.into_iter().map(PersonOrder::from).collect(), next_cursor }))
}

/// The query of what is asked for, and a name of it.
fn selected(app: &App, filter: &Filter) -> Result<(QueryBuilder<Postgres>, String), Problem> {
    let mut query = QueryBuilder::new(SELECT);
    let what = match filter {
        Filter { person: Some(person), email: None, order: None, principal: None, .. } => {
            query.push("o.person_id = ").push_bind(*person);
            person.to_string()
        }
        Filter { person: None, email: Some(email), order: None, principal: None, .. } => {
            let email = hex(&app.keys.email(email));
            query.push("o.email_hash = ").push_bind(email.clone());
            email
        }
        Filter { person: None, email: None, order: Some(order), principal: None, .. } => {
            query.push("o.order_id = ").push_bind(*order);
            order.to_string()
        }
        Filter { person: None, email: None, order: None, principal: Some(principal), .. } => {
            query.push("o.principal = ").push_bind(principal.clone());
            principal.clone()
        }
        _ => {
            let detail = "Exactly one of person, email, order and principal is needed.";
            return Err(Problem::new(Kind::BadParameter).detail(detail));
        }
    };
    Ok((query, format!("persons {what}")))
}
