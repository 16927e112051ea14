//! What may be done to an order, by whom, and when.

use crate::ids::{PaymentId, ShowId};
use crate::order::state::Known;
use crate::order::{
    AttemptState, CancelReason, Command, Event, FailReason, Order, OrderCancelled, OrderCompleted, OrderCreated,
    OrderFailed, OrderOverdue, OrderPaid, OrderPaymentAdded, OrderPaymentEnded, OrderStuck, Refusal, Status, Step,
};
use crate::payment::RefundWhy;
use crate::root::Issued;
use crate::value::{Actor, Currency, PaymentChoice, Role, Timestamp};

type Decision = Result<Vec<Event>, Refusal>;

/// So many attempts to pay an order may be made.
pub const MAX_PAYMENTS: usize = 5;

impl Order {
    pub(super) fn decide(&self, issued: Issued<Command>) -> Decision {
        let Issued { command, by, at, .. } = issued;
        if let Command::Create(order) = command {
            return self.create(order, &by);
        }
        let known = self.known().ok_or(Refusal::NotFound)?;
        if !known.admits(&by, &command) {
            let sees = matches!(command, Command::Refund { .. }) && known.admits(&by, &Command::Look);
            return Err(if sees { Refusal::Forbidden } else { Refusal::NotFound });
        }
        match command {
            Command::Create(_) | Command::Look => Ok(vec![]),
            Command::AddPayment { payment, accepts } => known.add_payment(payment, &accepts, at),
            Command::Cancel => known.cancel(),
            Command::MarkPaid { payment } => known.mark_paid(payment),
            Command::EndPayment { payment, failed } => known.end_payment(payment, failed),
            Command::Refund { refund, tickets } => known.refund(refund, &tickets),
            Command::RefuseStock => known.refuse_stock(),
            Command::CancelShow { show } => known.cancel_show(show),
            Command::Complete { ticket_count } => known.complete(ticket_count),
            Command::MarkStuck { step, reason } => known.mark_stuck(step, reason),
            Command::Tick => Ok(known.tick(at)),
        }
    }

    fn create(&self, order: OrderCreated, by: &Actor) -> Decision {
        match self.known() {
            _ if !by.is_system() => Err(Refusal::NotFound),
            Some(known) if known.show == order.show => Ok(vec![]), // A retry.
            Some(_) => Err(Refusal::OrderIdTaken),
            None if order.total > 0 => Ok(vec![order.into()]),
            None => {
                let (lines, currency, total) = (order.lines.clone(), order.currency, order.total);
                let paid = OrderPaid { order: order.order, show: order.show, payment: None, lines, currency, total };
                Ok(vec![order.into(), paid.into()])
            }
        }
    }
}

impl Known {
    /// Buyers act on their own order. Organizers see the orders of their shows and give their money back, support and
    /// admins see all and can cancel them; nobody pays for somebody else. Whoever may not is told of no such order.
    fn admits(&self, by: &Actor, command: &Command) -> bool {
        let holder = matches!(by, Actor::OrderHolder { order, show } if *order == self.order && *show == self.show);
        let own = holder || self.principal.is(&by.principal());
        let helps = by.has(Role::Support) || by.has(Role::Admin);
        match command {
            Command::AddPayment { .. } => own,
            Command::Cancel => own || helps,
            Command::Refund { .. } => helps || by.runs(&self.organizer.to_string()),
            Command::Look => own || helps || by.is_system() || by.runs(&self.organizer.to_string()),
            _ => by.is_system(),
        }
    }

    fn add_payment(&self, payment: PaymentChoice, accepts: &[Currency], at: Timestamp) -> Decision {
        if self.attempt(payment.payment).is_some() {
            return Ok(vec![]); // A retry.
        }
        match self.status {
            _ if self.total() == 0 => return Err(Refusal::NothingToPay),
            Status::Paid | Status::Completed => return Err(Refusal::AlreadyPaid),
            Status::Open if at < self.pay_by => {}
            Status::Open | Status::Overdue | Status::Cancelled(_) | Status::Failed(_) => return Err(Refusal::Over),
        }
        if !accepts.contains(&self.currency) {
            return Err(Refusal::ProviderUnavailable { currency: self.currency });
        }
        if self.attempts().len() >= MAX_PAYMENTS {
            return Err(Refusal::TooManyPayments { max: MAX_PAYMENTS });
        }
        let added = OrderPaymentAdded {
            order: self.order,
            show: self.show,
            payment,
            code: self.code.to_string(),
            amount: self.total(),
            currency: self.currency,
            pay_by: self.pay_by,
        };
        Ok(vec![added.into()])
    }

    fn cancel(&self) -> Decision {
        match self.status {
            Status::Open | Status::Overdue => Ok(vec![self.cancelled(CancelReason::ByBuyer, None)]),
            Status::Paid | Status::Completed => Err(Refusal::AlreadyPaid),
            Status::Cancelled(CancelReason::ByBuyer) => Ok(vec![]), // A retry.
            Status::Cancelled(_) | Status::Failed(_) => Err(Refusal::Over),
        }
    }

    /// Late money reopens what only time or a declined payment ended. It does so once: an order whose
    /// money went back stays over, else a repeated command could turn refunded money into tickets.
    fn mark_paid(&self, payment: PaymentId) -> Decision {
        if let Some(AttemptState::Paid | AttemptState::Refunded) = self.attempt(payment) {
            return Ok(vec![]); // A retry.
        }
        match self.status {
            Status::Paid | Status::Completed => Err(Refusal::PaidByAnother),
            Status::Open | Status::Overdue | Status::Failed(_) => Ok(vec![self.paid(payment)]),
            Status::Cancelled(CancelReason::Expired) if self.refund_why.is_none() => Ok(vec![self.paid(payment)]),
            Status::Cancelled(CancelReason::ShowCancelled) => {
                Err(Refusal::EndedBefore { why: RefundWhy::ShowCancelled })
            }
            Status::Cancelled(
                CancelReason::Expired | CancelReason::ByBuyer | CancelReason::Refunded | CancelReason::Unknown,
            ) => Err(Refusal::EndedBefore { why: RefundWhy::PaidTooLate }),
        }
    }

    fn paid(&self, payment: PaymentId) -> Event {
        let (order, show, currency, total) = (self.order, self.show, self.currency, self.total());
        OrderPaid { order, show, payment: Some(payment), lines: self.lines().collect(), currency, total }.into()
    }

    /// When it is overdue and this was the last hope, the order ends with it.
    fn end_payment(&self, payment: PaymentId, failed: bool) -> Decision {
        match (self.status, self.attempt(payment)) {
            (_, None) => Err(Refusal::WrongState),
            (Status::Open | Status::Overdue, Some(AttemptState::Open)) => {
                let ended = OrderPaymentEnded { order: self.order, show: self.show, payment, failed };
                let others = self.in_state(AttemptState::Open).any(|open| open != payment);
                let last = (self.status == Status::Overdue && !others).then(|| self.unpaid(failed));
                Ok([ended.into()].into_iter().chain(last).collect())
            }
            (_, Some(_)) => Ok(vec![]), // A retry, or of no interest any more.
        }
    }

    /// The end of an order that nobody paid; `failed` if the attempt that ends now was declined.
    fn unpaid(&self, failed: bool) -> Event {
        if failed || self.in_state(AttemptState::Failed).next().is_some() {
            let (order, show, reason) = (self.order, self.show, FailReason::PaymentFailed);
            return OrderFailed { order, show, reason, open_payments: vec![], session: self.session() }.into();
        }
        let cancelled = OrderCancelled {
            order: self.order,
            show: self.show,
            reason: CancelReason::Expired,
            open_payments: vec![],
            refund: None,
            refund_why: None,
            issued: false,
            session: self.session(),
        };
        cancelled.into()
    }

    fn refuse_stock(&self) -> Decision {
        match self.status {
            Status::Paid => Ok(vec![self.cancelled(CancelReason::Expired, Some(RefundWhy::PaidTooLate))]),
            Status::Cancelled(_) | Status::Failed(_) => Ok(vec![]), // A retry.
            Status::Open | Status::Overdue | Status::Completed => Err(Refusal::WrongState),
        }
    }

    fn cancel_show(&self, show: ShowId) -> Decision {
        match self.status {
            _ if self.show != show => Err(Refusal::WrongState),
            Status::Cancelled(_) | Status::Failed(_) => Ok(vec![]), // A retry, or over before.
            Status::Open | Status::Overdue | Status::Paid | Status::Completed => {
                Ok(vec![self.cancelled(CancelReason::ShowCancelled, Some(RefundWhy::ShowCancelled))])
            }
        }
    }

    /// Cancels a live order; the reason of a refund counts only if a payment had paid it.
    pub(super) fn cancelled(&self, reason: CancelReason, why: Option<RefundWhy>) -> Event {
        let refund = self.paid_by();
        let cancelled = OrderCancelled {
            order: self.order,
            show: self.show,
            reason,
            open_payments: self.in_state(AttemptState::Open).collect(),
            refund,
            refund_why: why.filter(|_| refund.is_some()),
            issued: matches!(self.status, Status::Paid | Status::Completed),
            session: self.session(),
        };
        cancelled.into()
    }

    fn complete(&self, ticket_count: i32) -> Decision {
        match self.status {
            Status::Paid => {
                let (order, show, session) = (self.order, self.show, self.session());
                Ok(vec![OrderCompleted { order, show, ticket_count, session }.into()])
            }
            Status::Completed => Ok(vec![]), // A retry.
            Status::Open | Status::Overdue | Status::Cancelled(_) | Status::Failed(_) => Err(Refusal::WrongState),
        }
    }

    fn mark_stuck(&self, step: Step, reason: String) -> Decision {
        let known = match step {
            Step::PaymentStatus => self.stuck.payment_status,
            Step::Saga | Step::Unknown => self.stuck.saga,
        };
        match self.status {
            Status::Open | Status::Overdue | Status::Paid if known => Ok(vec![]),
            Status::Open | Status::Overdue | Status::Paid => Ok(vec![self.stuck_at(step, reason)]),
            Status::Completed | Status::Cancelled(_) | Status::Failed(_) => Err(Refusal::WrongState),
        }
    }

    fn stuck_at(&self, step: Step, reason: String) -> Event {
        OrderStuck { order: self.order, show: self.show, step, reason }.into()
    }

    fn tick(&self, at: Timestamp) -> Vec<Event> {
        match self.status {
            Status::Open if at >= self.pay_by => {
                let payments: Vec<PaymentId> = self.in_state(AttemptState::Open).collect();
                if payments.is_empty() {
                    return vec![self.unpaid(false)];
                }
                vec![OrderOverdue { order: self.order, show: self.show, payments }.into()]
            }
            Status::Overdue if at >= self.patience_ends() && !self.stuck.payment_status => {
                let reason = "the provider does not say whether an overdue payment was made".to_owned();
                vec![self.stuck_at(Step::PaymentStatus, reason)]
            }
            _ => vec![],
        }
    }
}
