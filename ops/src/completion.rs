//! `boxctl completion bash|zsh|fish`: what makes a shell complete our commands and options.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::stack;

/// For which shell: bash reads it by `source <(boxctl completion bash)`; zsh from a file `_boxctl` in a folder of `$fpath`;
/// fish from `~/.config/fish/completions/boxctl.fish`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints it.
///
/// # Errors
/// Nobody reads it.
pub fn run(args: &CompletionArgs, mut root: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "boxctl", &mut script);
    stack::print(&String::from_utf8_lossy(&script))
}
