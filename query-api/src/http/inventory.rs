//! What is left of a show.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use domain::ids::ShowId;
use serde::Serialize;
use service_kit::caller::Caller;
use service_kit::clock;
use service_kit::extract::Path;
use service_kit::problem::Problem;
use service_kit::views::Money;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::shows::{self, at, money};
use super::since::Since;
use crate::database::{Database, Failed};
use crate::together::Together;

const VIEWS: [&str; 3] = ["shows", "ticket_classes", "availability"];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(availability))
}

/// What is left of a show.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Availability {
    /// Which show.
    show: Uuid,
    /// When its stock last changed.
    as_of: jiff::Timestamp,
    /// Its ticket classes.
    classes: Vec<ClassLeft>,
}

/// What is left of a ticket class.
#[derive(Debug, Serialize, ToSchema)]
struct ClassLeft {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// Of one ticket, now.
    price: Money,
    /// How many there are.
    capacity: i64,
    /// Held by orders that are not paid yet.
    reserved: i64,
    /// Sold.
    sold: i64,
    /// Neither held nor sold.
    available: i64,
    /// `on_sale`, `sold_out`, `not_yet` or `closed`.
    status: &'static str,
}

/// A ticket class with its stock.
#[derive(Debug, FromRow)]
pub(super) struct Row {
    show_id: Uuid,
    ticket_class_id: Uuid,
    name: String,
    price: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    available: i64,
    sale_starts_at_us: Option<i64>,
    sale_ends_at_us: Option<i64>,
    opened: bool,
    closed: bool,
    as_of_us: Option<i64>,
}

const SELECT: &str = "
select c.show_id, c.ticket_class_id, c.name, c.price, c.capacity, coalesce(a.reserved, 0) as reserved,
    coalesce(a.sold, 0) as sold, coalesce(a.available, c.capacity) as available,
    c.sale_starts_at_us, c.sale_ends_at_us,
    a.ticket_class_id is not null as opened, a.closed_reason is not null as closed, a.as_of_us
from ticket_classes c
left join availability a on a.show_id = c.show_id and a.ticket_class_id = c.ticket_class_id
where c.show_id = any($1)
order by c.show_id, c.ordinal";

/// The classes of a show, in their order.
pub(super) fn stocks(database: Database) -> Together<ShowId, Arc<Vec<Row>>> {
    Together::new(database, stocks_of)
}

async fn stocks_of(database: Database, shows: Vec<ShowId>) -> Result<HashMap<ShowId, Arc<Vec<Row>>>, Failed> {
    let shows: Vec<Uuid> = shows.into_iter().map(|show| show.0).collect();
    let rows: Vec<Row> = database.ask(sqlx::query_as(SELECT).bind(shows).fetch_all(database.pool())).await?;
    let mut found: HashMap<ShowId, Vec<Row>> = HashMap::new();
    rows.into_iter().for_each(|row| found.entry(ShowId(row.show_id)).or_default().push(row));
    Ok(found.into_iter().map(|(show, rows)| (show, Arc::new(rows))).collect())
}

#[utoipa::path(get, path = "/v1/shows/{show}/availability", tag = "shows", params(("show" = Uuid, Path)), security((), ("bearer" = [])),
    responses((status = 200, body = Availability)))]
async fn availability(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    caller: Caller,
    since: Since,
) -> Result<axum::Json<Availability>, Problem> {
    since.seen(&app, &VIEWS).await?;
    let known = app.show(show, &caller).await?;
    let rows = app.0.asked.stocks.ask(show).await?;
    Ok(axum::Json(left(&known, &rows)))
}

impl App {
    /// What is left of a show, whoever may see it; none if there is no such show.
    ///
    /// # Errors
    /// 503 `not-ready`.
    pub(super) async fn left(&self, show: ShowId) -> Result<Option<Availability>, Problem> {
        let Some(known) = self.0.asked.shows.ask(show).await? else { return Ok(None) };
        let rows = self.0.asked.stocks.ask(show).await?;
        Ok(Some(left(&known, &rows)))
    }
}

fn left(known: &shows::Row, rows: &[Row]) -> Availability {
    let cancelled = known.status == "cancelled";
    let as_of_us = rows.iter().filter_map(|row| row.as_of_us).max().unwrap_or(known.updated_at_us);
    let now_us = clock::now().0;
    let left = |row: &Row| ClassLeft {
        status: status(row, cancelled, now_us),
        id: row.ticket_class_id,
        price: money(row.price, &known.currency),
        name: row.name.clone(),
        capacity: row.capacity,
        reserved: row.reserved,
        sold: row.sold,
        available: row.available,
    };
    Availability { show: known.show_id, as_of: at(as_of_us), classes: rows.iter().map(left).collect() }
}

/// As the stock itself decides: closed, then the window, then what is left.
fn status(row: &Row, cancelled: bool, now_us: i64) -> &'static str {
    if cancelled || row.closed || row.sale_ends_at_us.is_some_and(|ends| now_us >= ends) {
        "closed"
    } else if !row.opened || row.sale_starts_at_us.is_some_and(|starts| now_us < starts) {
        "not_yet"
    } else if row.available <= 0 {
        "sold_out"
    } else {
        "on_sale"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_on_sale_while_open_in_its_window_and_not_sold_out() {
        let row = |opened, closed, available, window: (Option<i64>, Option<i64>)| Row {
            show_id: Uuid::nil(),
            ticket_class_id: Uuid::nil(),
            name: String::new(),
            price: 1,
            capacity: 5,
            reserved: 0,
            sold: 0,
            available,
            sale_starts_at_us: window.0,
            sale_ends_at_us: window.1,
            opened,
            closed,
            as_of_us: None,
        };
        let now = 100;
        assert_eq!(status(&row(true, false, 1, (None, None)), false, now), "on_sale");
        assert_eq!(status(&row(true, false, 1, (Some(100), Some(101))), false, now), "on_sale");
        assert_eq!(status(&row(true, false, 0, (None, None)), false, now), "sold_out");
        assert_eq!(status(&row(true, false, 0, (Some(101), None)), false, now), "not_yet");
        assert_eq!(status(&row(false, false, 5, (None, None)), false, now), "not_yet");
        assert_eq!(status(&row(true, false, 1, (None, Some(100))), false, now), "closed");
        assert_eq!(status(&row(true, true, 1, (None, None)), false, now), "closed");
        assert_eq!(status(&row(true, false, 1, (None, None)), true, now), "closed");
    }
}
