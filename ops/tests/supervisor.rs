//! Processes are kept running, given up in a crash loop, and end with their supervisor.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local_stack::Signal;
use ops::supervisor::{Policy, Say, Spawner, Spec, State, Supervised};

use crate::support::{runs, soon, until};

const QUICK: Policy = Policy {
    first_pause: Duration::from_millis(5),
    longest_pause: Duration::from_millis(40),
    settled_after: Duration::from_secs(3600),
    crashes: 4,
};

fn spec(folder: &Path, script: &str) -> Spec {
    Spec {
        name: "sample".to_owned(),
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: BTreeMap::from([("SAMPLE".to_owned(), "set".to_owned())]),
        unset: vec!["CARGO_MANIFEST_DIR".to_owned()],
        log: folder.join("logs/sample.log"),
        pid_file: folder.join("run/sample.pid"),
    }
}

fn silent() -> Say {
    Arc::new(|_| {})
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("logs/sample.log")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_started_again_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), "echo up; exec sleep 1000");
    let sample = Supervised::start(spec, Spawner::start().unwrap(), QUICK, silent());
    let mut pids = Vec::new();
    for round in 0..6 {
        let pid = until("it runs", || sample.pid()).await;
        assert!(!pids.contains(&pid));
        assert_eq!(sample.restarts(), round);
        soon("the kill", sample.signal(Signal::Kill)).await.unwrap();
        assert!(!runs(pid), "it returns once the process is gone");
        pids.push(pid);
    }
    let pid = until("it runs again", || sample.pid()).await;
    until("its pid file", || folder.path().join("run/sample.pid").exists().then_some(())).await;
    soon("the stop", sample.stop()).await;
    assert!(!runs(pid));
    assert_eq!(sample.state(), State::Stopped);
    assert!(!folder.path().join("run/sample.pid").exists());
    assert!(sample.signal(Signal::Kill).await.is_err(), "what does not run cannot be killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_because_it_was_asked_to_did_not_crash() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'exit 0' TERM; echo up $$; while :; do sleep 0.02; done";
    let sample = Supervised::start(spec(folder.path(), script), Spawner::start().unwrap(), QUICK, silent());
    for round in 0..6 {
        until("it is up again", || (log(folder.path()).lines().count() > round).then_some(())).await;
        sample.signal(Signal::Terminate).await.unwrap();
    }
    until("it is up after all", || (log(folder.path()).lines().count() > 6 && sample.pid().is_some()).then_some(()))
        .await;
    assert_eq!(sample.restarts(), 6, "more often than it may crash");
    soon("the stop", sample.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_ends_with_the_end_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::<String>::new()));
    let say: Say = {
        let told = Arc::clone(&told);
        Arc::new(move |line| told.lock().unwrap().push(line.to_owned()))
    };
    let spec = spec(folder.path(), "echo topic missing: $SAMPLE ${CARGO_MANIFEST_DIR-unset} >&2; exit 1");
    let sample = Supervised::start(spec, Spawner::start().unwrap(), QUICK, say);
    let gave_up = || match sample.state() {
        State::GaveUp { why } => Some(why),
        _ => None,
    };
    let why = until("it gives up", gave_up).await;
    assert!(why.contains("exit status: 1") && why.contains("topic missing: set unset"), "{why}");
    assert_eq!(sample.restarts(), 3, "four crashes in all");
    let told = told.lock().unwrap().clone();
    let pauses: Vec<bool> = ["0.005 s", "0.01 s", "0.02 s"].iter().zip(&told).map(|(p, t)| t.contains(p)).collect();
    assert_eq!((told.len(), pauses), (4, vec![true; 3]), "{told:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(log(folder.path()).lines().count(), 4, "it is left alone");
    soon("the stop", sample.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_missing_is_given_up_too() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec { program: folder.path().join("missing"), ..spec(folder.path(), "") };
    let sample = Supervised::start(spec, Spawner::start().unwrap(), QUICK, silent());
    until("it gives up", || matches!(sample.state(), State::GaveUp { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_is_stopped_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done";
    let sample = Supervised::start(spec(folder.path(), script), Spawner::start().unwrap(), QUICK, silent());
    until("it is up", || log(folder.path()).contains("up").then_some(())).await;
    sample.signal(Signal::Stop).await.unwrap();
    soon("the stop", sample.stop()).await;
    assert!(log(folder.path()).contains("bye"), "{}", log(folder.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_process_ends() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Supervised::start(spec(folder.path(), "exec sleep 1000"), Spawner::start().unwrap(), QUICK, silent());
    let pid = until("it runs", || sample.pid()).await;
    drop(sample);
    until("it ends", || (!runs(pid)).then_some(())).await;
}

/// Runs `a_supervisor_for_another_test` as a process of its own and kills that.
#[tokio::test(flavor = "multi_thread")]
async fn processes_end_with_a_supervisor_that_is_killed() {
    if !Spawner::start().unwrap().ends_children() {
        return eprintln!("skipped: setpriv is missing");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "supervisor::a_supervisor_for_another_test", "--ignored"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = until("the helper's child", || {
        let pid: u32 = log(folder.path()).lines().next()?.parse().ok()?;
        runs(pid).then_some(pid)
    })
    .await;
    helper.kill().unwrap();
    helper.wait().unwrap();
    until("the child ends", || (!runs(pid)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs until it is killed, for another test"]
async fn a_supervisor_for_another_test() {
    let folder = std::env::current_dir().unwrap();
    let _sample =
        Supervised::start(spec(&folder, "echo $$; exec sleep 1000"), Spawner::start().unwrap(), QUICK, silent());
    tokio::time::sleep(Duration::from_secs(300)).await;
}
