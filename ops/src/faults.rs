//! `boxctl faults`: passes everything on to the program `faults` beside this one.
//!
//! It is a program of its own, because it builds on the tests' installation, which builds on this crate.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

/// Attack a box office of its own while people buy, and check that nothing acknowledged is lost.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct FaultsArgs {
    /// [NAME…] [--runs N] [--quick] [--list] [--json FILE]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Becomes that program.
///
/// # Errors
/// It is not there; what it ends with is then ours.
pub fn run(args: &FaultsArgs) -> anyhow::Result<()> {
    let us = std::env::current_exe().context("find our own program")?;
    let program = us.with_file_name("faults");
    if !program.is_file() {
        bail!(
            "{} is not there; `cargo build -p faults` makes it, and ./ops/faults all that it needs",
            program.display()
        );
    }
    let error = Command::new(&program).args(&args.arguments).exec();
    Err(error).with_context(|| format!("become {}", program.display()))
}
