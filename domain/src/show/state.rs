//! A show as it is known: folded from its events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event_name::aggregate;
use crate::ids::{ShowId, TicketClassId};
use crate::queue;
use crate::root::{Context, Root};
use crate::show::{ClassTerms, Command, Event, Refusal, ShowCreated, ShowDetails, Status};
use crate::value::{Fingerprint, Timestamp};

/// A show; the default is one that does not exist yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Show(Option<Arc<Known>>);

/// What is known of a show that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Its id.
    pub show: ShowId,
    /// Principal of who runs it, `account:<sub>`.
    pub organizer: String,
    /// Of the request that created it.
    pub fingerprint: Fingerprint,
    /// What people read about it.
    pub details: ShowDetails,
    /// Its classes in the order of their definition.
    pub classes: Vec<Class>,
    /// Where it is on its way.
    pub status: Status,
    /// Seconds a buyer has to pay, once configured.
    pub pay_within_s: Option<i64>,
    /// Where an admitted visitor is sent.
    pub checkout_url: Option<String>,
    /// The waiting room in front of it, if it is to have one.
    pub waiting_room: Option<queue::Terms>,
}

/// A ticket class as defined here; once published, prices and capacity are the inventory's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its terms.
    pub terms: ClassTerms,
    /// Of the request that defined it.
    pub fingerprint: Fingerprint,
}

impl Show {
    /// What is known, if it exists.
    pub fn known(&self) -> Option<&Known> {
        self.0.as_deref()
    }

    pub(super) fn fold(&mut self, event: Event) {
        match event {
            Event::ShowCreated(event) => *self = Self::born(event),
            Event::ShowEdited(event) => self.known_mut().details = event.details,
            Event::TicketClassDefined(event) => {
                let class = Class { terms: event.terms, fingerprint: event.fingerprint };
                self.known_mut().classes.push(class);
            }
            Event::TicketClassEdited(event) => self.known_mut().edit(event.terms),
            Event::ShowConfigured(event) => {
                let known = self.known_mut();
                known.status = Status::Configured;
                known.pay_within_s = Some(event.pay_within_s);
                known.checkout_url = event.checkout_url;
                known.waiting_room = event.waiting_room;
            }
            Event::ShowApproved(_) => self.known_mut().status = Status::Approved,
            Event::ShowPublished(_) => self.known_mut().status = Status::Published,
            Event::ShowCancelled(_) => self.known_mut().status = Status::Cancelled,
        }
    }

    fn born(event: ShowCreated) -> Self {
        Self(Some(Arc::new(Known {
            show: event.show,
            organizer: event.organizer,
            fingerprint: event.fingerprint,
            details: event.details,
            classes: Vec::new(),
            status: Status::Draft,
            pay_within_s: None,
            checkout_url: None,
            waiting_room: None,
        })))
    }

    fn known_mut(&mut self) -> &mut Known {
        Arc::make_mut(self.0.as_mut().expect("ShowCreated comes first"))
    }
}

impl Known {
    /// The class of that id.
    pub fn class(&self, id: TicketClassId) -> Option<&Class> {
        self.classes.iter().find(|class| class.terms.ticket_class == id)
    }

    fn edit(&mut self, terms: ClassTerms) {
        let class = self.classes.iter_mut().find(|class| class.terms.ticket_class == terms.ticket_class);
        class.expect("only a defined class is edited").terms = terms;
    }
}

aggregate!(Show, "show");

impl Root for Show {
    type Ask = Command;
    type About = ();
    const CONTEXT: Context = Context::Catalog;

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
