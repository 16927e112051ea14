//! Asking before something is changed that people rely on.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;

/// Nobody agreed, or there is nobody to ask: nothing was done.
pub(crate) const REFUSED: u8 = 2;

/// Says what would be done, and asks for a word. Without a terminal it says that nothing was done.
///
/// # Errors
/// The answer cannot be read.
pub(crate) fn agreed(what: &str, word: &str) -> anyhow::Result<bool> {
    let mut err = std::io::stderr();
    writeln!(err, "{what}").context("write to the terminal")?;
    let input = std::io::stdin();
    if !input.is_terminal() {
        writeln!(err, "Nothing was done: there is nobody to ask; repeat it with --yes.").context("write to stderr")?;
        return Ok(false);
    }
    write!(err, "Type \"{word}\" to go on: ").context("write to the terminal")?;
    let mut answer = String::new();
    input.read_line(&mut answer).context("read the answer")?;
    let agreed = answer.trim() == word;
    if !agreed {
        writeln!(err, "Nothing was done.").context("write to the terminal")?;
    }
    Ok(agreed)
}
