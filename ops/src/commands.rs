//! Every command of boxctl: in which group the help shows it, and what it ends with. Clap knows the commands themselves.
//!
//! Invariant: 0 is done, or all well; 1 is failed, or something found wrong; 2 is that it could not look, or was called
//! wrongly, or nobody agreed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{ArgMatches, Args, Command};
use serde::Serialize;

use crate::stack;
use crate::table::Table;

/// How to show them.
#[derive(Debug, Args)]
pub struct CommandsArgs {
    /// As JSON, one command a line.
    #[arg(long)]
    json: bool,
    /// As the table of docs/operating.md.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// What the help shows together.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Look", &["status", "doctor", "trace", "partitions", "log", "check", "audit"]),
    (
        "Operate",
        &[
            "init",
            "topics",
            "schemas",
            "projection",
            "parked",
            "queue",
            "refund",
            "reconcile",
            "person",
            "backup",
            "restore",
            "token",
            "config",
        ],
    ),
    ("Analyse", &["replay", "as-of", "schema", "republish"]),
    ("Run locally", &["dev", "demo", "stack"]),
    ("Rehearse and measure", &["drill", "faults", "failover", "load", "compare", "simulate"]),
    ("About boxctl", &["completion", "commands", "help"]),
];

/// Commands that only look, with what they found if they end with 1. Their errors mean that they could not look.
const LOOKS: [(&str, &str); 26] = [
    ("status", "something needs a person"),
    ("doctor", "something is wrong"),
    ("trace", "no purchase has this id"),
    ("partitions", "a partition is broken, or nobody answers for it"),
    ("log", "-"),
    ("check", "a law does not hold"),
    ("audit", "-"),
    ("topics check", "a topic differs"),
    ("schemas check", "the registry differs from the log"),
    ("replay", "something is wrong with the log"),
    ("as-of", "something is wrong with the log"),
    ("schema", "something is wrong with the log"),
    ("person find", "nobody is known by that"),
    ("backup verify", "something is wrong with the backup"),
    ("backup show", "-"),
    ("projection list", "-"),
    ("projection verify", "a row differs from the log"),
    ("parked list", "a key is parked"),
    ("parked show", "the key is not parked"),
    ("queue verify", "the waiting room did not keep its word"),
    ("reconcile", "the statement differs from the ledger"),
    ("refund list", "-"),
    ("stack status", "a server does not answer"),
    ("stack env", "-"),
    ("config", "-"),
    ("commands", "-"),
];

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As it is typed after `boxctl`.
    pub command: String,
    /// What it does.
    pub what: String,
    /// What 1 means.
    pub ends_with_1: String,
    /// Whether it writes JSON.
    pub json: bool,
    /// What it takes without a name.
    pub arguments: Vec<String>,
    /// Its options by their long names.
    pub options: Vec<String>,
}

/// Prints every command.
///
/// # Errors
/// Nobody reads it.
pub fn run(args: &CommandsArgs, root: &Command) -> anyhow::Result<()> {
    let rows = rows(root);
    let text = match (args.json, args.markdown) {
        (true, _) => {
            rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect::<anyhow::Result<String>>()?
        }
        (_, true) => markdown(&rows),
        _ => table(&rows),
    };
    stack::print(&text)
}

/// Every command that does something, in the order of the help.
pub fn rows(root: &Command) -> Vec<Row> {
    let mut rows = Vec::new();
    for (_, commands) in grouped(root) {
        for command in commands {
            collect(command, "", &mut rows);
        }
    }
    rows
}

fn collect(command: &Command, before: &str, rows: &mut Vec<Row>) {
    let path = format!("{before}{}", command.get_name());
    let mut inner = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help").peekable();
    let leads_on = inner.peek().is_some();
    inner.for_each(|command| collect(command, &format!("{path} "), rows));
    if leads_on && command.is_subcommand_required_set() {
        return;
    }
    let options: Vec<String> =
        command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect();
    rows.push(Row {
        what: command.get_about().map(ToString::to_string).unwrap_or_default(),
        ends_with_1: looks(&path).unwrap_or("it failed").to_owned(),
        json: options.iter().any(|option| option == "json"),
        arguments: command.get_positionals().map(|argument| argument.get_id().to_string()).collect(),
        options,
        command: path,
    });
}

fn looks(path: &str) -> Option<&'static str> {
    LOOKS.iter().find(|(name, _)| *name == path).map(|(_, found)| *found)
}

/// What an error of this command ends it with.
pub fn on_error(path: &str) -> u8 {
    if looks(path).is_some() { 2 } else { 1 }
}

/// The command that was asked for, as it is typed.
pub fn path(matches: &ArgMatches) -> String {
    let mut path = Vec::new();
    let mut at = matches;
    while let Some((name, inner)) = at.subcommand() {
        path.push(name.to_owned());
        at = inner;
    }
    path.join(" ")
}

/// The same with a help that shows the commands in their groups.
#[must_use]
pub fn with_groups(root: Command) -> Command {
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (title, commands) in grouped(&root) {
        write!(text, "\n{title}:\n").expect("strings take everything");
        for command in commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            writeln!(text, "  {:<12}{}", command.get_name(), brief(&about)).expect("strings take everything");
        }
    }
    text += "\nOptions:\n{options}\n\nEvery command ends with 0 if all is well, 1 if something is wrong or failed, 2 if it could not look.\n\
             `boxctl COMMAND --help` says more, `boxctl commands` lists all of them, docs/operating.md says which to use when.\n";
    root.help_template(text)
}

/// The first clause: what fits a line.
fn brief(about: &str) -> &str {
    about.split([';', '.']).next().unwrap_or(about).split(": ").next().unwrap_or(about)
}

/// Groups with their commands; what is in none comes last but for what is about boxctl itself.
fn grouped(root: &Command) -> Vec<(&'static str, Vec<&Command>)> {
    let seen = |name: &str| root.get_subcommands().find(|it| it.get_name() == name && !it.is_hide_set());
    let named: BTreeSet<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut groups: Vec<(&'static str, Vec<&Command>)> =
        GROUPS.iter().map(|(title, names)| (*title, names.iter().filter_map(|name| seen(name)).collect())).collect();
    let rest = root.get_subcommands().filter(|it| !it.is_hide_set() && !named.contains(it.get_name()));
    groups.insert(groups.len() - 1, ("More", rest.collect()));
    groups.retain(|(_, commands)| !commands.is_empty());
    groups
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["command", "what it does", "1 means", "--json"]);
    for row in rows {
        let json = if row.json { "yes" } else { "" };
        table.row([row.command.clone(), brief(&row.what).to_owned(), row.ends_with_1.clone(), json.to_owned()]);
    }
    table.text(0)
}

/// The rows of docs/operating.md.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = "| command | what it does | 1 means | `--json` |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let json = if row.json { "yes" } else { "" };
        let what = row.what.replace('|', "\\|");
        writeln!(text, "| `boxctl {}` | {what} | {} | {json} |", row.command, row.ends_with_1)
            .expect("strings take everything");
    }
    text
}
