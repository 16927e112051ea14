//! Each provider's statement, held against the ledger as `boxctl reconcile` does.

use check::{Faults, Law};
use provider_sandbox::Provider;

use super::bank::Bank;
use crate::dev::Running;
use crate::money::{Outcome, reconciled};

/// Compares the books of every provider.
///
/// # Errors
/// The sandbox or Postgres does not answer.
pub async fn compare(bank: &Bank, running: &Running) -> anyhow::Result<Vec<(Provider, Outcome)>> {
    let plan = running.plan();
    let mut all = Vec::new();
    for provider in Provider::ALL {
        let csv = bank.statement(provider, &running.sandbox_url()).await?;
        let outcome = reconciled(provider.name(), &csv[..], &plan.endpoints.postgres, &plan.namespace).await?;
        all.push((provider, outcome));
    }
    Ok(all)
}

/// To the last unit, line by line.
pub fn laws(books: &[(Provider, Outcome)]) -> Vec<Law> {
    books.iter().map(|(provider, outcome)| law(*provider, outcome)).collect()
}

fn law(provider: Provider, outcome: &Outcome) -> Law {
    let name = match provider {
        Provider::Payos => "the statement of payos equals the ledger",
        Provider::Stripe => "the statement of stripe equals the ledger",
        Provider::Vnpay => "the statement of vnpay equals the ledger",
        Provider::Zalopay => "the statement of zalopay equals the ledger",
        Provider::Paypal => "the statement of paypal equals the ledger",
    };
    let sums: Vec<String> = outcome
        .by_currency
        .iter()
        .map(|(currency, sums)| {
            format!("{} = {}", check::money(sums.statement, currency), check::money(sums.ledger, currency))
        })
        .collect();
    let faults: Faults = outcome.differences.iter().map(ToString::to_string).collect();
    Law::new(name, format!("{} lines, {}", outcome.lines, sums.join(" + ")), faults)
}
