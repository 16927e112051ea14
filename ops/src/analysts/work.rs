//! Long work on a thread of its own: told to stop at Ctrl-C, and telling how it goes.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use export::export::Progress;

use crate::dev;

/// Between two lines of progress on a terminal.
const REFRESH: Duration = Duration::from_millis(250);

/// What is told where to look whether to stop.
type Stop<'a> = &'a dyn Fn(Arc<AtomicBool>);

/// Works until the work is done; at Ctrl-C it is told to stop, and ends by itself.
pub(super) async fn until_stopped<T, F>(shown: bool, work: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: FnOnce(Stop<'_>, &mut dyn FnMut(Progress)) -> anyhow::Result<T> + Send + 'static,
{
    let flag = Arc::new(Mutex::new(None::<Arc<AtomicBool>>));
    let told = Arc::clone(&flag);
    let working = tokio::task::spawn_blocking(move || {
        let stop = move |it| *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(it);
        let mut line = Line::new(shown);
        let done = work(&stop, &mut |progress| line.show(&progress));
        line.end();
        done
    });
    tokio::pin!(working);
    tokio::select! {
        done = &mut working => return done.context("wait for the work")?,
        stop = dev::stop_asked() => stop?,
    }
    if let Some(stop) = flag.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        stop.store(true, Ordering::Release);
    }
    working.await.context("wait for the work to end")?
}

/// The line that tells how it goes, on a terminal.
struct Line {
    on: bool,
    last: Duration,
}

impl Line {
    fn new(shown: bool) -> Self {
        Self { on: shown && std::io::stderr().is_terminal(), last: Duration::ZERO }
    }

    fn show(&mut self, progress: &Progress) {
        if !self.on || progress.since < self.last + REFRESH {
            return;
        }
        self.last = progress.since;
        // Nobody reads it any more: no reason to stop.
        drop(write!(std::io::stderr(), "\r\x1b[2K{}", progress_line(progress)));
    }

    fn end(&self) {
        if self.on {
            drop(write!(std::io::stderr(), "\r\x1b[2K"));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate is rounded")]
fn progress_line(progress: &Progress) -> String {
    let Progress { read, of, rows, since } = *progress;
    let rate = read as f64 / since.as_secs_f64().max(0.001);
    let Some(of) = of else { return format!("{read} records, {rows} rows; following") };
    let left = of.saturating_sub(read) as f64 / rate.max(1.0);
    let percent = (read * 100).checked_div(of).unwrap_or(100);
    format!("{percent:>3} %  {read} of {of} records, {rows} rows, {rate:.0} records/s, {left:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_a_rate_and_an_end() {
        let progress = Progress { read: 50_000, of: Some(200_000), rows: 49_000, since: Duration::from_secs(1) };
        assert_eq!(progress_line(&progress), " 25 %  50000 of 200000 records, 49000 rows, 50000 records/s, 3 s left");
        let following = Progress { of: None, ..progress };
        assert_eq!(progress_line(&following), "50000 records, 49000 rows; following");
    }
}
