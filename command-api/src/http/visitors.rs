//! Who buys and who waits: accounts as themselves, guests by what their keys lead to.

use domain::ids::OrderId;
use domain::value::Actor;
use http::Method;
use service_kit::caller::Caller;
use service_kit::idempotency::{IdempotencyKey, command_id};
use service_kit::problem::{Kind, Problem};
use uuid::Uuid;

use super::App;
use super::submit::Asking;

/// Whoever places this order. A guest is known by the key, or, without one, by the order's unguessable id.
///
/// # Errors
/// A guest's key is no UUID, or the caller is the holder of another order.
pub fn buyer_of(app: &App, asking: &Asking, order: OrderId) -> Result<Actor, Problem> {
    match (&asking.caller, &asking.key) {
        (Caller::Anonymous, None) => Ok(asking.caller.actor_or_guest(order.0)),
        (Caller::Anonymous, Some(key)) => Ok(asking.caller.actor_or_guest(guest_of(app, key)?)),
        (caller, _) => anybody_but_a_holder(caller),
    }
}

/// Whoever joins a queue, which needs a key: a place has no name of its own before it is there.
///
/// # Errors
/// There is no key, a guest's is no UUID, or the caller is the holder of an order.
pub fn visitor_of(app: &App, asking: &Asking) -> Result<Actor, Problem> {
    match (&asking.caller, &asking.key) {
        (_, None) => Err(Problem::new(Kind::IdempotencyKeyMissing)),
        (Caller::Anonymous, Some(key)) => Ok(asking.caller.actor_or_guest(guest_of(app, key)?)),
        (caller, Some(_)) => anybody_but_a_holder(caller),
    }
}

fn anybody_but_a_holder(caller: &Caller) -> Result<Actor, Problem> {
    match caller.actor()? {
        Actor::OrderHolder { .. } => {
            Err(Problem::new(Kind::Forbidden).detail("An access token is good for its one order only."))
        }
        actor => Ok(actor),
    }
}

/// A guest's key opens the guest's orders, so events and tables know the guest by what the key leads to, and not by it.
fn guest_of(app: &App, key: &IdempotencyKey) -> Result<Uuid, Problem> {
    let key = IdempotencyKey::parse(&key.guest()?.to_string())?;
    Ok(command_id(&app.0.keys, "guest", &Method::PUT, "/", &key).0)
}
