//! Reads typed settings from the environment, collects every error, and remembers what was asked for.
//!
//! Every variable must be read unconditionally, so that the list of what was asked for is the whole table.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::keys::Secret32;

/// One setting, as the table of all settings shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// `BOXOFFICE_…`.
    pub name: &'static str,
    /// What happens when it is not set.
    pub unset: Unset,
    /// What it is for.
    pub doc: &'static str,
    /// What it must look like.
    pub expected: String,
}

/// What happens when a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// The process does not start.
    Refused,
    /// This stands in.
    Default(&'static str),
    /// The feature is off.
    Nothing,
}

/// What is wrong with the environment: every variable at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Invalid(pub Vec<String>);

/// The error is noted; the reading goes on, to find the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted;

/// The environment while it is read.
#[derive(Debug, Default)]
pub struct Env {
    values: BTreeMap<String, String>,
    declared: BTreeMap<&'static str, Variable>,
    errors: Vec<String>,
}

impl Env {
    /// The process's own environment; the one place that looks at it.
    #[allow(clippy::disallowed_methods, reason = "this is the place made for reading the environment")]
    pub fn from_process() -> Self {
        let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        // A value that is no UTF-8 gets replacement characters, which nothing but free text accepts.
        Self::from_map(ours.map(|(name, value)| (name, value.to_string_lossy().into_owned())))
    }

    /// Given values, for tests.
    pub fn from_map<K: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (K, V)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { values: values.filter(|(_, value)| !value.is_empty()).collect(), ..Self::default() }
    }

    /// What is set of ours, with its values: some of them are secret.
    pub fn ours(&self) -> BTreeMap<String, String> {
        let ours = self.values.iter().filter(|(name, _)| name.starts_with("BOXOFFICE_"));
        ours.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Reads a whole configuration.
    ///
    /// # Errors
    /// Every variable that is missing or wrong, each with what would be right.
    pub fn read<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, Noted>) -> Result<T, Invalid> {
        match read(&mut self) {
            Ok(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Invalid(self.errors)),
        }
    }

    /// Every variable that a configuration asks for, by name.
    pub fn declared<T>(read: impl FnOnce(&mut Self) -> Result<T, Noted>) -> Vec<Variable> {
        let mut env = Self::default();
        let _ = read(&mut env);
        env.declared.into_values().collect()
    }

    /// A setting without which the process does not start.
    ///
    /// # Errors
    /// Missing or wrong; noted.
    pub fn required<T>(&mut self, name: &'static str, format: Format<T>, doc: &'static str) -> Result<T, Noted> {
        match self.lookup(name, Unset::Refused, &format, doc)? {
            Some(value) => Ok(value),
            None => Err(self.note(name, "is not set", &format.expected)),
        }
    }

    /// A setting that may be left out.
    ///
    /// # Errors
    /// Wrong; noted.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        format: Format<T>,
        doc: &'static str,
    ) -> Result<Option<T>, Noted> {
        self.lookup(name, Unset::Nothing, &format, doc)
    }

    /// A setting with a default, written as it would be in the environment.
    ///
    /// # Errors
    /// Wrong; noted.
    ///
    /// # Panics
    /// If the default itself is wrong: a bug.
    pub fn with_default<T>(
        &mut self,
        name: &'static str,
        default: &'static str,
        format: Format<T>,
        doc: &'static str,
    ) -> Result<T, Noted> {
        let value = self.lookup(name, Unset::Default(default), &format, doc)?;
        Ok(value.unwrap_or_else(|| (format.parse)(default).expect("a default has the form it asks for")))
    }

    /// Notes a breach of a rule between several variables.
    pub fn refuse(&mut self, name: &'static str, problem: &str, expected: &str) -> Noted {
        self.note(name, problem, expected)
    }

    fn lookup<T>(
        &mut self,
        name: &'static str,
        unset: Unset,
        format: &Format<T>,
        doc: &'static str,
    ) -> Result<Option<T>, Noted> {
        debug_assert!(name.starts_with("BOXOFFICE_"), "{name} must start with BOXOFFICE_");
        let expected = format.expected.clone();
        self.declared.insert(name, Variable { name, unset, doc, expected });
        let Some(text) = self.values.get(name) else {
            return Ok(None);
        };
        if let Some(value) = (format.parse)(text) {
            return Ok(Some(value));
        }
        let shown = if format.secret { "its value".to_owned() } else { format!("{text:?}") };
        Err(self.note(name, &format!("{shown} is not valid"), &format.expected))
    }

    fn note(&mut self, name: &str, problem: &str, expected: &str) -> Noted {
        self.errors.push(format!("{name}: {problem}; expected {expected}"));
        Noted
    }
}

/// How a value is written.
pub struct Format<T> {
    expected: String,
    secret: bool,
    parse: Parse<T>,
}

type Parse<T> = Box<dyn Fn(&str) -> Option<T>>;

impl<T> Format<T> {
    /// A format of one's own; `expected` completes the sentence "expected …".
    pub fn new(expected: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Self {
        Self { expected: expected.into(), secret: false, parse: Box::new(parse) }
    }

    /// The same, never shown in an error.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

impl<T> fmt::Debug for Format<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({})", self.expected)
    }
}

/// Any text; `expected` says what it means.
pub fn text(expected: &'static str) -> Format<String> {
    Format::new(expected, |text| Some(text.to_owned()))
}

/// Text that no error shows.
pub fn secret_text(expected: &'static str) -> Format<String> {
    text(expected).secret()
}

/// Letters, digits, `.`, `_` and `-`, at most 60: fit for topics, schemas and group names.
pub fn name() -> Format<String> {
    let fits =
        |text: &str| text.len() <= 60 && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it));
    Format::new("at most 60 letters, digits, \".\", \"_\" or \"-\"", move |text| fits(text).then(|| text.to_owned()))
}

/// A whole number of a range.
pub fn whole<N: FromStr + PartialOrd + fmt::Display + 'static>(range: RangeInclusive<N>) -> Format<N> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    Format::new(expected, move |text| text.parse().ok().filter(|number| range.contains(number)))
}

/// Seconds of a range; the variable's name ends with `_S`.
pub fn seconds(range: RangeInclusive<u64>) -> Format<Duration> {
    let expected = format!("seconds, a whole number from {} to {}", range.start(), range.end());
    let parse = move |text: &str| text.parse().ok().filter(|number| range.contains(number));
    Format::new(expected, move |text| parse(text).map(Duration::from_secs))
}

/// Milliseconds of a range; the variable's name ends with `_MS`.
pub fn millis(range: RangeInclusive<u64>) -> Format<Duration> {
    let expected = format!("milliseconds, a whole number from {} to {}", range.start(), range.end());
    let parse = move |text: &str| text.parse().ok().filter(|number| range.contains(number));
    Format::new(expected, move |text| parse(text).map(Duration::from_millis))
}

/// 32 secret bytes in hex.
pub fn secret32() -> Format<Secret32> {
    Format::new("32 bytes as 64 hex digits", |text| hex32(text).map(Secret32::new)).secret()
}

/// An http or https URL, without the slash at its end.
pub fn url() -> Format<String> {
    let parse = |text: &str| crate::validate::is_web_url(text).then(|| text.trim_end_matches('/').to_owned());
    Format::new("an absolute http or https URL", parse)
}

/// An address to listen on.
pub fn socket_addr() -> Format<SocketAddr> {
    Format::new("an address and port, such as 127.0.0.1:8080", |text| text.parse().ok())
}

/// `true` or `false`.
pub fn flag() -> Format<bool> {
    Format::new("true or false", |text| text.parse().ok())
}

/// `host:port`, several separated by commas.
pub fn hosts() -> Format<String> {
    let host = |text: &str| {
        let (host, port) = text.rsplit_once(':')?;
        (!host.is_empty() && !host.contains(['/', ' ']) && port.parse::<u16>().is_ok()).then_some(())
    };
    Format::new("host:port, several separated by commas", move |text| {
        text.split(',').all(|it| host(it.trim()).is_some()).then(|| text.to_owned())
    })
}

/// A value of another type's own form, several separated by commas.
pub fn list<T: FromStr + 'static>(expected: &'static str) -> Format<Vec<T>> {
    Format::new(expected, |text| text.split(',').map(|it| it.trim().parse().ok()).collect())
}

/// 32 bytes of 64 hex digits.
pub fn hex32(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
}

/// The variables as a table in Markdown.
pub fn table(variables: &[Variable]) -> String {
    let head = "| variable | when not set | what |\n|---|---|---|\n".to_owned();
    variables.iter().fold(head, |table, it| table + &row(it) + "\n")
}

/// One line of the table.
fn row(it: &Variable) -> String {
    let unset = match it.unset {
        Unset::Refused => "required".to_owned(),
        Unset::Nothing => "not used".to_owned(),
        Unset::Default("") => "empty".to_owned(),
        Unset::Default(default) => format!("`{default}`"),
    };
    format!("| `{}` | {unset} | {} ({}) |", it.name, it.doc, it.expected)
}

/// The rows of these variables that a document lacks, for a service's own test of `docs/configuration.md`.
pub fn undocumented(document: &str, variables: &[Variable]) -> Vec<String> {
    variables.iter().map(row).filter(|row| !document.lines().any(|line| line == row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        partitions: u32,
        wait: Duration,
        kafka: String,
        url: Option<String>,
    }

    fn sample(env: &mut Env) -> Result<Sample, Noted> {
        let partitions = env.with_default("BOXOFFICE_PARTITIONS", "4", whole(1..=1024), "How many.");
        let wait = env.with_default("BOXOFFICE_WAIT_MS", "250", millis(1..=1000), "How long.");
        let kafka = env.required("BOXOFFICE_KAFKA", hosts(), "Where.");
        let url = env.optional("BOXOFFICE_URL", url(), "Where else.");
        let _ = env.optional("BOXOFFICE_SECRET", secret32(), "Secret.");
        Ok(Sample { partitions: partitions?, wait: wait?, kafka: kafka?, url: url? })
    }

    #[test]
    fn values_and_defaults_are_read() {
        let env = Env::from_map([("BOXOFFICE_KAFKA", "a:1, b:2"), ("BOXOFFICE_URL", "http://x/"), ("OTHER", "1")]);
        let expected = Sample {
            partitions: 4,
            wait: Duration::from_millis(250),
            kafka: "a:1, b:2".to_owned(),
            url: Some("http://x".to_owned()),
        };
        assert_eq!(env.read(sample), Ok(expected));
    }

    #[test]
    fn every_error_is_told_at_once_and_secrets_are_not() {
        let env = Env::from_map([
            ("BOXOFFICE_PARTITIONS", "0"),
            ("BOXOFFICE_WAIT_MS", "soon"),
            ("BOXOFFICE_URL", "x"),
            ("BOXOFFICE_SECRET", "hunter2"),
        ]);
        insta::assert_snapshot!(env.read(sample).unwrap_err(), @r#"
        BOXOFFICE_PARTITIONS: "0" is not valid; expected a whole number from 1 to 1024
        BOXOFFICE_WAIT_MS: "soon" is not valid; expected milliseconds, a whole number from 1 to 1000
        BOXOFFICE_KAFKA: is not set; expected host:port, several separated by commas
        BOXOFFICE_URL: "x" is not valid; expected an absolute http or https URL
        BOXOFFICE_SECRET: its value is not valid; expected 32 bytes as 64 hex digits
        "#);
    }

    #[test]
    fn an_empty_value_counts_as_not_set() {
        let env = Env::from_map([("BOXOFFICE_KAFKA", "a:1"), ("BOXOFFICE_PARTITIONS", "")]);
        assert_eq!(env.read(sample).unwrap().partitions, 4);
    }

    #[test]
    fn the_table_has_every_variable() {
        let variables = Env::declared(sample);
        insta::assert_snapshot!(table(&variables), @"
        | variable | when not set | what |
        |---|---|---|
        | `BOXOFFICE_KAFKA` | required | Where. (host:port, several separated by commas) |
        | `BOXOFFICE_PARTITIONS` | `4` | How many. (a whole number from 1 to 1024) |
        | `BOXOFFICE_SECRET` | not used | Secret. (32 bytes as 64 hex digits) |
        | `BOXOFFICE_URL` | not used | Where else. (an absolute http or https URL) |
        | `BOXOFFICE_WAIT_MS` | `250` | How long. (milliseconds, a whole number from 1 to 1000) |
        ");
        assert_eq!(undocumented(&table(&variables), &variables), Vec::<String>::new());
        assert_eq!(undocumented("", &variables).len(), 5);
    }

    #[test]
    fn hex_has_64_digits() {
        assert_eq!(hex32(&"0F".repeat(32)), Some([15; 32]));
        for bad in ["", "0f", &"0f".repeat(33), &"0g".repeat(32), &format!("{}0", "0f".repeat(31))] {
            assert_eq!(hex32(bad), None, "{bad}");
        }
    }
}
