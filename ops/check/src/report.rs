//! What was found: every law with its numbers, and what breaks it.

use std::fmt::Write as _;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// So many faults of a law are told; more are counted.
const TOLD: usize = 20;

/// What breaks a law.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Faults {
    /// One more.
    pub fn add(&mut self, fault: impl Into<String>) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(fault.into());
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let first = self.first.iter().chain(&others.first).take(TOLD).cloned().collect();
        Self { count: self.count + others.count, first }
    }
}

impl<S: Into<String>> FromIterator<S> for Faults {
    fn from_iter<I: IntoIterator<Item = S>>(faults: I) -> Self {
        let mut all = Self::default();
        faults.into_iter().for_each(|fault| all.add(fault));
        all
    }
}

/// Something that has to hold; in JSON with the word for whether it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Law {
    /// What has to hold.
    pub name: &'static str,
    /// What was counted.
    pub numbers: String,
    /// What breaks it.
    pub faults: Faults,
}

impl Law {
    /// A law with what was counted and what breaks it.
    pub fn new(name: &'static str, numbers: impl Into<String>, faults: Faults) -> Self {
        Self { name, numbers: numbers.into(), faults }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Serialize for Law {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut law = serializer.serialize_struct("Law", 4)?;
        law.serialize_field("name", self.name)?;
        law.serialize_field("holds", &self.holds())?;
        law.serialize_field("numbers", &self.numbers)?;
        law.serialize_field("faults", &self.faults)?;
        law.end()
    }
}

/// Every law that was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of importance.
    pub laws: Vec<Law>,
}

impl Report {
    /// Whether all of them hold.
    pub fn holds(&self) -> bool {
        self.laws.iter().all(Law::holds)
    }

    /// How many do not.
    pub fn broken(&self) -> usize {
        self.laws.iter().filter(|law| !law.holds()).count()
    }

    /// A line each, with ✓ or ✗, and the faults below.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for law in &self.laws {
            let mark = if law.holds() { '✓' } else { '✗' };
            let mut line = |part: std::fmt::Arguments<'_>| {
                text.write_fmt(part).expect("writing to a string never fails");
            };
            line(format_args!("  {mark} {:<52} {}\n", law.name, law.numbers));
            law.faults.first.iter().for_each(|fault| line(format_args!("      {fault}\n")));
            let more = law.faults.count.saturating_sub(law.faults.first.len() as u64);
            if more > 0 {
                line(format_args!("      … and {more} more\n"));
            }
        }
        text
    }
}

/// An amount with its thousands set apart: `1.250.000 VND`.
pub fn money(amount: i64, currency: &str) -> String {
    format!("{} {currency}", grouped(amount))
}

fn grouped(amount: i64) -> String {
    let digits = amount.unsigned_abs().to_string();
    let mut text = String::from(if amount < 0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_set_in_thousands() {
        for (amount, text) in [(0, "0"), (999, "999"), (1000, "1.000"), (1_250_000, "1.250.000"), (-12_345, "-12.345")]
        {
            assert_eq!(grouped(amount), text);
        }
    }

    #[test]
    fn a_report_tells_some_faults_and_counts_the_others() {
        let faults: Faults = (0..28).map(|n| format!("fault {n}")).collect();
        let report = Report { laws: vec![Law::new("good", "1 of 1", Faults::default()), Law::new("bad", "0", faults)] };
        assert!(!report.holds() && report.broken() == 1);
        let text = report.text();
        assert!(text.contains("✓ good") && text.contains("✗ bad") && text.contains("… and 8 more"), "{text}");
    }
}
