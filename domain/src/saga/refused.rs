//! What a refusal of a saga's command asks for; most ask for nothing, because they are answers too.

use crate::breakage::{Breakage, broken};
use crate::event::{Command, Refusal};
use crate::inventory::ReleaseReason;
use crate::payment::RefundWhy;
use crate::saga::{Action, Outgoing};
use crate::{inventory, order, payment, ticket};

/// The command that a refusal leads to, if any. It is as safe to repeat as the one that was refused.
pub fn on_refusal(outgoing: &Outgoing, refusal: &Refusal) -> Option<Command> {
    if broken(Breakage::RefusalAsSuccess) {
        return None;
    }
    match (&outgoing.action, refusal) {
        (Action::Command(Command::Order(_, command)), Refusal::Order(refusal)) => by_order(command, refusal),
        (Action::Command(Command::Inventory(show, command)), Refusal::Inventory(refusal)) => {
            let inventory::Command::Confirm { order } = *command else {
                return None;
            };
            let command = match refusal {
                inventory::Refusal::StockGone | inventory::Refusal::NoReservation => order::Command::RefuseStock,
                inventory::Refusal::NotOnSale { .. } => order::Command::CancelShow { show: *show },
                _ => return None,
            };
            Some(Command::Order(order, command))
        }
        (Action::Command(Command::Ticket(_, command)), Refusal::Ticket(ticket::Refusal::Revoked)) => by_batch(command),
        _ => None,
    }
}

/// Whether a refusal only says that what is asked for is still on its way: two events of an order may be carried out at
/// the same time. The same command is asked again, until it is there.
pub fn is_early(outgoing: &Outgoing, refusal: &Refusal) -> bool {
    let closes = matches!(&outgoing.action, Action::Command(Command::Payment(_, payment::Command::Close)));
    // An order names only payments that it has requested.
    closes && *refusal == Refusal::Payment(payment::Refusal::NotFound)
}

/// Money that an order does not take goes back.
fn by_order(command: &order::Command, refusal: &order::Refusal) -> Option<Command> {
    use order::{Command as C, Refusal as R};
    let (payment, why) = match (command, refusal) {
        (C::Create(created), R::OrderIdTaken) => {
            let (order, reason) = (created.order, ReleaseReason::OrderIdTaken);
            return Some(Command::Inventory(created.show, inventory::Command::Release { order, reason }));
        }
        (C::MarkPaid { payment }, R::PaidByAnother) if !broken(Breakage::SecondCaptureKept) => {
            (*payment, RefundWhy::PaidTwice)
        }
        (C::MarkPaid { payment }, R::EndedBefore { why }) if !broken(Breakage::LateMoneyKept) => (*payment, *why),
        (C::MarkPaid { payment }, R::NotFound) => (*payment, RefundWhy::PaidTooLate),
        _ => return None,
    };
    Some(Command::Payment(payment, payment::Command::Refund { why }))
}

/// The order ended while its tickets were under way: the stock that was sold for them returns.
fn by_batch(command: &ticket::Command) -> Option<Command> {
    match command {
        ticket::Command::Issue { order, show, .. } => {
            let (order, reason) = (*order, ReleaseReason::Refunded);
            Some(Command::Inventory(*show, inventory::Command::Release { order, reason }))
        }
        ticket::Command::Revoke { .. } | ticket::Command::RevokeSome { .. } | ticket::Command::Look => None,
    }
}
