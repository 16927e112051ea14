//! `boxctl reconcile`: a provider's statement, held against the ledger line by line.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use local_stack::StackConfig;
use serde::Serialize;
use service_kit::config::{Env, Noted};
use service_kit::env;

use super::ledger::{self, Movement};
use super::statement;
use crate::stack;

/// They differ.
const DIFFERENT: u8 = 1;
/// Something does not answer, or the file is wrong: nothing is known.
const COULD_NOT_LOOK: u8 = 2;

/// What to compare. Where: BOXOFFICE_POSTGRES, or the local stack. Ends with 0 if both say the same, 1 if not, 2 if it
/// could not look.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Whose statement it is.
    #[arg(long, value_parser = ["payos", "stripe", "vnpay", "zalopay", "paypal"])]
    provider: String,
    /// The provider's statement: a CSV file with at least the columns reference, amount (minor units) and currency; kind
    /// (capture or refund, whose amounts are below 0), fee and provider are understood.
    #[arg(long, value_name = "FILE")]
    statement: PathBuf,
    /// Prefix of Postgres schemas [default: BOXOFFICE_NAMESPACE].
    #[arg(long)]
    namespace: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// One line on which they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    kind: String,
    reference: String,
    /// What is wrong.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<String>,
}

/// The sums of one currency, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    /// By the provider's books.
    pub statement: i64,
    /// By ours.
    pub ledger: i64,
    /// What the provider kept, by its books.
    pub fees: i64,
    /// The same by ours: many providers do not tell it with the money.
    pub ledger_fees: i64,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    provider: String,
    /// How many the statement has.
    pub lines: usize,
    /// The sums of each.
    pub by_currency: BTreeMap<String, Sums>,
    /// Every line on which they differ.
    pub differences: Vec<Difference>,
}

struct Place {
    postgres: Option<String>,
    namespace: String,
}

impl Place {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let postgres = env.optional("BOXOFFICE_POSTGRES", env::secret_text("a postgres:// URL"), "The read models.");
        let namespace = env.with_default("BOXOFFICE_NAMESPACE", "", env::name(), "Prefix of topics and schemas.");
        Ok(Self { postgres: postgres?, namespace: namespace? })
    }
}

/// Compares and prints.
///
/// # Errors
/// Nobody reads what is printed.
pub async fn run(args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    match compared(&args).await {
        Ok(outcome) => {
            let text = if args.json { serde_json::to_string_pretty(&outcome)? + "\n" } else { outcome.text() };
            stack::print(&text)?;
            Ok(if outcome.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
        }
        Err(error) => {
            eprintln!("boxctl: {error:#}");
            Ok(ExitCode::from(COULD_NOT_LOOK))
        }
    }
}

async fn compared(args: &ReconcileArgs) -> anyhow::Result<Outcome> {
    let file = File::open(&args.statement).with_context(|| format!("open {}", args.statement.display()))?;
    let place = Env::from_process().read(Place::read)?;
    let postgres = match place.postgres {
        Some(postgres) => postgres,
        None => {
            let endpoints = local_stack::endpoints(&StackConfig::local(&local_stack::find_root()?))?;
            endpoints.context("the local stack never ran; start it with `boxctl stack up`")?.postgres
        }
    };
    let namespace = args.namespace.as_deref().unwrap_or(&place.namespace);
    reconciled(&args.provider, file, &postgres, namespace).await
}

/// Holds a provider's statement against what Postgres has of it.
///
/// # Errors
/// The statement cannot be read, or Postgres does not answer.
pub(crate) async fn reconciled(
    provider: &str,
    csv: impl Read,
    postgres: &str,
    namespace: &str,
) -> anyhow::Result<Outcome> {
    let statement = statement::read(csv, provider)?;
    let ledger = ledger::read(postgres, namespace, provider).await?;
    Ok(compare(provider, &statement, &ledger))
}

fn compare(provider: &str, statement: &[Movement], ledger: &[Movement]) -> Outcome {
    let mut differences = Vec::new();
    let mut by_currency: BTreeMap<String, Sums> = BTreeMap::new();
    let mut theirs: BTreeMap<(&str, &str), &Movement> = BTreeMap::new();
    for line in statement {
        let sums = by_currency.entry(line.currency.clone()).or_default();
        (sums.statement, sums.fees) = (sums.statement + line.amount, sums.fees + line.fee);
        if theirs.insert((&line.kind, &line.reference), line).is_some() {
            differences.push(difference("twice in the statement", Some(line), None));
        }
    }
    for line in ledger {
        let sums = by_currency.entry(line.currency.clone()).or_default();
        (sums.ledger, sums.ledger_fees) = (sums.ledger + line.amount, sums.ledger_fees + line.fee);
        match theirs.remove(&(line.kind.as_str(), line.reference.as_str())) {
            Some(known) if (known.amount, &known.currency) == (line.amount, &line.currency) => {}
            Some(known) => differences.push(difference("the amounts differ", Some(known), Some(line))),
            None => differences.push(difference("not in the statement", None, Some(line))),
        }
    }
    differences.extend(theirs.values().map(|line| difference("not in the ledger", Some(line), None)));
    Outcome { provider: provider.to_owned(), lines: statement.len(), by_currency, differences }
}

fn difference(what: &'static str, statement: Option<&Movement>, ledger: Option<&Movement>) -> Difference {
    let of = statement.or(ledger).expect("one of both has it");
    let money = |line: &Movement| format!("{} {}", line.amount, line.currency);
    Difference {
        kind: of.kind.clone(),
        reference: of.reference.clone(),
        what,
        statement: statement.map(money),
        ledger: ledger.map(money),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, reference, what, .. } = self;
        let of = |side: &'_ Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
        let (statement, ledger) = (of(&self.statement), of(&self.ledger));
        write!(f, "{kind} {reference}: {what}; statement {statement}, ledger {ledger}")
    }
}

impl Outcome {
    fn text(&self) -> String {
        let mut text = format!("{}: {} lines in the statement\n\n", self.provider, self.lines);
        let _ = writeln!(
            text,
            "{:8} {:>18} {:>18} {:>14} {:>14}",
            "currency", "statement", "ledger", "fees", "in the ledger"
        );
        for (currency, sums) in &self.by_currency {
            let Sums { statement, ledger, fees, ledger_fees } = *sums;
            let _ = writeln!(text, "{currency:8} {statement:>18} {ledger:>18} {fees:>14} {ledger_fees:>14}");
        }
        for it in &self.differences {
            let _ = write!(text, "\n{it}");
        }
        let verdict = match self.differences.len() {
            0 => "the statement and the ledger say the same".to_owned(),
            n => format!("{n} differences"),
        };
        text + "\n" + &verdict + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, reference: &str, amount: i64, currency: &str) -> Movement {
        let (kind, reference) = (kind.to_owned(), reference.to_owned());
        Movement { kind, reference, amount, currency: currency.to_owned(), fee: 0 }
    }

    fn found(statement: Vec<Movement>, ledger: &[Movement]) -> Vec<(&'static str, String)> {
        let outcome = compare("stripe", &statement, ledger);
        outcome.differences.into_iter().map(|it| (it.what, it.reference)).collect()
    }

    #[test]
    fn equal_books_have_no_differences() {
        let both = vec![line("capture", "a", 100, "USD"), line("refund", "a", -100, "USD")];
        let told = [Movement { fee: 3, ..both[0].clone() }, both[1].clone()];
        let outcome = compare("stripe", &told, &both);
        assert_eq!(outcome.differences, []);
        assert_eq!(outcome.by_currency["USD"], Sums { statement: 0, ledger: 0, fees: 3, ledger_fees: 0 });
        assert!(outcome.text().ends_with("say the same\n"));
    }

    #[test]
    fn every_difference_is_listed() {
        let ours = [line("capture", "a", 100, "USD")];
        assert_eq!(found(vec![], &ours), [("not in the statement", "a".to_owned())]);
        assert_eq!(found(ours.to_vec(), &[]), [("not in the ledger", "a".to_owned())]);
        assert_eq!(found(vec![line("capture", "a", 99, "USD")], &ours), [("the amounts differ", "a".to_owned())]);
        assert_eq!(found(vec![line("capture", "a", 100, "EUR")], &ours), [("the amounts differ", "a".to_owned())]);
        assert_eq!(found([ours.to_vec(), ours.to_vec()].concat(), &ours), [("twice in the statement", "a".to_owned())]);
        let other_kind = found(vec![line("refund", "a", 100, "USD")], &ours);
        assert_eq!(other_kind.len(), 2, "{other_kind:?}");
    }
}
