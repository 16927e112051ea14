//! Read models, each filled by two projectors that know nothing of each other, over rows that fail as they are told.

use std::collections::BTreeMap;

use domain::breakage;
use event_log::log::{Partition, Record};
use event_log::validity::Position;
use projectors::memory::{Filling, MemoryRows, StoreFault, fillings};
use projectors::{Envelope, Written};
use schemas::Codec;

use crate::plan::{Knobs, Store};
use crate::world::{World, number, place};

const LAW: &str = "each read model = fold at its own offset";

/// One projector's work on one read model.
struct Worker {
    filling: Box<dyn Filling>,
    loaded: bool,
}

/// Every projector, and the rows.
pub struct Readers {
    rows: MemoryRows,
    /// Two for each read model: first all of the one process, then all of the other.
    workers: Vec<Worker>,
}

impl Readers {
    /// Projectors that have read nothing yet; none if no read models are filled.
    pub fn new(knobs: &Knobs, codec: &Codec) -> Self {
        let rows = MemoryRows::default();
        let workers = (0..if knobs.readers { 2 } else { 0 }).flat_map(|_| workers(codec, &rows)).collect();
        Self { rows, workers }
    }
}

impl Readers {
    /// How many read models there are.
    fn models(&self) -> usize {
        self.workers.len() / 2
    }
}

fn workers(codec: &Codec, rows: &MemoryRows) -> impl Iterator<Item = Worker> {
    fillings(codec, rows).into_iter().map(|filling| Worker { filling, loaded: false })
}

fn places(filling: &dyn Filling) -> Vec<Partition> {
    filling.contexts().iter().map(|context| place(number(*context))).collect()
}

impl World {
    /// A projector reads something and writes it, and the database does this.
    pub fn project(&mut self, reader: usize, store: Store) {
        if self.readers.workers.is_empty() {
            return;
        }
        let reader = reader % self.readers.workers.len();
        let fault = match store {
            Store::Good | Store::NotYet => StoreFault::None,
            Store::Lost => StoreFault::LoseCommit,
            Store::DoneButError => StoreFault::LoseAnswer,
            Store::Away => StoreFault::Begin,
            Store::Crash => {
                self.seen.fault("rows: projector gone, another begins");
                let mut anew = workers(&self.codec, &self.readers.rows);
                self.readers.workers[reader] =
                    anew.nth(reader % self.readers.models()).expect("one for each read model");
                return;
            }
        };
        let most = 1 + self.dice.index(12);
        if self.take_in(reader, most) && store != Store::NotYet {
            self.write(reader, fault);
        }
    }

    /// Reads at most so many records of each topic. Tells whether there is anything to write.
    fn take_in(&mut self, reader: usize, most: usize) -> bool {
        let worker = &mut self.readers.workers[reader];
        let places = places(&*worker.filling);
        if !worker.loaded {
            if worker.filling.load(&places).is_err() {
                return false;
            }
            worker.loaded = true;
        }
        let mut broken = None;
        for place in places {
            let Some(next) = worker.filling.next(place) else { continue };
            let records: Vec<Record> = self.log.records(place);
            let from = usize::try_from(next).expect("an offset").min(records.len());
            let new = &records[from..records.len().min(from.saturating_add(most))];
            if let Err(error) = worker.filling.read(place, new.to_vec()) {
                broken.get_or_insert(format!("{place}: {error}"));
            }
        }
        let moved = worker.filling.has_moved();
        if let Some(detail) = broken {
            self.fail("no fault here breaks a log", detail);
        }
        moved
    }

    fn write(&mut self, reader: usize, fault: StoreFault) {
        if fault != StoreFault::None {
            self.readers.rows.plan([fault]);
        }
        let worker = &mut self.readers.workers[reader];
        let written = worker.filling.write();
        worker.loaded = matches!(written, Ok(Written::Rows { .. }) | Err(_));
        match (fault, &written) {
            (_, Ok(Written::Overtaken)) => self.seen.fault("rows: another projector was ahead"),
            (StoreFault::LoseCommit, _) => self.seen.fault("rows: commit lost"),
            (StoreFault::LoseAnswer, _) => self.seen.fault("rows: committed, error told"),
            (StoreFault::Begin, _) => self.seen.fault("rows: database away"),
            (StoreFault::None | StoreFault::Refuse, _) => self.seen.happened("rows written"),
        }
        self.readers.rows.forget_plan();
        let layout = self.readers.workers[reader].filling.layout();
        if matches!(written, Ok(Written::Again)) || !self.readers.rows.parked(layout).is_empty() {
            self.fail("no event here cannot be folded", layout.name.to_owned());
        }
    }

    /// Every read model is the fold at its own offset: where it stands, and once it has read everything.
    pub fn readers_agree(&mut self) {
        for model in 0..self.readers.models() {
            self.reader_agrees(model);
            for _ in 0..3 {
                if self.take_in(model, usize::MAX) {
                    self.write(model, StoreFault::None);
                }
            }
            self.reader_agrees(model);
            if self.wrong.is_some() {
                return;
            }
        }
    }

    fn reader_agrees(&mut self, model: usize) {
        let layout = self.readers.workers[model].filling.layout();
        let stored: BTreeMap<Partition, Position> = self.readers.rows.positions(layout);
        let found = self.readers.rows.tables(layout);
        let expected = breakage::with(None, || self.folded(model, &stored));
        if found == expected {
            return;
        }
        let mut differences = Vec::new();
        for (table, rows) in &expected {
            let found = &found[table];
            let pairs = rows.iter().zip(found).filter(|(expected, found)| expected != found);
            differences
                .extend(pairs.map(|(expected, found)| format!("{table}: {found} instead of {expected}")).take(2));
            if rows.len() != found.len() {
                differences.push(format!("{table}: {} rows instead of {}", found.len(), rows.len()));
            }
        }
        self.fail(LAW, format!("{} at {stored:?}: {}", layout.name, differences.join("; ")));
    }

    /// The rows that the events which count, up to these positions, make.
    fn folded(
        &self,
        model: usize,
        stored: &BTreeMap<Partition, Position>,
    ) -> BTreeMap<&'static str, Vec<serde_json::Value>> {
        let rows = MemoryRows::default();
        let mut filling = fillings(&self.codec, &rows).swap_remove(model);
        for place in places(&*filling) {
            let next = stored.get(&place).map_or(0, |position| position.next);
            let lane = &self.lanes[number(place.context)];
            for line in lane.log.iter().take_while(|line| line.offset < next) {
                let (meta, event) = (line.meta.clone(), line.event.clone());
                filling.fold(&Envelope { meta, event, partition: place.number, offset: line.offset });
            }
        }
        filling.write().expect("nothing was planned");
        rows.tables(filling.layout())
    }
}
