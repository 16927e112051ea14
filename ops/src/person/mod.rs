//! `boxctl person find|forget|reapply`: what is known of whom, and that a person is forgotten.

mod find;
mod forget;
mod known;
mod reapply;

use std::process::ExitCode;

use clap::Subcommand;

/// What to do with persons.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the persons behind a mail address, an order or an account. Ends with 0 if there is one, 1 if there is none,
    /// 2 if it could not look.
    Find(find::FindArgs),
    /// Forget a person: the keys of their name, mail address and phone number are taken away, for ever. Ends with 0 once
    /// nobody can read them, 1 if that is not so or nothing is known of them, 2 if it could not look or was not let.
    Forget(forget::ForgetArgs),
    /// After a restore: take away again the keys of everybody who was forgotten, as the log says. Again changes nothing.
    Reapply(reapply::ReapplyArgs),
}

/// Does it.
pub async fn run(command: Command) -> ExitCode {
    match command {
        Command::Find(args) => ended(find::run(args).await),
        Command::Forget(args) => ended(forget::run(args).await),
        Command::Reapply(args) => ended(reapply::run(args).await),
    }
}

/// What could not be looked up ends with 2.
fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("boxctl: {error:#}");
        ExitCode::from(2)
    })
}
