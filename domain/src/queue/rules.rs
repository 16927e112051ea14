//! What may be done in a waiting room, by whom, and when.

use crate::breakage::{Breakage, broken};
use crate::ids::{OrderId, SessionId, ShowId};
use crate::queue::flow::Flow;
use crate::queue::places::Phase;
use crate::queue::terms::{check_challenge, check_inflow};
use crate::queue::{
    CheckoutCompleted, CheckoutEnd, CheckoutExpired, CheckoutFailed, CheckoutStarted, CheckoutTied, CloseReason,
    Command, Event, Mode, Opened, PreQueueClosed, QueueDrawn, QueueExpired, QueueJoined, QueueLeft, QueueModeSet,
    QueueReady, Refusal, Seed, Setting, Slot, Standing, Terms, TermsError, WaitingRoom, WaitingRoomClosed,
    WaitingRoomOpened, session,
};
use crate::root::Issued;
use crate::value::{Actor, Timestamp};

type Decision = Result<Vec<Event>, Refusal>;

/// So many slots end in one tick at most.
const PAGE: usize = 100;

fn bad(error: TermsError) -> Refusal {
    let TermsError { field, min, max } = error;
    Refusal::BadTerms { field: field.to_owned(), detail: format!("must lie between {min} and {max}") }
}

impl WaitingRoom {
    pub(super) fn decide(&self, issued: Issued<Command>) -> Decision {
        let Issued { command, by, at, .. } = issued;
        match command {
            Command::Look => Ok(vec![]),
            Command::Join { proof_bits } => self.join(&by, proof_bits, at),
            Command::SetFlow { mode, inflow_per_min, challenge_bits } => {
                self.set_flow((mode, inflow_per_min, challenge_bits), &by)
            }
            Command::Enter { number, seen } => self.enter(number, seen, at),
            Command::Leave { number } => self.leave(number),
            _ if !by.is_system() => Err(Refusal::Forbidden),
            Command::Open(opening) => Ok(self.open(opening, at)),
            Command::Close { show, reason } => Ok(self.close(show, reason)),
            Command::Draw { seed } => self.draw(&seed),
            Command::Round => Ok(self.round(at)),
            Command::Tick => Ok(self.tick(at)),
            Command::Tie { session, order } => Ok(self.tie(session, order)),
            Command::EndCheckout { session, order, end } => Ok(self.end_checkout(session, order, end)),
        }
    }

    /// A show cancelled in the same moment may close first; then nothing opens any more. An opening
    /// that is over finds nobody who could be drawn.
    fn open(&self, opening: WaitingRoomOpened, at: Timestamp) -> Vec<Event> {
        if self.known().is_some() || self.closed() {
            return vec![];
        }
        let opens_at = opening.terms.opens_at.filter(|opens_at| *opens_at > at);
        let draw_hash = opening.draw_hash.filter(|_| opens_at.is_some());
        let terms = Terms { opens_at, ..opening.terms };
        vec![WaitingRoomOpened { terms, draw_hash, ..opening }.into()]
    }

    fn close(&self, show: ShowId, reason: CloseReason) -> Vec<Event> {
        if self.closed() {
            return vec![];
        }
        vec![WaitingRoomClosed { show, reason }.into()]
    }

    /// One place for each account or guest; a new one only after the old one has ended. Whoever has a place needs no proof
    /// to be told so.
    fn join(&self, by: &Actor, proof_bits: i32, at: Timestamp) -> Decision {
        let (Actor::Account { principal, .. } | Actor::Guest { principal }) = by else {
            return Err(Refusal::Forbidden);
        };
        let opened = self.live()?;
        let held =
            self.number_of(principal).filter(|_| !broken(Breakage::PlaceTwice)).map(|number| self.standing(number));
        match held {
            Some(
                Standing::WaitingToOpen
                | Standing::Queued { .. }
                | Standing::Admitted { .. }
                | Standing::InCheckout { .. },
            ) => Ok(vec![]), // A retry.
            Some(Standing::Ended(_)) | None if self.places().flow().mode == Mode::Reject => Err(Refusal::TakesNobody),
            Some(Standing::Ended(_)) | None => {
                self.proven(proof_bits)?;
                let (show, number, principal) = (opened.show, self.places().joined() + 1, principal.clone());
                let session = session(show, number);
                let joined = QueueJoined { show, session, number: number.into(), principal }.into();
                if !self.passes_through() {
                    return Ok(vec![joined]);
                }
                // Whoever comes after the draw has the number's place.
                Ok(vec![joined, self.ready(show, (number, number), at.plus_s(opened.terms.enter_s))])
            }
        }
    }

    /// A place costs work where the organizer wants that.
    fn proven(&self, bits: i32) -> Result<(), Refusal> {
        match self.challenge_bits() {
            Some(wanted) if bits < wanted => Err(Refusal::ProofNeeded { bits: wanted }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the next one who joins is let in with that.
    fn passes_through(&self) -> bool {
        let places = self.places();
        places.flow().mode == Mode::PassThrough && places.phase() == Phase::Open && places.waiting() == 0
    }

    /// Who does not run the show does not learn that it has a waiting room.
    fn set_flow(&self, (mode, inflow, challenge): (Option<Mode>, Setting, Setting), by: &Actor) -> Decision {
        let opened = self.live()?;
        if !by.runs(&opened.organizer) {
            return Err(Refusal::NotFound);
        }
        let flow = self.places().flow();
        let wanted = Flow {
            mode: mode.unwrap_or(flow.mode),
            inflow_per_min: inflow.of(flow.inflow_per_min),
            challenge_bits: challenge.of(flow.challenge_bits),
        };
        check_inflow(wanted.inflow_per_min).and_then(|()| check_challenge(wanted.challenge_bits)).map_err(bad)?;
        if wanted == flow {
            return Ok(vec![]);
        }
        let Flow { mode, inflow_per_min, challenge_bits } = wanted;
        Ok(vec![QueueModeSet { show: opened.show, mode, inflow_per_min, challenge_bits }.into()])
    }

    /// The room, if it is there and not over.
    fn live(&self) -> Result<&Opened, Refusal> {
        if self.closed() {
            return Err(Refusal::Closed);
        }
        self.known().ok_or(Refusal::NotFound)
    }

    fn given_out(&self, number: u32) -> Result<&Opened, Refusal> {
        let opened = self.live()?;
        if number == 0 || number > self.places().joined() {
            return Err(Refusal::NotFound);
        }
        Ok(opened)
    }

    fn enter(&self, number: u32, seen: Timestamp, at: Timestamp) -> Decision {
        let opened = self.given_out(number)?;
        match self.standing(number) {
            Standing::WaitingToOpen | Standing::Queued { .. } => Err(Refusal::NotAdmitted),
            Standing::Ended(_) => Err(Refusal::PlaceLost),
            Standing::InCheckout { .. } => Ok(vec![]), // A retry.
            Standing::Admitted { .. } => {
                // Nobody had to show a ticket before the opening.
                let seen = opened.terms.opens_at.map_or(seen, |opens_at| opens_at.max(seen));
                if at > seen.plus_s(opened.terms.away_grace_s) {
                    return Err(Refusal::PlaceLost);
                }
                let (show, session) = (opened.show, self.session(number));
                let expires_at = at.plus_s(opened.terms.token_ttl_s);
                Ok(vec![CheckoutStarted { show, session, number: number.into(), expires_at }.into()])
            }
        }
    }

    fn leave(&self, number: u32) -> Decision {
        if self.closed() {
            return Ok(vec![]);
        }
        let show = self.given_out(number)?.show;
        let entered = match (self.standing(number), self.places().slot(number)) {
            (Standing::Ended(_), _) => return Ok(vec![]), // A retry, or over before.
            (_, Some(Slot::InCheckout { order: Some(_), .. })) => return Err(Refusal::InOrder),
            (_, Some(Slot::InCheckout { order: None, .. })) => true,
            (_, Some(Slot::Admitted { .. }) | None) => false,
        };
        Ok(vec![QueueLeft { show, session: self.session(number), number: number.into(), entered }.into()])
    }

    fn draw(&self, seed: &str) -> Decision {
        let opened = self.live()?;
        let hash = seed.parse::<Seed>().map_err(|_| Refusal::BadSeed)?.hash();
        let promised = opened.draw_hash.as_deref() == Some(&hash);
        let drawn = |count: u32| QueueDrawn { show: opened.show, seed: seed.to_owned(), count: count.into() }.into();
        match self.places().phase() {
            Phase::Drawing { count } if promised => Ok(vec![drawn(count)]),
            Phase::Open if promised && broken(Breakage::DrawTwice) => Ok(vec![drawn(self.places().joined())]),
            Phase::Open if promised => Ok(vec![]), // A retry.
            _ => Err(Refusal::BadSeed),
        }
    }

    fn round(&self, at: Timestamp) -> Vec<Event> {
        let Some(opened) = self.known() else { return vec![] };
        let (show, terms) = (opened.show, &opened.terms);
        match self.places().phase() {
            Phase::PreQueue if terms.opens_at.is_some_and(|opens_at| at >= opens_at) => {
                vec![PreQueueClosed { show, count: self.places().joined().into() }.into()]
            }
            Phase::Open if at >= self.next_admission(terms) => {
                let waiting = self.places().waiting();
                let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
                let most = waiting.min(self.free(terms)).min(self.inflow(terms, at));
                let enter_by = at.plus_s(terms.enter_s);
                let passed_over = usize::from(broken(Breakage::ServedOutOfOrder));
                self.places().next_up(most).skip(passed_over).map(|next| self.ready(show, next, enter_by)).collect()
            }
            Phase::Unopened | Phase::PreQueue | Phase::Drawing { .. } | Phase::Open | Phase::Closed => vec![],
        }
    }

    fn ready(&self, show: ShowId, (number, place): (u32, u32), enter_by: Timestamp) -> Event {
        let session = self.session(number);
        QueueReady { show, session, number: number.into(), place: place.into(), enter_by }.into()
    }

    fn tick(&self, at: Timestamp) -> Vec<Event> {
        self.ended_by(at)
            .take(PAGE)
            .filter_map(|number| Some(self.lapsed(number, self.places().slot(number)?)))
            .collect()
    }

    fn lapsed(&self, number: u32, slot: Slot) -> Event {
        let (show, session, number) = (self.show(), self.session(number), number.into());
        match slot {
            Slot::Admitted { .. } => QueueExpired { show, session, number }.into(),
            Slot::InCheckout { .. } => CheckoutExpired { show, session, number }.into(),
        }
    }

    /// Whoever has no slot any more (or one that is tied) is not punished: the token was good.
    fn tie(&self, session: SessionId, order: OrderId) -> Vec<Event> {
        let slot = self.number(session).and_then(|number| Some((number, self.places().slot(number)?)));
        match slot {
            Some((number, Slot::InCheckout { order: tied, .. }))
                if tied.is_none() || broken(Breakage::TieToSecondOrder) =>
            {
                vec![CheckoutTied { show: self.show(), session, number: number.into(), order }.into()]
            }
            Some((_, Slot::InCheckout { .. } | Slot::Admitted { .. })) | None => vec![],
        }
    }

    /// The end may come before the tie: a session has one order, ever, so an untied slot is free as well.
    fn end_checkout(&self, session: SessionId, order: OrderId, end: CheckoutEnd) -> Vec<Event> {
        let slot = self.number(session).and_then(|number| Some((number, self.places().slot(number)?)));
        let number = match slot {
            Some((number, Slot::InCheckout { order: tied, .. })) if tied.is_none_or(|tied| tied == order) => number,
            Some((_, Slot::InCheckout { .. } | Slot::Admitted { .. })) | None => return vec![],
        };
        let (show, number) = (self.show(), number.into());
        match end {
            CheckoutEnd::Completed => vec![CheckoutCompleted { show, session, number, order }.into()],
            CheckoutEnd::Failed => vec![CheckoutFailed { show, session, number, order }.into()],
        }
    }
}
