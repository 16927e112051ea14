//! Everything that the log says, folded record by record: what counts, what does not, and what it adds up to.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::ShowId;
use domain::root::Meta;
use domain::value::Timestamp;
use event_log::frame::Frame;
use event_log::log::Partition;

use super::boards::Boards;
use super::chronicle::Chronicle;
use super::log::{Counts, Shape};
use super::queue::Queues;
use super::sales::Sales;
use super::steps::Steps;
use super::stock::Stock;
use super::terms::Terms;

/// A valid event as it lies in the log.
#[derive(Debug, Clone, Copy)]
pub struct Logged<'a> {
    /// In which partition.
    pub place: Partition,
    /// Where in it.
    pub offset: i64,
    /// When it was appended, by the broker's clock.
    pub appended_at: Timestamp,
    /// Its header.
    pub frame: Frame,
    /// Who, when and why.
    pub meta: &'a Meta,
    /// What happened.
    pub event: &'a Event,
}

/// Everything that the log says.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Each partition's records.
    pub partitions: BTreeMap<Partition, Counts>,
    /// What the log itself looks like.
    pub log: Shape,
    /// The stock.
    pub stock: Stock,
    /// Orders, payments and tickets.
    pub sales: Sales,
    /// Waiting rooms.
    pub queues: Queues,
    /// Boards of Postgres with what they have to be.
    pub boards: Boards,
    /// Names of shows.
    pub shows: BTreeMap<ShowId, String>,
    /// By which terms stock was given out and taken back.
    pub terms: Terms,
    /// What asks for another step.
    pub steps: Steps,
    /// What happened when, by the broker's clock.
    pub chronicle: Chronicle,
}

impl Facts {
    /// The facts of these events: everything valid of a log, each partition's events in their order; partitions may come
    /// in any order.
    pub fn of<'a>(events: impl IntoIterator<Item = Logged<'a>>) -> Self {
        let mut facts = Self::default();
        events.into_iter().for_each(|logged| facts.take(logged));
        facts
    }

    /// Takes the next valid event of a partition in.
    pub fn take(&mut self, logged: Logged<'_>) {
        let Logged { offset, meta, event, .. } = logged;
        self.log.take(&logged);
        self.chronicle.take(&logged);
        if let Event::Queue(event) = event {
            self.boards.fold(event, offset, meta.occurred_at);
        }
        self.fold(event, meta.occurred_at);
    }

    /// Takes an event in that was decided at this moment. Events of one topic come in the order of their partition; topics
    /// may come in any order.
    pub fn fold(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Show(event) => {
                self.steps.fold_show(event);
                if let domain::show::Event::ShowCreated(created) = event {
                    self.shows.insert(created.show, created.details.name.clone());
                }
            }
            Event::Inventory(event) => {
                self.stock.fold(event);
                self.queues.fold_inventory(event, at);
                self.terms.fold(event, at);
                self.steps.fold_inventory(event);
            }
            Event::Order(event) => {
                self.sales.fold_order(event);
                self.terms.fold_order(event, at);
                self.steps.fold_order(event);
            }
            Event::Payment(event) => self.sales.fold_payment(event),
            Event::Ticket(event) => self.sales.fold_ticket(event),
            Event::Queue(event) => {
                self.queues.fold(event, at);
                self.steps.fold_queue(event);
            }
            // Nothing is counted by who bought.
            Event::Account(_) => {}
        }
    }

    /// All partitions together.
    pub fn counts(&self) -> Counts {
        self.partitions.values().fold(Counts::default(), |sum, counts| sum.and(counts))
    }

    /// How many aggregates there are.
    pub fn aggregates(&self) -> usize {
        self.log.aggregates()
    }
}
