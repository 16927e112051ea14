//! Asking again and again: each person at its own moment of the period, whatever the server does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service_kit::clock;

use super::people::People;
use super::person::{Busy, Status};
use super::{checkout, join, scan};
use crate::pacer::Pacer;
use crate::request::{Says, request};

/// So many questions that are due are sent before others get their turn.
const AT_ONCE: u32 = 16;

/// Has everybody ask for so long.
///
/// # Errors
/// The kernel has no timer.
pub async fn all(people: &Arc<People>, every: Duration, seconds: u64) -> std::io::Result<()> {
    let pacer = Pacer::new()?;
    let began = people.began();
    let end = began + Duration::from_secs(seconds);
    let mut phases: Vec<(Duration, usize)> = {
        let mut chance = people.chance();
        (0..people.plan.people).map(|who| (every.mul_f64(chance.unit()), who)).collect()
    };
    phases.sort_unstable();
    let mut at_once = 0;
    for round in 0_u32.. {
        for (phase, who) in &phases {
            let due = began + every * round + *phase;
            if due >= end {
                return Ok(());
            }
            if due > clock::monotonic() {
                pacer.until(due).await?;
                at_once = 0;
            } else {
                at_once += 1;
            }
            if at_once >= AT_ONCE {
                tokio::task::yield_now().await;
                at_once = 0;
            }
            begin(people, *who, due);
        }
        if phases.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

fn begin(people: &Arc<People>, who: usize, due: Instant) {
    let busy = people.with(who, |person| {
        let before = person.busy;
        if before == Busy::Free {
            person.busy = Busy::Asking;
        }
        before
    });
    match busy {
        Busy::Free => {
            let late = clock::monotonic().saturating_duration_since(due);
            let mut tally = people.tally();
            tally.polls += 1;
            tally.scheduling_lag.record(late);
            drop(tally);
            tokio::spawn(ask(Arc::clone(people), who, due));
        }
        Busy::Asking => {
            let mut tally = people.tally();
            tally.polls += 1;
            tally.overlapped += 1;
        }
        Busy::Passing => {}
        Busy::Gone => drop(tokio::spawn(join::follow(Arc::clone(people), who, due))),
    }
}

/// One question; whoever finds a server that does not answer asks the next one, and stays with that.
async fn ask(people: Arc<People>, who: usize, due: Instant) {
    let _counted = people.under_way();
    let mut passes = false;
    let (asked, home) = people.with(who, |person| {
        let path = format!("/v1/shows/{}/queue/{}", people.plan.show, person.session);
        let says = Says { ticket: Some(&person.ticket), after: person.after.as_deref(), ..Says::default() };
        (request("GET", &path, says, None), person.home)
    });
    let servers = people.plan.query.len();
    for attempt in 0..servers {
        let server = nth(home, who, attempt, servers);
        let answer = people.query(server, &asked).await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        if matches!(status, 0 | 503) && attempt + 1 < servers {
            people.tally().moved += 1;
            continue;
        }
        let seen = answer.as_ref().ok().filter(|it| it.status == 200).and_then(|it| scan::place(&it.body));
        let Some(seen) = seen else {
            people.tally().failed("poll", &answer);
            break;
        };
        people.tally().polling.record(clock::monotonic().saturating_duration_since(due));
        people.look(who, &seen, server);
        passes = people.with(who, |person| {
            (person.home, person.after) = (server, None);
            person.status == Status::Admitted
        });
        break;
    }
    people.with(who, |person| person.busy = if passes { Busy::Passing } else { Busy::Free });
    if passes {
        tokio::spawn(checkout::pass(Arc::clone(&people), who));
    }
}

/// Whom somebody asks after so many servers did not answer: the one at home first, then each other one, and not everybody in
/// the same order, or one server would get all whom another one loses.
fn nth(home: usize, who: usize, attempt: usize, servers: usize) -> usize {
    match attempt.checked_sub(1) {
        None => home,
        Some(other) => (home + 1 + (who + other) % (servers - 1)) % servers,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::nth;

    #[test]
    fn each_server_is_asked_once_and_people_of_one_go_to_all_others() {
        for who in 0..10 {
            let asked: Vec<usize> = (0..4).map(|attempt| nth(2, who, attempt, 4)).collect();
            assert_eq!((asked[0], asked.iter().collect::<BTreeSet<_>>().len()), (2, 4), "{asked:?}");
        }
        assert_eq!((0..3).map(|who| nth(2, who, 1, 4)).collect::<BTreeSet<_>>(), [0, 1, 3].into());
        assert_eq!(nth(0, 7, 0, 1), 0);
    }
}
