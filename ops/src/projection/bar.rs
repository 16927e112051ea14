//! How far it has come: a bar in a terminal, a line now and then elsewhere, or JSON.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service_kit::clock::monotonic;

use crate::stack;

/// Where nobody sees a bar, a line says how far it is so often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// As JSON so often.
const JSON_EVERY: Duration = Duration::from_millis(250);
/// The rate is that of this time.
const RATE_OVER: Duration = Duration::from_secs(5);
const WIDTH: u64 = 30;

/// Tells how far something has come.
pub(super) struct Bar {
    how: How,
    what: &'static str,
    seen: Vec<(Instant, u64)>,
    told: Option<Instant>,
    drawn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Drawn,
    Lines,
    Json,
}

impl Bar {
    /// As JSON, or as fits where it is told.
    pub(super) fn new(json: bool) -> Self {
        let drawn = std::io::stderr().is_terminal();
        let how = match json {
            true => How::Json,
            false if drawn => How::Drawn,
            false => How::Lines,
        };
        Self { how, what: "", seen: Vec::new(), told: None, drawn: false }
    }

    /// So much of so much is done.
    pub(super) fn at(&mut self, what: &'static str, done: u64, total: u64) {
        if self.what != what {
            self.end();
            (self.what, self.told) = (what, None);
            self.seen.clear();
        }
        let now = monotonic();
        self.seen.push((now, done));
        self.seen.retain(|(at, _)| now.duration_since(*at) <= RATE_OVER);
        let every = match self.how {
            How::Drawn => Duration::ZERO,
            How::Lines => LINE_EVERY,
            How::Json => JSON_EVERY,
        };
        if self.told.is_some_and(|at| now.duration_since(at) < every) {
            return;
        }
        self.told = Some(now);
        let rate = rate(&self.seen);
        match self.how {
            How::Drawn => {
                // A terminal that is gone is nothing to end a rebuild for.
                let _ = write!(std::io::stderr(), "\r\x1b[K{}", text(what, done, total, rate, true));
                self.drawn = true;
            }
            How::Lines => stack::say(&text(what, done, total, rate, false)),
            How::Json => {
                self.object(json!({
                    "step": what, "done": done, "total": total, "per_second": rate, "eta_s": eta(done, total, rate)
                }));
            }
        }
    }

    /// Something happened.
    pub(super) fn say(&mut self, text: &str, object: Value) {
        self.end();
        match self.how {
            How::Json => self.object(object),
            How::Drawn | How::Lines => stack::say(text),
        }
    }

    fn object(&self, object: Value) {
        // Whoever does not read on is no reason to end a rebuild.
        let _ = stack::print(&format!("{object}\n"));
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// A second, over what was seen lately.
fn rate(seen: &[(Instant, u64)]) -> u64 {
    let (Some((from, first)), Some((to, last))) = (seen.first(), seen.last()) else {
        return 0;
    };
    let ms = u64::try_from(to.duration_since(*from).as_millis()).unwrap_or(u64::MAX);
    last.saturating_sub(*first).saturating_mul(1000).checked_div(ms).unwrap_or(0)
}

fn eta(done: u64, total: u64, rate: u64) -> Option<u64> {
    total.saturating_sub(done).checked_div(rate)
}

fn text(what: &str, done: u64, total: u64, rate: u64, drawn: bool) -> String {
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100);
    let bar = match drawn {
        true => {
            let full = usize::try_from(percent * WIDTH / 100).unwrap_or(0);
            let rest = usize::try_from(WIDTH).unwrap_or(0) - full;
            format!(" [{}{}]", "#".repeat(full), " ".repeat(rest))
        }
        false => String::new(),
    };
    let left = eta(done, total, rate).map_or_else(String::new, |eta| format!(", {eta} s left"));
    format!("{what}{bar} {percent:>3} %  {} of {} records, {}/s{left}", grouped(done), grouped(total), grouped(rate))
}

/// With commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_how_fast_and_how_long() {
        let line = text("fill", 2_150_000, 5_000_000, 200_000, false);
        assert_eq!(line, "fill  43 %  2,150,000 of 5,000,000 records, 200,000/s, 14 s left");
        assert_eq!(text("fill", 0, 0, 0, false), "fill 100 %  0 of 0 records, 0/s");
        assert!(text("fill", 1, 2, 0, true).contains("[###############               ]  50 %"));
    }

    #[test]
    fn the_rate_is_that_of_what_was_seen() {
        let start = monotonic();
        let seen = [(start, 100), (start + Duration::from_secs(2), 700)];
        assert_eq!(rate(&seen), 300);
        assert_eq!(rate(&seen[..1]), 0);
    }
}
