//! What the box office knows of persons.

use std::collections::BTreeMap;

use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::office::{Where, every};

/// An order of a person, as `GET /v1/persons` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub person: Uuid,
    pub principal: String,
    pub order: Uuid,
    pub show: Uuid,
    pub code: String,
    pub status: String,
    pub created_at: String,
    pub key: Uuid,
    pub readable: bool,
    pub erased_at: Option<String>,
}

/// A person with their orders, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct Person {
    pub person: Uuid,
    pub principal: String,
    pub orders: Vec<Order>,
}

impl Person {
    /// Orders of which they were not forgotten yet.
    pub fn known(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(|order| order.erased_at.is_none())
    }

    /// Orders whose buyer's data somebody could still read.
    pub fn readable(&self) -> usize {
        self.orders.iter().filter(|order| order.readable).count()
    }
}

/// The orders that a filter selects, the newest first.
///
/// # Errors
/// The box office does not answer, or refuses.
pub(super) async fn orders(
    at: &Where,
    filter: (&str, String),
    prepare: impl Fn(RequestBuilder) -> RequestBuilder,
) -> anyhow::Result<Vec<Order>> {
    let items = every(at, "/v1/persons", &[filter], prepare).await?;
    Ok(items.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?)
}

/// Everything that is known of one person.
///
/// # Errors
/// The box office does not answer, or refuses.
pub(super) async fn person(
    at: &Where,
    id: Uuid,
    prepare: impl Fn(RequestBuilder) -> RequestBuilder,
) -> anyhow::Result<Option<Person>> {
    Ok(persons(orders(at, ("person", id.to_string()), prepare).await?).pop())
}

/// The persons of these orders, whoever ordered last first.
pub(super) fn persons(orders: Vec<Order>) -> Vec<Person> {
    let mut places = BTreeMap::new();
    let mut persons: Vec<Person> = Vec::new();
    for order in orders {
        let place = *places.entry(order.person).or_insert_with(|| {
            persons.push(Person { person: order.person, principal: order.principal.clone(), orders: Vec::new() });
            persons.len() - 1
        });
        persons[place].orders.push(order);
    }
    persons
}

#[cfg(test)]
pub(super) fn sample(person: u128, order: u128, erased: bool) -> Order {
    Order {
        person: Uuid::from_u128(person),
        principal: "account:anna".to_owned(),
        order: Uuid::from_u128(order),
        show: Uuid::from_u128(9),
        code: format!("CODE{order}"),
        status: "completed".to_owned(),
        created_at: "2026-11-22T08:00:00Z".to_owned(),
        key: Uuid::from_u128(order + 100),
        readable: !erased,
        erased_at: erased.then(|| "2026-11-22T09:00:00Z".to_owned()),
    }
}
