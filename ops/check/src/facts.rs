//! Everything that the log says, folded record by record: what counts, what does not, and what it adds up to.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::ShowId;
use domain::root::{Context, Meta};
use domain::value::Timestamp;
use event_log::frame::Frame;
use event_log::log::Partition;
use event_log::validity::Void;
use uuid::Uuid;

use super::boards::Boards;
use super::queue::Queues;
use super::report::Faults;
use super::sales::Sales;
use super::stock::Stock;

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

/// What one partition is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read.
    pub records: u64,
    /// Valid events.
    pub events: u64,
    /// Commands that wrote something.
    pub commands: u64,
    /// Valid claims: 1 for the first owner, 1 more for every take-over.
    pub claims: u64,
    /// Valid barriers.
    pub barriers: u64,
    /// Valid watermarks of sagas.
    pub settled: u64,
    /// Records of a term that was over.
    pub old_term: u64,
    /// Records whose sequence number had been seen.
    pub duplicates: u64,
    /// Records after one that is missing.
    pub after_hole: u64,
    /// Events of a command whose others never came: in doubt, and decided by the next claim.
    pub unfinished: u64,
}

impl Counts {
    /// How many records do not count.
    pub fn void(&self) -> u64 {
        self.old_term + self.duplicates + self.after_hole + self.unfinished
    }

    /// Counts a record that does not count.
    pub fn skip(&mut self, void: Void) {
        *match void {
            Void::OldTerm => &mut self.old_term,
            Void::Duplicate => &mut self.duplicates,
            Void::AfterHole => &mut self.after_hole,
        } += 1;
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self {
            records: self.records + others.records,
            events: self.events + others.events,
            commands: self.commands + others.commands,
            claims: self.claims + others.claims,
            barriers: self.barriers + others.barriers,
            settled: self.settled + others.settled,
            old_term: self.old_term + others.old_term,
            duplicates: self.duplicates + others.duplicates,
            after_hole: self.after_hole + others.after_hole,
            unfinished: self.unfinished + others.unfinished,
        }
    }
}

/// Everything that the log says.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Each partition's records.
    pub partitions: BTreeMap<Partition, Counts>,
    /// What is wrong with the log itself.
    pub history: Faults,
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
    versions: BTreeMap<(Context, Uuid), u64>,
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
        let Logged { place, offset, frame, meta, event, .. } = logged;
        if u64::try_from(meta.version) != Ok(frame.agg_ver) {
            let name = event.name();
            self.history.add(format!("{place}: {name} at {offset} does not agree with its own header"));
        }
        self.version(event, frame.agg_ver);
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
                if let domain::show::Event::ShowCreated(created) = event {
                    self.shows.insert(created.show, created.details.name.clone());
                }
            }
            Event::Inventory(event) => {
                self.stock.fold(event);
                self.queues.fold_inventory(event, at);
            }
            Event::Order(event) => self.sales.fold_order(event),
            Event::Payment(event) => self.sales.fold_payment(event),
            Event::Ticket(event) => self.sales.fold_ticket(event),
            Event::Queue(event) => self.queues.fold(event, at),
        }
    }

    /// Notes the version that an event gave to its aggregate: 1, 2, 3, …; a gap is a lost event, a repetition one that
    /// was applied twice.
    pub fn version(&mut self, event: &Event, version: u64) {
        let key = (event.context(), event.aggregate());
        let known = self.versions.insert(key, version).unwrap_or(0);
        if version != known + 1 {
            let (name, id) = (event.name(), event.aggregate());
            self.history.add(format!("{name} of {id} gives it version {version} after {known}"));
        }
    }

    /// All partitions together.
    pub fn counts(&self) -> Counts {
        self.partitions.values().fold(Counts::default(), |sum, counts| sum.and(counts))
    }

    /// How many aggregates there are.
    pub fn aggregates(&self) -> usize {
        self.versions.len()
    }
}
