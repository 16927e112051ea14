//! `boxctl queue verify SHOW`: whether a waiting room kept its word, recomputed from the log by whoever doubts it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use domain::event::Event;
use domain::ids::ShowId;
use domain::queue::{self, Mode, QueueModeSet};
use domain::root::Context;
use domain::value::Timestamp;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Partition;
use event_log::partition::partition_of;
use event_log::topics;
use event_log::validity::{Position, Reader, Valid, Verdict};
use schemas::{Codec, DecodeError, Registry};
use uuid::Uuid;

use crate::site::{Site, SiteArgs};
use crate::{log, stack};
use check::{At, Faults, Law, Report, Room};

/// So many places are shown, unless all are asked for.
const SHOWN: usize = 10;

/// What to do with a waiting room.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Recompute the draw, the places and the order of admission from the log; ends with 1 if something is wrong.
    Verify(VerifyArgs),
}

/// Which waiting room. Where: the environment, or the local installation.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The show.
    show: Uuid,
    /// List everybody in the order of service, not only the first ones.
    #[arg(long)]
    places: bool,
    /// Show how this number got its place, step by step.
    #[arg(long, value_name = "N")]
    number: Option<u32>,
    /// The findings as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// A moment worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Milestone {
    offset: i64,
    at: Timestamp,
    what: String,
}

/// What the log says of one room.
#[derive(Debug, Default)]
pub struct Story {
    /// The room, recomputed.
    pub room: Room,
    /// What joining took of the log: key, header and value of each record.
    pub joins_bytes: u64,
    events: u64,
    milestones: Vec<Milestone>,
    /// What is wrong with the partition itself.
    broken: Faults,
}

/// Does it.
///
/// # Errors
/// The log does not answer, or there is no such room.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(args) => verify(args).await,
    }
}

async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let site = Site::find(&args.site)?;
    let partitions = site.partitions().await?;
    let (show, at) = (ShowId(args.show), place_of(args.show, partitions));
    let story = Story::read(site.kafka(), &site.registry, partitions, show).await?;
    if story.events == 0 {
        bail!("{at} has no waiting room of show {show}");
    }
    let report = story.report();
    let ended = if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if args.json {
        stack::print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
        return Ok(ended);
    }
    let shown = if args.places { usize::MAX } else { SHOWN };
    let mut text = format!("Waiting room of show {show}: {} events in {at}\n\n{}", story.events, story.text());
    write!(text, "\nRecomputed from these events alone:\n{}", report.text())?;
    write!(text, "\n{}", story.table(shown))?;
    if let Some(number) = args.number {
        write!(text, "\n{}", story.explained(number))?;
    }
    let verdict =
        if report.holds() { "the waiting room kept its word" } else { "the waiting room did NOT keep its word" };
    stack::print(&format!("{text}\nVerdict: {verdict}.\n"))?;
    Ok(ended)
}

/// The partition that a show's waiting room is in.
pub fn place_of(show: Uuid, partitions: u32) -> Partition {
    Partition { context: Context::Queue, number: partition_of(show, partitions) }
}

impl Story {
    /// Reads it from the beginning.
    ///
    /// # Errors
    /// The log or the registry does not answer.
    pub async fn read(kafka: KafkaSettings, registry: &str, partitions: u32, show: ShowId) -> anyhow::Result<Self> {
        let ids = topics::check(&kafka, registry, partitions).await?;
        let codec = Codec::new(ids, Registry::new(registry)?);
        let log = KafkaLog::connect(kafka)?;
        let at = place_of(show.0, partitions);
        let mut story = Self::default();
        let mut reader = Reader::at(Position::default());
        for record in log::read_all(&log, at).await? {
            match reader.judge(record) {
                Ok(Verdict::Command(events)) => story.take(show, &codec, &events).await?,
                Ok(_) => {}
                Err(broken) => {
                    story.broken.add(format!("{at} cannot be read on: {broken}"));
                    break;
                }
            }
        }
        Ok(story)
    }

    async fn take(&mut self, show: ShowId, codec: &Codec, events: &[Valid]) -> anyhow::Result<()> {
        for valid in events {
            let decoded = match codec.decode(&valid.record.value) {
                Err(DecodeError::UnlearnedSchema(id)) => {
                    codec.learn(id).await.with_context(|| format!("ask the registry for schema {id}"))?;
                    codec.decode(&valid.record.value)
                }
                decoded => decoded,
            };
            match decoded {
                Ok((meta, Event::Queue(event))) if event.aggregate() == show.0 => {
                    if matches!(event, queue::Event::QueueJoined(_)) {
                        let record = &valid.record;
                        self.joins_bytes += (record.key.len() + record.header.len() + record.value.len()) as u64;
                    }
                    self.fold(&event, valid.record.offset, meta.occurred_at);
                }
                Ok(_) => {}
                Err(error) => {
                    let offset = valid.record.offset;
                    self.broken.add(format!("the event at offset {offset} cannot be decoded: {error}"));
                }
            }
        }
        Ok(())
    }

    /// Takes the room's next event in.
    pub fn fold(&mut self, event: &queue::Event, offset: i64, at: Timestamp) {
        self.events += 1;
        if let Some(what) = told(event, &self.room) {
            self.milestones.push(Milestone { offset, at, what });
        }
        self.room.fold(event, at);
    }

    /// What was recomputed, and whether it is right.
    pub fn report(&self) -> Report {
        let room = &self.room;
        let drawn = room.draw.map(|draw| format!("hash of the seed, and {} places drawn by it", draw.count()));
        let drawn =
            drawn.unwrap_or_else(|| "nothing was drawn: everybody is served in the order of joining".to_owned());
        let slots = room.opened.as_ref().map_or(0, |opened| opened.terms.slots);
        let laws = vec![
            Law::new("the log can be read to its end", format!("{} events", self.events), self.broken.clone()),
            Law::new("the draw is the one that was promised", drawn, room.drawing.clone()),
            Law::new("one live place for each visitor", format!("{} joined", room.visitors.len()), room.places.clone()),
            Law::new(
                "nobody is admitted before who waits in front",
                format!("{} admissions, order inversions {}", room.admissions.len(), room.inversions),
                room.service.clone(),
            ),
            Law::new(
                "never more slots than the setting",
                format!("most in use {} of {slots}", room.peak),
                room.slots.clone(),
            ),
            Law::new("a slot is freed once, and not before its time", ends(room), room.ways.clone()),
        ];
        Report { laws }
    }

    /// What happened when.
    fn text(&self) -> String {
        let line = |it: &Milestone| format!("  offset {:<7} {}  {}\n", it.offset, time(it.at), it.what);
        self.milestones.iter().map(line).collect()
    }

    /// The order of service.
    fn table(&self, shown: usize) -> String {
        let room = &self.room;
        let mut rows: Vec<(u32, u32)> =
            (1..).zip(&room.visitors).map(|(number, _)| (room.place(number).unwrap_or(number), number)).collect();
        rows.sort_unstable();
        let mut text = format!("{:>7}  {:>7}  {:27}  {:27}  end\n", "place", "number", "joined", "admitted");
        for (place, number) in rows.iter().take(shown) {
            let Some(visitor) = number.checked_sub(1).and_then(|at| room.visitors.get(usize::try_from(at).ok()?))
            else {
                continue;
            };
            let admitted = visitor.admitted_at.map_or_else(|| "-".to_owned(), time);
            let joined = time(visitor.joined_at);
            writeln!(text, "{place:>7}  {number:>7}  {joined:27}  {admitted:27}  {}", visitor.at.word())
                .expect("strings take everything");
        }
        let more = rows.len().saturating_sub(shown);
        if more > 0 {
            writeln!(text, "… and {more} more (--places lists them)").expect("strings take everything");
        }
        text
    }

    fn explained(&self, number: u32) -> String {
        match &self.room.draw {
            _ if usize::try_from(number).is_ok_and(|number| number == 0 || number > self.room.visitors.len()) => {
                format!("Nobody has number {number}.\n")
            }
            Some(draw) if number <= draw.count() => draw.explained(number),
            Some(draw) => format!("Number {number} came after the first {}: its place is {number}.\n", draw.count()),
            None => format!("Nothing was drawn: the place of number {number} is {number}.\n"),
        }
    }
}

fn ends(room: &Room) -> String {
    format!(
        "{} entered: {} completed, {} orders ended, {} never ordered; {} never entered, {} left ({} while waiting)",
        room.entered,
        room.count(|at| matches!(at, At::Completed(_))),
        room.count(|at| matches!(at, At::Failed(_))),
        room.count(|at| at == At::Expired),
        room.count(|at| at == At::Lapsed),
        room.left.0,
        room.left.1
    )
}

/// What is worth telling of an event; visitors' ways are in the table.
fn told(event: &queue::Event, before: &Room) -> Option<String> {
    match event {
        queue::Event::WaitingRoomOpened(it) => {
            let terms = &it.terms;
            let (slots, batch, tick) = (terms.slots, terms.admission_batch, terms.tick_ms);
            let how = format!("room made: {slots} slots, {batch} admitted every {tick} ms at most");
            Some(match (&it.draw_hash, terms.opens_at) {
                (Some(hash), Some(opens_at)) => format!("{how}; opens at {}, draw hash {hash}", time(opens_at)),
                _ => format!("{how}; open from the beginning, without a draw"),
            })
        }
        queue::Event::WaitingRoomClosed(_) => Some("room closed: every place ended".to_owned()),
        queue::Event::QueueModeSet(it) => Some(flow(it)),
        queue::Event::QueueJoined(_) => before.visitors.is_empty().then(|| "the first one joins".to_owned()),
        queue::Event::PreQueueClosed(it) => Some(format!("opened: {} had come before", it.count)),
        queue::Event::QueueDrawn(it) => Some(format!("{} drawn by the seed {}", it.count, it.seed)),
        queue::Event::QueueReady(_) => before.admissions.is_empty().then(|| "the first one is admitted".to_owned()),
        _ => None,
    }
}

fn flow(it: &QueueModeSet) -> String {
    let how = match it.mode {
        Mode::Queue => "people are let through in their turn",
        Mode::Pause => "nobody is let through",
        Mode::PassThrough => "everybody is let through",
        Mode::Reject => "nobody may join; who is there is let through in turn",
        Mode::Unknown => "people are let through in a way that a later version knows",
    };
    let limit = it.inflow_per_min.map_or_else(String::new, |limit| format!(", {limit} a minute at most"));
    let proof = it.challenge_bits.map_or_else(String::new, |bits| format!("; joining takes a proof of {bits} bits"));
    format!("from now on {how}{limit}{proof}")
}

fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |at| format!("{at:.6}"))
}

#[cfg(test)]
mod tests {
    use domain::queue::{QueueReady, Seed};

    use super::*;
    use check::rooms;

    fn story(events: &[(queue::Event, Timestamp)]) -> Story {
        let mut story = Story::default();
        (0..).zip(events).for_each(|(offset, (event, at))| story.fold(event, offset, *at));
        story
    }

    #[test]
    fn a_fair_room_is_told_from_its_opening_to_its_end() {
        let story = story(&rooms::good());
        let report = story.report();
        assert!(report.holds(), "{}", report.text());
        let text = story.text();
        for wanted in
            ["draw hash", "the first one joins", "had come before", "drawn by the seed", "the first one is admitted"]
        {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let table = story.table(2);
        assert!(table.lines().count() == 4 && table.contains("--places"), "{table}");
        assert!(story.explained(1).contains("round 7"), "{}", story.explained(1));
        assert!(story.explained(0).contains("Nobody") && story.explained(999).contains("Nobody"));
    }

    #[test]
    fn another_seed_and_a_skipped_place_are_told() {
        let mut forged = rooms::good();
        for (event, _) in &mut forged {
            if let queue::Event::QueueDrawn(it) = event {
                it.seed = Seed([9; 32]).to_string();
            }
        }
        let report = story(&forged).report();
        assert!(report.text().contains("✗ the draw is the one that was promised"), "{}", report.text());
        let mut forged = rooms::good();
        let third = |event: &queue::Event| matches!(event, queue::Event::QueueReady(QueueReady { place: 3, .. }));
        let third = forged.iter().position(|(event, _)| third(event)).unwrap();
        let first = forged.iter().position(|(event, _)| matches!(event, queue::Event::QueueReady(_))).unwrap();
        let (moved, _) = forged.remove(third);
        let at = forged[first].1;
        forged.insert(first, (moved, at));
        let report = story(&forged).report();
        assert!(report.text().contains("✗ nobody is admitted before who waits in front"), "{}", report.text());
    }
}
