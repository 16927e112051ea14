//! The processes of a local installation: four programs, of some of which several run.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use service_kit::config::Variable;

/// A program of a local installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Process {
    /// Plays the payment provider.
    Sandbox,
    /// The write side.
    CommandApi,
    /// Fills the read models.
    Projectors,
    /// The read side.
    QueryApi,
}

impl Process {
    /// Every one, in the order they are started in.
    pub const ALL: [Self; 4] = [Self::Sandbox, Self::CommandApi, Self::Projectors, Self::QueryApi];

    /// Every one, in the order they are stopped in: who writes first.
    pub const STOPPING: [Self; 4] = [Self::CommandApi, Self::Projectors, Self::QueryApi, Self::Sandbox];

    /// The name of its program.
    pub fn binary(self) -> &'static str {
        match self {
            Self::Sandbox => "provider-sandbox",
            Self::CommandApi => "command-api",
            Self::Projectors => "projectors",
            Self::QueryApi => "query-api",
        }
    }

    /// What answers 200 once it can do its work.
    pub fn ready_path(self) -> &'static str {
        match self {
            Self::Sandbox => "/_control/summary",
            Self::CommandApi | Self::Projectors | Self::QueryApi => "/readyz",
        }
    }

    /// The variables that it declares; the sandbox, which stands for somebody else, has flags instead.
    pub fn variables(self) -> Vec<Variable> {
        match self {
            Self::Sandbox => Vec::new(),
            Self::CommandApi => command_api::config::variables(),
            Self::Projectors => projectors::variables(),
            Self::QueryApi => query_api::config::variables(),
        }
    }
}

/// One running copy of a program: `command-api-2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// Of which program.
    pub process: Process,
    /// From 1.
    pub number: u16,
}

impl From<Process> for Instance {
    /// The first one.
    fn from(process: Process) -> Self {
        Self { process, number: 1 }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            // There is one payment provider.
            Process::Sandbox => f.pad(self.process.binary()),
            process => f.pad(&format!("{}-{}", process.binary(), self.number)),
        }
    }
}

impl FromStr for Instance {
    type Err = String;

    /// `command-api-2`; without a number the first one.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.rsplit_once('-') {
            Some((name, digits)) if digits.starts_with(|digit: char| digit.is_ascii_digit()) => (name, digits),
            _ => (text, "1"),
        };
        let known =
            Process::ALL.into_iter().find(|it| it.binary() == name || (*it == Process::Sandbox && name == "sandbox"));
        let process = known
            .ok_or_else(|| format!("{text} is no process: {}-1", Process::ALL.map(Process::binary).join("-1, ")))?;
        match number.parse() {
            Ok(number) if number > 0 => Ok(Self { process, number }),
            _ => Err(format!("{text}: processes are counted from 1")),
        }
    }
}

/// How many of each program run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Of the write side.
    pub command_apis: u16,
    /// Of those that fill the read models.
    pub projectors: u16,
    /// Of the read side.
    pub query_apis: u16,
}

impl Counts {
    /// One of each.
    pub const ONE: Self = Self { command_apis: 1, projectors: 1, query_apis: 1 };
    /// Two of each: one may end, and the shop goes on.
    pub const TWO: Self = Self { command_apis: 2, projectors: 2, query_apis: 2 };

    /// How many of this one.
    pub fn of(self, process: Process) -> u16 {
        match process {
            Process::Sandbox => 1,
            Process::CommandApi => self.command_apis,
            Process::Projectors => self.projectors,
            Process::QueryApi => self.query_apis,
        }
    }

    /// The copies of this one.
    pub fn instances(self, process: Process) -> impl Iterator<Item = Instance> {
        (1..=self.of(process)).map(move |number| Instance { process, number })
    }

    /// Every copy of every one, in the order they are started in.
    pub fn all(self) -> impl Iterator<Item = Instance> {
        Process::ALL.into_iter().flat_map(move |process| self.instances(process))
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_instance() {
        let three = Counts { command_apis: 3, ..Counts::TWO };
        for instance in three.all() {
            assert_eq!(instance.to_string().parse(), Ok(instance));
        }
        assert_eq!("command-api".parse(), Ok(Instance::from(Process::CommandApi)));
        assert_eq!("command-api-2".parse(), Ok(Instance { process: Process::CommandApi, number: 2 }));
        assert_eq!("sandbox".parse(), Ok(Instance::from(Process::Sandbox)));
        for wrong in ["", "kafka", "kafka-1", "command-api-0", "command-api-2x", "command-api-", "-1"] {
            assert!(wrong.parse::<Instance>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn there_is_one_provider_whatever_is_asked_for() {
        let names: Vec<String> = Counts { projectors: 1, ..Counts::TWO }.all().map(|it| it.to_string()).collect();
        let expected =
            ["provider-sandbox", "command-api-1", "command-api-2", "projectors-1", "query-api-1", "query-api-2"];
        assert_eq!(names, expected);
    }
}
