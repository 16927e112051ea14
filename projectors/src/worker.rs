//! The loop of every read model: load where it stands, follow the log from there, fold, write, go on. It begins anew
//! whenever other partitions are ours.
//!
//! It ends only when it is dropped, or if at its start the log is not the one that the read model was filled from.

mod attend;
mod lag;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use event_log::log::{Log, Partition};
use event_log::validity::{Broken, Position};
use schemas::Codec;
use service_kit::backoff::Backoff;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::ends::Ends;
use crate::generations::{Control, Filled, Generation, Target};
use crate::intake::Intake;
use crate::light::Light;
use crate::model::ReadModel;
use crate::projection::{self, Loaded, Projection, Written};
use crate::share::{Held, Share};
use crate::store::{Store, Stores, is_missing};
use attend::Attended;

/// Between two attempts, at least and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A database that does not answer at all within this has failed.
const WRITE_LIMIT: Duration = Duration::from_secs(90);
/// What a read model keeps is measured so often.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// How long to wait after what failed.
pub(crate) const fn retry() -> Backoff {
    Backoff::between(RETRY.0, RETRY.1)
}

/// The log is not what the read model was filled from. Nothing is skipped: a person has to decide (`boxctl`: wipe it,
/// or bring the log back).
#[derive(Debug, thiserror::Error)]
#[error("the read model {projection} cannot go on in {partition}")]
pub struct Refused {
    /// Which read model.
    pub projection: &'static str,
    /// Where.
    pub partition: Partition,
    /// Why.
    #[source]
    pub source: Broken,
}

/// After so many events in one transaction the next one waits for more: each costs its own round trips, however small.
const MANY: u64 = 8;
const GATHER: Duration = Duration::from_millis(25);

/// How a worker does its work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// At most so many records in one transaction.
    pub(crate) batch_records: usize,
    /// How long a batch waits for more records.
    pub(crate) linger: Duration,
    /// At least so long from one transaction to the next.
    pub(crate) every: Duration,
    pub(crate) look_every: Duration,
}

pub(crate) struct Worker<M: ReadModel> {
    log: Arc<dyn Log>,
    ends: Arc<Ends>,
    projection: Projection<M>,
    stores: Stores,
    control: Control,
    /// The generation that is filled.
    store: Store,
    light: Light,
    pace: Pace,
    share: Share,
    /// What of the share is worked on.
    places: Vec<Partition>,
    /// Whether tables and views were made, as far as known.
    prepared: bool,
    /// Events in the last transaction.
    wrote: u64,
    measured: Option<Instant>,
    attended: Attended,
}

impl<M: ReadModel> Worker<M> {
    pub(crate) fn new(
        (log, ends): (Arc<dyn Log>, Arc<Ends>),
        codec: Codec,
        (stores, control): (Stores, Control),
        light: Light,
        (pace, share): (Pace, Share),
    ) -> Self {
        let (projection, places, attended) = (Projection::new(codec), Vec::new(), Attended::new(M::LAYOUT.name));
        let store = stores.of(Generation::first(&M::LAYOUT));
        let (prepared, wrote, measured) = (true, 0, None);
        Self {
            log,
            ends,
            projection,
            stores,
            control,
            store,
            light,
            pace,
            share,
            places,
            prepared,
            wrote,
            measured,
            attended,
        }
    }

    pub(crate) async fn run(mut self) -> Result<Infallible, Refused> {
        let share = self.share.clone();
        let mut told = share.watch();
        let mut control = self.control.clone();
        let mut first = true;
        loop {
            let target = self.target(&mut control).await;
            match share.hold(&mut told) {
                None => self.light.unassigned(),
                Some(held) => {
                    self.take_over(&held, target);
                    tokio::select! {
                        // What is in the middle is dropped: whoever has it next begins at the checkpoints.
                        _ = told.changed() => {}
                        () = control.other(&M::LAYOUT, target) => {}
                        Err(refused) = self.pursue(target, &mut first) => return Err(refused),
                    }
                    continue;
                }
            }
            // The share lives as long as we do: there is no other end of this.
            let _ = told.changed().await;
        }
    }

    /// What there is to do, once the database tells.
    async fn target(&mut self, control: &mut Control) -> Target {
        loop {
            match control.target(&M::LAYOUT).await {
                Ok(target) => return target,
                Err(error) => self.light.database_fails("look up which generation to fill", &error),
            }
            control.looked().await;
        }
    }

    async fn pursue(&mut self, target: Target, first: &mut bool) -> Result<Infallible, Refused> {
        self.light.paused(matches!(target, Target::Paused(_)));
        match target {
            Target::Fill(_) => self.fill(first).await,
            Target::Paused(_) => Ok(self.rest().await),
            Target::Nothing => {
                self.light.reloaded();
                self.light.caught_up();
                std::future::pending().await
            }
        }
    }

    /// Shows how far it falls behind while it is paused.
    async fn rest(&mut self) -> Infallible {
        self.light.reloaded();
        loop {
            // What cannot be looked up now is looked up the next time.
            if let Ok(stored) = projection::look(&self.store, &self.places).await {
                for (place, position) in self.places.iter().zip(stored) {
                    self.gauge(*place, self.ends.lag(*place, position.map_or(0, |position| position.next)));
                }
            }
            sleep(self.pace.look_every).await;
        }
    }

    fn take_over(&mut self, held: &Held, target: Target) {
        if let Target::Fill(generation) | Target::Paused(generation) = target
            && generation != self.store.generation()
        {
            self.store = self.stores.of(generation);
            self.light.behind();
        }
        let partitions = held.numbers.clone();
        let filled = |generation: Generation| Filled { generation: generation.number, partitions };
        let fills = match target {
            Target::Fill(generation) => Some(filled(generation)),
            Target::Paused(_) | Target::Nothing => None,
        };
        self.control.duty.is(M::LAYOUT.name, fills);
        metrics::gauge!("projector_generation", "projection" => M::LAYOUT.name)
            .set(f64::from(self.store.generation().number));
        let of = |context| held.numbers.iter().map(move |number| Partition { context, number: *number });
        let places: Vec<Partition> = M::CONTEXTS.iter().copied().flat_map(of).collect();
        for lost in self.places.iter().filter(|place| !places.contains(place)) {
            self.gauge(*lost, 0);
        }
        if places.iter().any(|place| !self.places.contains(place)) {
            self.light.behind();
        }
        self.places = places;
    }

    /// Until the partitions change, when it is dropped.
    async fn fill(&mut self, first: &mut bool) -> Result<Infallible, Refused> {
        if self.places.is_empty() {
            self.light.reloaded();
            self.light.caught_up();
            return std::future::pending().await;
        }
        let mut backoff = retry();
        loop {
            let Loaded { positions, parked } = self.load().await;
            let sound = self.sound(positions, *first).await?;
            *first = false;
            let mut intake = Intake::open(&*self.log, &sound);
            self.projection.begin_at(sound, parked);
            self.follow(&mut intake, &mut backoff).await;
            drop(intake);
            // Whoever is ahead does the work; asking now and then is enough to take over from it.
            backoff.wait().await;
        }
    }

    /// Where the read model stands, once the database tells.
    async fn load(&mut self) -> Loaded {
        let mut backoff = retry();
        loop {
            match self.try_load().await {
                Ok(Some(loaded)) => {
                    self.light.database_answers();
                    self.light.reloaded();
                    if loaded.positions.iter().any(|position| position.next == 0) {
                        self.light.behind();
                    }
                    return loaded;
                }
                // Emptied between two statements.
                Ok(None) => {}
                Err(error) => self.failed("load the checkpoints", &error),
            }
            backoff.wait().await;
        }
    }

    async fn try_load(&mut self) -> Result<Option<Loaded>, sqlx::Error> {
        if !self.prepared {
            self.store.ensure().await?;
            self.prepared = true;
        }
        projection::load(&self.store, &self.places).await
    }

    fn failed(&mut self, attempted: &str, error: &sqlx::Error) {
        self.light.database_fails(attempted, error);
        if is_missing(error) {
            self.prepared = false;
        }
    }

    /// The partitions that can be read on from what is stored. One that cannot stops the process at its start, and
    /// itself later.
    async fn sound(&mut self, stored: Vec<Position>, first: bool) -> Result<Vec<(Partition, Position)>, Refused> {
        let checks = self.places.iter().zip(stored).map(|(place, position)| self.check(*place, position));
        let mut sound = Vec::new();
        for (place, position, checked) in futures::future::join_all(checks).await {
            match checked {
                Ok(()) => sound.push((place, position)),
                Err(source) if first => {
                    return Err(Refused { projection: M::LAYOUT.name, partition: place, source });
                }
                Err(broken) => self.light.broke(place, &broken),
            }
        }
        Ok(sound)
    }

    async fn check(&self, place: Partition, stored: Position) -> (Partition, Position, Result<(), Broken>) {
        let mut backoff = retry();
        loop {
            let ends = Arc::clone(&self.ends);
            let asked = spawn_blocking(move || ends.check(place, &stored)).await.expect("asking the log never panics");
            match asked {
                Ok(checked) => return (place, stored, checked),
                Err(error) => tracing::warn!(partition = %place, %error, "waiting for the log"),
            }
            backoff.wait().await;
        }
    }

    /// Until the checkpoints are found to be somewhere else.
    async fn follow(&mut self, intake: &mut Intake, backoff: &mut Backoff) {
        let mut written_at: Option<Instant> = None;
        loop {
            if !self.attend().await {
                return;
            }
            if timeout(self.pace.look_every, intake.wait()).await.is_err() {
                if !self.still_here().await {
                    return;
                }
                self.measure();
                continue;
            }
            let until = self.until(written_at);
            let most = self.pace.batch_records.min(self.projection.at_most());
            for (place, broken) in intake.take(&mut self.projection, most, until).await {
                self.light.broke(place, &broken);
            }
            let void = self.projection.take_void();
            metrics::counter!("projector_void_records_total", "projection" => M::LAYOUT.name).increment(void);
            if self.projection.has_moved() {
                if !self.write(backoff).await {
                    return;
                }
                written_at = Some(Instant::now());
                backoff.reset();
            }
            if intake.caught_up() {
                self.light.caught_up();
            }
            self.measure();
        }
    }

    /// Until when a batch takes in more.
    fn until(&self, written_at: Option<Instant>) -> Instant {
        let lingered = Instant::now() + self.pace.linger;
        let every = if self.wrote >= MANY { self.pace.every.max(GATHER) } else { self.pace.every };
        written_at.map_or(lingered, |at| lingered.max(at + every))
    }

    /// Writes what was folded, however long the database is away. False if that is void, because somebody else moved the
    /// checkpoints or they are gone.
    async fn write(&mut self, pause: &mut Backoff) -> bool {
        let mut backoff = retry();
        loop {
            let written = timeout(WRITE_LIMIT, self.projection.write(&self.store)).await;
            match written.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
                Ok(Written::Rows { rows, events }) => {
                    self.wrote = events;
                    self.light.database_answers();
                    let name = M::LAYOUT.name;
                    metrics::counter!("projector_batches_total", "projection" => name).increment(1);
                    metrics::counter!("projector_events_total", "projection" => name).increment(events);
                    metrics::counter!("projector_rows_total", "projection" => name).increment(rows);
                    self.tell_lag();
                    self.tell_parked();
                    return true;
                }
                Ok(Written::Again) => {
                    self.light.database_answers();
                    metrics::counter!("projector_divided_total", "projection" => M::LAYOUT.name).increment(1);
                    // It goes on at once, with less.
                    pause.reset();
                    return false;
                }
                Ok(Written::Overtaken) => {
                    self.light.database_answers();
                    metrics::counter!("projector_overtaken_total", "projection" => M::LAYOUT.name).increment(1);
                    return false;
                }
                Err(error) => {
                    self.failed("write a batch", &error);
                    if !self.prepared {
                        return false;
                    }
                }
            }
            backoff.wait().await;
        }
    }

    /// Whether the checkpoints are where they were left. Nobody writes while nothing happens, and so nothing else
    /// would tell that the read model was emptied or an older state of it brought back.
    async fn still_here(&mut self) -> bool {
        let sources = self.projection.sources().iter();
        let (places, expected): (Vec<Partition>, Vec<Option<Position>>) =
            sources.map(|source| (source.place, Some(source.position))).unzip();
        match timeout(self.pace.look_every.max(RETRY.1), projection::look(&self.store, &places)).await {
            Ok(Ok(stored)) => {
                self.light.database_answers();
                stored == expected
            }
            Ok(Err(error)) => {
                self.failed("look at the checkpoints", &error);
                self.prepared
            }
            Err(_) => {
                self.light.database_fails("look at the checkpoints", &sqlx::Error::PoolTimedOut);
                true
            }
        }
    }

    fn measure(&mut self) {
        if self.measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
            M::measure(self.projection.kept());
            self.measured = Some(Instant::now());
        }
        self.show_parked();
        for source in self.projection.sources() {
            self.gauge(source.place, self.ends.lag(source.place, source.position.next));
            let place = source.place.to_string();
            #[allow(clippy::cast_precision_loss, reason = "an offset is far below 2^52")]
            metrics::gauge!("projector_position_records", "projection" => M::LAYOUT.name, "partition" => place)
                .set(source.position.next as f64);
        }
    }

    fn gauge(&self, place: Partition, lag: i64) {
        #[allow(clippy::cast_precision_loss, reason = "a lag is far below 2^52")]
        metrics::gauge!("projector_lag_records", "projection" => M::LAYOUT.name, "partition" => place.to_string())
            .set(lag as f64);
    }
}
