//! Shows: what is on, and what organizers prepare.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use domain::ids::ShowId;
use domain::queue;
use domain::root::Context;
use domain::show::Status;
use domain::value::{Currency, Role, Timestamp};
use serde::{Deserialize, Serialize};
use service_kit::caller::Caller;
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::views::{self, Money, Page, Venue, WaitingRoom, moment};
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::paging::{Paging, Sort};
use super::since::Since;
use crate::cursor::Place;
use crate::database::{Database, Failed};
use crate::together::Together;

/// The views that these routes read.
const VIEWS: [&str; 3] = ["shows", "ticket_classes", "availability"];
/// A longer search is no search.
const MOST_SEARCHED: usize = 200;

/// The next ones first.
const SOONEST: Sort = Sort { columns: &["s.starts_at_us", "s.show_id"], falling: false };

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Which shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// `draft`, `configured`, `approved`, `published` or `cancelled`.
    status: Option<String>,
    /// Beginnings of words of the name, the venue, the city and the categories; all must be there.
    q: Option<String>,
    /// Only those that begin at this moment or later.
    starts_after: Option<jiff::Timestamp>,
    /// 1 to 200, 50 if not said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A row of the view `shows` with its classes.
#[derive(Debug, FromRow)]
pub struct Row {
    pub show_id: Uuid,
    pub organizer: String,
    name: String,
    description: Option<String>,
    starts_at_us: i64,
    ends_at_us: Option<i64>,
    time_zone: String,
    venue_name: String,
    venue_city: Option<String>,
    pub currency: String,
    categories: Json<Vec<String>>,
    pub status: String,
    pay_within_s: Option<i64>,
    checkout_url: Option<String>,
    waiting_room: Option<Json<queue::Terms>>,
    draw_hash: Option<String>,
    pub updated_at_us: i64,
    /// Whether it is or was on sale.
    is_public: bool,
    classes: Json<Vec<Class>>,
}

/// A show in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedShow)]
struct Listed {
    #[serde(flatten)]
    show: views::Show,
    /// True if this is known to be behind; operators have been told. The show itself answers 503 `stale`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

#[derive(Debug, Deserialize)]
struct Class {
    id: Uuid,
    name: String,
    price: i64,
    capacity: i64,
    sale_starts_at_us: Option<i64>,
    sale_ends_at_us: Option<i64>,
    max_per_order: i32,
}

const SELECT: &str = "
select s.status = 'published' or (s.status = 'cancelled'
        and exists (select 1 from availability a where a.show_id = s.show_id)) as is_public,
     s.show_id, s.organizer, s.name, s.description, s.starts_at_us, s.ends_at_us, s.time_zone, s.venue_name,
    s.venue_city, s.currency, s.categories, s.status, s.pay_within_s, s.checkout_url, s.waiting_room,
    s.draw_hash, s.updated_at_us,
    (select coalesce(jsonb_agg(jsonb_build_object('id', c.ticket_class_id, 'name', c.name, 'price', c.price,
            'capacity', c.capacity, 'sale_starts_at_us', c.sale_starts_at_us, 'sale_ends_at_us', c.sale_ends_at_us,
            'max_per_order', c.max_per_order) order by c.ordinal), '[]')
        from ticket_classes c where c.show_id = s.show_id) as classes
from shows s
where ";

/// Whose eyes look at shows: everybody sees what is or was on sale, organizers their own, admins and support all.
pub struct Eyes {
    all: bool,
    organizer: Option<String>,
}

impl Eyes {
    /// Those of a caller.
    pub fn of(caller: &Caller) -> Self {
        let actor = caller.actor().ok();
        let has = |role| actor.as_ref().is_some_and(|actor| actor.has(role));
        let organizer = actor.as_ref().filter(|actor| actor.has(Role::Organizer)).map(|actor| actor.principal());
        Self { all: has(Role::Admin) || has(Role::Support), organizer }
    }

    /// Whether they see it.
    fn see(&self, row: &Row) -> bool {
        self.all || row.is_public || self.organizer.as_ref() == Some(&row.organizer)
    }

    /// The same as a condition on `s`, the view `shows`.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if self.all {
            query.push("true");
            return;
        }
        query.push(
            "(s.status = 'published' or (s.status = 'cancelled'
                and exists (select 1 from availability a where a.show_id = s.show_id))",
        );
        if let Some(organizer) = &self.organizer {
            query.push(" or s.organizer = ").push_bind(organizer.clone());
        }
        query.push(")");
    }
}

impl App {
    /// A show, if this caller may see it.
    ///
    /// # Errors
    /// 404 `show-not-found`, 503 `not-ready`; `stale` if it is known to be behind, or may be there and cannot be seen.
    pub(super) async fn show(&self, show: ShowId, caller: &Caller) -> Result<Arc<Row>, Problem> {
        let found = self.0.asked.shows.ask(show).await?;
        if found.as_ref().is_none_or(|row| Eyes::of(caller).see(row)) {
            self.stale.check(&VIEWS, &keys(show.0))?;
        }
        found.filter(|row| Eyes::of(caller).see(row)).ok_or_else(|| Problem::new(Kind::ShowNotFound))
    }
}

/// What is read of a show is folded from these keys.
fn keys(show: Uuid) -> [(Context, Uuid); 2] {
    [(Context::Catalog, show), (Context::Inventory, show)]
}

/// Shows by their ids, whoever may see them.
pub(super) fn by_id(database: Database) -> Together<ShowId, Option<Arc<Row>>> {
    Together::new(database, shows_of)
}

async fn shows_of(database: Database, ids: Vec<ShowId>) -> Result<HashMap<ShowId, Option<Arc<Row>>>, Failed> {
    let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
    let mut query = QueryBuilder::new(SELECT);
    query.push("s.show_id = any(").push_bind(ids).push(")");
    let rows: Vec<Row> = database.ask(query.build_query_as().fetch_all(database.pool())).await?;
    Ok(rows.into_iter().map(|row| (ShowId(row.show_id), Some(Arc::new(row)))).collect())
}

#[utoipa::path(get, path = "/v1/shows", tag = "shows", params(Filter), security((), ("bearer" = [])),
    responses((status = 200, body = Page<Listed>, description = "By when they begin. Everybody sees published shows, organizers their own, admins and support all.")))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    since: Since,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Page<Listed>>, Problem> {
    let status = filter.status.as_deref().map(known_status).transpose()?;
    let words = filter.q.as_deref().map(search).transpose()?.flatten();
    let starts_us = filter.starts_after.map(|at| at.as_microsecond());
    let which = format!("shows {status:?} {words:?} {starts_us:?}");
    let paging = Paging::of(&app, which, filter.limit, filter.cursor.as_deref())?;
    since.seen(&app, &VIEWS).await?;

    let mut query = QueryBuilder::new(SELECT);
    Eyes::of(&caller).push(&mut query);
    if let Some(status) = status {
        query.push(" and s.status = ").push_bind(status);
    }
    if let Some(words) = words {
        query.push(" and s.search_vector @@ to_tsquery('simple', ").push_bind(words).push(")");
    }
    if let Some(starts_us) = starts_us {
        query.push(" and s.starts_at_us >= ").push_bind(starts_us);
    }
    let place = |row: &Row| Place { us: row.starts_at_us, id: row.show_id, within: Uuid::nil() };
    let (rows, next_cursor) = paging.rows(&app, query, SOONEST, place).await?;
    let listed = |row: &Row| Listed { stale: app.stale.has(&VIEWS, &keys(row.show_id)), show: view(row) };
    Ok(axum::Json(Page { items: rows.iter().map(listed).collect(), next_cursor }))
}

#[utoipa::path(get, path = "/v1/shows/{show}", tag = "shows", params(("show" = Uuid, Path)), security((), ("bearer" = [])),
    responses((status = 200, body = views::Show, description = "Before it is published, only its organizer, admins and support see it.")))]
async fn one(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    caller: Caller,
    since: Since,
) -> Result<axum::Json<views::Show>, Problem> {
    since.seen(&app, &VIEWS).await?;
    Ok(axum::Json(view(&*app.show(show, &caller).await?)))
}

fn known_status(asked: &str) -> Result<&'static str, Problem> {
    let all = [Status::Draft, Status::Configured, Status::Approved, Status::Published, Status::Cancelled];
    let found = all.into_iter().map(status_word).find(|word| *word == asked);
    let expected = "must be draft, configured, approved, published or cancelled";
    found.ok_or_else(|| Problem::new(Kind::BadParameter).error("/status", expected))
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Configured => "configured",
        Status::Approved => "approved",
        Status::Published => "published",
        Status::Cancelled => "cancelled",
    }
}

/// Every word as the beginning of one that must be there; nothing if only blanks were typed.
fn search(typed: &str) -> Result<Option<String>, Problem> {
    if typed.chars().count() > MOST_SEARCHED {
        let detail = format!("must have at most {MOST_SEARCHED} characters");
        return Err(Problem::new(Kind::BadParameter).error("/q", detail));
    }
    if typed.trim().is_empty() {
        return Ok(None);
    }
    let words = typed.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| format!("'{}':*", word.to_lowercase())).collect();
    Ok(Some(words.join(" & ")))
}

/// The time of a column.
pub(super) fn at(us: i64) -> jiff::Timestamp {
    moment(Timestamp(us))
}

/// An amount in a currency as a column has it.
pub(super) fn money(amount: i64, currency: &str) -> Money {
    Money::of(amount, currency.parse::<Currency>().unwrap_or_default())
}

fn view(row: &Row) -> views::Show {
    let class = |class: &Class| views::TicketClass {
        id: class.id,
        name: class.name.clone(),
        price: money(class.price, &row.currency),
        capacity: class.capacity,
        sale_starts_at: class.sale_starts_at_us.map(at),
        sale_ends_at: class.sale_ends_at_us.map(at),
        max_per_order: class.max_per_order,
    };
    views::Show {
        id: row.show_id,
        ticket_classes: row.classes.0.iter().map(class).collect(),
        name: row.name.clone(),
        description: row.description.clone(),
        starts_at: at(row.starts_at_us),
        ends_at: row.ends_at_us.map(at),
        time_zone: row.time_zone.clone(),
        venue: Venue { name: row.venue_name.clone(), city: row.venue_city.clone() },
        currency: row.currency.clone(),
        categories: row.categories.0.clone(),
        status: row.status.clone(),
        pay_within_s: row.pay_within_s,
        checkout_url: row.checkout_url.clone(),
        waiting_room: row.waiting_room.as_ref().map(|Json(terms)| WaitingRoom::of(terms, row.draw_hash.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_cannot_break_out_of_its_quotes() {
        assert_eq!(search("Rock' | b\\ -c").unwrap().as_deref(), Some("'rock':* & 'b':* & 'c':*"));
        assert_eq!(search("  ").unwrap(), None);
        assert_eq!(search("!?").unwrap().as_deref(), Some(""));
        assert!(search(&"x".repeat(201)).is_err());
    }
}
