//! Whether this process lives, and whether it can do its work: progress, not process state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

type Probe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks of one process; cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Probe>>>, Arc<Mutex<BTreeMap<String, Check>>>);

/// One component's own light: not ready until it says so.
#[derive(Clone)]
pub struct Check(Arc<Mutex<Result<(), String>>>, Arc<Mutex<Option<String>>>);

#[derive(Serialize)]
struct Report {
    status: &'static str,
    checks: BTreeMap<String, Finding>,
}

#[derive(Serialize)]
struct Finding {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What is to be known although it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Health {
    /// Adds a check that its owner switches; it starts as not ready.
    pub fn register(&self, name: impl Into<String>) -> Check {
        let (name, check) = (name.into(), Check(Arc::new(Mutex::new(Err("starting".to_owned()))), Arc::default()));
        self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), check.clone());
        let probe = check.clone();
        self.register_probe(name, move || probe.state().clone());
        check
    }

    /// Adds a check that is asked each time; it must be quick, and says why it is not ready.
    pub fn register_probe(
        &self,
        name: impl Into<String>,
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.probes().insert(name.into(), Arc::new(probe));
    }

    /// Not ready from the moment that shutdown begins, so that nobody sends new requests.
    pub fn drain_on(&self, shutdown: CancellationToken) {
        self.register_probe("shutdown", move || match shutdown.is_cancelled() {
            true => Err("stopping".to_owned()),
            false => Ok(()),
        });
    }

    /// Every check that is not ready, with why.
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let findings = self.findings().into_iter();
        findings.filter_map(|(name, finding)| finding.err().map(|why| (name, why))).collect()
    }

    /// Whether every check is ready.
    pub fn is_ready(&self) -> bool {
        self.not_ready().is_empty()
    }

    /// What components say beside whether they are ready.
    pub fn notes(&self) -> BTreeMap<String, String> {
        let checks = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        checks.iter().filter_map(|(name, check)| Some((name.clone(), check.noted().clone()?))).collect()
    }

    fn findings(&self) -> BTreeMap<String, Result<(), String>> {
        // Asked outside the lock: a probe may take locks of its own.
        let probes = self.probes().clone();
        probes.into_iter().map(|(name, probe)| (name, probe())).collect()
    }

    fn probes(&self) -> MutexGuard<'_, BTreeMap<String, Probe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of `/readyz`.
    pub(crate) fn readiness(&self) -> Response {
        let mut notes = self.notes();
        let findings = self.findings().into_iter();
        let checks: BTreeMap<_, _> = findings
            .map(|(name, it)| {
                let note = notes.remove(&name);
                (name, Finding { ready: it.is_ok(), why: it.err(), note })
            })
            .collect();
        if checks.values().all(|finding| finding.ready) {
            return axum::Json(Report { status: "ready", checks }).into_response();
        }
        let report = axum::Json(Report { status: "not-ready", checks });
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], report).into_response()
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.probes().keys()).finish()
    }
}

impl Check {
    /// The component can do its work.
    pub fn ready(&self) {
        *self.state() = Ok(());
    }

    /// The component cannot do its work; `why` is shown to operators, so no personal data.
    pub fn not_ready(&self, why: impl Into<String>) {
        *self.state() = Err(why.into());
    }

    /// What operators should know although the component may be ready, or that there is nothing any more; no personal data.
    pub fn note(&self, note: Option<String>) {
        *self.noted() = note;
    }

    fn noted(&self) -> MutexGuard<'_, Option<String>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, Result<(), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({:?})", self.state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_not_ready_until_it_says_so() {
        let health = Health::default();
        assert!(health.is_ready());
        let check = health.register("log");
        assert_eq!(health.not_ready(), BTreeMap::from([("log".to_owned(), "starting".to_owned())]));
        check.ready();
        assert!(health.is_ready());
        check.not_ready("lost");
        assert_eq!(health.not_ready()["log"], "lost");
        check.ready();
        check.note(Some("3 keys are parked".to_owned()));
        assert!(health.is_ready() && health.notes()["log"].contains("parked"));
        check.note(None);
        assert!(health.notes().is_empty());
    }

    #[test]
    fn a_stopping_process_is_not_ready() {
        let (health, stop) = (Health::default(), CancellationToken::new());
        health.drain_on(stop.clone());
        assert_eq!(health.readiness().status(), 200);
        stop.cancel();
        let answer = health.readiness();
        assert_eq!((answer.status().as_u16(), &answer.headers()[RETRY_AFTER]), (503, &"1".parse().unwrap()));
    }
}
