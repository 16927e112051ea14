//! What may be done to a show, by whom, and when.

use crate::ids::{ShowId, TicketClassId};
use crate::queue::Terms;
use crate::root::Issued;
use crate::show::checks::{MAX_CLASSES, invalid, sound_details, sound_room, sound_terms};
use crate::show::state::Known;
use crate::show::{
    ClassTerms, Command, DetailsPatch, Event, Refusal, Show, ShowApproved, ShowCancelled, ShowConfigured, ShowCreated,
    ShowDetails, ShowEdited, ShowPublished, Status, TermsPatch, TicketClassDefined, TicketClassEdited,
};
use crate::value::{Actor, Fingerprint, Role};

type Decision = Result<Vec<Event>, Refusal>;

/// How long a buyer may be given at most, seconds: a day.
const MAX_PAY_WITHIN_S: i64 = 86_400;

impl Show {
    pub(super) fn decide(&self, issued: Issued<Command>) -> Decision {
        let Issued { command, by, fingerprint, .. } = issued;
        if let Command::Create { show, details } = command {
            return self.create(show, details, &by, fingerprint);
        }
        let known = self.known().ok_or(Refusal::NotFound)?;
        known.admit(&by, &command)?;
        match command {
            Command::Create { .. } | Command::Look => Ok(vec![]),
            Command::Edit { patch } => known.edit_details(patch),
            Command::DefineClass { terms } => known.define(terms, fingerprint),
            Command::EditClass { ticket_class, patch } => known.edit_class(ticket_class, patch),
            Command::Configure { pay_within_s, checkout_url, waiting_room } => {
                known.configure(pay_within_s, checkout_url, waiting_room)
            }
            Command::Approve => known.approve(),
            Command::Publish { draw_hash } => known.publish(draw_hash),
            Command::Cancel => known.cancel(),
        }
    }

    fn create(&self, show: ShowId, details: ShowDetails, by: &Actor, fingerprint: Fingerprint) -> Decision {
        if !by.has(Role::Organizer) && !by.has(Role::Admin) {
            return Err(Refusal::Forbidden);
        }
        match self.known() {
            Some(known) if known.fingerprint == fingerprint && by.is(&known.organizer) => Ok(vec![]), // A retry.
            Some(_) => Err(Refusal::AlreadyExists),
            None => {
                let details = sound_details(details)?;
                Ok(vec![ShowCreated { show, organizer: by.principal(), details, fingerprint }.into()])
            }
        }
    }
}

impl Known {
    /// Strangers learn nothing, support only looks, and nobody approves a show of their own.
    fn admit(&self, by: &Actor, command: &Command) -> Result<(), Refusal> {
        let admin = by.has(Role::Admin);
        let runs = by.runs(&self.organizer);
        match command {
            Command::Look if runs || by.has(Role::Support) || by.is_system() => Ok(()),
            Command::Approve if runs && !admin => Err(Refusal::Forbidden),
            _ if runs => Ok(()),
            _ if by.has(Role::Support) => Err(Refusal::Forbidden),
            _ => Err(Refusal::NotFound),
        }
    }

    fn edit_details(&self, patch: DetailsPatch) -> Decision {
        self.still_open()?;
        let details = sound_details(patch.onto(&self.details))?;
        if details == self.details {
            return Ok(vec![]);
        }
        Ok(vec![ShowEdited { show: self.show, details }.into()])
    }

    /// A retry is recognised in every status, because a PUT is idempotent for ever.
    fn define(&self, terms: ClassTerms, fingerprint: Fingerprint) -> Decision {
        match self.class(terms.ticket_class) {
            Some(class) if class.fingerprint == fingerprint => return Ok(vec![]),
            Some(_) => return Err(Refusal::AlreadyExists),
            None => self.still_open()?,
        }
        if self.classes.len() >= MAX_CLASSES {
            return Err(Refusal::TooManyClasses { max: MAX_CLASSES });
        }
        let terms = sound_terms(terms)?;
        Ok(vec![TicketClassDefined { show: self.show, terms, fingerprint }.into()])
    }

    fn edit_class(&self, ticket_class: TicketClassId, patch: TermsPatch) -> Decision {
        let class = self.class(ticket_class).ok_or(Refusal::ClassNotFound)?;
        self.still_open()?;
        let terms = sound_terms(patch.onto(&class.terms))?;
        if terms == class.terms {
            return Ok(vec![]);
        }
        Ok(vec![TicketClassEdited { show: self.show, terms }.into()])
    }

    fn configure(&self, pay_within_s: i64, checkout_url: Option<String>, waiting_room: Option<Terms>) -> Decision {
        self.still_open()?;
        if !(1..=MAX_PAY_WITHIN_S).contains(&pay_within_s) {
            return Err(invalid("pay_within_s", "between a second and a day"));
        }
        if let Some(terms) = &waiting_room {
            sound_room(terms)?;
        }
        let same = self.pay_within_s == Some(pay_within_s)
            && self.checkout_url == checkout_url
            && self.waiting_room == waiting_room;
        if same {
            return Ok(vec![]);
        }
        Ok(vec![ShowConfigured { show: self.show, pay_within_s, checkout_url, waiting_room }.into()])
    }

    fn approve(&self) -> Decision {
        match self.status {
            Status::Configured => Ok(vec![ShowApproved { show: self.show }.into()]),
            status => Err(Refusal::WrongStatus { status }),
        }
    }

    /// A draw is worth something only if its seed was settled before anybody joined.
    fn publish(&self, draw_hash: Option<String>) -> Decision {
        let draws = self.waiting_room.is_some_and(|terms| terms.opens_at.is_some());
        match self.status {
            Status::Approved if self.classes.is_empty() => Err(Refusal::NoTicketClass),
            Status::Approved if draws && draw_hash.is_none() => {
                Err(invalid("draw_hash", "a waiting room that opens later needs the hash of its seed"))
            }
            Status::Approved => Ok(vec![self.published(draw_hash.filter(|_| draws)).into()]),
            status => Err(Refusal::WrongStatus { status }),
        }
    }

    fn published(&self, draw_hash: Option<String>) -> ShowPublished {
        ShowPublished {
            show: self.show,
            organizer: self.organizer.clone(),
            currency: self.details.currency,
            pay_within_s: self.pay_within_s.expect("only a configured show is approved"),
            classes: self.classes.iter().map(|class| class.terms.clone()).collect(),
            checkout_url: self.checkout_url.clone(),
            waiting_room: self.waiting_room,
            draw_hash,
        }
    }

    fn cancel(&self) -> Decision {
        match self.status {
            Status::Cancelled => Err(Refusal::WrongStatus { status: Status::Cancelled }),
            status => {
                let (published, waiting_room) = (status == Status::Published, self.waiting_room.is_some());
                Ok(vec![ShowCancelled { show: self.show, published, waiting_room }.into()])
            }
        }
    }

    fn still_open(&self) -> Result<(), Refusal> {
        match self.status {
            Status::Draft | Status::Configured => Ok(()),
            status => Err(Refusal::WrongStatus { status }),
        }
    }
}
