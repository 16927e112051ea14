//! A provider's statement as a CSV file: columns by their names, in any order; more columns are left alone.

use std::io::Read;

use anyhow::{Context as _, bail};

use super::ledger::Movement;

/// Reads it. Needed: `reference`, `amount` (minor units, a whole number) and `currency`; `kind` is `capture` unless said,
/// `fee` 0, and lines whose `provider` is another one are left out.
///
/// # Errors
/// A column is missing, or a line cannot be read: says which.
pub(super) fn read(csv: impl Read, provider: &str) -> anyhow::Result<Vec<Movement>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv);
    let head = reader.headers().context("read the head of the statement")?.clone();
    let column = |name: &str| head.iter().position(|known| known.eq_ignore_ascii_case(name));
    let needed = |name: &str| column(name).with_context(|| format!("the statement has no column {name}"));
    let (reference, amount, currency) = (needed("reference")?, needed("amount")?, needed("currency")?);
    let (kind, fee, whose) = (column("kind"), column("fee"), column("provider"));
    let mut statement = Vec::new();
    for (line, record) in (2..).zip(reader.records()) {
        let record = record.with_context(|| format!("read line {line} of the statement"))?;
        let cell = |at: usize| record.get(at).unwrap_or_default();
        if whose.is_some_and(|at| cell(at) != provider) {
            continue;
        }
        let number = |at: usize, name: &str| -> anyhow::Result<i64> {
            let wrong = || format!("line {line}: {name} is {:?}, not a whole number of minor units", cell(at));
            cell(at).parse().with_context(wrong)
        };
        let kind = match kind.map_or("capture", cell) {
            kind @ ("capture" | "refund") => kind.to_owned(),
            other => bail!("line {line}: kind is {other:?}, not capture or refund"),
        };
        let (amount, currency) = (number(amount, "amount")?, cell(currency).to_owned());
        if cell(reference).is_empty() || currency.len() != 3 {
            bail!("line {line}: reference or currency is missing");
        }
        let fee = match fee.filter(|at| !cell(*at).is_empty()) {
            Some(at) => number(at, "fee")?,
            None => 0,
        };
        statement.push(Movement { kind, reference: cell(reference).to_owned(), amount, currency, fee });
    }
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_providers_are_left_out() {
        let text = "provider,kind,reference,payment,amount,currency,fee,time,matched\n\
                    stripe,capture,pi_1,p,1500,USD,44,t,true\nstripe,refund,re_1,p,-500,USD,0,t,true\n\
                    paypal,capture,c_1,p,99,USD,5,t,true\n";
        let statement = read(text.as_bytes(), "stripe").unwrap();
        let lines: Vec<_> = statement.iter().map(|it| (it.kind.as_str(), it.amount, it.fee)).collect();
        assert_eq!(lines, [("capture", 1500, 44), ("refund", -500, 0)]);
    }

    #[test]
    fn the_least_a_statement_needs() {
        let statement = read("amount,currency,reference\n3000,VND,FT1\n".as_bytes(), "payos").unwrap();
        assert_eq!(statement[0].kind, "capture");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let cases = [
            ("reference,amount\n", "no column currency"),
            ("reference,amount,currency\nFT1,1.5,VND\n", "line 2: amount is \"1.5\""),
            ("reference,amount,currency\nFT1,1,VND\nFT2,x,VND\n", "line 3"),
            ("reference,amount,currency\n,1,VND\n", "line 2: reference"),
            ("reference,amount,currency,kind\nFT1,1,VND,payout\n", "kind is \"payout\""),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", read(text.as_bytes(), "payos").unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
