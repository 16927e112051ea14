//! A show and its ticket classes as their owner knows them, in the shape that readers get.

use domain::ids::TicketClassId;
use domain::queue::Terms;
use domain::show::{Class, Known, Show, Status};
use domain::value::Currency;
use event_log::owner::Answer;
use service_kit::problem::{Kind, Problem};
use service_kit::views::{self, Money, Venue, WaitingRoom, moment};

use super::App;

/// A show as it is after a write.
///
/// # Errors
/// 404 if there is none.
pub fn seen(app: &App, answer: &Answer<Show>) -> Result<views::Show, Problem> {
    answer.state.known().map(|known| view(app, known)).ok_or_else(|| Problem::new(Kind::ShowNotFound))
}

/// A class of it.
///
/// # Errors
/// 404 if there is none.
pub fn seen_class(answer: &Answer<Show>, class: TicketClassId) -> Result<views::TicketClass, Problem> {
    let known = answer.state.known().ok_or_else(|| Problem::new(Kind::ShowNotFound))?;
    let found = known.class(class).ok_or_else(|| Problem::new(Kind::TicketClassNotFound))?;
    Ok(class_view(found, known.details.currency))
}

fn class_view(class: &Class, currency: Currency) -> views::TicketClass {
    let terms = &class.terms;
    views::TicketClass {
        id: terms.ticket_class.0,
        name: terms.name.clone(),
        price: Money::of(terms.price, currency),
        capacity: terms.capacity,
        sale_starts_at: terms.sale_starts_at.map(moment),
        sale_ends_at: terms.sale_ends_at.map(moment),
        max_per_order: terms.max_per_order,
    }
}

fn view(app: &App, known: &Known) -> views::Show {
    let details = &known.details;
    views::Show {
        id: known.show.0,
        name: details.name.clone(),
        description: details.description.clone(),
        starts_at: moment(details.starts_at),
        ends_at: details.ends_at.map(moment),
        time_zone: details.time_zone.clone(),
        venue: Venue { name: details.venue_name.clone(), city: details.venue_city.clone() },
        currency: details.currency.to_string(),
        categories: details.categories.clone(),
        status: status(known.status).to_owned(),
        pay_within_s: known.pay_within_s,
        checkout_url: known.checkout_url.clone(),
        waiting_room: known.waiting_room.as_ref().map(|terms| WaitingRoom::of(terms, draw_hash(app, known, terms))),
        ticket_classes: known.classes.iter().map(|class| class_view(class, details.currency)).collect(),
    }
}

/// What was promised on publishing, if places are to be drawn.
fn draw_hash(app: &App, known: &Known, terms: &Terms) -> Option<String> {
    let promised = known.status == Status::Published && terms.opens_at.is_some();
    promised.then(|| app.0.keys.draw_seed(known.show).hash())
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Configured => "configured",
        Status::Approved => "approved",
        Status::Published => "published",
        Status::Cancelled => "cancelled",
    }
}
