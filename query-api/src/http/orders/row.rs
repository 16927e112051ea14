//! Orders as the views have them, and who may see one.

use std::collections::HashMap;
use std::sync::Arc;

use domain::ids::{OrderId, ShowId};
use domain::value::{Actor, PricedLine, Role};
use serde::Deserialize;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::{Database, Failed};
use crate::together::Together;

macro_rules! columns {
    () => {
        "select o.order_id, o.show_id, o.status, o.reason, o.code, o.organizer, o.principal, o.buyer, o.lines,
    o.currency, o.total, o.pay_by_us, o.created_at_us, o.ticket_count, o.refund_status, o.refund_amount, o.refund_why,
    (select coalesce(jsonb_agg(jsonb_build_object('id', p.payment_id, 'provider', p.provider, 'status', p.status,
            'url', p.url, 'amount', p.amount, 'currency', p.currency, 'received', p.received)
            order by p.created_at_us, p.payment_id), '[]')
        from payments p where p.order_id = o.order_id and p.show_id = o.show_id) as payments"
    };
}

/// Rows for lists; a condition on `o` follows.
pub const SELECT: &str = concat!(columns!(), "\nfrom orders o\nwhere ");

/// One statement, so that all of it is of one moment.
const WHOLE: &str = concat!(
    columns!(),
    ",
    (select coalesce(jsonb_agg(jsonb_build_object('id', t.ticket_id, 'ticket_class', t.ticket_class_id,
            'status', t.status) order by t.ordinal), '[]')
        from tickets t where t.order_id = o.order_id and t.show_id = o.show_id) as tickets,
    s.starts_at_us, s.ends_at_us
from orders o
left join shows s on s.show_id = o.show_id
where o.order_id = any($1)"
);

/// A row of the view `orders` with its payments.
#[derive(Debug, FromRow)]
pub struct Row {
    pub order_id: Uuid,
    pub show_id: Uuid,
    pub status: String,
    pub reason: Option<String>,
    pub code: String,
    pub organizer: String,
    pub principal: String,
    /// None once the buyer was forgotten.
    pub buyer: Option<Vec<u8>>,
    pub lines: Json<Vec<PricedLine>>,
    pub currency: String,
    pub total: i64,
    pub pay_by_us: i64,
    pub created_at_us: i64,
    pub ticket_count: Option<i32>,
    pub refund_status: Option<String>,
    pub refund_amount: Option<i64>,
    pub refund_why: Option<String>,
    pub payments: Json<Vec<Payment>>,
}

/// A row of the view `payments`.
#[derive(Debug, Deserialize)]
pub struct Payment {
    pub id: Uuid,
    pub provider: String,
    pub status: String,
    pub url: Option<String>,
    pub amount: i64,
    pub currency: String,
    pub received: i64,
}

/// A row of the view `tickets`.
#[derive(Debug, Deserialize)]
pub struct Ticket {
    pub id: Uuid,
    pub ticket_class: Uuid,
    pub status: String,
}

/// An order with its tickets, and when its show is.
#[derive(Debug, FromRow)]
pub struct Whole {
    #[sqlx(flatten)]
    pub row: Row,
    pub tickets: Json<Vec<Ticket>>,
    pub starts_at_us: Option<i64>,
    pub ends_at_us: Option<i64>,
}

/// Every order of an id.
pub fn wholes(database: Database) -> Together<OrderId, Vec<Arc<Whole>>> {
    Together::new(database, wholes_of)
}

async fn wholes_of(database: Database, ids: Vec<OrderId>) -> Result<HashMap<OrderId, Vec<Arc<Whole>>>, Failed> {
    let query = sqlx::query_as(WHOLE).bind(uuids(&ids));
    let rows: Vec<Whole> = database.ask(query.fetch_all(database.pool())).await?;
    let mut found: HashMap<OrderId, Vec<Arc<Whole>>> = HashMap::new();
    for mut whole in rows {
        whole.wait_for_tickets();
        found.entry(whole.row.id()).or_default().push(Arc::new(whole));
    }
    Ok(found)
}

/// How far the orders of an id have come, as their own read model says.
pub fn statuses(database: Database) -> Together<OrderId, Vec<String>> {
    Together::new(database, statuses_of)
}

async fn statuses_of(database: Database, ids: Vec<OrderId>) -> Result<HashMap<OrderId, Vec<String>>, Failed> {
    let query = sqlx::query_as("select order_id, status from orders where order_id = any($1)");
    let rows: Vec<(Uuid, String)> = database.ask(query.bind(uuids(&ids)).fetch_all(database.pool())).await?;
    let mut found: HashMap<OrderId, Vec<String>> = HashMap::new();
    rows.into_iter().for_each(|(id, status)| found.entry(OrderId(id)).or_default().push(status));
    Ok(found)
}

fn uuids(ids: &[OrderId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

impl Whole {
    /// Tickets are another read model than orders, which may be ahead of it: an order is shown as completed only
    /// together with all its tickets.
    fn wait_for_tickets(&mut self) {
        let expected = usize::try_from(self.row.ticket_count.unwrap_or(0)).unwrap_or(0);
        if self.row.status == "completed" && self.tickets.0.len() < expected {
            self.row.status = "awaiting_payment".to_owned();
        }
    }
}

impl Row {
    /// Whether it is this one's to see: the buyer's own account, whoever holds the access token of exactly this order of
    /// this show, the show's organizer, admins and support.
    pub fn is_seen_by(&self, actor: &Actor) -> bool {
        match actor {
            Actor::OrderHolder { order, show } => *order == self.id() && *show == ShowId(self.show_id),
            Actor::Account { .. } => {
                actor.is(&self.principal) || actor.runs(&self.organizer) || actor.has(Role::Support)
            }
            Actor::Guest { .. } | Actor::System => false,
        }
    }

    /// Whether another show had an order of this id before.
    pub fn is_taken(&self) -> bool {
        self.reason.as_deref() == Some("order_id_taken")
    }

    /// Its id.
    pub fn id(&self) -> OrderId {
        OrderId(self.order_id)
    }
}
