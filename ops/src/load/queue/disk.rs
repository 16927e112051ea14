//! What a waiting room takes on disk: its partition's log, and the state that its owner has written down.

use std::path::{Path, PathBuf};

/// What the log of the waiting room's partition takes on disk, where the stack keeps it; none if it is not found.
pub fn log_bytes(folder: &Path, partition: &str) -> Option<u64> {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    // A broker's data lie at most a few folders below the stack's.
    for _ in 0..4 {
        let below: Vec<PathBuf> = folders.iter().flat_map(|it| entries(it)).filter(|it| it.is_dir()).collect();
        if let Some(found) = below.iter().find(|it| it.file_name().is_some_and(|name| name == partition)) {
            let logs = entries(found).filter(|it| it.extension().is_some_and(|it| it == "log"));
            return Some(logs.filter_map(|it| Some(it.metadata().ok()?.len())).sum());
        }
        folders = below;
    }
    None
}

/// The newest snapshot of that partition; none if none was taken yet.
pub fn snapshot_bytes(folder: &Path, partition: &str) -> Option<u64> {
    let prefix = format!("{partition}-");
    let name = |path: &Path| path.file_name().and_then(|it| it.to_str()).unwrap_or_default().to_owned();
    let ours = entries(folder).filter(|it| {
        let name = name(it);
        name.starts_with(&prefix) && name.ends_with(".snapshot")
    });
    // Names sort by offset.
    Some(ours.max()?.metadata().ok()?.len())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_snapshot_and_every_segment_of_the_one_partition_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, size: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; size]).unwrap();
        };
        for (name, size) in [
            ("kafka/data/n.queue-events-1/00.log", 10),
            ("kafka/data/n.queue-events-1/10.log", 5),
            ("kafka/data/n.queue-events-1/10.index", 99),
            ("kafka/data/n.queue-events-11/00.log", 99),
            ("queue-events-1-00000000000000000007-a-b.snapshot", 7),
            ("queue-events-1-00000000000000000009-a-b.snapshot", 9),
            ("queue-events-11-00000000000000000010-a-b.snapshot", 99),
        ] {
            file(name, size);
        }
        assert_eq!(log_bytes(folder.path(), "n.queue-events-1"), Some(15));
        assert_eq!(log_bytes(folder.path(), "n.queue-events-2"), None);
        assert_eq!(snapshot_bytes(folder.path(), "queue-events-1"), Some(9));
        assert_eq!(snapshot_bytes(folder.path(), "queue-events-2"), None);
    }
}
