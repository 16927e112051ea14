//! Joining: asked for at a moment decided before, again with the same key when told to, until there is a place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service_kit::clock;

use super::people::People;
use super::person::{Busy, Person};
use super::scan;
use crate::pacer::Pacer;
use crate::request::{Says, request};

/// Lets everybody come, evenly over a time.
///
/// # Errors
/// The kernel has no timer.
pub async fn all(people: &Arc<People>, within: Duration) -> std::io::Result<()> {
    each_at_its_time(people, within, |people, who, due| {
        tokio::spawn(join(people, who, due));
    })
    .await
}

/// Has something begin for everybody, evenly over a time.
///
/// # Errors
/// The kernel has no timer.
pub async fn each_at_its_time(
    people: &Arc<People>,
    within: Duration,
    mut begin: impl FnMut(Arc<People>, usize, Instant),
) -> std::io::Result<()> {
    let (pacer, began, count) = (Pacer::new()?, people.began(), people.plan.people);
    let each = within.div_f64(f64::from(u32::try_from(count).unwrap_or(u32::MAX).max(1)));
    // Processes begin at the same moment: none comes exactly when another does.
    let offset = each.mul_f64(f64::from(people.plan.number) / f64::from(people.plan.processes.max(1)));
    for who in 0..count {
        let due = began + offset + each.mul_f64(f64::from(u32::try_from(who).unwrap_or(u32::MAX)));
        pacer.until(due).await?;
        begin(Arc::clone(people), who, due);
        if who % 16 == 15 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// One who was to come then.
pub async fn join(people: Arc<People>, who: usize, due: Instant) {
    let _counted = people.under_way();
    people.tally().came += 1;
    let key = people.with(who, |person| person.key);
    let path = format!("/v1/shows/{}/queue", people.plan.show);
    let asked = request("POST", &path, Says { key: Some(key), ..Says::default() }, Some(b"{}"));
    let patience = Duration::from_secs(people.plan.farewell_s);
    let Some(answer) = people.command(who, "join", &asked, patience).await else {
        return people.tally().error("join: no place in time", || format!("key {key}"));
    };
    let seen = if matches!(answer.status, 200 | 201) { scan::place(&answer.body) } else { None };
    let Some(seen) = seen else {
        return people.tally().failed("join", &Ok(answer));
    };
    let servers = people.plan.query.len() as u128;
    let (noted, session, number) = people.with(who, |person| {
        let noted = person.join(&seen, answer.token.clone());
        person.home = usize::try_from(person.session.as_u128() % servers).unwrap_or(0);
        (noted, person.session, person.number)
    });
    people.acknowledge(session, number);
    let now = clock::monotonic();
    let mut tally = people.tally();
    noted.faults.into_iter().for_each(|fault| tally.fault(fault));
    tally.placed += 1;
    tally.replayed += u64::from(answer.replayed);
    tally.joining.record(now.saturating_duration_since(due));
    let since = now.saturating_duration_since(people.began()).as_secs_f64();
    tally.last_placed_s = tally.last_placed_s.max(since);
}

/// Somebody new comes in the place of who has left.
pub async fn follow(people: Arc<People>, who: usize, due: Instant) {
    let key = people.chance().id();
    people.with(who, |person| {
        *person = Person::with_key(key);
        person.busy = Busy::Passing;
    });
    join(Arc::clone(&people), who, due).await;
    people.with(who, |person| person.busy = Busy::Free);
}
