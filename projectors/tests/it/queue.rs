//! Waiting rooms as data, and their boards.

use std::time::Duration;

use domain::event::Event;
use domain::queue::{
    Board, CheckoutCompleted, CheckoutExpired, CheckoutFailed, CheckoutStarted, CheckoutTied, CloseReason, Draw,
    PreQueueClosed, QueueDrawn, QueueExpired, QueueJoined, QueueLeft, QueueReady, Seed, Terms, WaitingRoomClosed,
    WaitingRoomOpened, session,
};
use domain::root::Context;
use domain::value::Timestamp;
use projectors::{Settings, wipe};
use serde_json::Value;
use service_kit::clock;
use sqlx::postgres::PgListener;

use crate::database::{Database, filled_once, told};
use crate::lanes::{Lanes, Told};
use crate::story::{Story, order_id, principal, show_id};

const SEED: [u8; 32] = [9; 32];
/// Of those who join, so many come before the opening: every second.
const EARLY: u32 = 2;

impl Story {
    /// The whole life of a waiting room that so many join: every way that a place can end, some still live, some waiting.
    pub fn room(&mut self, s: u128, visitors: u32) -> &mut Self {
        let (show, early) = (show_id(s), visitors / EARLY);
        let seed = Seed(SEED);
        let opened = WaitingRoomOpened {
            show,
            organizer: "account:anna".to_owned(),
            terms: terms(Some(Timestamp(1_700_000_000_000_000))),
            checkout_url: Some("https://shop.example/checkout".to_owned()),
            draw_hash: Some(seed.hash()),
        };
        self.queue(s, opened);
        (1..=early).for_each(|number| self.join(s, number));
        (1..=early).filter(|number| number % 7 == 0).for_each(|number| self.leave(s, number, false));
        self.queue(s, PreQueueClosed { show, count: early.into() });
        self.queue(s, QueueDrawn { show, seed: seed.to_string(), count: early.into() });
        (early + 1..=visitors).for_each(|number| self.join(s, number));
        let draw = Draw::new(seed, early);
        let served = (1..=visitors * 3 / 4).map(|place| (place, draw.number(place)));
        served.filter(|(_, number)| *number > early || number % 7 != 0).for_each(|(place, number)| {
            self.serve(s, place, number);
        });
        self
    }

    /// One place to its end, a different one each time.
    fn serve(&mut self, s: u128, place: u32, number: u32) {
        let (show, order) = (show_id(s), order_id(number.into()));
        let (session, n) = (session(show, number), i64::from(number));
        let until = Timestamp(1_800_000_000_000_000);
        self.queue(s, QueueReady { show, session, number: n, place: place.into(), enter_by: until });
        let way = place % 7;
        if way < 2 {
            match way {
                0 => self.queue(s, QueueExpired { show, session, number: n }),
                _ => self.leave(s, number, false),
            }
            return;
        }
        self.queue(s, CheckoutStarted { show, session, number: n, expires_at: until });
        if way > 3 {
            self.queue(s, CheckoutTied { show, session, number: n, order });
        }
        match way {
            2 => self.queue(s, CheckoutExpired { show, session, number: n }),
            3 => self.leave(s, number, true),
            4 => self.queue(s, CheckoutCompleted { show, session, number: n, order }),
            5 => self.queue(s, CheckoutFailed { show, session, number: n, order }),
            _ => {}
        }
    }

    pub fn join(&mut self, s: u128, number: u32) {
        let (show, principal) = (show_id(s), principal(number.into()));
        self.queue(s, QueueJoined { show, session: session(show, number), number: number.into(), principal });
    }

    fn leave(&mut self, s: u128, number: u32, entered: bool) {
        let show = show_id(s);
        self.queue(s, QueueLeft { show, session: session(show, number), number: number.into(), entered });
    }

    pub fn close_room(&mut self, s: u128) -> &mut Self {
        self.queue(s, WaitingRoomClosed { show: show_id(s), reason: CloseReason::ShowCancelled });
        self
    }

    pub fn queue(&mut self, s: u128, event: impl Into<domain::queue::Event>) {
        self.tell(Context::Queue, show_id(s), vec![Event::Queue(event.into())]);
    }
}

pub fn terms(opens_at: Option<Timestamp>) -> Terms {
    Terms { opens_at, ..Terms::default() }
}

/// What the board of a show is after these events.
fn board_of(told: &[Told], s: u128) -> Board {
    let mut board = Board::default();
    for it in told.iter().filter(|it| it.key == show_id(s).0) {
        for event in &it.events {
            if let Event::Queue(event) = event {
                board.apply(event, Timestamp(it.at));
            }
        }
    }
    board
}

async fn row(database: &Database, s: u128) -> Value {
    database.view_where("queues", "show_id", show_id(s)).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_the_fold_of_its_shows_events() {
    let mut story = Story::default();
    story.room(1, 60).room(2, 21).close_room(2);
    let lanes = told(&story);
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    for s in [1, 2] {
        let (row, place) = (row(&database, s).await, Lanes::place(Context::Queue, show_id(s).0));
        let board: Board = serde_json::from_value(row["board"].clone()).unwrap();
        let expected = board_of(&story.told, s);
        assert_eq!(board, expected);
        assert!((1..=60).all(|number| board.standing(number) == expected.standing(number)));
        assert_eq!(row["partition"].as_u64(), Some(place.number.into()));
        assert_eq!(row["organizer"], "account:anna");
        let checkpoint = database.position("queue", place).await.unwrap();
        assert_eq!(row["next_offset"].as_i64(), Some(checkpoint.next));
        assert_eq!(row["identity"].as_str(), checkpoint.identity.map(|it| it.to_string()).as_deref());
        assert!(row["at_offset"].as_i64() < row["next_offset"].as_i64());
        let last = story.told.iter().rfind(|it| it.key == show_id(s).0).unwrap();
        assert_eq!(row["updated_at_us"].as_i64(), Some(last.at));
    }
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_has_the_terms_of_its_room_and_the_promise_of_its_draw() {
    let mut story = Story::default();
    story.show(1).show(2);
    let lanes = told(&story);
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let show = database.view_where("shows", "show_id", show_id(1)).await.remove(0);
    let stored: Terms = serde_json::from_value(show["waiting_room"].clone()).unwrap();
    assert_eq!(stored, terms(Some(Timestamp(1_700_000_000_000_000))));
    assert_eq!(show["draw_hash"], "ab".repeat(32));
    let without = database.view_where("shows", "show_id", show_id(2)).await.remove(0);
    assert!(without["waiting_room"].is_null() && without["draw_hash"].is_null());
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filled_anew_it_is_the_same_at_every_offset() {
    let mut story = Story::default();
    story.room(1, 60).room(2, 21).close_room(2);
    let database = Database::new().await;
    let mut lanes = Lanes::new();
    let running = database.run(&lanes);
    for some in story.told.chunks(story.told.len().div_ceil(6)) {
        // Some in one batch, and some in batches of their own.
        for (n, told) in some.iter().enumerate() {
            lanes.tell(told);
            if n % 10 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        database.caught_up(&lanes).await;
        let live = database.rows().await;
        assert_eq!(live, filled_once(&lanes).await);
        wipe(&database.pool, &database.namespace, "queue").await.unwrap();
        database.caught_up(&lanes).await;
        assert_eq!(live, database.rows().await, "the boards in memory went with the table");
    }
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_overtaken_forgets_its_boards() {
    let mut story = Story::default();
    story.room(1, 30).room(2, 30).room(3, 30).room(4, 30);
    let database = Database::new().await;
    let mut lanes = Lanes::new();
    // Both work on all of it, and one after the other gets ahead.
    let (one, two) = (database.run(&lanes), database.run(&lanes));
    for (n, told) in story.told.iter().enumerate() {
        lanes.tell(told);
        if n % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, filled_once(&lanes).await);
    // Each goes on alone from what others have written.
    one.kill().await;
    let more = |story: &mut Story, lanes: &mut Lanes, number: u32| {
        story.told.clear();
        (1..=4).for_each(|s| story.join(s, number));
        story.told.iter().for_each(|told| lanes.tell(told));
    };
    more(&mut story, &mut lanes, 31);
    database.caught_up(&lanes).await;
    let three = database.run(&lanes);
    three.until("readiness", |why| why.is_empty()).await;
    two.kill().await;
    more(&mut story, &mut lanes, 32);
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, filled_once(&lanes).await);
    three.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_are_written_at_most_so_often_and_others_at_once() {
    let every = Duration::from_millis(500);
    let database = Database::new().await;
    let mut lanes = Lanes::new();
    let settings = Settings { board_every: every, ..database.settings() };
    let running = database.run_with(&lanes, settings);
    database.caught_up(&lanes).await;
    let mut heard = PgListener::connect_with(&database.pool).await.unwrap();
    heard
        .listen_all([database.names.queues_channel().as_str(), database.names.shows_channel().as_str()])
        .await
        .unwrap();
    let mut story = Story::default();
    story.room(1, 300).show(1).show(2).show(3);
    let shows = story.told.split_off(story.told.iter().position(|it| it.context != Context::Queue).unwrap());
    let mut shows = shows.into_iter();
    let started = clock::monotonic();
    // Never a pause that would let a batch end.
    for (n, told) in story.told.iter().enumerate() {
        lanes.tell(told);
        if n % 20 == 0 {
            shows.next().iter().for_each(|told| lanes.tell(told));
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    database.caught_up(&lanes).await;
    let took = started.elapsed();
    let (mut boards, mut others) = (0, 0);
    while let Ok(told) = tokio::time::timeout(Duration::from_millis(300), heard.recv()).await {
        if told.unwrap().channel() == database.names.queues_channel() { boards += 1 } else { others += 1 }
    }
    let most = took.as_millis() / every.as_millis() + 2;
    assert!(boards >= 2 && boards <= most, "{boards} times in {took:?}");
    assert!(others > boards, "{others} and {boards} times in {took:?}");
    running.stop().await;
    database.drop().await;
}
