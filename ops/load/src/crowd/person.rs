//! One of a crowd, as far as the person itself knows: a place, and everything that must never change about it.

use uuid::Uuid;

use super::scan::Seen;

/// How far somebody has come; never back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Has no place yet.
    #[default]
    Outside,
    /// Before the opening.
    WaitingToOpen,
    /// Waits.
    Queued,
    /// May enter.
    Admitted,
    /// Has a checkout token.
    InCheckout,
    /// Nothing follows.
    Ended,
}

impl Status {
    fn of(word: &str) -> Option<Self> {
        match word {
            "waiting_to_open" => Some(Self::WaitingToOpen),
            "queued" => Some(Self::Queued),
            "admitted" => Some(Self::Admitted),
            "in_checkout" => Some(Self::InCheckout),
            "completed" | "expired" | "left" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// What the person is busy with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Busy {
    /// Nothing: may ask.
    #[default]
    Free,
    /// Waits for an answer.
    Asking,
    /// Enters and leaves.
    Passing,
    /// Has left; somebody new may take over.
    Gone,
}

/// One person.
#[derive(Debug, Default)]
pub struct Person {
    /// The guest's key: the same as long as it is the same guest.
    pub key: Uuid,
    /// The place's name.
    pub session: Uuid,
    /// The ordinal of joining.
    pub number: u32,
    /// The newest ticket.
    pub ticket: String,
    /// How far it was seen to have come.
    pub status: Status,
    /// What it does.
    pub busy: Busy,
    /// Which server it asks.
    pub home: usize,
    /// What a first question has to see.
    pub after: Option<Box<str>>,
    place: Option<u32>,
    ahead: Option<u32>,
    /// Who told the last of it.
    told_by: Option<usize>,
}

/// What is wrong with what somebody was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// To be counted by.
    pub kind: &'static str,
    /// In words.
    pub what: String,
}

/// What came of looking at a place.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// It is older than what another server had told: allowed to whoever has just moved.
    pub behind: bool,
    /// It was waiting before, and is admitted now.
    pub admitted: bool,
}

impl Person {
    /// A guest who has no place yet.
    pub fn with_key(key: Uuid) -> Self {
        Self { key, ..Self::default() }
    }

    /// Begins with a place. How many wait in front is learnt from the read side alone: the write side is ahead of it.
    pub fn join(&mut self, seen: &Seen<'_>, after: Option<String>) -> Noted {
        let mut noted = Noted::default();
        match (seen.session.parse(), seen.number) {
            (Ok(session), Some(number)) => (self.session, self.number) = (session, number),
            _ => {
                noted.fault("unreadable", format!("a place has session {} and number {:?}", seen.session, seen.number))
            }
        }
        (self.place, self.after) = (seen.place, after.map(String::into_boxed_str));
        self.ticket.push_str(seen.ticket);
        self.status = Status::Queued;
        noted
    }

    /// Compares what `server` tells now with all that was told before.
    pub fn look(&mut self, seen: &Seen<'_>, server: usize) -> Noted {
        let mut noted = Noted::default();
        let number = self.number;
        let moved = self.told_by.replace(server).is_some_and(|before| before != server);
        if seen.number != Some(number) {
            noted.fault("number changed", format!("number {number} became {:?}", seen.number));
        }
        if seen.session.parse() != Ok(self.session) {
            noted.fault("session changed", format!("number {number} was told of session {}", seen.session));
        }
        match (self.place, seen.place) {
            (Some(before), now) if now != Some(before) => {
                noted.fault("place changed", format!("number {number} had place {before} and has {now:?}"));
            }
            (_, now) => self.place = now,
        }
        match (self.ahead, seen.ahead) {
            (Some(before), Some(now)) if now > before && moved => noted.behind = true,
            (Some(before), Some(now)) if now > before => {
                noted.fault("ahead grew", format!("number {number} had {before} ahead and has {now}"));
            }
            _ => {}
        }
        self.ahead = seen.ahead.or(self.ahead);
        self.go_on(seen.status, moved, &mut noted);
        self.ticket.clear();
        self.ticket.push_str(seen.ticket);
        noted
    }

    /// Whether it was told before that it waits, by who tells of admissions, too.
    pub fn waits(&self) -> bool {
        self.told_by.is_some() && self.status == Status::Queued
    }

    fn go_on(&mut self, word: &str, moved: bool, noted: &mut Noted) {
        let (number, before) = (self.number, self.status);
        let Some(now) = Status::of(word) else {
            return noted.fault("unreadable", format!("number {number} has status {word}"));
        };
        if now < before {
            noted.behind |= moved;
            if !moved {
                noted.fault("went back", format!("number {number} was {before:?} and is {word}"));
            }
            return;
        }
        noted.admitted = now == Status::Admitted && before < Status::Admitted;
        let by_itself = matches!(self.busy, Busy::Passing | Busy::Gone);
        if now == Status::Ended && before < Status::Ended && !by_itself {
            noted.fault("place lost", format!("number {number} was {before:?} and is {word}"));
        }
        self.status = now;
    }
}

impl Noted {
    fn fault(&mut self, kind: &'static str, what: String) {
        self.faults.push(Fault { kind, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "00000000-0000-0000-0000-00000000002a";

    fn seen(status: &'static str, place: u32, ahead: Option<u32>) -> Seen<'static> {
        Seen { session: SESSION, ticket: "t2", status, number: Some(12), place: Some(place), ahead, enter_by: None }
    }

    fn joined() -> Person {
        let mut person = Person::default();
        assert_eq!(person.join(&seen("queued", 7, Some(1)), Some("after".to_owned())), Noted::default());
        person
    }

    fn kinds(noted: &Noted) -> Vec<&'static str> {
        noted.faults.iter().map(|it| it.kind).collect()
    }

    #[test]
    fn a_way_forward_is_noted_once_and_is_no_fault() {
        let mut person = joined();
        // The read side had not seen what the write side had when it answered the joining.
        for (status, ahead) in [("queued", Some(5)), ("queued", Some(5)), ("queued", Some(0)), ("admitted", None)] {
            let noted = person.look(&seen(status, 7, ahead), 0);
            assert_eq!(noted, Noted { admitted: status == "admitted", ..Noted::default() });
        }
        assert!(!person.look(&seen("admitted", 7, None), 0).admitted);
        person.busy = Busy::Passing;
        assert_eq!(person.look(&seen("left", 7, None), 0), Noted::default());
        assert_eq!((person.ticket.as_str(), person.status), ("t2", Status::Ended));
    }

    #[test]
    fn whatever_changes_is_a_fault() {
        assert_eq!(kinds(&joined().look(&seen("queued", 8, Some(5)), 0)), ["place changed"]);
        let other = Seen { number: Some(13), ..seen("queued", 7, Some(5)) };
        assert_eq!(kinds(&joined().look(&other, 0)), ["number changed"]);
        let other = Seen { session: "00000000-0000-0000-0000-00000000002b", ..seen("queued", 7, Some(5)) };
        assert_eq!(kinds(&joined().look(&other, 0)), ["session changed"]);
        assert_eq!(kinds(&joined().look(&seen("expired", 7, None), 0)), ["place lost"]);
        let mut person = joined();
        person.look(&seen("queued", 7, Some(5)), 0);
        assert_eq!(kinds(&person.look(&seen("queued", 7, Some(6)), 0)), ["ahead grew"]);
        let mut person = joined();
        person.look(&seen("admitted", 7, None), 0);
        assert_eq!(kinds(&person.look(&seen("queued", 7, Some(6)), 0)), ["went back"]);
    }

    #[test]
    fn another_server_may_be_behind_once() {
        let mut person = joined();
        person.look(&seen("queued", 7, Some(5)), 0);
        assert_eq!(person.look(&seen("queued", 7, Some(6)), 1), Noted { behind: true, ..Noted::default() });
        assert_eq!(kinds(&person.look(&seen("queued", 7, Some(7)), 1)), ["ahead grew"]);
        assert_eq!(kinds(&person.look(&seen("queued", 8, Some(3)), 0)), ["place changed"], "places never do");
    }
}
