//! The line that tells how it goes: one that refreshes on a terminal, else a new one every two seconds.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;
use super::tally::Tally;

/// Between two lines on a terminal.
const REFRESH: Duration = Duration::from_millis(250);
/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(2);
/// Back to the beginning of the line, and empty it.
const CLEAR: &str = "\r\x1b[2K";

/// Writes the progress of a run.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    start: Instant,
    terminal: bool,
}

impl Progress {
    /// From now on.
    pub fn start() -> Self {
        Self { start: Instant::now(), terminal: std::io::stdout().is_terminal() }
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.start
    }

    /// Between two lines.
    pub fn every(&self) -> Duration {
        if self.terminal { REFRESH } else { LINE }
    }

    /// Writes how it goes now.
    pub fn show(&self, tally: &Tally, board: &Board, buyers: u32) {
        let line = line(self.start.elapsed(), tally, board, buyers);
        self.write(&if self.terminal { format!("{CLEAR}{line}") } else { format!("{line}\n") });
    }

    /// Writes a line that stays.
    pub fn note(&self, text: &str) {
        self.write(&format!("{}{text}\n", if self.terminal { CLEAR } else { "" }));
    }

    /// The refreshing line has said enough.
    pub fn end(&self) {
        if self.terminal {
            self.write("\n");
        }
    }

    /// Nobody reads it any more: no reason to stop.
    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

fn line(since: Duration, tally: &Tally, board: &Board, buyers: u32) -> String {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = &tally.counters;
    let left: Vec<String> =
        board.now().classes.iter().map(|class| format!("{} {}", class.name, class.available)).collect();
    format!(
        "{:>3} s  came {}/{buyers}  entered {}  strayed {}  reserved {}  at payment {}  completed {}  sold out {}  expired {}  failed {}  | left: {}",
        since.as_secs(),
        of(&counters.joined),
        of(&counters.entered),
        of(&counters.strayed),
        of(&counters.reserved),
        of(&counters.awaiting),
        of(&counters.completed),
        of(&counters.sold_out),
        of(&counters.expired),
        of(&counters.failed),
        left.join(", ")
    )
}
