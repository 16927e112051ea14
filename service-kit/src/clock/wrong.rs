//! A wall clock that a test puts wrong while the process runs; for tests only, and in no build without their switches.
//!
//! `BOXOFFICE_CLOCK_DIR` names a folder. A file in it that is called like the process (`BOXOFFICE_INSTANCE`) holds by how
//! many seconds its clock is ahead, or behind.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The file is looked at so often.
const LOOK: Duration = Duration::from_millis(20);

struct Wrong {
    file: PathBuf,
    by_s: i64,
    looked: Instant,
}

static WRONG: LazyLock<Option<Mutex<Wrong>>> = LazyLock::new(|| file().map(|file| Mutex::new(Wrong::of(file))));

#[allow(clippy::disallowed_methods, reason = "for tests only, and among no service's settings")]
fn file() -> Option<PathBuf> {
    let folder = std::env::var_os("BOXOFFICE_CLOCK_DIR")?;
    Some(PathBuf::from(folder).join(std::env::var_os("BOXOFFICE_INSTANCE")?))
}

impl Wrong {
    fn of(file: PathBuf) -> Self {
        let by_s = read(&file);
        Self { file, by_s, looked: super::monotonic() }
    }

    fn by_s(&mut self) -> i64 {
        if self.looked.elapsed() >= LOOK {
            self.by_s = read(&self.file);
            self.looked = super::monotonic();
        }
        self.by_s
    }
}

fn read(file: &PathBuf) -> i64 {
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// By how many seconds the clock is wrong now.
pub(super) fn by_s() -> i64 {
    WRONG.as_ref().map_or(0, |wrong| wrong.lock().unwrap_or_else(PoisonError::into_inner).by_s())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_put_wrong_and_right_again_by_its_file() {
        let file = std::env::temp_dir().join(format!("boxoffice-clock-{}", crate::random::opaque_id().simple()));
        let mut wrong = Wrong::of(file.clone());
        assert_eq!(wrong.by_s(), 0);
        std::fs::write(&file, "-3600\n").unwrap();
        std::thread::sleep(LOOK);
        assert_eq!(wrong.by_s(), -3600);
        std::fs::remove_file(&file).unwrap();
        std::thread::sleep(LOOK);
        assert_eq!(wrong.by_s(), 0);
    }
}
