//! What of all that needs a person, and which command helps.

use std::process::ExitCode;

use serde::Serialize;

use super::{Business, Partitions, Projection, Service, Status};
use crate::table::duration;

/// What to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Well,
    /// Something needs a person.
    NeedsAPerson,
    /// Something could not be looked at.
    CouldNotLook,
}

/// What a person has to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is the matter.
    pub what: String,
    /// The command that tells more, or helps.
    pub command: String,
}

impl Verdict {
    pub(super) fn of(status: &Status) -> Self {
        match (status.unseen.is_empty(), status.problems.is_empty()) {
            (false, _) => Self::CouldNotLook,
            (true, false) => Self::NeedsAPerson,
            (true, true) => Self::Well,
        }
    }

    /// What a command ends with: 0, 1 or 2.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Everything that needs a person.
pub(super) fn problems(status: &Status, late_ms: i64) -> Vec<Problem> {
    let mut problems = of_services(&status.services);
    problems.extend(status.partitions.iter().flat_map(of_partitions));
    problems.extend(status.projections.iter().flat_map(|projection| of_projection(projection, late_ms)));
    problems.extend(status.business.iter().flat_map(of_business));
    problems
}

fn problem(what: String, command: &str) -> Problem {
    Problem { what, command: command.to_owned() }
}

fn of_services(services: &[Service]) -> Vec<Problem> {
    let one = |service: &Service| {
        let why = service.why.as_deref().unwrap_or("not ready");
        problem(format!("{} is not ready: {why}", service.instance), "boxctl doctor")
    };
    let mut problems: Vec<Problem> = services.iter().filter(|service| !service.ready).map(one).collect();
    for program in ["command-api", "projectors", "query-api"] {
        let mut of_it = services.iter().filter(|it| it.service.as_deref() == Some(program));
        // Only what somebody named can be missed; owners of partitions announce themselves.
        let named = services.iter().any(|it| it.instance.starts_with(program));
        if named && of_it.next().is_none() {
            problems.push(problem(format!("no {program} answers"), "boxctl doctor"));
        }
    }
    problems
}

fn of_partitions(partitions: &Partitions) -> Vec<Problem> {
    let mut problems = Vec::new();
    if partitions.broken > 0 {
        let what = format!("{} partitions cannot be read on", partitions.broken);
        problems.push(problem(what, "boxctl partitions"));
    }
    if partitions.unanswered > 0 {
        let what = format!("nobody answers for {} partitions: their orders are refused", partitions.unanswered);
        problems.push(problem(what, "boxctl partitions"));
    }
    problems
}

fn of_projection(projection: &Projection, late_ms: i64) -> Vec<Problem> {
    let name = projection.name;
    let mut problems = Vec::new();
    if projection.poisoned > 0 {
        let what = format!("{name}: {} keys are parked behind an event that cannot be folded", projection.poisoned);
        problems.push(problem(what, &format!("boxctl parked list --projection {name}")));
    }
    if projection.paused {
        problems.push(problem(format!("{name} is paused"), &format!("boxctl projection resume {name}")));
    } else if projection.lag.ms >= late_ms && projection.lag.records > 0 {
        let behind = duration(projection.lag.ms);
        let what = format!("{name} is {behind} behind ({} records): readers see old things", projection.lag.records);
        problems.push(problem(what, "boxctl doctor, and the log of the projectors"));
    }
    if projection.not_begun > 0 {
        let what = format!("{name} has not begun in {} partitions", projection.not_begun);
        problems.push(problem(what, "boxctl doctor, and start a projector"));
    }
    problems
}

fn of_business(business: &Business) -> Vec<Problem> {
    let mut problems = Vec::new();
    for stuck in &business.stuck {
        let why = stuck.reason.as_deref().unwrap_or("no reason given");
        let what = format!("order {} is stuck: {why}", stuck.order);
        problems.push(problem(what, &format!("boxctl trace {}", stuck.order)));
    }
    if business.refunds.due > 0 {
        let since = business.refunds.oldest_due.as_deref().unwrap_or("-");
        let what = format!("{} refunds have to be done by hand, the oldest since {since}", business.refunds.due);
        problems.push(problem(what, "boxctl refund list"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Lag;

    fn projection() -> Projection {
        Projection {
            name: "orders",
            generation: None,
            beside: vec![],
            paused: false,
            lag: Lag::default(),
            not_begun: 0,
            parked: 0,
            poisoned: 0,
        }
    }

    #[test]
    fn a_projection_needs_a_person_only_when_it_stays_behind() {
        assert_eq!(of_projection(&projection(), 30_000), []);
        let busy = Projection { lag: Lag { records: 5000, ms: 900 }, ..projection() };
        assert_eq!(of_projection(&busy, 30_000), []);
        let late = Projection { lag: Lag { records: 3, ms: 31_000 }, ..projection() };
        assert!(of_projection(&late, 30_000)[0].what.contains("31.0 s behind"));
        let paused = Projection { paused: true, ..late };
        assert_eq!(of_projection(&paused, 30_000)[0].command, "boxctl projection resume orders");
        let parked = Projection { parked: 3, poisoned: 1, ..projection() };
        assert!(of_projection(&parked, 30_000)[0].command.starts_with("boxctl parked"));
    }

    #[test]
    fn what_was_not_seen_is_not_well() {
        let mut status = Status {
            verdict: Verdict::Well,
            at: String::new(),
            namespace: String::new(),
            problems: vec![],
            unseen: vec![],
            services: vec![],
            partitions: None,
            projections: vec![],
            business: None,
        };
        assert_eq!(Verdict::of(&status), Verdict::Well);
        status.problems = vec![problem("x".to_owned(), "y")];
        assert_eq!(Verdict::of(&status), Verdict::NeedsAPerson);
        status.unseen = vec!["Kafka".to_owned()];
        assert_eq!(Verdict::of(&status), Verdict::CouldNotLook);
    }

    #[test]
    fn who_does_not_answer_is_told_with_why() {
        let service = Service {
            instance: "projectors-1".to_owned(),
            service: None,
            url: String::new(),
            ready: false,
            why: Some("does not answer".to_owned()),
            version: None,
            uptime_s: None,
        };
        let told: Vec<String> = of_services(&[service]).into_iter().map(|it| it.what).collect();
        assert_eq!(told, ["projectors-1 is not ready: does not answer", "no projectors answers"]);
    }
}
