//! An event that cannot be folded holds up its own key, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::event::Event;
use domain::root::Context;
use domain::show::{self, ShowEdited};
use event_log::log::Partition;
use projectors::memory::{Filling, MemoryRows, fillings};
use projectors::parked::desk::{self, ParkedKey};
use projectors::parked::{Replayed, Skipped};
use projectors::{
    Envelope, LAYOUTS, Layout, Projection, READS, ReadModel, Settings, Touched, Written, context_name, load, rows, wipe,
};
use schemas::{Codec, EventType, Ids, RecordType, SchemaSource, SourceAnswer};
use serde_json::Value;
use service_kit::clock;
use uuid::Uuid;

use crate::database::{Database, filled_once, told};
use crate::lanes::{Damage, Lanes, Told, places};
use crate::memory::{comparable, dumped};
use crate::story::{Story, Way, everything, show_id};

const PATIENCE: Duration = Duration::from_secs(60);

/// Knows schemas once somebody has mended it.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<BTreeMap<u32, String>>>);

impl SchemaSource for Source {
    fn schema(&self, id: u32) -> SourceAnswer<'_> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().get(&id).cloned())))
    }
}

/// One event of one key of a topic that names a schema nobody knows.
#[derive(Debug, Clone)]
struct Bad {
    context: Context,
    key: Uuid,
    version: i64,
    schema: u32,
    event: EventType,
}

/// In every topic the key with the most events, and its second event (or its first of two).
fn bad_ones(story: &Story) -> Vec<Bad> {
    let bad = |(n, context): (usize, Context)| {
        let mut events: BTreeMap<Uuid, Vec<EventType>> = BTreeMap::new();
        for told in story.told.iter().filter(|told| told.context == context) {
            events.entry(told.key).or_default().extend(told.events.iter().map(EventType::of));
        }
        let (key, types) = events.into_iter().max_by_key(|(_, types)| types.len()).unwrap();
        let at = usize::from(types.len() > 2);
        // But nobody is forgotten twice in the story.
        assert!(types.len() > at + 1 || context == Context::Account, "something waits behind it");
        let (version, schema) = (i64::try_from(at + 1).unwrap(), 9000 + u32::try_from(n).unwrap());
        Bad { context, key, version, schema, event: types[at] }
    };
    Context::ALL.into_iter().enumerate().map(bad).collect()
}

fn damaged(story: &Story, source: &Source) -> (Lanes, Vec<Bad>) {
    let mut lanes = Lanes::with(Codec::new(Ids::in_memory(), source.clone()));
    let bad = bad_ones(story);
    bad.iter().for_each(|it| lanes.damage(it.context, it.key, it.version, Damage::Schema(it.schema)));
    story.told.iter().for_each(|told| lanes.tell(told));
    (lanes, bad)
}

/// What is parked: read model, context, key, offset, whether it is the culprit.
type Waiting = BTreeSet<(String, String, String, i64, bool)>;

fn expected(lanes: &Lanes, bad: &[Bad]) -> Waiting {
    let mut all = Waiting::new();
    for (name, contexts) in READS {
        for it in bad.iter().filter(|it| contexts.contains(&it.context)) {
            let behind = lanes.offsets(it.context, it.key).into_iter().skip(usize::try_from(it.version).unwrap() - 1);
            let context = context_name(it.context).to_owned();
            all.extend(
                behind
                    .enumerate()
                    .map(|(n, offset)| (name.to_owned(), context.clone(), it.key.to_string(), offset, n == 0)),
            );
        }
    }
    all
}

async fn parked(database: &Database) -> Waiting {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let row = |row: &Value| {
        let culprit = row["poison"].as_bool().unwrap();
        assert_eq!(culprit, row["reason"].is_string(), "{row}");
        (text(row, "projection"), text(row, "context"), text(row, "key"), row["offset"].as_i64().unwrap(), culprit)
    };
    database.view("parked").await.iter().map(row).collect()
}

fn parked_in_memory(rows: &MemoryRows) -> Waiting {
    let of = |layout: &'static Layout| {
        let asides = rows.parked(layout).into_iter();
        asides.map(|it| {
            let context = context_name(it.place.context).to_owned();
            (layout.name.to_owned(), context, it.key, it.offset, it.reason.is_some())
        })
    };
    LAYOUTS.iter().flat_map(of).collect()
}

/// Takes in everything, in batches of so many records, as a worker would.
fn finish(lanes: &Lanes, model: &mut dyn Filling, batch: usize) {
    let places: Vec<Partition> = places().filter(|place| model.contexts().contains(&place.context)).collect();
    if model.next(places[0]).is_none() {
        model.load(&places).unwrap();
    }
    loop {
        let most = batch.min(model.at_most());
        let mut left = most;
        for place in &places {
            let next = model.next(*place).unwrap();
            let records = lanes.log.records(*place).into_iter().filter(|record| record.offset >= next);
            let records: Vec<_> = records.take(left).collect();
            left -= records.len();
            model.read(*place, records).unwrap();
        }
        if !model.has_moved() {
            if left == most {
                return;
            }
            continue;
        }
        if !matches!(model.write().unwrap(), Written::Rows { .. }) {
            model.load(&places).unwrap();
        }
    }
}

fn filled_in_memory(lanes: &Lanes, batch: usize) -> (BTreeMap<String, Value>, Waiting) {
    let rows = MemoryRows::default();
    fillings(&lanes.codec, &rows).into_iter().for_each(|mut model| finish(lanes, &mut *model, batch));
    (dumped(&rows), parked_in_memory(&rows))
}

/// The rows that have nothing to do with keys that are parked in their read model.
fn of_others(rows: &BTreeMap<String, Value>, bad: &[Bad]) -> BTreeMap<String, Vec<Value>> {
    let others = |(name, rows): (&String, &Value)| {
        let contexts =
            READS.iter().find(|(model, _)| name.starts_with(&format!("{model}."))).map(|(_, contexts)| *contexts);
        let here = |it: &&Bad| contexts.is_some_and(|contexts| contexts.contains(&it.context));
        let other = |row: &&Value| !bad.iter().filter(here).any(|it| row.to_string().contains(&it.key.to_string()));
        (name.clone(), rows.as_array().unwrap().iter().filter(other).cloned().collect())
    };
    rows.iter().map(others).collect()
}

async fn wait<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = clock::monotonic();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn asked(database: &Database, key: &ParkedKey, skip: Option<(i64, &str)>) -> String {
    let wish = desk::wish(&database.pool, &database.names, key, skip).await.unwrap();
    wait("an answer", async || desk::outcome(&database.pool, &database.names, key, wish).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_in_every_topic_holds_up_its_own_key_until_it_can_be_read() {
    let (story, source) = (everything(), Source::default());
    let healthy = filled_once(&told(&story)).await;
    let (mut lanes, bad) = damaged(&story, &source);
    let waiting = expected(&lanes, &bad);
    assert_eq!(waiting.iter().filter(|it| it.4).count(), 9, "payments and orders have two readers each");
    let database = Database::new().await;
    let small = || Settings { batch_records: 50, linger: Duration::ZERO, ..database.settings() };
    let (one, two) = (database.run_with(&lanes, small()), database.run_with(&lanes, small()));
    database.caught_up(&lanes).await;
    // Everybody is ready, and says what waits.
    one.until("readiness", |why| why.is_empty()).await;
    assert_eq!(parked(&database).await, waiting);
    let notes = wait("the notes", async || Some(one.settings.health.notes()).filter(|notes| notes.len() == 7)).await;
    assert!(notes["read model tickets"].starts_with("1 keys are parked"), "{notes:?}");
    let found = database.rows().await;
    assert_ne!(found, healthy);
    let others = of_others(&found, &bad);
    assert_eq!(others, of_others(&healthy, &bad), "all other keys are up to date");
    for table in
        ["shows.shows", "inventory.classes", "orders.orders", "payments.payments", "tickets.tickets", "queue.boards"]
    {
        assert!(!others[table].is_empty(), "nothing is compared in {table}");
    }
    for batch in [1, 7, 100_000] {
        let (rows, in_memory) = filled_in_memory(&lanes, batch);
        assert_eq!((rows, in_memory), (comparable(found.clone()), waiting.clone()), "in batches of {batch}");
    }
    one.stop().await;
    two.kill().await;
    // More of the same keys, and a process that knows no more than those before.
    let mut more = Story::default();
    more.show(9).cancel_show(2);
    more.told.iter().for_each(|told| lanes.tell(told));
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let waiting = expected(&lanes, &bad);
    assert_eq!(parked(&database).await, waiting);
    // Emptied and filled anew, it parks again.
    wipe(&database.pool, &database.namespace, "payments").await.unwrap();
    database.caught_up(&lanes).await;
    assert_eq!(parked(&database).await, waiting);
    // In vain as long as nobody has mended anything.
    let keys = desk::list(&database.pool, &database.names).await.unwrap();
    assert_eq!(keys.len(), 9);
    let outcome = asked(&database, &keys[0], None).await;
    assert!(outcome.starts_with(&format!("still parked at offset {}", keys[0].offset)), "{outcome}");
    assert!(outcome.contains("nobody knows the schema with id 900"), "{outcome}");
    let mend = |it: &Bad| (it.schema, RecordType::Event(it.event).text().to_owned());
    source.0.lock().unwrap().extend(bad.iter().map(mend));
    for key in &keys[..8] {
        let outcome = asked(&database, key, None).await;
        assert_eq!(outcome, format!("unparked: {} events were folded", key.waiting));
    }
    running.stop().await;
    // What is left is tried by whoever starts.
    let running = database.run(&lanes);
    wait("the last key", async || database.view("parked").await.is_empty().then_some(())).await;
    let mut all = told(&story);
    more.told.iter().for_each(|told| all.tell(told));
    assert_eq!(database.rows().await, filled_once(&all).await, "nothing is missing, and all is in order");
    wait("no more notes", async || running.settings.health.notes().is_empty().then_some(())).await;
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_skipped_is_left_out_and_the_rest_goes_on_in_order() {
    let mut story = Story::default();
    story.show(1).show(2).purchase(1, 5, Way::Completed);
    let (context, key) = (Context::Catalog, show_id(1).0);
    let mut lanes = Lanes::new();
    // The second word about its name, and its terms.
    lanes.damage(context, key, 4, Damage::Cut);
    lanes.damage(context, key, 5, Damage::Cut);
    story.told.iter().for_each(|told| lanes.tell(told));
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let offsets = lanes.offsets(context, key);
    let keys = desk::list(&database.pool, &database.names).await.unwrap();
    assert_eq!(
        (keys.len(), keys[0].offset, keys[0].waiting, keys[0].event_type.as_str()),
        (1, offsets[3], 4, "ShowEdited")
    );
    assert!(keys[0].reason.contains("do not follow its schema"), "{}", keys[0].reason);
    let events = desk::events(&database.pool, &database.names, &keys[0], 10).await.unwrap();
    assert_eq!(events.iter().map(|it| it.offset).collect::<Vec<_>>(), offsets[3..]);
    // Only what cannot be folded, and nothing by mistake.
    let outcome = asked(&database, &keys[0], Some((offsets[6], "a slip"))).await;
    assert!(outcome.starts_with("nothing was skipped"), "{outcome}");
    assert_eq!(
        asked(&database, &keys[0], Some((offsets[3], "known and worthless"))).await,
        format!("skipped offset {}", offsets[3])
    );
    let second =
        async || desk::list(&database.pool, &database.names).await.unwrap().pop().filter(|it| it.offset == offsets[4]);
    let key_now = wait("the second one", second).await;
    assert_eq!(key_now.waiting, 3);
    let row = database.view_where("shows", "show_id", key).await.remove(0);
    assert_eq!(row["status"], "draft", "what lies behind waits on");
    asked(&database, &key_now, Some((offsets[4], "the same"))).await;
    wait("the rest", async || database.view("parked").await.is_empty().then_some(())).await;
    let row = database.view_where("shows", "show_id", key).await.remove(0);
    assert_eq!(row["status"], "published");
    // The same in memory, which is told what was skipped.
    let memory = MemoryRows::default();
    let skipped: BTreeSet<(Partition, i64)> =
        offsets[3..5].iter().map(|at| (Lanes::place(context, key), *at)).collect();
    for mut model in fillings(&lanes.codec, &memory) {
        model.told(BTreeSet::new(), skipped.clone());
        finish(&lanes, &mut *model, 3);
    }
    assert_eq!(dumped(&memory), comparable(database.rows().await));
    running.stop().await;
    database.drop().await;
}

/// A name that Postgres cannot hold, at the end of a frame and in the middle of a large batch; and another name.
fn with_a_nul(mut story: Story) -> (Story, Told) {
    let at = story.told.iter().position(|told| told.key == show_id(2).0 && told.context == Context::Catalog).unwrap();
    let Event::Show(show::Event::ShowCreated(created)) = story.told[at].events[0].clone() else {
        panic!("it begins so")
    };
    let edited = |name: &str| {
        let details = show::ShowDetails { name: name.to_owned(), ..created.details.clone() };
        Event::Show(show::Event::ShowEdited(ShowEdited { show: show_id(2), details }))
    };
    story.tell(Context::Catalog, show_id(2), vec![edited("before"), edited("a\0b")]);
    story.show(3).tell(Context::Catalog, show_id(2), vec![edited("after")]);
    // What comes in the same batch would take its place in the row before anybody saw it.
    let after = story.told.pop().unwrap();
    (story, after)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_postgres_refuses_are_found_in_a_large_batch() {
    let mut story = Story::default();
    story.show(1).show(2).purchase(1, 5, Way::Completed).purchase(2, 6, Way::Completed);
    let (story, after) = with_a_nul(story);
    let mut lanes = told(&story);
    let offsets = lanes.offsets(Context::Catalog, show_id(2).0);
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let culprit = &offsets[offsets.len() - 1..];
    // First the command is found, then its event.
    let found =
        async || desk::list(&database.pool, &database.names).await.unwrap().pop().filter(|it| it.offset == culprit[0]);
    let key = wait("the culprit", found).await;
    assert_eq!((key.projection.as_str(), key.waiting), ("shows", 1));
    assert!(key.reason.contains("SQLSTATE 22021") && !key.reason.contains("a\\0b"), "{}", key.reason);
    assert_eq!(database.view_where("shows", "name", "before").await.len(), 1, "up to the poison event");
    assert_eq!(database.view_where("shows", "show_id", show_id(3).0).await.len(), 1);
    let rows = MemoryRows::default();
    for mut model in fillings(&lanes.codec, &rows) {
        finish(&lanes, &mut *model, 1000);
        let waiting = rows.parked(model.layout());
        if let Some(first) = waiting.first() {
            let Replayed::Parked { offset, .. } = model.replay(first.place, &first.key).unwrap() else {
                panic!("in vain")
            };
            assert_eq!(offset, culprit[0]);
        }
    }
    assert_eq!((dumped(&rows), parked_in_memory(&rows)), (comparable(database.rows().await), parked(&database).await));
    lanes.tell(&after);
    database.caught_up(&lanes).await;
    assert_eq!(database.view_where("shows", "name", "after").await.len(), 0);
    let skipped = asked(&database, &key, Some((culprit[0], "no name"))).await;
    assert!(skipped.starts_with("skipped"), "{skipped}");
    wait("what lay behind", async || (database.view_where("shows", "name", "after").await.len() == 1).then_some(()))
        .await;
    running.stop().await;
    database.drop().await;
}

/// A read model that gives up on some events, and only keeps their offsets.
struct Fussy;

#[derive(Default)]
struct Kept(Vec<(u32, i64)>);

static GIVES_UP_ON: Mutex<BTreeSet<(u32, i64)>> = Mutex::new(BTreeSet::new());

impl ReadModel for Fussy {
    type Changes = Kept;
    type Stored = ();

    const LAYOUT: Layout = Layout { name: "fussy", version: 1, tables: "", table_names: &[], views: &[], merges: &[] };
    const CONTEXTS: &'static [Context] = &[Context::Catalog];

    fn fold(changes: &mut Kept, envelope: &Envelope) {
        changes.0.push((envelope.partition, envelope.offset));
        let bad = GIVES_UP_ON.lock().unwrap().contains(&(envelope.partition, envelope.offset));
        assert!(!bad, "half done");
    }

    fn touched(_: &Kept) -> Touched {
        Touched::default()
    }

    fn rows(_: &Kept) -> Vec<rows::Rows> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_fold_that_panics_parks_the_key_of_the_event() {
    let mut story = Story::default();
    story.show(1).show(2).show(3);
    let lanes = told(&story);
    let (place, offsets) =
        (Lanes::place(Context::Catalog, show_id(1).0), lanes.offsets(Context::Catalog, show_id(1).0));
    GIVES_UP_ON.lock().unwrap().insert((place.number, offsets[2]));
    let memory = MemoryRows::default();
    let store = memory.store(&Fussy::LAYOUT);
    let all: Vec<Partition> = places().filter(|it| it.context == Context::Catalog).collect();
    let mut model = Projection::<Fussy>::new(lanes.codec.clone());
    let mut anew = 0;
    model.begin(&all, load(&store, &all).await.unwrap().unwrap());
    loop {
        for (n, place) in all.iter().enumerate() {
            let next = model.sources()[n].next();
            let records = lanes.log.records(*place).into_iter().filter(|it| it.offset >= next);
            model.read(n, records).await.unwrap();
        }
        if !model.has_moved() {
            break;
        }
        if model.write(&store).await.unwrap() == Written::Again {
            anew += 1;
            model.begin(&all, load(&store, &all).await.unwrap().unwrap());
        }
    }
    assert_eq!(anew, 1);
    let waiting: Vec<i64> = memory.parked(&Fussy::LAYOUT).iter().map(|it| it.offset).collect();
    assert_eq!(waiting, offsets[2..]);
    let at = (place, show_id(1).0.to_string());
    let Replayed::Parked { events: 0, offset, .. } = model.replay(&store, &at).await.unwrap() else {
        panic!("in vain")
    };
    assert_eq!(offset, offsets[2]);
    assert_eq!(model.skip(&store, &at, offsets[3], "a slip").await.unwrap(), Skipped::Unknown);
    GIVES_UP_ON.lock().unwrap().clear();
    let events = u64::try_from(offsets.len() - 2).unwrap();
    assert_eq!(model.replay(&store, &at).await.unwrap(), Replayed::Unparked { events });
    assert!(memory.parked(&Fussy::LAYOUT).is_empty());
}
