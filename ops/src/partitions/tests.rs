use uuid::Uuid;

use super::*;

fn served(instance: &str) -> Served {
    Served { url: format!("http://{instance}"), instance: instance.to_owned(), store: Uuid::nil(), term: 1 }
}

fn row(topic: &str, partition: u32) -> Row {
    Row {
        topic: topic.to_owned(),
        partition,
        serving: true,
        broken: None,
        term: 3,
        next_offset: 120,
        lag: 0,
        snapshot_offset: Some(100),
        snapshot_age_s: Some(61),
        outbox: 2,
        open_sends: 1,
        waiting: 0,
        void: 4,
        in_doubt: 5,
        recovery_ms: Some(87),
    }
}

fn report(instance: &str, numbers: &[u32]) -> Report {
    let rows = numbers.iter().flat_map(|number| Context::ALL.map(|context| row(context.topic(), *number)));
    let partitions = rows.collect();
    Report {
        instance: instance.to_owned(),
        url: format!("http://{instance}"),
        store: Uuid::nil(),
        member: true,
        partitions,
    }
}

fn standing(lines: &[Line], partition: u32) -> (Option<&str>, &Standing) {
    let line = lines.iter().find(|line| line.partition == partition).unwrap();
    (line.owner.as_deref(), &line.standing)
}

#[test]
fn every_partition_is_shown_as_its_owner_says() {
    let served = BTreeMap::from([(0, served("a")), (1, served("b"))]);
    let answers =
        Answers::from([("http://a".to_owned(), Ok(report("a", &[0]))), ("http://b".to_owned(), Ok(report("b", &[1])))]);
    let lines = lines(2, &served, &answers);
    assert_eq!(lines.len(), 2 * Context::ALL.len());
    assert!(!lines.iter().any(Line::is_bad));
    assert_eq!(standing(&lines, 1), (Some("b"), &Standing::Owned { figures: row("catalog-events", 1) }));
}

#[test]
fn what_has_moved_on_is_found_where_it_is() {
    let served = BTreeMap::from([(0, served("a")), (1, served("b"))]);
    let mut stale = report("a", &[0]);
    stale.partitions.iter_mut().for_each(|row| row.term = 2);
    let answers =
        Answers::from([("http://a".to_owned(), Ok(stale)), ("http://b".to_owned(), Ok(report("b", &[0, 1])))]);
    assert_eq!(
        standing(&lines(2, &served, &answers), 0).0,
        Some("b"),
        "two believe to have it: the later claim counts"
    );
}

#[test]
fn what_nobody_answers_for_is_bad() {
    let served = BTreeMap::from([(0, served("a")), (1, served("b"))]);
    let gone = "it cannot be reached".to_owned();
    let answers =
        Answers::from([("http://a".to_owned(), Ok(report("a", &[]))), ("http://b".to_owned(), Err(gone.clone()))]);
    let lines = lines(3, &served, &answers);
    assert_eq!(standing(&lines, 0), (None, &Standing::Unowned), "it is told to be a's, and a says otherwise");
    assert_eq!(standing(&lines, 1), (Some("b"), &Standing::Unreachable { why: gone }));
    assert_eq!(standing(&lines, 2), (None, &Standing::Unowned), "nobody ever said so");
    assert!(lines.iter().all(Line::is_bad));
}

#[test]
fn a_broken_partition_is_bad_and_one_that_starts_is_not() {
    let served = BTreeMap::from([(0, served("a"))]);
    let mut starting = report("a", &[0]);
    starting.partitions.iter_mut().for_each(|row| row.serving = false);
    let of = |report: &Report| lines(1, &served, &Answers::from([("http://a".to_owned(), Ok(report.clone()))]));
    assert!(!of(&starting).iter().any(Line::is_bad));
    starting.partitions[2].broken = Some("a hole".to_owned());
    assert_eq!(of(&starting).iter().filter(|line| line.is_bad()).count(), 1);
}

#[test]
fn people_see_a_table() {
    let served = BTreeMap::from([(0, served("a")), (1, served("b"))]);
    let mut broken = report("a", &[0]);
    broken.partitions[1].broken = Some("a claim skips a term".to_owned());
    broken.partitions[2].serving = false;
    broken.partitions[2].snapshot_age_s = None;
    let answers = Answers::from([
        ("http://a".to_owned(), Ok(broken)),
        ("http://b".to_owned(), Err("it cannot be reached".to_owned())),
    ]);
    let lines: Vec<Line> =
        lines(2, &served, &answers).into_iter().filter(|line| line.topic != "queue-events").collect();
    let shown = table::of(&lines);
    let some: Vec<&str> = shown.lines().take(4).chain(shown.lines().rev().take(2)).collect();
    insta::assert_snapshot!(some.join("\n"), @"
    partition           owner  term  next  lag  snapshot  outbox  void  in doubt  recovery  standing
    catalog-events/0    a         3   120    0      61 s       2     4         5     87 ms  serving
    inventory-events/0  a         3   120    0      61 s       2     4         5     87 ms  BROKEN: a claim skips a term
    order-events/0      a         3   120    0         -       2     4         5     87 ms  starting
    12 partitions: 5 serving, 1 broken, 6 that nobody answers for
    account-events/1    b         -     -    -         -       -     -         -         -  UNREACHABLE: it cannot be reached
    ");
    let json = serde_json::to_value(&lines).unwrap();
    assert_eq!(json[0]["figures"]["next_offset"], 120);
    assert_eq!((&json[6]["standing"], &json[6]["owner"]), (&serde_json::json!("unreachable"), &serde_json::json!("b")));
}
