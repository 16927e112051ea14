//! The provider's statement, held against the movements of money in the log: to the unit.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

use super::facts::Facts;
use super::report::{Faults, Law, money};

/// One transfer as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transfer {
    /// The provider's reference.
    pub reference: String,
    /// Minor units of the currency; VND has none below the dong.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

#[derive(Deserialize)]
struct Answer {
    movements: Vec<Movement>,
}

/// A movement in either direction; what was given back is in the log elsewhere.
#[derive(Deserialize)]
struct Movement {
    kind: Kind,
    #[serde(flatten)]
    transfer: Transfer,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Capture,
    Refund,
}

/// Asks the payment sandbox for every transfer to the shop there ever was, at any provider.
///
/// # Errors
/// It does not answer, or not in its own words.
pub async fn fetch(http: &reqwest::Client, sandbox_url: &str) -> anyhow::Result<Vec<Transfer>> {
    let url = format!("{sandbox_url}/_control/statement?format=json");
    let answer = http.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    let answer: Answer =
        answer.context("ask the sandbox for its statement")?.json().await.context("read the statement")?;
    let captures = answer.movements.into_iter().filter(|movement| movement.kind == Kind::Capture);
    Ok(captures.map(|movement| movement.transfer).collect())
}

/// Every transfer is in the log exactly once, applied or set aside, and nothing else is.
pub fn compare(facts: &Facts, transfers: &[Transfer]) -> Law {
    let mut faults = Faults::default();
    let mut banked: BTreeMap<&str, &Transfer> = BTreeMap::new();
    for transfer in transfers {
        if banked.insert(&transfer.reference, transfer).is_some() {
            faults.add(format!("the statement has {} twice", transfer.reference));
        }
    }
    for (reference, transfer) in &banked {
        match facts.sales.movements.get(*reference) {
            None => faults.add(format!("{reference}: {} {} never reached the log", transfer.amount, transfer.currency)),
            Some(ours) if ours.amount == transfer.amount && ours.currency.as_str() == transfer.currency => {}
            Some(ours) => faults.add(format!(
                "{reference}: {} {} on the statement, {} {} in the log",
                transfer.amount, transfer.currency, ours.amount, ours.currency
            )),
        }
    }
    for (reference, ours) in facts.sales.movements.iter().filter(|(known, _)| !banked.contains_key(known.as_str())) {
        faults.add(format!("{reference}: {} {} in the log, but not on the statement", ours.amount, ours.currency));
    }
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    transfers.iter().for_each(|it| *sums.entry(&it.currency).or_default() += it.amount);
    let sums: Vec<String> = sums.iter().map(|(currency, sum)| money(*sum, currency)).collect();
    let numbers = format!("{} transfers, {}", transfers.len(), sums.join(" + "));
    Law::new("the provider's statement equals the log", numbers, faults)
}
