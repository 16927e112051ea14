//! An order as it is known: folded from its events, and small enough to keep for ever.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event_name::aggregate;
use crate::ids::{OrderId, PaymentId, SessionId, ShowId};
use crate::order::lines::PackedLine;
use crate::order::{CancelReason, Command, Event, FailReason, OrderCreated, Refusal, Step};
use crate::payment::RefundWhy;
use crate::principal::Principal;
use crate::root::{Context, Root};
use crate::short::ShortText;
use crate::value::{Currency, PricedLine, Timestamp};

/// An order; the default is one that does not exist yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Order(Option<Arc<Known>>);

/// What is known of an order that exists. Nothing personal and no URL is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Its id.
    pub order: OrderId,
    /// The show it is for.
    pub show: ShowId,
    /// Who bought.
    pub principal: Principal,
    /// Who runs the show.
    pub organizer: Principal,
    /// For people to name it by.
    pub code: ShortText,
    /// In what it is priced.
    pub currency: Currency,
    /// How it stands.
    pub status: Status,
    /// Why its money went back, if it did.
    pub refund_why: Option<RefundWhy>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Until when it can be paid.
    pub pay_by: Timestamp,
    /// What most orders are without once they have ended.
    rare: Option<Box<Rare>>,
    pub(super) stuck: Stuck,
    lines: Box<[PackedLine]>,
    attempts: Box<[Attempt]>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Rare {
    /// Until it first ends.
    live: Option<Live>,
    /// Which tickets' money went back while others stay, counted as they are issued.
    refunded: Vec<u16>,
}

/// What is asked only before an order has first ended: there are millions that have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Live {
    hold_until: Timestamp,
    session: Option<SessionId>,
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Can be paid.
    Open,
    /// `pay_by` has passed; providers are being asked.
    Overdue,
    /// Paid (or free); tickets are under way.
    Paid,
    /// Tickets are there.
    Completed,
    /// Over without tickets.
    Cancelled(CancelReason),
    /// Over without tickets.
    Failed(FailReason),
}

/// One attempt to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which payment.
    pub payment: PaymentId,
    /// How it stands, as far as the order knows.
    pub state: AttemptState,
}

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptState {
    /// Money may come.
    Open,
    /// Lapsed.
    Ended,
    /// Declined.
    Failed,
    /// Paid the order.
    Paid,
    /// Paid the order, and goes back.
    Refunded,
}

/// Which steps a person was called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Stuck {
    pub payment_status: bool,
    pub saga: bool,
}

impl Known {
    /// What was bought.
    pub fn lines(&self) -> impl Iterator<Item = PricedLine> {
        self.lines.iter().map(|line| PricedLine::from(*line))
    }

    /// What it costs, minor units.
    pub fn total(&self) -> i64 {
        self.lines().map(|line| line.unit_price * i64::from(line.quantity)).sum()
    }

    /// How many tickets it is about.
    pub fn ticket_count(&self) -> i32 {
        self.lines().map(|line| line.quantity).sum()
    }

    /// Every attempt to pay, in the order they were made.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The payment that paid it, if one did and was not sent back.
    pub fn paid_by(&self) -> Option<PaymentId> {
        self.in_state(AttemptState::Paid).next()
    }

    /// Which step a person has to look at.
    pub fn stuck(&self) -> Option<Step> {
        match self.stuck {
            Stuck { payment_status: true, .. } => Some(Step::PaymentStatus),
            Stuck { saga: true, .. } => Some(Step::Saga),
            Stuck { payment_status: false, saga: false } => None,
        }
    }

    /// The place in the waiting room it came from. Late money may end an order again; its slot was freed the first time.
    pub fn session(&self) -> Option<SessionId> {
        self.rare.as_ref()?.live.as_ref()?.session
    }

    /// When a provider that stays silent becomes a person's business.
    pub(super) fn patience_ends(&self) -> Timestamp {
        let hold_until = self.rare.as_ref().and_then(|rare| rare.live).map_or(self.pay_by, |live| live.hold_until);
        Timestamp(self.pay_by.0 + hold_until.0.saturating_sub(self.pay_by.0) / 2)
    }

    pub(super) fn in_state(&self, state: AttemptState) -> impl Iterator<Item = PaymentId> {
        self.attempts.iter().filter(move |attempt| attempt.state == state).map(|attempt| attempt.payment)
    }

    pub(super) fn attempt(&self, payment: PaymentId) -> Option<AttemptState> {
        self.attempts.iter().find(|attempt| attempt.payment == payment).map(|attempt| attempt.state)
    }

    /// Bytes on the heap, its own included.
    fn heap_bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        let rare =
            self.rare.as_deref().map_or(0, |rare| size_of_val(rare) + rare.refunded.capacity() * size_of::<u16>());
        let names = self.principal.heap_bytes() + self.organizer.heap_bytes() + self.code.heap_bytes();
        counts + size_of::<Self>() + rare + names + size_of_val(&*self.lines) + size_of_val(&*self.attempts)
    }

    pub(super) fn is_refunded(&self, ticket: usize) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.refunded.iter().any(|at| usize::from(*at) == ticket))
    }

    fn set(&mut self, payment: PaymentId, state: AttemptState) {
        match self.attempts.iter_mut().find(|attempt| attempt.payment == payment) {
            Some(attempt) => attempt.state = state,
            None => self.attempts = self.attempts.iter().copied().chain([Attempt { payment, state }]).collect(),
        }
    }

    fn go_on(&mut self, status: Status) {
        self.status = status;
        self.stuck = Stuck::default();
    }

    fn end(&mut self, status: Status) {
        self.go_on(status);
        self.rare = self.rare.take().filter(|rare| !rare.refunded.is_empty());
        if let Some(rare) = &mut self.rare {
            rare.live = None;
        }
    }
}

impl Order {
    /// What is known, if it exists.
    pub fn known(&self) -> Option<&Known> {
        self.0.as_deref()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.known().map_or(0, Known::heap_bytes)
    }

    pub(super) fn fold(&mut self, event: Event) {
        let event = match event {
            Event::OrderCreated(event) => return *self = Self::born(event),
            event => event,
        };
        let known = Arc::make_mut(self.0.as_mut().expect("OrderCreated comes first"));
        match event {
            Event::OrderCreated(_) => unreachable!("folded above"),
            Event::OrderPaymentAdded(event) => known.set(event.payment.payment, AttemptState::Open),
            Event::OrderPaymentEnded(event) => {
                known.set(event.payment, if event.failed { AttemptState::Failed } else { AttemptState::Ended });
            }
            Event::OrderOverdue(_) => known.status = Status::Overdue,
            Event::OrderPaid(event) => {
                assert!(known.paid_by().is_none(), "an order is paid by at most one payment");
                event.payment.into_iter().for_each(|payment| known.set(payment, AttemptState::Paid));
                known.go_on(Status::Paid);
            }
            Event::OrderCompleted(_) => known.end(Status::Completed),
            Event::OrderCancelled(event) => {
                event.refund.into_iter().for_each(|payment| known.set(payment, AttemptState::Refunded));
                known.refund_why = event.refund_why;
                known.end(Status::Cancelled(event.reason));
            }
            Event::OrderTicketsRefunded(event) => {
                let positions = known.positions(&event.tickets);
                known.rare.get_or_insert_default().refunded.extend(positions);
            }
            Event::OrderFailed(event) => known.end(Status::Failed(event.reason)),
            Event::OrderStuck(event) => match event.step {
                Step::PaymentStatus => known.stuck.payment_status = true,
                Step::Saga | Step::Unknown => known.stuck.saga = true,
            },
        }
    }

    fn born(event: OrderCreated) -> Self {
        let attempt =
            |choice: crate::value::PaymentChoice| Attempt { payment: choice.payment, state: AttemptState::Open };
        let known = Known {
            order: event.order,
            show: event.show,
            principal: event.principal.into(),
            organizer: event.organizer.into(),
            code: event.code.into(),
            currency: event.currency,
            status: Status::Open,
            refund_why: None,
            created_at: event.created_at,
            pay_by: event.pay_by,
            rare: Some(Box::new(Rare {
                live: Some(Live { hold_until: event.hold_until, session: event.session }),
                refunded: Vec::new(),
            })),
            stuck: Stuck::default(),
            lines: event.lines.into_iter().map(PackedLine::from).collect(),
            attempts: event.payment.into_iter().map(attempt).collect(),
        };
        assert_eq!(known.total(), event.total, "the total is the sum of the lines");
        Self(Some(Arc::new(known)))
    }
}

aggregate!(Order, "order");

impl Root for Order {
    type Ask = Command;
    type About = ();
    const CONTEXT: Context = Context::Order;

    fn next_due(&self) -> Option<Timestamp> {
        let known = self.known()?;
        match known.status {
            Status::Open => Some(known.pay_by),
            Status::Overdue if !known.stuck.payment_status => Some(known.patience_ends()),
            Status::Overdue | Status::Paid | Status::Completed | Status::Cancelled(_) | Status::Failed(_) => None,
        }
    }

    fn due() -> Command {
        Command::Tick
    }

    fn id(event: &Event) -> uuid::Uuid {
        event.aggregate()
    }
}
