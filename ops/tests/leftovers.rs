//! What a killed supervisor left behind is ended; strangers are not.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Mutex;

use ops::supervisor::{PidFile, end_all};
use service_kit::clock;

use crate::support::{PATIENCE, runs};

const SLEEP: &str = "/bin/sleep";

/// A process that has begun: for an instant after its start a process has no command line.
fn sleep() -> Child {
    let child = Command::new(SLEEP).arg("1000").spawn().unwrap();
    let since = clock::monotonic();
    while !runs(child.id()) {
        assert!(since.elapsed() < PATIENCE, "it never begins");
        std::thread::yield_now();
    }
    child
}

fn write(folder: &Path, name: &str, file: &PidFile) {
    file.write(&folder.join(name).with_extension("pid")).unwrap();
}

#[test]
fn a_left_process_is_ended_and_its_file_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut left = sleep();
    write(folder.path(), "left", &PidFile::of(left.id(), Path::new(SLEEP)).unwrap());
    let told = Mutex::new(Vec::new());
    end_all(folder.path(), &|line: &str| told.lock().unwrap().push(line.to_owned())).unwrap();
    assert!(!runs(left.id()));
    left.wait().unwrap();
    assert!(told.into_inner().unwrap()[0].contains("left: ending process"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_id_that_was_given_to_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut stranger = sleep();
    let file = PidFile::of(stranger.id(), Path::new(SLEEP)).unwrap();
    let text = serde_json::to_string(&file).unwrap();
    // Another time of start, then another program.
    let earlier = text.replace("\"started\":", "\"started\":1");
    assert_ne!(earlier, text);
    std::fs::write(folder.path().join("earlier.pid"), earlier).unwrap();
    write(folder.path(), "other", &PidFile::of(stranger.id(), Path::new("/bin/sleeper")).unwrap());
    std::fs::write(folder.path().join("broken.pid"), "{").unwrap();
    std::fs::write(folder.path().join("unrelated.txt"), "").unwrap();
    end_all(folder.path(), &|_| {}).unwrap();
    assert!(runs(stranger.id()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only what is no pid file stays");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_folder_that_does_not_exist_has_nothing_left() {
    let folder = tempfile::tempdir().unwrap();
    end_all(&folder.path().join("run"), &|_| {}).unwrap();
}
