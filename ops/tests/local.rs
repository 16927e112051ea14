//! The secrets of a local installation.

use std::os::unix::fs::PermissionsExt as _;

use ops::local::LocalSecrets;

#[test]
fn secrets_are_made_once_and_readable_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let made: Vec<LocalSecrets> = std::thread::scope(|scope| {
        let making: Vec<_> = (0..8).map(|_| scope.spawn(|| LocalSecrets::of(folder.path()).unwrap())).collect();
        making.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(made.iter().all(|it| *it == made[0]), "whoever comes first makes them for all");
    let path = folder.path().join("secrets.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no half-written file is left");
    assert_ne!(made[0], LocalSecrets::of(tempfile::tempdir().unwrap().path()).unwrap());
    made[0].signing_key().unwrap();
}

#[test]
fn a_broken_file_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secrets.json"), r#"{"secret": "hunter2"}"#).unwrap();
    let error = format!("{:#}", LocalSecrets::of(folder.path()).unwrap_err());
    assert!(error.contains("secrets.json") && !error.contains("hunter2"), "{error}");
}
