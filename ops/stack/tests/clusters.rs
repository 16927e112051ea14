//! Stacks made for faults: three brokers, a small disk, a registry that is not itself.

#[path = "client/mod.rs"]
#[allow(dead_code, reason = "another test binary needs more of it")]
mod client;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use local_stack::{
    Answers, Brokers, EphemeralStack, RegistryProxy, Server, Signal, StackConfig, fill, kill, lose, start, status,
};

const BROKERS: [Server; 3] = [Server::Kafka, Server::Kafka2, Server::Kafka3];

#[test]
fn three_brokers_do_without_any_one_of_them() {
    let _alone = alone();
    let stack = EphemeralStack::with(|config| config.brokers = Brokers::Three, &mut loud).expect("the stack starts");
    let config = stack.config();
    let addresses: Vec<&str> = stack.endpoints().kafka.split(',').collect();
    assert_eq!(addresses.len(), 3);
    for (broker, address) in BROKERS.into_iter().zip(&addresses) {
        kill(config, broker, Signal::Kill).expect("kill");
        assert_eq!(up(config), [4, 1], "{broker} alone is away");
        let other = addresses.iter().find(|it| *it != address).expect("three");
        let topic = format!("without-{broker}");
        patiently(|| client::try_create_topic(other, &topic));
        start(config, broker).expect("it comes back");
        patiently(|| client::has_topic(address, &topic).then_some(()).ok_or(0));
    }
    assert_eq!(up(config), [5, 0]);
}

#[test]
fn a_single_controller_outlives_both_others_and_a_disk_that_is_lost() {
    let _alone = alone();
    let shape = |config: &mut StackConfig| config.brokers = Brokers::ThreeOneController;
    let stack = EphemeralStack::with(shape, &mut loud).expect("the stack starts");
    let (config, first) = (stack.config(), stack.endpoints().kafka.split(',').next().expect("three").to_owned());
    client::create_topic(&first, "before");
    lose(config, Server::Kafka2).expect("lose");
    kill(config, Server::Kafka3, Signal::Stop).expect("freeze");
    patiently(|| client::has_topic(&first, "before").then_some(()).ok_or(0));
    kill(config, Server::Kafka3, Signal::Continue).expect("it goes on");
    start(config, Server::Kafka2).expect("it starts with an empty disk");
    assert_eq!(up(config), [5, 0]);
}

#[test]
fn a_broker_with_a_full_disk_ends_and_comes_back_once_there_is_room() {
    let _alone = alone();
    let shape = |config: &mut StackConfig| config.kafka_disk_bytes = Some(256 << 20);
    let stack = EphemeralStack::with(shape, &mut loud).expect("this needs root: the stack starts");
    let config = stack.config();
    let kafka = &stack.endpoints().kafka;
    client::create_topic(kafka, "before");
    let ballast = fill(config).expect("the disk can be filled");
    assert!(ballast.bytes > 100 << 20, "{} bytes were free", ballast.bytes);
    // Making a topic writes to the controller's own log, which has no room.
    drop(std::panic::catch_unwind(|| client::try_create_topic(kafka, "without-room")));
    patiently(|| if up(config) == [2, 1] { Ok(()) } else { Err(0) });
    drop(ballast);
    start(config, Server::Kafka).expect("it comes back");
    assert!(client::has_topic(kafka, "before"));
    client::create_topic(kafka, "after");
    let folder = config.folder.clone();
    drop(stack);
    assert!(!folder.exists(), "the disk is unmounted, and the folder goes");
}

#[test]
fn a_registry_can_be_away_or_another_one() {
    let _alone = alone();
    let stack = EphemeralStack::start(&mut loud).expect("the stack starts");
    let proxy = RegistryProxy::start(&stack.endpoints().registry).expect("it starts");
    let id = client::register(&stack.endpoints().registry, "Known");
    assert_eq!(client::register(&proxy.url(), "Known"), id);
    proxy.answer(Answers::OtherIds).expect("it lies");
    assert_eq!(client::register(&proxy.url(), "Known"), id ^ 1);
    proxy.answer(Answers::Nothing).expect("it goes away");
    let address = proxy.url().split('/').nth(2).expect("an address").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_err(), "nobody listens");
    proxy.answer(Answers::Truth).expect("it comes back");
    assert_eq!(client::register(&proxy.url(), "Known"), id);
    assert_eq!(proxy.asked(), 3);
}

/// One after the other: so many servers at once would only wait for each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until it is done: a cluster that lost a broker takes a moment to notice.
fn patiently(attempt: impl Fn() -> Result<(), u16>) {
    for tries in 1.. {
        let Err(code) = attempt() else { return };
        assert!(tries < 300, "it still fails with error code {code}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How many servers are up and how many are not.
fn up(config: &StackConfig) -> [usize; 2] {
    let status = status(config).expect("status");
    let up = status.iter().filter(|it| it.up).count();
    [up, status.len() - up]
}

fn loud(line: &str) {
    eprintln!("{line}");
}
