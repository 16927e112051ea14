//! What the waiting room is told, and what its events make others do.

use crate::event::Command;
use crate::ids::{OrderId, SessionId, ShowId};
use crate::inventory;
use crate::inventory::TicketsReserved;
use crate::queue::{self, CheckoutEnd, CloseReason, Event, WaitingRoomOpened};
use crate::saga::{Action, Effect};
use crate::show::{ShowCancelled, ShowPublished};

/// A published show opens its waiting room, if it has one.
pub(super) fn open(event: &ShowPublished) -> Option<Action> {
    let opening = WaitingRoomOpened {
        show: event.show,
        organizer: event.organizer.clone(),
        terms: event.waiting_room?,
        checkout_url: event.checkout_url.clone(),
        draw_hash: event.draw_hash.clone(),
    };
    Some(to_queue(event.show, queue::Command::Open(opening)))
}

/// A cancelled show closes it.
pub(super) fn close(event: &ShowCancelled) -> Option<Action> {
    let (show, reason) = (event.show, CloseReason::ShowCancelled);
    event.waiting_room.then(|| to_queue(show, queue::Command::Close { show, reason }))
}

/// The first attempt of a reservation ties the slot to the order.
pub(super) fn tie(event: &TicketsReserved) -> Option<Action> {
    let session = event.checkout.as_ref()?.session?;
    Some(to_queue(event.show, queue::Command::Tie { session, order: event.order }))
}

/// The end of an order frees the slot.
pub(super) fn end(show: ShowId, session: Option<SessionId>, order: OrderId, end: CheckoutEnd) -> Option<Action> {
    let session = session?;
    Some(to_queue(show, queue::Command::EndCheckout { session, order, end }))
}

pub(super) fn of_queue(event: &Event) -> Vec<Action> {
    match event {
        Event::PreQueueClosed(event) => vec![Action::Effect(Effect::RevealSeed { show: event.show })],
        Event::QueueLeft(event) if event.entered => {
            let (show, session) = (event.show, event.session);
            vec![Action::Command(Command::Inventory(show, inventory::Command::Bar { show, session }))]
        }
        Event::QueueLeft(_)
        | Event::WaitingRoomOpened(_)
        | Event::WaitingRoomClosed(_)
        | Event::QueueModeSet(_)
        | Event::QueueJoined(_)
        | Event::QueueDrawn(_)
        | Event::QueueReady(_)
        | Event::CheckoutStarted(_)
        | Event::CheckoutTied(_)
        | Event::QueueExpired(_)
        | Event::CheckoutCompleted(_)
        | Event::CheckoutFailed(_)
        | Event::CheckoutExpired(_) => vec![],
    }
}

fn to_queue(show: ShowId, command: queue::Command) -> Action {
    Action::Command(Command::Queue(show, command))
}
