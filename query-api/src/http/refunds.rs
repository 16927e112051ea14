//! Money that goes back: all of it for support, and of one show for its organizer.

use axum::extract::State;
use domain::ids::ShowId;
use domain::root::Context;
use domain::value::Role;
use serde::{Deserialize, Serialize};
use service_kit::caller::Caller;
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::views::{Money, Page, moment};
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::paging::{Paging, Sort};
use super::since::Since;
use crate::cursor::Place;
use crate::stale::Stale;

const STATUSES: [&str; 3] = ["pending", "due", "done"];

/// Who waits longest comes first.
const OLDEST: Sort = Sort { columns: &["requested_at_us", "refund_id"], falling: false };

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(of_show))
}

/// Which refunds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// `pending` (the provider is asked), `due` (a person has to do it) or `done`.
    status: Option<String>,
    /// `payos`, `stripe`, `vnpay`, `zalopay` or `paypal`.
    provider: Option<String>,
    /// 1 to 200, 50 if not said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Money that goes back.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refund {
    id: Uuid,
    payment: Uuid,
    order: Uuid,
    show: Uuid,
    provider: String,
    amount: Money,
    /// `paid_twice`, `paid_too_late`, `paid_in_part`, `show_cancelled` or `by_staff`.
    why: String,
    /// `pending`, `due` or `done`.
    status: String,
    /// The provider's or the bank's name of it, once done.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The provider's code, where it failed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    requested_at: jiff::Timestamp,
    /// True if this is known to be behind; operators have been told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

#[derive(Debug, FromRow)]
struct Row {
    refund_id: Uuid,
    payment_id: Uuid,
    order_id: Uuid,
    show_id: Uuid,
    provider: String,
    amount: i64,
    currency: String,
    why: String,
    status: String,
    reference: Option<String>,
    reason: Option<String>,
    requested_at_us: i64,
}

impl Refund {
    fn of(row: Row, stale: &Stale) -> Self {
        Self {
            stale: stale.has(&["payments"], &[(Context::Payment, row.payment_id)]),
            id: row.refund_id,
            payment: row.payment_id,
            order: row.order_id,
            show: row.show_id,
            provider: row.provider,
            amount: Money { amount: row.amount, currency: row.currency },
            why: row.why,
            status: row.status,
            reference: row.reference,
            reason: row.reason,
            requested_at: moment(domain::value::Timestamp(row.requested_at_us)),
        }
    }
}

#[utoipa::path(get, path = "/v1/refunds", tag = "payments", params(Filter), security(("bearer" = [])),
    responses((status = 200, body = Page<Refund>, description = "For support and admins, the oldest first.")))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    since: Since,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Page<Refund>>, Problem> {
    let actor = caller.actor()?;
    if !actor.has(Role::Support) && !actor.has(Role::Admin) {
        return Err(Problem::new(Kind::Forbidden));
    }
    if filter.status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(Problem::new(Kind::BadParameter).error("/status", "must be pending, due or done"));
    }
    let which = format!("refunds {:?} {:?}", filter.status, filter.provider);
    let paging = Paging::of(&app, which, filter.limit, filter.cursor.as_deref())?;
    since.seen(&app, &["payments"]).await?;
    let mut query = select();
    if let Some(status) = &filter.status {
        query.push(" and status = ").push_bind(status);
    }
    if let Some(provider) = &filter.provider {
        query.push(" and provider = ").push_bind(provider);
    }
    let place = |row: &Row| Place { us: row.requested_at_us, id: row.refund_id, within: row.refund_id };
    let (rows, next_cursor) = paging.rows(&app, query, OLDEST, place).await?;
    Ok(axum::Json(Page { items: rows.into_iter().map(|row| Refund::of(row, &app.stale)).collect(), next_cursor }))
}

fn select() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "select refund_id, payment_id, order_id, show_id, provider, amount, currency, why, status, reference, reason, \
         requested_at_us from refunds where true",
    )
}

/// How far a show's refunds have come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Progress {
    /// Orders that are still to be ended, if the show is cancelled; else those that go on.
    orders_to_go: i64,
    /// The provider is asked.
    pending: Sum,
    /// A person has to do it.
    due: Sum,
    /// Done.
    done: Sum,
}

/// How many, and how much together.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Sum {
    count: i64,
    /// Minor units of the show's currency.
    amount: i64,
}

#[derive(Debug, FromRow)]
struct SumRow {
    status: String,
    count: i64,
    amount: i64,
}

#[utoipa::path(get, path = "/v1/shows/{show}/refunds", tag = "shows", params(("show" = Uuid, Path)), security(("bearer" = [])),
    responses((status = 200, body = Progress, description = "For the show's organizer, admins and support.")))]
async fn of_show(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    caller: Caller,
    since: Since,
) -> Result<axum::Json<Progress>, Problem> {
    let actor = caller.actor()?;
    since.seen(&app, &["shows", "orders", "payments"]).await?;
    let organizer = &app.show(show, &caller).await?.organizer;
    if !actor.runs(organizer) && !actor.has(Role::Support) {
        return Err(Problem::new(Kind::ShowNotFound));
    }
    app.stale.check(&["orders"], &[(Context::Inventory, show.0)])?;
    let sums = "select status, count(*) as count, sum(amount)::bigint as amount from refunds where show_id = $1 group by status";
    let sums = sqlx::query_as(sums).bind(show.0);
    let sums: Vec<SumRow> = app.database.ask(sums.fetch_all(app.database.pool())).await?;
    let live = "select count(*) from orders where show_id = $1 and phase in ('open', 'stuck', 'completed')";
    let live = sqlx::query_scalar(live).bind(show.0);
    let orders_to_go: i64 = app.database.ask(live.fetch_one(app.database.pool())).await?;
    let of = |status: &str| {
        let row = sums.iter().find(|row| row.status == status);
        row.map(|row| Sum { count: row.count, amount: row.amount }).unwrap_or_default()
    };
    Ok(axum::Json(Progress { orders_to_go, pending: of("pending"), due: of("due"), done: of("done") }))
}
