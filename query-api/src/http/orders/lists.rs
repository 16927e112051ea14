//! Lists of orders: a buyer's own, and those of a show.

use axum::extract::State;
use domain::ids::ShowId;
use domain::root::Context;
use domain::value::{Actor, Role};
use serde::Deserialize;
use service_kit::caller::Caller;
use service_kit::code;
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::views::Page;
use sqlx::{Postgres, QueryBuilder};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::entry::Entry;
use super::known_status;
use super::row::{self, Row};
use crate::cursor::Place;
use crate::http::App;
use crate::http::paging::{Paging, Sort};
use crate::http::since::Since;

/// The views that lists read.
pub(super) const VIEWS: [&str; 2] = ["orders", "payments"];

/// Of all lists of orders.
pub(in crate::http) const NEWEST: Sort =
    Sort { columns: &["o.created_at_us", "o.order_id", "o.show_id"], falling: true };

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(mine)).routes(routes!(of_show))
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// 1 to 200, 50 if not said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which orders of a show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// `reserved`, `awaiting_payment`, `completed`, `cancelled`, `failed` or `stuck`.
    status: Option<String>,
    /// The buyer's mail address, in any case.
    email: Option<String>,
    /// An order's code, as a person writes it.
    code: Option<String>,
    /// 1 to 200, 50 if not said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[utoipa::path(get, path = "/v1/me/orders", tag = "orders", params(Asked), security(("bearer" = [])),
    responses((status = 200, body = Page<Entry>, description = "The account's own orders, the newest first; each order itself has its tickets.")))]
async fn mine(
    State(app): State<App>,
    caller: Caller,
    since: Since,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<Page<Entry>>, Problem> {
    let actor = caller.actor()?;
    let which = format!("orders of {}", actor.principal());
    let paging = Paging::of(&app, which, asked.limit, asked.cursor.as_deref())?;
    since.seen(&app, &VIEWS).await?;
    let mut query = QueryBuilder::new(row::SELECT);
    match &actor {
        Actor::OrderHolder { order, show } => {
            query.push("o.order_id = ").push_bind(order.0).push(" and o.show_id = ").push_bind(show.0);
        }
        actor => drop(query.push("o.principal = ").push_bind(actor.principal())),
    }
    entries(&app, query, &paging).await
}

#[utoipa::path(get, path = "/v1/shows/{show}/orders", tag = "orders", params(("show" = Uuid, Path), Filter), security(("bearer" = [])),
    responses((status = 200, body = Page<Entry>, description = "For the show's organizer, admins and support, the newest first.")))]
async fn of_show(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    caller: Caller,
    since: Since,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Page<Entry>>, Problem> {
    let actor = caller.actor()?;
    let status = filter.status.as_deref().map(|asked| known_status(asked, "/status")).transpose()?;
    let email = filter.email.as_deref().map(|address| hex(&app.keys.email(address)));
    let code = filter.code.as_deref().map(known_code).transpose()?;
    let which = format!("orders of {show} {status:?} {email:?} {code:?}");
    let paging = Paging::of(&app, which, filter.limit, filter.cursor.as_deref())?;
    since.seen(&app, &["shows", "orders", "payments"]).await?;
    let organizer = &app.show(show, &caller).await?.organizer;
    if !actor.runs(organizer) && !actor.has(Role::Support) {
        return Err(Problem::new(Kind::ShowNotFound));
    }
    // Orders are born by the show's stock: without it, some are missing.
    app.stale.check(&["orders"], &[(Context::Inventory, show.0)])?;
    let mut query = QueryBuilder::new(row::SELECT);
    query.push("o.show_id = ").push_bind(show.0);
    if let Some(status) = status {
        // The phase has the index; it is equal to the status but for those that are open.
        let open = matches!(status, "reserved" | "awaiting_payment");
        query.push(" and o.phase = ").push_bind(if open { "open" } else { status });
        query.push(" and o.status = ").push_bind(status);
    }
    if let Some(email) = email {
        query.push(" and o.email_hash = ").push_bind(email);
    }
    if let Some(code) = code {
        query.push(" and o.code = ").push_bind(code);
    }
    entries(&app, query, &paging).await
}

/// The page of orders that a condition selects.
async fn entries(
    app: &App,
    query: QueryBuilder<Postgres>,
    paging: &Paging,
) -> Result<axum::Json<Page<Entry>>, Problem> {
    let place = |row: &Row| Place { us: row.created_at_us, id: row.order_id, within: row.show_id };
    let (rows, next_cursor) = paging.rows(app, query, NEWEST, place).await?;
    Ok(axum::Json(Page { items: app.entries(rows).await?, next_cursor }))
}

fn known_code(typed: &str) -> Result<String, Problem> {
    let expected = format!("must be an order's code of {} characters", code::LENGTH);
    code::parse(typed).ok_or_else(|| Problem::new(Kind::BadParameter).error("/code", expected))
}

/// Bytes as two characters each, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
