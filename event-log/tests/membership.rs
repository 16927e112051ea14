//! The consumer group that says who works on which partition, on the real broker.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use domain::root::Context;
use event_log::kafka::KafkaSettings;
use event_log::kafka::membership::{Assignee, Membership};
use local_stack::{EphemeralStack, Server, Signal, kill, restart};
use tokio::time::Instant;

use crate::support::collector::Collector;
use crate::support::kafka;

const GROUP: &str = "owners";
const SESSION: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the test's members take to give something up: longer than their session, and than anything else that could
/// make another one wait.
const GIVING_UP: Duration = Duration::from_millis(2500);

/// What a member was told, with its name; revoking tells of its beginning and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Assigned(&'static str, Vec<u32>),
    Revoking(&'static str, Vec<u32>),
    Revoked(&'static str, Vec<u32>),
}

struct Noting {
    name: &'static str,
    told: Collector<Told>,
}

impl Assignee for Noting {
    fn assigned(&self, numbers: &[u32]) {
        self.told.extend([Told::Assigned(self.name, sorted(numbers))]);
    }

    fn revoked(&self, numbers: &[u32]) {
        self.told.extend([Told::Revoking(self.name, sorted(numbers))]);
        std::thread::sleep(GIVING_UP);
        self.told.extend([Told::Revoked(self.name, sorted(numbers))]);
    }
}

fn sorted(numbers: &[u32]) -> Vec<u32> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers
}

fn with_topic(partitions: i32) -> KafkaSettings {
    let settings = kafka::settings();
    kafka::create_events(&settings.name(Context::Catalog.topic()), partitions);
    settings
}

fn join(settings: &KafkaSettings, partitions: u32, name: &'static str, told: &Collector<Told>) -> Membership {
    let assignee = Arc::new(Noting { name, told: told.clone() });
    Membership::join(settings, GROUP, partitions, SESSION, assignee).unwrap()
}

/// Waits until a member has so many partitions.
#[track_caller]
fn until_it_has(member: &Membership, count: usize) -> Vec<u32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let standing = member.standing();
        if standing.member && standing.assigned.len() == count {
            return standing.assigned.into_iter().collect();
        }
        assert!(Instant::now() < deadline, "{standing:?} instead of {count}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn vouch(member: &Membership, number: u32) -> bool {
    let (reply, vouched) = channel();
    member.vouch(number, Box::new(move |it| reply.send(it).unwrap()));
    vouched.recv_timeout(PATIENCE).expect("whoever asks is answered")
}

#[test]
fn a_member_alone_gets_everything_and_is_vouched_for_what_it_has() {
    let settings = with_topic(4);
    let told = Collector::default();
    let member = join(&settings, 4, "a", &told);
    assert_eq!(until_it_has(&member, 4), [0, 1, 2, 3]);
    assert!((0..4).all(|number| vouch(&member, number)));
    assert!(!vouch(&member, 4), "nobody has that one");
    assert!(member.leave(PATIENCE));
    assert_eq!(member.standing().assigned.len(), 0);
    assert!(!vouch(&member, 0), "it has left");
    let all = vec![0, 1, 2, 3];
    let expected = [Told::Assigned("a", all.clone()), Told::Revoking("a", all.clone()), Told::Revoked("a", all)];
    assert_eq!(told.all(), expected);
}

#[test]
fn what_moves_is_given_up_before_another_gets_it() {
    let settings = with_topic(4);
    let told = Collector::default();
    let first = join(&settings, 4, "first", &told);
    until_it_has(&first, 4);
    let second = join(&settings, 4, "second", &told);
    let moved = until_it_has(&second, 2);
    let kept = until_it_has(&first, 2);
    assert_eq!(sorted(&[moved.clone(), kept.clone()].concat()), [0, 1, 2, 3]);
    let all = vec![0, 1, 2, 3];
    let expected = [
        Told::Assigned("first", all),
        Told::Revoking("first", moved.clone()),
        Told::Revoked("first", moved.clone()),
        Told::Assigned("second", moved.clone()),
    ];
    assert_eq!(told.all(), expected, "what stays is not touched");
    assert!(vouch(&second, moved[0]) && vouch(&first, kept[0]));
    assert!(!vouch(&first, moved[0]) && !vouch(&second, kept[0]));
}

#[test]
fn who_leaves_is_followed_long_before_its_session_ends() {
    let settings = with_topic(3);
    let told = Collector::default();
    let assignee = Arc::new(Noting { name: "leaver", told: told.clone() });
    let long = Duration::from_secs(30);
    let leaver = Membership::join(&settings, GROUP, 3, long, assignee).unwrap();
    until_it_has(&leaver, 3);
    let heir = join(&settings, 3, "heir", &told);
    until_it_has(&heir, 1);
    let begun = Instant::now();
    assert!(leaver.leave(PATIENCE));
    until_it_has(&heir, 3);
    assert!(begun.elapsed() < GIVING_UP + Duration::from_secs(5), "{:?}", begun.elapsed());
    let order: Vec<Told> = told.all().into_iter().rev().take(2).collect();
    assert!(
        matches!(&order[..], [Told::Assigned("heir", inherited), Told::Revoked("leaver", left)] if inherited == left),
        "{order:?}"
    );
    assert!((0..3).all(|number| vouch(&heir, number)));
}

#[test]
fn a_member_may_have_nothing_to_do() {
    let settings = with_topic(1);
    let told = Collector::default();
    let busy = join(&settings, 1, "busy", &told);
    until_it_has(&busy, 1);
    let idle = join(&settings, 1, "idle", &told);
    until_it_has(&idle, 0);
    assert!(!vouch(&idle, 0) && vouch(&busy, 0));
    drop(busy);
    until_it_has(&idle, 1);
}

#[test]
fn a_coordinator_that_is_away_vouches_for_nobody_and_is_not_waited_for() {
    let stack = EphemeralStack::start(&mut |_| {}).unwrap();
    let settings = KafkaSettings::new(&stack.endpoints().kafka, "", "event-log-test");
    kafka::create_on(&stack.endpoints().kafka, Context::Catalog.topic(), 2);
    let told = Collector::default();
    let member = join(&settings, 2, "a", &told);
    until_it_has(&member, 2);
    assert!(vouch(&member, 0));
    kill(stack.config(), Server::Kafka, Signal::Kill).unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        assert!(!vouch(&member, 0));
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
    restart(stack.config(), Server::Kafka).unwrap();
    let deadline = Instant::now() + Duration::from_secs(40);
    while !vouch(&member, 1) {
        assert!(Instant::now() < deadline, "{:?}", member.standing());
        std::thread::sleep(Duration::from_millis(100));
    }
    kill(stack.config(), Server::Kafka, Signal::Kill).unwrap();
    let begun = Instant::now();
    member.leave(Duration::from_secs(8));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(member.standing().assigned.is_empty());
}

/// A member in a process of its own, which can be stopped and continued.
struct Apart {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Apart {
    fn start(settings: &KafkaSettings) -> Self {
        let us = std::env::current_exe().unwrap();
        let mut process = Command::new(us)
            .args(["--exact", "membership::a_member_of_another_process", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut apart = Self { process, to, from };
        apart.tell(&settings.namespace);
        apart
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.to, "{line}").unwrap();
    }

    #[track_caller]
    fn until_it_says(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "it ended before it said {start}");
            if line.starts_with(start) {
                return line.trim_end().to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

struct Saying;

impl Assignee for Saying {
    fn assigned(&self, numbers: &[u32]) {
        println!("assigned {:?}", sorted(numbers));
    }

    fn revoked(&self, numbers: &[u32]) {
        println!("revoked {:?}", sorted(numbers));
    }
}

#[test]
#[ignore = "the other half of a_member_that_slept_through_its_session_is_refused"]
fn a_member_of_another_process() {
    let mut lines = std::io::stdin().lines().map(Result::unwrap);
    let settings = KafkaSettings::new(&kafka::stack().kafka, lines.next().unwrap(), "event-log-test");
    let member = Membership::join(&settings, GROUP, 2, SESSION, Arc::new(Saying)).unwrap();
    println!();
    for line in lines {
        let number: u32 = line.parse().unwrap();
        println!("\nvouched {}", vouch(&member, number));
    }
}

#[test]
fn a_member_that_slept_through_its_session_is_refused() {
    let settings = with_topic(2);
    let mut sleeper = Apart::start(&settings);
    assert_eq!(sleeper.until_it_says("assigned"), "assigned [0, 1]");
    sleeper.tell("0");
    assert_eq!(sleeper.until_it_says("vouched"), "vouched true");
    sleeper.signal("STOP");
    let told = Collector::default();
    let heir = join(&settings, 2, "heir", &told);
    until_it_has(&heir, 2);
    // Asked before it wakes: it finds the question before it learns anything else.
    sleeper.tell("0");
    sleeper.signal("CONT");
    assert_eq!(sleeper.until_it_says("vouched"), "vouched false");
    assert!(vouch(&heir, 1) || heir.standing().assigned.len() < 2, "the sleeper is only a new member");
    until_it_has(&heir, 1);
}
