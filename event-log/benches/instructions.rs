//! How many instructions an operation takes, counted by callgrind, compared with what was committed.
//!
//! `./ops/instructions [--accept]`. Counts do not depend on what else the machine does, so a change of a few per cent is
//! the code's own, or that of the compiler or of a library.

#[path = "../../domain/benches/support/sale.rs"]
mod sale;
#[path = "support/serving.rs"]
mod serving;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use domain::inventory::Inventory;
use domain::root::Root as _;
use event_log::log::{NewRecord, Partition, Record};
use event_log::owner::Owner;
use event_log::state::State;
use mixes::{Fate, Sales};
use schemas::Codec;
use serde_json::{Value, json};
use serving::{Serving, reservations};
use support::{made, settings};
use uuid::Uuid;

/// So many of each operation; enough that what happens once weighs nothing.
const COUNT: u64 = 2_000;
/// Commands that a busy owner takes from its mailbox at once.
const BATCH: u64 = 16;
/// A change by more than so much is a regression, or a gain worth keeping.
const TOLERANCE_PERCENT: f64 = 3.0;
/// What was accepted last.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");

/// What is counted, and nothing beside it: callgrind is told these functions' names.
mod measured {
    use std::hint::black_box;

    use domain::event::Event;
    use domain::inventory::{Command, Inventory};
    use domain::root::{Issued, Meta};
    use event_log::log::Record;
    use event_log::owner::Owner;
    use schemas::Codec;

    use super::sale;
    use super::serving::{Asked, Serving};
    use super::support::now;

    #[inline(never)]
    pub fn decide(stock: &Inventory, commands: Vec<Issued<Command>>) {
        for command in commands {
            drop(black_box(sale::decide(stock, command)));
        }
    }

    #[inline(never)]
    pub fn encode(codec: &Codec, events: &[(Meta, Event)]) {
        for (meta, event) in events {
            drop(black_box(codec.encode(meta, event)));
        }
    }

    #[inline(never)]
    pub fn decode(codec: &Codec, values: &[Vec<u8>]) {
        for value in values {
            drop(black_box(codec.decode(value)));
        }
    }

    #[inline(never)]
    pub fn append(serving: &mut Serving, batches: Vec<Vec<Asked>>) {
        for batch in batches {
            serving.carry_out(batch);
        }
    }

    #[inline(never)]
    pub fn fold(owner: &mut Owner<Inventory, ()>, records: Vec<Record>) {
        for record in records {
            black_box(owner.read(record, now()));
        }
    }
}

/// The name of a function in [`measured`], and what calls it and answers how often it did what is counted.
type Operation = (&'static str, fn() -> usize);

/// Everything that is counted.
const OPERATIONS: [Operation; 5] =
    [("append", append), ("fold", fold), ("encode", encode), ("decode", decode), ("decide", decide)];

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).filter(|it| *it != "--bench").collect();
    match given[..] {
        [] => compare(false),
        ["--accept"] => compare(true),
        ["measure", name] => {
            let (_, run) = OPERATIONS.iter().find(|(it, _)| *it == name).expect("we name it ourselves");
            println!("{}", run());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: ./ops/instructions [--accept]");
            ExitCode::from(2)
        }
    }
}

fn append() -> usize {
    let mut serving = Serving::new();
    let batches = (0..COUNT / BATCH).map(|n| reservations(n * BATCH, BATCH)).collect();
    measured::append(&mut serving, batches);
    serving.written - 1
}

fn fold() -> usize {
    let codec = Codec::in_memory();
    let partition = Partition { context: Inventory::CONTEXT, number: 0 };
    let (mut owner, _) = Owner::new(settings(partition), codec.clone(), State::default(), Box::new(Uuid::nil));
    let records: Vec<Record> = mixes::records(0, mixes::START, &sales(&codec));
    measured::fold(&mut owner, records);
    usize::try_from(owner.state().position.next).expect("it is not negative")
}

/// Half of them reservations, as a busy partition of the stock has them.
fn sales(codec: &Codec) -> Vec<NewRecord> {
    made(codec, Sales::of_new(1, 8, Fate::Done(COUNT / 2)), COUNT)
}

fn values(codec: &Codec) -> Vec<Vec<u8>> {
    sales(codec).into_iter().map(|record| record.value).filter(|value| codec.decode(value).is_ok()).collect()
}

fn encode() -> usize {
    let codec = Codec::in_memory();
    let events: Vec<_> = values(&codec).iter().map(|value| codec.decode(value).expect("it was decoded")).collect();
    measured::encode(&codec, &events);
    events.len()
}

fn decode() -> usize {
    let codec = Codec::in_memory();
    let values = values(&codec);
    measured::decode(&codec, &values);
    values.len()
}

fn decide() -> usize {
    let stock = sale::selling(COUNT, 1_000_000_000);
    let commands: Vec<_> = (COUNT..2 * COUNT).map(|n| sale::issued(sale::reserve(n), sale::buyer(n), n)).collect();
    let count = commands.len();
    measured::decide(&stock, commands);
    count
}

/// Counts everything, prints it beside what was accepted last, and fails if something takes more.
fn compare(accept: bool) -> ExitCode {
    let before = baseline();
    let mut counts = BTreeMap::new();
    let mut worse = Vec::new();
    println!("instructions an operation, by callgrind; about {COUNT} of each\n");
    println!("{:<10}{:>12}{:>12}{:>10}", "", "accepted", "now", "change");
    for (name, _) in OPERATIONS {
        let count = match counted(name) {
            Ok(count) => count,
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        };
        counts.insert(name, count);
        let accepted = before["instructions"][name].as_u64();
        let change = accepted.map(|accepted| 100.0 * (count as f64 / accepted as f64 - 1.0));
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let (accepted, percent) =
            (shown(accepted.map(|it| it.to_string())), shown(change.map(|it| format!("{it:+.2} %"))));
        let verdict = match change {
            Some(change) if change > TOLERANCE_PERCENT => "  WORSE",
            Some(change) if change < -TOLERANCE_PERCENT => "  better: keep it by --accept",
            Some(_) => "",
            None => "  new: keep it by --accept",
        };
        println!("{name:<10}{accepted:>12}{count:>12}{percent:>10}{verdict}");
        if change.is_none_or(|change| change > TOLERANCE_PERCENT) {
            worse.push(name);
        }
    }
    let made_by = compiler();
    if before["compiler"] != json!(made_by) {
        println!("\nwhat was accepted was built by {}, this by {made_by}", before["compiler"]);
    }
    if accept {
        return write(&json!({"compiler": made_by, "instructions": counts}));
    }
    if worse.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nmore than {TOLERANCE_PERCENT} % worse, or new: {}; --accept makes this the measure", worse.join(", "));
    ExitCode::FAILURE
}

/// Runs one operation in a process of its own, under callgrind.
fn counted(name: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let function = format!("--toggle-collect=instructions::measured::{name}");
    let mut callgrind = Command::new("valgrind");
    callgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", &function]).arg(program);
    let ran = callgrind.args(["measure", name]).output().map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    let done = String::from_utf8_lossy(&ran.stdout).trim().parse::<u64>();
    match (collected.and_then(|count| count.parse::<u64>().ok()), done) {
        (Some(count), Ok(done)) if ran.status.success() && done * 2 > COUNT && count > done => Ok(count / done),
        _ => Err(format!("nothing was counted, {}:\n{said}", ran.status)),
    }
}

fn baseline() -> Value {
    let text = std::fs::read_to_string(Path::new(BASELINE)).unwrap_or_else(|_| "null".to_owned());
    serde_json::from_str(&text).expect("instructions.json is JSON")
}

fn compiler() -> String {
    let asked = Command::new("rustc").arg("--version").output();
    let version = asked.map(|asked| String::from_utf8_lossy(&asked.stdout).trim().to_owned()).unwrap_or_default();
    format!("{version} for {}", std::env::consts::ARCH)
}

fn write(accepted: &Value) -> ExitCode {
    let text = serde_json::to_string_pretty(accepted).expect("a map of numbers is JSON") + "\n";
    match std::fs::write(BASELINE, text) {
        Ok(()) => {
            println!("\naccepted");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{BASELINE}: {error}");
            ExitCode::FAILURE
        }
    }
}
