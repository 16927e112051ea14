//! A person: whoever personal data is about, guests too. What happens to one here is that they are forgotten.
//!
//! Invariant: what was erased stays erased, and is erased once.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event_name::{aggregate, recorded};
use crate::ids::{DataKeyId, OrderId, PersonId, ShowId};
use crate::root::{Context, Issued, Root};
use crate::value::{Actor, Role, Timestamp};

/// An order whose buyer is forgotten, and the key of what is known of them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedOrder {
    pub order: OrderId,
    pub show: ShowId,
    pub key: DataKeyId,
}

/// The person is forgotten, as far as these orders go: the keys of their data are taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonErased {
    pub person: PersonId,
    pub orders: Vec<ErasedOrder>,
}

/// What happened to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    PersonErased(PersonErased),
}

recorded!(Event, person; PersonErased);

/// What can be asked of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Forget them in these orders; those of which they were forgotten before change nothing.
    Erase { person: PersonId, orders: Vec<ErasedOrder> },
    /// Decides nothing; answers with the state.
    Look,
}

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Nothing is known of this person here.
    #[error("nothing is known of this person")]
    NotFound,
    /// Only support and admins forget people.
    #[error("only support and admins may do that")]
    Forbidden,
}

/// A person as far as they were forgotten; the default was not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Account(Option<Arc<BTreeSet<DataKeyId>>>);

impl Account {
    /// The keys that were taken away.
    pub fn erased(&self) -> impl Iterator<Item = DataKeyId> {
        self.0.iter().flat_map(|keys| keys.iter().copied())
    }

    fn is_erased(&self, key: DataKeyId) -> bool {
        self.0.as_ref().is_some_and(|keys| keys.contains(&key))
    }

    fn decide(&self, issued: Issued<Command>) -> Result<Vec<Event>, Refusal> {
        let Issued { command, by, .. } = issued;
        if !is_staff(&by) {
            return Err(Refusal::Forbidden);
        }
        match command {
            Command::Look if self.0.is_some() => Ok(vec![]),
            Command::Look => Err(Refusal::NotFound),
            Command::Erase { person, orders } => Ok(self.erase(person, orders)),
        }
    }

    fn erase(&self, person: PersonId, mut orders: Vec<ErasedOrder>) -> Vec<Event> {
        let mut named = BTreeSet::new();
        orders.retain(|order| !self.is_erased(order.key) && named.insert(order.key));
        match orders.is_empty() {
            true => vec![], // A retry.
            false => vec![PersonErased { person, orders }.into()],
        }
    }

    fn fold(&mut self, event: Event) {
        let Event::PersonErased(event) = event;
        let keys = Arc::make_mut(self.0.get_or_insert_default());
        keys.extend(event.orders.iter().map(|order| order.key));
    }
}

fn is_staff(by: &Actor) -> bool {
    by.is_system() || by.has(Role::Support) || by.has(Role::Admin)
}

aggregate!(Account, "account");

impl Root for Account {
    type Ask = Command;
    type About = ();
    const CONTEXT: Context = Context::Account;

    fn next_due(&self) -> Option<Timestamp> {
        None
    }

    fn due() -> Command {
        Command::Look
    }

    fn id(event: &Event) -> uuid::Uuid {
        event.aggregate()
    }
}
