//! The file of a history.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::Call;

/// Why a file is no history.
#[derive(Debug, thiserror::Error)]
pub enum BadHistory {
    /// It cannot be read.
    #[error("read the history {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A line is no call.
    #[error("line {line} of the history {path} is no call")]
    Line {
        path: PathBuf,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
}

/// Reads every call, in the order in which they ended. A last line without its end is what a killed recorder left, and
/// is passed over: that call was never answered to anybody.
///
/// # Errors
/// The file cannot be read, or has a line that is no call.
pub fn read(path: &Path) -> Result<Vec<Call>, BadHistory> {
    let unreadable = |source| BadHistory::Unreadable { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut calls, mut text, mut line) = (Vec::new(), String::new(), 0);
    loop {
        text.clear();
        line += 1;
        if reader.read_line(&mut text).map_err(unreadable)? == 0 || !text.ends_with('\n') {
            return Ok(calls);
        }
        match serde_json::from_str(&text) {
            Ok(call) => calls.push(call),
            Err(source) => return Err(BadHistory::Line { path: path.to_owned(), line, source }),
        }
    }
}
