//! Orders: one of them, now or once it has come further; its changes; lists.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use domain::ids::{OrderId, ShowId};
use domain::root::Context;
use domain::value::Actor;
use serde::Deserialize;
use service_kit::caller::{Caller, StreamCaller};
use service_kit::extract::{Path, Query};
use service_kit::problem::{Kind, Problem};
use service_kit::views;
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::since::Since;
use super::sse::LastEventId;
use crate::changes::Subscription;
use crate::stale;
use row::Whole;

mod entry;
mod lists;
pub mod row;
mod stream;
mod view;

pub(super) use lists::NEWEST;
pub use lists::hex;

/// An order that is waited for may be missing so long.
const ABOUT_TO_BE: Duration = Duration::from_secs(2);
/// The views that a whole order is read from.
pub const VIEWS: [&str; 4] = ["orders", "payments", "tickets", "shows"];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(one)).routes(routes!(events)).merge(lists::routes())
}

/// What is wanted of an order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Wait (`Prefer: wait=N`) until this status, one beyond it, or a final one.
    until: Option<String>,
    /// Which one, should two shows have an order of this id.
    show: Option<Uuid>,
}

/// What is wanted of an order's events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedEvents {
    /// An order's access token, where no header can be sent.
    #[serde(rename = "access_token")]
    _access_token: Option<String>,
    /// Which one, should two shows have an order of this id.
    show: Option<Uuid>,
}

/// The order that an actor sees under an id.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its id.
    pub order: OrderId,
    /// Which one, if two shows have it.
    pub show: Option<ShowId>,
    /// Who looks.
    pub actor: Actor,
}

impl App {
    /// The order, if it is there to be seen by whoever wishes it.
    ///
    /// # Errors
    /// 404 `not-found`, 503 `not-ready` and `stale`.
    pub async fn order(&self, wish: &Wish) -> Result<Arc<Whole>, Problem> {
        let found = self.orders(wish).await?.into_iter().next();
        found.ok_or_else(|| Problem::new(Kind::NotFound))
    }

    /// Every order of this id that may be seen; two shows may have one. The likeliest first.
    ///
    /// # Errors
    /// 503 `not-ready`; `stale` if one of them is known to be behind.
    pub async fn orders(&self, wish: &Wish) -> Result<Vec<Arc<Whole>>, Problem> {
        let mut rows = self.0.asked.orders.ask(wish.order).await?;
        rows.retain(|row| row.row.is_seen_by(&wish.actor) && wish.show.is_none_or(|show| show.0 == row.row.show_id));
        rows.sort_by_key(|it| (!wish.actor.is(&it.row.principal), it.row.is_taken(), it.row.created_at_us));
        let show = wish.show.or(match &wish.actor {
            Actor::OrderHolder { show, .. } => Some(*show),
            Actor::Account { .. } | Actor::Guest { .. } | Actor::System => None,
        });
        // What may be there and is not to be seen just now is not said to be missing.
        let hidden = rows.is_empty() && self.stale.hides_orders(show.map(|show| show.0));
        if hidden || rows.iter().any(|whole| self.is_stale(&whole.row, &VIEWS)) {
            return Err(stale::problem());
        }
        Ok(rows)
    }

    /// Whether these views are known to be behind in what they show of an order.
    fn is_stale(&self, row: &row::Row, views: &[&str]) -> bool {
        if self.stale.is_empty() {
            return false;
        }
        let of_order = [Context::Order, Context::Ticket].map(|context| (context, row.order_id));
        let of_show = [Context::Inventory, Context::Catalog].map(|context| (context, row.show_id));
        let payments = row.payments.0.iter().map(|payment| (Context::Payment, payment.id));
        let keys: Vec<(Context, Uuid)> = of_order.into_iter().chain(of_show).chain(payments).collect();
        self.stale.has(views, &keys) || (views.contains(&"payments") && self.stale.has_payment_of(row.order_id))
    }

    /// The order once it has come so far, or as it is at the deadline. Who waits for a status may be ahead of the read
    /// models: then a 404 is waited out, for everyone alike.
    async fn order_at(&self, wish: &Wish, until: Option<Until>, deadline: Instant) -> Result<Arc<Whole>, Problem> {
        // Before the first look, so that no change is missed after it.
        let mut changes = self.changes.of_order(wish.order.0);
        let about_to_be = deadline.min(Instant::now() + ABOUT_TO_BE);
        loop {
            let row = match self.order(wish).await {
                Err(problem) if problem.kind() == Kind::NotFound && until.is_some() && Instant::now() < about_to_be => {
                    self.shutdown.run_until_cancelled(changes.changed(about_to_be)).await;
                    continue;
                }
                found => found?,
            };
            let Some(until) = until.filter(|until| !until.is_reached_by(&row.row.status)) else { return Ok(row) };
            if Instant::now() >= deadline || self.shutdown.is_cancelled() {
                return Ok(row);
            }
            self.come_so_far(wish.order, until, deadline, &mut changes).await?;
        }
    }

    /// Waits until an order of this id may have come so far, or the deadline. An order changes several times on its way, and
    /// all of it costs many times what its status does.
    async fn come_so_far(
        &self,
        order: OrderId,
        until: Until,
        deadline: Instant,
        changes: &mut Subscription,
    ) -> Result<(), Problem> {
        loop {
            self.shutdown.run_until_cancelled(changes.changed(deadline)).await;
            if Instant::now() >= deadline || self.shutdown.is_cancelled() {
                return Ok(());
            }
            let statuses = self.0.asked.statuses.ask(order).await?;
            if statuses.iter().any(|status| until.is_reached_by(status)) {
                return Ok(());
            }
        }
    }
}

/// How far an order has come. What is not stuck goes on by itself, what is final does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Until(&'static str);

impl Until {
    const ALL: [&str; 6] = ["reserved", "awaiting_payment", "completed", "cancelled", "failed", "stuck"];

    fn of(asked: &str) -> Result<Self, Problem> {
        known_status(asked, "/until").map(Self)
    }

    fn is_reached_by(self, status: &str) -> bool {
        self.0 == status || is_final(status) || (self.0 == "reserved" && status == "awaiting_payment")
    }
}

/// Whether an order of this status has ended.
fn is_final(status: &str) -> bool {
    matches!(status, "completed" | "cancelled" | "failed")
}

fn known_status(asked: &str, pointer: &str) -> Result<&'static str, Problem> {
    let expected = "must be reserved, awaiting_payment, completed, cancelled, failed or stuck";
    let found = Until::ALL.into_iter().find(|word| *word == asked);
    found.ok_or_else(|| Problem::new(Kind::BadParameter).error(pointer, expected))
}

#[utoipa::path(get, path = "/v1/orders/{order}", tag = "orders", params(("order" = Uuid, Path), Wanted), security(("bearer" = [])),
    responses((status = 200, body = views::Order, description = "For its buyer, whoever holds its access token, the show's organizer, admins and support.")))]
async fn one(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    caller: Caller,
    since: Since,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<views::Order>, Problem> {
    let wish = Wish { order, show: wanted.show.map(ShowId), actor: caller.actor()? };
    let until = wanted.until.as_deref().map(Until::of).transpose()?;
    since.seen(&app, &VIEWS).await?;
    let row = app.order_at(&wish, until, since.deadline).await?;
    Ok(axum::Json(app.order_view(&row).await?))
}

#[utoipa::path(get, path = "/v1/orders/{order}/events", tag = "orders",
    params(("order" = Uuid, Path), WantedEvents, ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen.")),
    security(("bearer" = []), ()),
    responses((status = 200, body = views::Order, content_type = "text/event-stream", description = "`event: order` with the order as data: as it is, and at every change until it has ended."),
        (status = 204, description = "The order has ended, and the last event was seen: do not come again.")))]
async fn events(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    StreamCaller(caller): StreamCaller,
    since: Since,
    last: LastEventId,
    Query(wanted): Query<WantedEvents>,
) -> Result<Response, Problem> {
    let wish = Wish { order, show: wanted.show.map(ShowId), actor: caller.actor()? };
    since.seen(&app, &VIEWS).await?;
    stream::begin(app, wish, last).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_at_the_status_beyond_it_or_at_an_end() {
        let reached = |until: &str| -> Vec<&str> {
            let until = Until::of(until).unwrap();
            Until::ALL.into_iter().filter(|status| until.is_reached_by(status)).collect()
        };
        assert_eq!(reached("reserved"), ["reserved", "awaiting_payment", "completed", "cancelled", "failed"]);
        assert_eq!(reached("awaiting_payment"), ["awaiting_payment", "completed", "cancelled", "failed"]);
        assert_eq!(reached("completed"), ["completed", "cancelled", "failed"]);
        assert_eq!(reached("stuck"), ["completed", "cancelled", "failed", "stuck"]);
        assert_eq!(Until::of("paid").unwrap_err().kind(), Kind::BadParameter);
    }
}
