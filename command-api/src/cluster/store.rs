//! Which store of snapshots this instance writes to: an id in the folder, so that instances can see whether they share it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use service_kit::random;
use thiserror::Error;
use uuid::Uuid;

use super::directory::Directory;
use super::peers::Peers;

const NAME: &str = "store-id";
/// An instance that does not answer by then is not there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Why snapshots cannot be kept there.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("BOXOFFICE_SNAPSHOT_DIR {folder}: cannot {attempted}")]
    Folder {
        folder: PathBuf,
        attempted: &'static str,
        #[source]
        source: io::Error,
    },
    /// The folder is somebody else's, or the file was damaged.
    #[error("BOXOFFICE_SNAPSHOT_DIR {folder}: its file {NAME} does not hold an id")]
    NoId { folder: PathBuf },
    /// Partitions would move to instances that cannot read their snapshots.
    #[error(
        "BOXOFFICE_SNAPSHOT_DIR {folder} is not the store of the instance {instance} at {url}: every instance must share one"
    )]
    NotShared { folder: PathBuf, instance: String, url: String },
}

/// The id of the store in a folder; a new folder gets one. Of several instances that begin at once, one id wins.
///
/// # Errors
/// The folder cannot be written, or holds something else.
pub fn identify(folder: &Path) -> Result<Uuid, StoreError> {
    let failed = |attempted| move |source| StoreError::Folder { folder: folder.to_owned(), attempted, source };
    fs::create_dir_all(folder).map_err(failed("be made"))?;
    let name = folder.join(NAME);
    if !name.try_exists().map_err(failed("be read"))? {
        let draft = folder.join(format!("{NAME}.{}", random::opaque_id().simple()));
        write(&draft, random::opaque_id()).map_err(failed("be written"))?;
        // A link is made only if there is none: whole, and once.
        let linked = fs::hard_link(&draft, &name);
        fs::remove_file(&draft).map_err(failed("be written"))?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed("be written")(error)),
            Ok(()) | Err(_) => {}
        }
    }
    let text = fs::read_to_string(&name).map_err(failed("be read"))?;
    text.trim().parse().map_err(|_| StoreError::NoId { folder: folder.to_owned() })
}

fn write(path: &Path, id: Uuid) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    writeln!(file, "{id}")?;
    file.sync_all()
}

/// Looks whether every other instance that lives writes to the same store.
///
/// # Errors
/// One does not.
pub async fn shared(
    folder: &Path,
    store: Uuid,
    url: &str,
    directory: &Directory,
    peers: &Peers,
) -> Result<(), StoreError> {
    for (theirs, told) in directory.others(url) {
        if told == store {
            continue;
        }
        // What is told may be long ago: only an instance that answers counts.
        match peers.partitions(&theirs, ANSWERS_WITHIN).await {
            Ok(report) if report.store != store && report.url != url => {
                let (folder, instance) = (folder.to_owned(), report.instance);
                return Err(StoreError::NotShared { folder, instance, url: theirs });
            }
            Ok(_) => {}
            Err(error) => {
                tracing::info!(url = theirs, error = format!("{error:#}"), "an owner of before is not there any more");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        std::env::temp_dir().join(format!("boxoffice-store-{}", random::opaque_id().simple()))
    }

    #[test]
    fn a_folder_keeps_its_id_and_another_has_another() {
        let (one, two) = (folder(), folder());
        let id = identify(&one).unwrap();
        assert_eq!(identify(&one).unwrap(), id);
        assert_ne!(identify(&two).unwrap(), id);
        let files: Vec<_> = fs::read_dir(&one).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(files, [NAME]);
        for folder in [one, two] {
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn instances_that_begin_at_once_agree() {
        let folder = folder();
        let begun: Vec<_> = (0..16)
            .map(|_| {
                let folder = folder.clone();
                std::thread::spawn(move || identify(&folder).unwrap())
            })
            .collect();
        let ids: Vec<Uuid> = begun.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named_with_its_variable() {
        let folder = folder();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(NAME), "something else").unwrap();
        let refused = identify(&folder).unwrap_err().to_string();
        assert!(
            refused.starts_with("BOXOFFICE_SNAPSHOT_DIR ") && refused.ends_with("does not hold an id"),
            "{refused}"
        );
        let file = folder.join(NAME).join("below");
        let refused = identify(&file).unwrap_err().to_string();
        assert!(refused.starts_with("BOXOFFICE_SNAPSHOT_DIR ") && refused.ends_with("cannot be made"), "{refused}");
        fs::remove_dir_all(folder).unwrap();
    }
}
