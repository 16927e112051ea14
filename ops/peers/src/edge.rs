//! The edge that all designs share: the layers, the token check and the JSON of the real service, and one route.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use domain::ids::{OrderId, ShowId};
use domain::value::{Actor, Timestamp};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use service_kit::auth::Auth;
use service_kit::caller::Caller;
use service_kit::extract::{Path, Target};
use service_kit::idempotency::{self, IdempotencyKey, command_id};
use service_kit::json::Json;
use service_kit::keys::Keys;
use service_kit::problem::{Kind, Problem};
use service_kit::views::Order;
use service_kit::{clock, code};
use uuid::Uuid;

use crate::order::{NewOrder, Offer, sold_out};
use crate::store::{Failure, Held, Reserved, Store, Wish};

/// What the route works with. Cheap to clone.
pub struct App<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: Arc<S>,
    auth: Auth,
    keys: Keys,
    offer: Offer,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> FromRef<App<S>> for Auth {
    fn from_ref(app: &App<S>) -> Self {
        app.0.auth.clone()
    }
}

/// The one route of the real service, and the tally of the store.
pub fn routes<S: Store>(store: Arc<S>, auth: Auth, keys: Keys, offer: Offer) -> Router {
    let app = App(Arc::new(Inner { store, auth, keys, offer }));
    Router::new().route("/v1/orders/{order}", put(place::<S>)).route("/_peer/tally", get(tally::<S>)).with_state(app)
}

async fn place<S: Store>(
    State(app): State<App<S>>,
    Path(order): Path<OrderId>,
    target: Target,
    caller: Caller,
    key: Option<IdempotencyKey>,
    body: Json<NewOrder>,
) -> Result<Response, Problem> {
    let (keys, offer) = (&app.0.keys, &app.0.offer);
    let principal = buyer(keys, &caller, key.as_ref(), order)?.principal();
    let held = Held {
        fingerprint: Uuid::from_bytes(body.fingerprint(keys).0),
        command: key.map(|key| target.command_id(keys, &principal, &key).0),
        principal,
        at_us: clock::now().0,
    };
    let new = body.value;
    let sum = new.sum(offer)?;
    let (quantity, total, details) = (sum.quantity, sum.total, new.details());
    let wish = Wish { order: order.0, quantity, total, details, held: held.clone() };
    let (at_us, answer) = match app.0.store.reserve(wish).await.map_err(failed)? {
        Reserved::Now => (held.at_us, Answer::Made),
        Reserved::Before(first) => (first.at_us, repeated(&first, &held)?),
        Reserved::SoldOut { available } => return Err(sold_out(offer, available)),
    };
    let mut view = new.reserved(order.0, sum, code::order(keys, order), Timestamp(at_us));
    if matches!(caller, Caller::Anonymous) {
        view.access_token = Some(app.0.auth.mint_access(order, ShowId(offer.show), None));
    }
    Ok(answer.with(view))
}

/// How an order is answered.
enum Answer {
    /// It was made just now.
    Made,
    /// This very request made it before.
    Replayed,
    /// It was there already.
    Known,
}

impl Answer {
    fn with(self, view: Order) -> Response {
        let replayed = [(HeaderName::from_static(idempotency::REPLAYED), HeaderValue::from_static("true"))];
        match self {
            Self::Made => (StatusCode::CREATED, axum::Json(view)).into_response(),
            Self::Replayed => (StatusCode::CREATED, replayed, axum::Json(view)).into_response(),
            Self::Known => (StatusCode::OK, axum::Json(view)).into_response(),
        }
    }
}

/// Whoever places this order. A guest is known by the key, or, without one, by the order's unguessable id.
fn buyer(keys: &Keys, caller: &Caller, key: Option<&IdempotencyKey>, order: OrderId) -> Result<Actor, Problem> {
    match (caller, key) {
        (Caller::Anonymous, None) => Ok(caller.actor_or_guest(order.0)),
        (Caller::Anonymous, Some(key)) => {
            let key = IdempotencyKey::parse(&key.guest()?.to_string())?;
            Ok(caller.actor_or_guest(command_id(keys, "guest", &Method::PUT, "/", &key).0))
        }
        (caller, _) => match caller.actor()? {
            Actor::OrderHolder { .. } => Err(Problem::new(Kind::Forbidden)),
            actor => Ok(actor),
        },
    }
}

/// Whether a request is the one that made the order, or at least asks for the same.
fn repeated(first: &Held, again: &Held) -> Result<Answer, Problem> {
    let same_key = first.command.is_some() && first.command == again.command;
    let same = first.principal == again.principal && first.fingerprint == again.fingerprint;
    match (same, same_key) {
        (true, true) => Ok(Answer::Replayed),
        (true, false) => Ok(Answer::Known),
        (false, true) => Err(Problem::new(Kind::IdempotencyKeyReused)),
        (false, false) => Err(Problem::new(Kind::AlreadyExists)),
    }
}

fn failed(failure: Failure) -> Problem {
    match failure {
        Failure::InDoubt(error) => {
            tracing::error!(error = format!("{error:#}"), "the store failed");
            Problem::new(Kind::InDoubt)
        }
        Failure::Contended(_) => Problem::new(Kind::Overloaded),
    }
}

async fn tally<S: Store>(State(app): State<App<S>>) -> Result<Response, Problem> {
    let tally = app.0.store.tally().await.map_err(|error| failed(Failure::InDoubt(error)))?;
    Ok(axum::Json(tally).into_response())
}
