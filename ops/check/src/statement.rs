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
    /// Minor units of the currency; VND has none below the dong. Below 0 if it went back to the payer.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

#[derive(Deserialize)]
struct Answer {
    movements: Vec<Transfer>,
}

/// Asks the payment sandbox for every transfer there ever was, at any provider and in either direction.
///
/// # Errors
/// It does not answer, or not in its own words.
pub async fn fetch(http: &reqwest::Client, sandbox_url: &str) -> anyhow::Result<Vec<Transfer>> {
    let url = format!("{sandbox_url}/_control/statement?format=json");
    let answer = http.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    let answer: Answer =
        answer.context("ask the sandbox for its statement")?.json().await.context("read the statement")?;
    Ok(answer.movements)
}

/// Every transfer is in the log exactly once, applied, set aside or given back, and nothing else is.
pub fn compare(facts: &Facts, transfers: &[Transfer]) -> Law {
    let mut faults = Faults::default();
    let mut banked: BTreeMap<Name<'_>, &Transfer> = BTreeMap::new();
    for transfer in transfers {
        if banked.insert((transfer.amount < 0, &transfer.reference), transfer).is_some() {
            faults.add(format!("the statement has {} twice", transfer.reference));
        }
    }
    let logged = logged(facts);
    for (name, transfer) in &banked {
        let (reference, there) = (name.1, (transfer.amount, transfer.currency.as_str()));
        match logged.get(name) {
            None => faults.add(format!("{reference}: {} {} never reached the log", there.0, there.1)),
            Some(ours) if *ours == there => {}
            Some(ours) => faults.add(format!(
                "{reference}: {} {} on the statement, {} {} in the log",
                there.0, there.1, ours.0, ours.1
            )),
        }
    }
    for (name, ours) in logged.iter().filter(|(name, _)| !banked.contains_key(*name)) {
        faults.add(format!("{}: {} {} in the log, but not on the statement", name.1, ours.0, ours.1));
    }
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    transfers.iter().for_each(|it| *sums.entry(&it.currency).or_default() += it.amount);
    let sums: Vec<String> = sums.iter().map(|(currency, sum)| money(*sum, currency)).collect();
    let numbers = format!("{} transfers, {}", transfers.len(), sums.join(" + "));
    Law::new("the provider's statement equals the log", numbers, faults)
}

/// Whether it went back, and the provider's reference: a provider may name both directions alike.
type Name<'a> = (bool, &'a str);

/// What moved at providers, as the log has it; what people gave back past them is not among it.
fn logged(facts: &Facts) -> BTreeMap<Name<'_>, (i64, &str)> {
    let came = facts.sales.movements.iter();
    let came = came.map(|(reference, it)| ((false, reference.as_str()), (it.amount, it.currency.as_str())));
    let by_provider = facts.sales.refunds.values().filter(|refund| !refund.by_hand);
    let back = by_provider.filter_map(|refund| {
        let payment = facts.sales.payments.get(&refund.payment)?;
        Some(((true, refund.done.as_deref()?), (-refund.amount, payment.currency.as_str())))
    });
    came.chain(back).collect()
}
