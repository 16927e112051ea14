//! One call of one client, as that client saw it.

use std::collections::BTreeMap;

use domain::ids::{OrderId, PaymentId, SessionId, ShowId, TicketClassId, TicketId};
use domain::value::{PricedLine, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What was asked for, by method and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `PUT /v1/shows/{show}`.
    CreateShow,
    /// `PUT /v1/shows/{show}/ticket-classes/{class}`.
    DefineClass,
    /// `POST …/configure`.
    Configure,
    /// `POST …/approve`.
    Approve,
    /// `POST …/publish`.
    Publish,
    /// `POST …/cancel` of a show.
    CancelShow,
    /// `POST …/ticket-classes/{class}/capacity`.
    Capacity,
    /// `POST …/ticket-classes/{class}/price`.
    Price,
    /// `POST …/queue`.
    Join,
    /// `POST …/queue/{session}/enter`.
    Enter,
    /// `DELETE …/queue/{session}`.
    Leave,
    /// `PUT /v1/orders/{order}`.
    Order,
    /// `POST /v1/orders/{order}/payments`.
    Pay,
    /// `POST /v1/orders/{order}/cancel`.
    Cancel,
    /// A webhook of the provider.
    Notify,
    /// Any other write.
    Write,
    /// Anything that only reads.
    #[default]
    Read,
}

impl Op {
    /// What a request is for.
    pub fn of(method: &str, path: &str) -> Self {
        let parts: Vec<&str> = parts(path);
        match (method, &parts[..]) {
            (_, ["v1", "payments", _, "notify"]) => Self::Notify,
            ("GET" | "HEAD", _) => Self::Read,
            ("PUT", ["v1", "shows", _]) => Self::CreateShow,
            ("PUT", ["v1", "shows", _, "ticket-classes", _]) => Self::DefineClass,
            ("POST", ["v1", "shows", _, "configure"]) => Self::Configure,
            ("POST", ["v1", "shows", _, "approve"]) => Self::Approve,
            ("POST", ["v1", "shows", _, "publish"]) => Self::Publish,
            ("POST", ["v1", "shows", _, "cancel"]) => Self::CancelShow,
            ("POST", ["v1", "shows", _, "ticket-classes", _, "capacity"]) => Self::Capacity,
            ("POST", ["v1", "shows", _, "ticket-classes", _, "price"]) => Self::Price,
            ("POST", ["v1", "shows", _, "queue"]) => Self::Join,
            ("POST", ["v1", "shows", _, "queue", _, "enter"]) => Self::Enter,
            ("DELETE", ["v1", "shows", _, "queue", _]) => Self::Leave,
            ("PUT", ["v1", "orders", _]) => Self::Order,
            ("POST", ["v1", "orders", _, "payments"]) => Self::Pay,
            ("POST", ["v1", "orders", _, "cancel"]) => Self::Cancel,
            _ => Self::Write,
        }
    }
}

fn parts(path: &str) -> Vec<&str> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// What a request names and asks for. Whoever writes it fills in what the operation has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Asked {
    /// The show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show: Option<ShowId>,
    /// The ticket class whose capacity or price is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<TicketClassId>,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// The place in the waiting room; of an order, whose checkout token came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What is ordered, at the prices that the client saw.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<PricedLine>,
    /// A new capacity, or a new price in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
}

impl Asked {
    /// What can be read off the path and the body of a request.
    pub fn of(path: &str, body: &Value) -> Self {
        let mut asked = Self { show: id(&body["show"]), ..Self::default() };
        let parts = parts(path);
        for (name, value) in parts.iter().zip(parts.iter().skip(1)) {
            match *name {
                "shows" => asked.show = value.parse().ok(),
                "ticket-classes" => asked.class = value.parse().ok(),
                "orders" => asked.order = value.parse().ok(),
                "queue" => asked.session = value.parse().ok(),
                _ => {}
            }
        }
        asked.value = body["capacity"].as_i64().or_else(|| amount(&body["price"]));
        asked.lines = body["lines"].as_array().into_iter().flatten().filter_map(line).collect();
        asked
    }
}

/// What an answer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Said {
    /// The last part of a problem's type, such as `sold-out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether it said that it had been given before to this key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// The place in the waiting room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Its place in the order of service, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// How the thing stands: `reserved`, `queued`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Attempts to pay that the order has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentId>,
    /// Tickets that were handed out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<TicketId>,
    /// With `sold-out`: how many are left of each class.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub available: BTreeMap<TicketClassId, i64>,
    /// With `price-changed`: which line, and its present price in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<(usize, i64)>,
}

impl Said {
    /// What can be read off the body of an answer to this operation.
    pub fn of(op: Op, body: &Value) -> Self {
        let problem = body["type"].as_str().and_then(|name| name.strip_prefix("/problems/"));
        let status = body["status"].as_str();
        let mut said =
            Self { problem: problem.map(str::to_owned), status: status.map(str::to_owned), ..Self::default() };
        match op {
            Op::Order | Op::Cancel | Op::Pay => {
                said.order = id(&body["id"]);
                said.payments = ids(&body["payments"]);
                said.tickets = ids(&body["tickets"]);
            }
            Op::Read => {
                said.order = id(&body["id"]).filter(|_| body["pay_by"].is_string());
                said.tickets = ids(&body["tickets"]).into_iter().chain(ids(&body["items"])).collect();
            }
            _ => {}
        }
        said.session = id(&body["session"]);
        said.number = body["number"].as_u64().and_then(|number| u32::try_from(number).ok());
        said.place = body["place"].as_u64().and_then(|place| u32::try_from(place).ok());
        said.available = by_class(&body["available"], |one| one["available"].as_i64());
        said.price = priced_line(body);
        said
    }
}

/// One call: what was asked, when, and what came back. Times in µs: `_us` by one monotonic clock, `_at` by the wall's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Call {
    /// Who asks. One name is one principal: the same key of the same client is the same request.
    pub client: String,
    /// What for.
    pub op: Op,
    /// The path, without its query.
    pub path: String,
    /// A digest of the `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A digest of the body: equal bodies have equal ones.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body_hash: String,
    /// When it was asked.
    pub called_us: i64,
    /// When it was answered; none if it never was.
    pub answered_us: Option<i64>,
    /// When it was asked, by the wall clock.
    pub called_at: Timestamp,
    /// When it was answered, by the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// The answer's status; none without an answer.
    pub status: Option<u16>,
    /// What was asked.
    #[serde(default)]
    pub asked: Asked,
    /// What was said.
    #[serde(default)]
    pub said: Said,
    /// The `Consistency-Token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What an answer means to whoever asked for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was promised.
    Acknowledged,
    /// It was refused: nothing happened.
    Refused,
    /// Nobody knows: no answer, or one that says so.
    InDoubt,
    /// It was turned away before it was looked at: nothing happened.
    TurnedAway,
}

impl Call {
    /// What the answer means.
    pub fn outcome(&self) -> Outcome {
        let problem = self.said.problem.as_deref();
        match (self.status, problem) {
            (Some(200..=299), _) => Outcome::Acknowledged,
            (Some(429), _) | (Some(503), Some("overloaded" | "not-ready" | "stale")) => Outcome::TurnedAway,
            (Some(409), Some("request-in-progress")) => Outcome::InDoubt,
            (Some(400..=499), Some(_)) => Outcome::Refused,
            (Some(504), Some("timed-out")) => Outcome::TurnedAway,
            _ => Outcome::InDoubt,
        }
    }

    /// The name of the problem, if it was one.
    pub fn problem(&self) -> Option<&str> {
        self.said.problem.as_deref()
    }
}

fn id<T: From<Uuid>>(value: &Value) -> Option<T> {
    value.as_str()?.parse::<Uuid>().ok().map(T::from)
}

fn ids<T: From<Uuid>>(value: &Value) -> Vec<T> {
    value.as_array().into_iter().flatten().filter_map(|one| id(&one["id"])).collect()
}

fn amount(value: &Value) -> Option<i64> {
    value["amount"].as_i64()
}

fn line(value: &Value) -> Option<PricedLine> {
    let ticket_class = id(&value["ticket_class"])?;
    let quantity = i32::try_from(value["quantity"].as_i64()?).ok()?;
    Some(PricedLine { ticket_class, quantity, unit_price: amount(&value["unit_price"])? })
}

/// Of a problem that names a line, `/lines/0/unit_price`, with a price.
fn priced_line(problem: &Value) -> Option<(usize, i64)> {
    let pointer = problem["errors"][0]["pointer"].as_str()?;
    let line = pointer.strip_prefix("/lines/")?.split('/').next()?.parse().ok()?;
    Some((line, amount(&problem["price"])?))
}

/// `[{"ticket_class": …, …}]` by class.
fn by_class(value: &Value, of: impl Fn(&Value) -> Option<i64>) -> BTreeMap<TicketClassId, i64> {
    let rows = value.as_array().into_iter().flatten();
    rows.filter_map(|one| Some((id(&one["ticket_class"])?, of(one)?))).collect()
}
