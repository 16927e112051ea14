//! Whose turn it is: enters, stays a moment, and leaves, so that the slot is free for the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::people::{Gate, People};
use super::person::Busy;
use crate::request::{Says, request};

/// Those who waited for the gate do not all come at once.
const SPREAD: Duration = Duration::from_secs(1);

/// Enters and leaves, once the gate is open.
pub async fn pass(people: Arc<People>, who: usize) {
    let mut gate = people.gate.subscribe();
    if *gate.borrow_and_update() == Gate::Shut {
        // The sender is ours as well, so it is there.
        let _ = gate.wait_for(|gate| *gate == Gate::Open).await;
        let pause = SPREAD.mul_f64(people.chance().unit());
        sleep(pause).await;
    }
    let _counted = people.under_way();
    let entered = step(&people, who, "POST", "/enter", "enter").await;
    if entered {
        people.tally().entered += 1;
        sleep(Duration::from_millis(people.plan.stay_ms)).await;
        if step(&people, who, "DELETE", "", "leave").await {
            people.tally().left += 1;
        }
    }
    people.with(who, |person| person.busy = Busy::Gone);
}

async fn step(people: &Arc<People>, who: usize, method: &str, end: &str, what: &str) -> bool {
    let key = people.chance().id();
    let asked = people.with(who, |person| {
        let path = format!("/v1/shows/{}/queue/{}{end}", people.plan.show, person.session);
        request(method, &path, Says { key: Some(key), ticket: Some(&person.ticket), ..Says::default() }, Some(b"{}"))
    });
    let patience = Duration::from_secs(people.plan.farewell_s);
    match people.command(who, what, &asked, patience).await {
        Some(answer) if matches!(answer.status, 200 | 204) => true,
        Some(answer) => {
            people.tally().failed(what, &Ok(answer));
            false
        }
        None => {
            people.tally().error(format!("{what}: not done in time"), || "it was tried again and again".to_owned());
            false
        }
    }
}
