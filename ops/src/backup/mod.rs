//! `boxctl backup` and `boxctl restore`: the log and its keys in files, and back (docs/recovery.md).

mod read_models;
pub mod restore;
mod show;
pub mod take;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use backup::manifest::Folder;
use backup::read::Backup;
use backup::verify::verify;
use clap::{Args, Subcommand};

use crate::stack;

/// What `backup` does. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    take: take::TakeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read all of a backup: checksums, every record decoded, every partition judged as its readers do. Ends with 1 if
    /// something is wrong.
    Verify(OfArgs),
    /// Show what a backup holds, up to which moment, and which master keys it needs.
    Show(OfArgs),
}

/// Which backup.
#[derive(Debug, Args)]
struct OfArgs {
    /// Its folder.
    folder: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// Kafka or the disk does not answer, or the folder holds something else.
pub async fn run(args: BackupArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        None => take::run(args.take).await,
        Some(Command::Verify(of)) => tokio::task::block_in_place(|| verified(&of)),
        Some(Command::Show(of)) => tokio::task::block_in_place(|| shown(&of)),
    }
}

fn verified(of: &OfArgs) -> anyhow::Result<ExitCode> {
    let backup = Backup::open(Folder::new(&of.folder))?;
    let found = verify(&backup)?;
    let text = match of.json {
        true => serde_json::to_string_pretty(&found)? + "\n",
        false => show::verified(&found),
    };
    stack::print(&text)?;
    Ok(if found.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(of: &OfArgs) -> anyhow::Result<ExitCode> {
    let folder = Folder::new(&of.folder);
    let Some(manifest) = folder.manifest()? else { bail!("{} holds no backup", of.folder.display()) };
    let text = match of.json {
        true => serde_json::to_string_pretty(&manifest)? + "\n",
        false => show::manifest(&manifest),
    };
    stack::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Tells how far something is: in place on a terminal, otherwise now and then in a line.
pub(crate) struct Bar {
    terminal: bool,
    told: std::sync::Mutex<(u64, &'static str)>,
}

impl Bar {
    /// Nothing was told yet.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), told: std::sync::Mutex::new((0, "")) }
    }

    /// So many of so many are done.
    pub(crate) fn tell(&self, what: &'static str, done: u64, total: u64) {
        let percent = done.saturating_mul(100) / total.max(1);
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.1 == what && percent < told.0 + if self.terminal { 1 } else { 20 } && done < total {
            return;
        }
        if *told == (percent, what) {
            return;
        }
        *told = (percent, what);
        let width = usize::try_from(percent / 4).unwrap_or(25).min(25);
        let line = format!("{what:<10} [{:<25}] {percent:>3} %  {done} of {total} records", "=".repeat(width));
        let end = if self.terminal && done < total { "\r" } else { "\n" };
        // Nobody is told if there is nobody.
        let _ = write!(std::io::stderr(), "{line}{end}");
    }
}
