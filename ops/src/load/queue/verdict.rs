//! Whether a crowd's numbers count: everybody got a place and kept it, as the people saw it and as the log says it.

use std::collections::BTreeSet;

use domain::ids::ShowId;
use event_log::kafka::KafkaSettings;
use load::crowd::Tally;
use uuid::Uuid;

use super::report::{Logged, Report, Span};
use super::{QueueArgs, Shape, Victim, disk};
use crate::load::installation::Installation;
use crate::load::verdict;
use crate::queue::{Story, place_of};

/// Sent later than this, a question tells more of the generator than of the box office.
const LATE_MS: f64 = 5.0;
/// What cannot be avoided when a query-api is killed that has sockets.
const OF_A_KILL: [&str; 2] = ["socket ended", "socket not opened"];

/// Looks at the log and the people's own books.
///
/// # Errors
/// The box office cannot be looked at.
pub async fn judge(
    site: &Installation,
    args: &QueueArgs,
    show: Uuid,
    tally: &Tally,
    places: &[(Uuid, u32)],
    report: &mut Report,
) -> anyhow::Result<()> {
    let plan = site.running().plan();
    let kafka = KafkaSettings::new(&site.endpoints().kafka, &plan.namespace, "boxctl");
    let at = place_of(show, plan.partitions);
    let [folder, snapshots] =
        [kafka.name(at.context.topic()), at.context.topic().to_owned()].map(|name| format!("{name}-{}", at.number));
    let story = Story::read(kafka, &site.endpoints().registry, plan.partitions, ShowId(show)).await?;
    let room = &story.room;
    let session_of = |number: u32| {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        room.visitors.get(at).map(|visitor| visitor.session.0)
    };
    let lost: Vec<&(Uuid, u32)> =
        places.iter().filter(|(session, number)| session_of(*number) != Some(*session)).collect();
    let slots = room.opened.as_ref().map_or(0, |opened| opened.terms.slots);
    report.logged = Logged {
        joined: room.visitors.len(),
        admitted: room.admissions.len(),
        inversions: room.inversions,
        slots: [room.peak, u32::try_from(slots).unwrap_or(0)],
        joins_bytes: story.joins_bytes,
        partition_bytes: disk::log_bytes(&site.stack().folder, &folder),
        // A service makes a folder of its own in it for each namespace.
        snapshot_bytes: disk::snapshot_bytes(&plan.snapshots().join(&plan.namespace), &snapshots),
        lost: lost.len(),
    };
    let examples: Vec<String> = lost.iter().take(3).map(|(session, number)| format!("{number} of {session}")).collect();
    if !lost.is_empty() {
        report.void.push(format!("{} acknowledged places are not in the log: {}", lost.len(), examples.join(", ")));
    }
    report.void.extend(promises(args, tally, places, &report.logged));
    let laws = story.report().laws.into_iter().filter(|law| !law.holds());
    report
        .void
        .extend(laws.map(|law| format!("{}: {} faults, {}", law.name, law.faults.count, law.faults.first.join("; "))));
    report.void.extend(verdict::of(site, Vec::new()).await?);
    doubts(args, site, report);
    notes(args, report);
    Ok(())
}

/// What does not hold of what was promised to people.
fn promises(args: &QueueArgs, tally: &Tally, places: &[(Uuid, u32)], logged: &Logged) -> Vec<String> {
    let mut void = Vec::new();
    let mut unless = |holds: bool, why: String| {
        if !holds {
            void.push(why);
        }
    };
    let placed = places.iter().map(|(session, _)| session).collect::<BTreeSet<_>>().len();
    let (came, people) = (tally.came, u64::from(args.people));
    unless(
        came >= people && tally.placed == came,
        format!("{came} of {people} came, and {} have a place", tally.placed),
    );
    unless(placed == places.len(), format!("{} places were acknowledged to {placed} sessions", places.len()));
    unless(placed == logged.joined, format!("{placed} places were acknowledged, and {} are in the log", logged.joined));
    unless(
        tally.without_retry_after == 0,
        format!("{} refusals did not say when to come again", tally.without_retry_after),
    );
    let killed = |victim| args.kill.contains(&victim);
    for (kind, count) in &tally.errors {
        let expected = killed(Victim::QueryApi) && OF_A_KILL.contains(&kind.as_str());
        unless(expected, format!("failed: {kind}: {count}"));
    }
    for (kind, count) in &tally.faults {
        unless(false, format!("people were told what cannot be: {kind}: {count}"));
    }
    unless(tally.overlapped == 0, format!("{} questions found the one before unanswered", tally.overlapped));
    unless(
        tally.moved == 0 || killed(Victim::QueryApi),
        format!("{} questions had to go to another server", tally.moved),
    );
    if args.shape == Shape::Poll {
        let answered = tally.polling.count();
        unless(answered == tally.polls, format!("{answered} of {} questions were answered", tally.polls));
    }
    if args.shape == Shape::Sockets {
        let (told, admitted) = (tally.admitted, logged.admitted);
        unless(usize::try_from(told) == Ok(admitted), format!("{admitted} were admitted, and {told} were told"));
    }
    void
}

fn doubts(args: &QueueArgs, site: &Installation, report: &mut Report) {
    let running = site.running();
    let restarts: u32 = running.plan().counts.all().map(|it| running.restarts(it)).sum();
    if usize::try_from(restarts) != Ok(args.kill.len()) {
        report.doubts.push(format!("{restarts} times a process of the box office was started again"));
    }
    if report.latencies.get("sent late").and_then(|it| it.p99_ms).is_some_and(|late| late > LATE_MS) {
        report.doubts.push(format!("the generator sent more than 1 % of the questions over {LATE_MS} ms late"));
    }
    if args.shape != Shape::Join && report.logged.admitted <= usize::try_from(args.slots).unwrap_or(usize::MAX) {
        report.doubts.push("nobody was admitted in somebody else's place: admission did not run".to_owned());
    }
    if cfg!(debug_assertions) {
        report.doubts.push("boxctl is a debug build".to_owned());
    }
}

fn notes(args: &QueueArgs, report: &mut Report) {
    let people = f64::from(args.people);
    let each = |span: &Span, program: &str| format!("{program} {:.1} KiB", span.growth_kib(program) / people);
    let joined = report.span("join").map(|span| {
        let grew = ["command-api", "projectors", "query-api"].map(|program| each(span, program)).join(", ");
        format!("memory for each place: {grew}")
    });
    let last = (args.shape == Shape::Join)
        .then(|| format!("the last was told the place after {:.2} s", report.tally.last_placed_s));
    // From before the first was opened until all have been quiet for a while.
    let sockets = report.span("connect").zip(report.span("idle")).map(|(connect, idle)| {
        let both = connect.until(idle);
        format!("memory for each socket: {}", each(&both, "query-api"))
    });
    let behind = (report.tally.behind > 0)
        .then(|| format!("{} answers of another server were older than what one had told", report.tally.behind));
    report.notes.extend([joined, last, sockets, behind].into_iter().flatten());
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: QueueArgs,
    }

    fn void(line: &str, tally: &Tally) -> Vec<String> {
        let args = Cli::parse_from(format!("queue --people 2 {line}").split(' ')).args;
        let places = [(Uuid::from_u128(1), 1), (Uuid::from_u128(2), 2)];
        promises(&args, tally, &places, &Logged { joined: 2, ..Logged::default() })
    }

    fn good() -> Tally {
        Tally { came: 2, placed: 2, ..Tally::default() }
    }

    #[test]
    fn a_run_counts_only_if_nothing_at_all_went_wrong() {
        assert_eq!(void("--shape join", &good()), [""; 0]);
        let ways: [fn(&mut Tally); 8] = [
            |it| it.placed = 1,
            |it| it.came = 3,
            |it| it.without_retry_after = 1,
            |it| it.overlapped = 1,
            |it| it.moved = 1,
            |it| it.polls = 1,
            |it| it.errors = [("socket ended".to_owned(), 1)].into(),
            |it| it.faults = [("place changed".to_owned(), 1)].into(),
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let mut tally = good();
            way(&mut tally);
            assert_eq!(void("--shape poll", &tally).len(), 1, "{number}");
        }
        let told_too_often = Tally { admitted: 1, ..good() };
        assert_eq!(void("--shape sockets", &told_too_often).len(), 1);
    }

    #[test]
    fn only_a_kill_excuses_what_it_causes() {
        let mut tally = Tally { moved: 7, ..good() };
        tally.errors.insert("socket ended".to_owned(), 5);
        assert_eq!(void("--kill owner,query-api", &tally), [""; 0]);
        assert_eq!(void("--kill owner", &tally).len(), 2);
        tally.errors.insert("poll: 403 queue-ticket-invalid".to_owned(), 1);
        assert_eq!(void("--kill owner,query-api", &tally).len(), 1);
    }
}
