use std::time::Duration;

use domain::root::Context;
use domain::value::Timestamp;
use projectors::ReadModel as _;
use projectors::queue::Queue;
use serde_json::{Value, json};
use service_kit::auth::{Auth, Rules, Settings};
use service_kit::clock::{self, monotonic};
use service_kit::consistency::Token;
use service_kit::keys::Secret32;
use service_kit::queue_ticket::Place;
use service_kit::views::moment;
use uuid::Uuid;

use crate::client::As;
use crate::room::{PARTITION, SEED, terms};
use crate::story::{STARTS, T0};
use crate::world::{LOG, World};

/// Without what is fresh each time.
fn bare(mut status: Value) -> Value {
    let fields = status.as_object_mut().unwrap();
    assert!(fields.remove("queue_ticket").is_some_and(|it| it.as_str().is_some_and(|it| it.len() == 103)));
    fields.remove("estimated_wait_s");
    status
}

/// How often number 2 is to ask where nothing happens soon: 15 s less its share of an eighth.
const SELDOM_MS: u32 = 14_589;

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_told_at_every_stage() {
    let world = World::new().await;
    let opens_at = Timestamp(STARTS);
    let mut room = world.room(1, Some(opens_at)).await;
    room.join(6).await;
    let session = room.session(2);
    let waiting = room.status(2).await.ok();
    assert!(waiting["estimated_wait_s"].is_null());
    let expected = json!({
        "session": session, "status": "waiting_to_open", "number": 2, "place": null, "ahead": null, "position": null,
        "opens_at": "2030-03-17T17:46:40Z", "draw_hash": SEED.hash(), "poll_after_ms": SELDOM_MS,
    });
    assert_eq!(bare(waiting), expected);
    let draw = room.draw(6).await;
    // The opening is over, as far as the events go: nobody is lost by the terms, though.
    let place = draw.place(2);
    let others: Vec<u32> = (1..=6).map(|place| draw.number(place)).collect();
    let queued = |place: u32, ahead: u32| {
        json!({"session": session, "status": "queued", "number": 2, "place": place, "ahead": ahead,
            "position": ahead + 1, "poll_after_ms": 1000})
    };
    assert_eq!(bare(room.status(2).await.ok()), queued(place, place - 1));
    // Of those in front some leave, and some are admitted.
    let (mut ahead, enter_by) = (place - 1, clock::now().plus_s(60));
    for (n, number) in (1..place).zip(&others) {
        match n % 2 {
            1 => room.admit(*number, n, enter_by).await,
            _ => room.leave(*number).await,
        }
        ahead -= 1;
        assert_eq!(bare(room.status(2).await.ok()), queued(place, ahead));
    }
    room.admit(2, place, enter_by).await;
    let alone = |status: &str, poll_after_ms: u32| {
        json!({"session": session, "status": status, "number": 2, "place": place, "ahead": null, "position": null,
            "poll_after_ms": poll_after_ms})
    };
    let mut expected = alone("admitted", 1000);
    expected["enter_by"] = json!(moment(enter_by));
    assert_eq!(bare(room.status(2).await.ok()), expected);
    let expires_at = clock::now().plus_s(900);
    room.enter(2, expires_at).await;
    let mut expected = alone("in_checkout", 1000);
    expected["checkout_expires_at"] = json!(moment(expires_at));
    assert_eq!(bare(room.status(2).await.ok()), expected);
    room.complete(2).await;
    assert_eq!(bare(room.status(2).await.ok()), alone("completed", SELDOM_MS));
    // Whoever comes after the opening is served as they come, and has what the queue's flow tells.
    room.tell(room.joined(7)).await;
    let late = room.status(7).await.ok();
    assert_eq!((late["place"].as_u64(), late["ahead"].as_u64()), (Some(7), Some(u64::from(6 - place))));
    assert!(late["estimated_wait_s"].as_i64().is_some_and(|it| it > 0), "{late}");
    room.leave(7).await;
    assert_eq!(room.status(7).await.ok()["status"], "left");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_another_place_or_of_nobody_is_refused() {
    let world = World::new().await;
    let (mut room, other) = (world.room(1, None).await, world.room(2, None).await);
    room.join(3).await;
    let good = room.ticket(1, 0);
    room.ask(1, &[("queue-ticket", &good)]).await.ok();
    let foreign = {
        let place = Place { show: room.show, session: room.session(1), number: 1, seen: clock::now() };
        let access = Secret32::new([0x77; 32]);
        let settings = Settings { accounts: vec![], rules: Rules::default(), access, access_previous: None };
        Auth::new(&settings).queue_tickets().sign(&place)
    };
    let mut altered = good.clone().into_bytes();
    altered[60] = if altered[60] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let stranger = room.ticket(2, 0);
    let bad = [foreign.as_str(), &altered, &stranger, &good[..102], "", "x"];
    for ticket in bad {
        room.ask(1, &[("queue-ticket", ticket)]).await.is(403, "queue-ticket-invalid");
        world.get(&As::Nobody, &room.events_path(1, ticket)).await.is(403, "queue-ticket-invalid");
    }
    room.ask(1, &[]).await.is(403, "queue-ticket-invalid");
    room.ask(1, &[("queue-ticket", &good), ("queue-ticket", &good)]).await.is(403, "queue-ticket-invalid");
    world.get(&As::Nobody, &format!("{}/events", room.path(1))).await.is(403, "queue-ticket-invalid");
    // The same number in another show, and another show's path.
    other.ask(1, &[("queue-ticket", &good)]).await.is(403, "queue-ticket-invalid");
    let crossed = format!("/v1/shows/{}/queue/{}", other.show, room.session(1));
    world.get_with(&As::Nobody, &crossed, &[("queue-ticket", &good)]).await.is(403, "queue-ticket-invalid");
    // It is no query of the status, and no header of the stream.
    let in_query = format!("{}?queue_ticket={good}", room.path(1));
    world.get(&As::Nobody, &in_query).await.is(403, "queue-ticket-invalid");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_away_too_long_has_lost_the_place() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.join(5).await;
    room.admit(1, 1, clock::now().plus_s(60)).await;
    room.admit(2, 2, clock::now().plus_s(60)).await;
    room.enter(2, clock::now().plus_s(900)).await;
    room.admit(3, 3, clock::now().plus_s(60)).await;
    room.expire(3).await;
    room.status(4).await.ok();
    let (fresh, stale) = (290, 301);
    for number in 1..=4 {
        let ticket = room.ticket(number, fresh);
        let answer = room.ask(number, &[("queue-ticket", &ticket)]).await.ok();
        // The fresh ticket is of now.
        let renewed = world.auth().queue_tickets().read(answer["queue_ticket"].as_str().unwrap()).unwrap();
        assert!(renewed.seen > clock::now().plus_s(-10), "{renewed:?}");
        assert_eq!((renewed.number, renewed.session, renewed.show), (number, room.session(number), room.show));
    }
    // Admitted, and waiting.
    for number in [1, 4] {
        let ticket = room.ticket(number, stale);
        room.ask(number, &[("queue-ticket", &ticket)]).await.is(410, "queue-place-lost");
        world.get(&As::Nobody, &room.events_path(number, &ticket)).await.is(410, "queue-place-lost");
    }
    // In the checkout, and through.
    for (number, status) in [(2, "in_checkout"), (3, "expired")] {
        let ticket = room.ticket(number, stale);
        assert_eq!(room.ask(number, &[("queue-ticket", &ticket)]).await.ok()["status"], status);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_opening_nobody_has_to_come() {
    let world = World::new().await;
    let opened = clock::now().plus_s(-100);
    let mut room = world.room_with(1, terms(Some(opened), 120)).await;
    room.join(4).await;
    let ticket = room.ticket(1, 86_400);
    assert_eq!(room.ask(1, &[("queue-ticket", &ticket)]).await.ok()["status"], "waiting_to_open");
    room.draw(4).await;
    let token = room.token();
    let ask = async |room: &crate::room::Room<'_>| {
        room.ask(1, &[("queue-ticket", &ticket), ("consistency-token", &token)]).await
    };
    // The opening was 100 seconds ago, and 120 may pass.
    assert_eq!(ask(&room).await.ok()["status"], "queued");
    let mut early = world.room_with(2, terms(Some(clock::now().plus_s(-200)), 120)).await;
    early.next = room.next;
    early.join(1).await;
    early.draw(1).await;
    let ticket = early.ticket(1, 86_400);
    let headers = [("queue-ticket", ticket.as_str()), ("consistency-token", &early.token())];
    early.ask(1, &headers).await.is(410, "queue-place-lost");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_seen_by_who_has_just_joined() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.join(2).await;
    let ticket = room.ticket(3, 0);
    // Newer than the board, and nothing said of it: counted from its number.
    let guessed = room.ask(3, &[("queue-ticket", &ticket)]).await.ok();
    assert_eq!((&guessed["status"], &guessed["place"], &guessed["ahead"]), (&json!("queued"), &json!(3), &json!(2)));
    let ahead = Token::at(Context::Queue, PARTITION, room.next + 1, LOG).to_string();
    let headers = |wait| [("queue-ticket", ticket.as_str()), ("consistency-token", ahead.as_str()), ("prefer", wait)];
    room.ask(3, &headers("wait=0")).await.is(504, "not-caught-up");
    let started = monotonic();
    room.ask(3, &headers("wait=1")).await.is(504, "not-caught-up");
    assert!(started.elapsed() >= Duration::from_secs(1));
    let (path, headers) = (room.path(3), headers("wait=20"));
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        room.leave(1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        room.tell(room.joined(3)).await;
    };
    let started = monotonic();
    let (answer, ()) = tokio::join!(world.get_with(&As::Nobody, &path, &headers), later);
    assert_eq!(answer.ok()["ahead"], 1);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(12), "{took:?}");
    // Another log, and partitions that are not this room's.
    let of = |partition, log| Token::at(Context::Queue, partition, 0, log).to_string();
    let ask = async |token: &str| {
        room.ask(3, &[("queue-ticket", &ticket), ("consistency-token", token), ("prefer", "wait=0")]).await
    };
    ask(&of(PARTITION, Uuid::nil())).await.is(504, "not-caught-up");
    ask(&of(PARTITION + 1, Uuid::nil())).await.ok();
    ask(&of(PARTITION, LOG)).await.ok();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_not_here_yet_is_waited_for() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.next = 1;
    world.execute(format!("truncate {}.boards", world.names.first(&Queue::LAYOUT))).await;
    let (path, ticket) = (room.path(1), room.ticket(1, 0));
    let answer = room.ask(1, &[("queue-ticket", &ticket), ("prefer", "wait=0")]).await;
    answer.is(503, "not-ready");
    assert!(answer.headers.contains_key("retry-after"));
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.room(1, None).await
    };
    let headers = [("queue-ticket", ticket.as_str()), ("prefer", "wait=20")];
    let (answer, _) = tokio::join!(world.get_with(&As::Nobody, &path, &headers), later);
    assert_eq!(answer.ok()["status"], "queued");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_asks_waits_for_the_database() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.join(100).await;
    let before = room.status(100).await.ok();
    // Whatever reads a board now, waits.
    let boards = format!("{}.boards", world.names.first(&Queue::LAYOUT));
    let mut lock = world.pool.begin().await.unwrap();
    let sql = format!("lock table {boards} in access exclusive mode");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *lock).await.unwrap();
    // One that did would be 503 after some seconds.
    for number in (1..=100).cycle().take(1000) {
        let ticket = room.ticket(number, 0);
        let answer = room.ask(number, &[("queue-ticket", &ticket)]).await.ok();
        assert_eq!(answer["ahead"], number - 1);
    }
    let feed = world.open(&As::Nobody, &room.events_path(100, &room.ticket(100, 0)), &[]).await.next().await.unwrap();
    assert_eq!(bare(feed.order), bare(before));
    lock.rollback().await.unwrap();
    room.leave(1).await;
    assert_eq!(room.status(100).await.ok()["ahead"], 98);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_does_not_go_back_while_boards_are_filled_anew() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.join(3).await;
    room.admit(1, 1, clock::now().plus_s(60)).await;
    room.complete(1).await;
    assert_eq!(room.status(1).await.ok()["status"], "completed");
    let schema = world.names.first(&Queue::LAYOUT);
    world.execute(format!("truncate {schema}.boards, {schema}.checkpoints")).await;
    let mut anew = world.room(1, None).await;
    anew.join(3).await;
    let ticket = room.ticket(1, 0);
    for _ in 0..10 {
        assert_eq!(anew.ask(1, &[("queue-ticket", &ticket)]).await.ok()["status"], "completed");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    // As far as it was, and further.
    anew.admit(1, 1, clock::now().plus_s(60)).await;
    anew.complete(1).await;
    anew.leave(2).await;
    assert_eq!(anew.status(2).await.ok()["status"], "left");
    assert_eq!(anew.status(3).await.ok()["ahead"], 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_tells_how_its_queue_is_run() {
    use domain::event::Event;
    use domain::show;

    let world = World::new().await;
    let stage = world.draft(1, crate::story::ORGANIZER, crate::story::details("Queued")).await;
    let opens_at = Timestamp(STARTS);
    let (show, waiting_room) = (stage.show, Some(terms(Some(opens_at), 300)));
    let configured = show::ShowConfigured { show, pay_within_s: 900, checkout_url: None, waiting_room };
    world.tell(T0, Event::Show(show::Event::ShowConfigured(configured))).await;
    let who = world.account(crate::story::ORGANIZER, &[domain::value::Role::Organizer]);
    let shown = world.get(&who, &format!("/v1/shows/{show}")).await.ok();
    let mut expected = json!({"enabled": true, "opens_at": "2030-03-17T17:46:40Z", "slots": 2, "admission_batch": 1,
        "inflow_per_min": null, "challenge_bits": null, "tick_ms": 1000, "enter_s": 60, "token_ttl_s": 900, "away_grace_s": 300});
    assert_eq!(shown["waiting_room"], expected);
    let published = show::ShowPublished {
        show,
        organizer: format!("account:{}", crate::story::ORGANIZER),
        currency: crate::story::vnd(),
        pay_within_s: 900,
        classes: vec![],
        checkout_url: None,
        waiting_room,
        draw_hash: Some(SEED.hash()),
    };
    world.tell(T0, Event::Show(show::Event::ShowPublished(published))).await;
    expected["draw_hash"] = json!(SEED.hash());
    let listed = world.get(&As::Nobody, "/v1/shows").await.ok();
    assert_eq!(listed["items"][0]["waiting_room"], expected);
    // Configured anew without one.
    let configured = show::ShowConfigured { show, pay_within_s: 900, checkout_url: None, waiting_room: None };
    world.tell(T0, Event::Show(show::Event::ShowConfigured(configured))).await;
    assert!(world.get(&who, &format!("/v1/shows/{show}")).await.ok()["waiting_room"].is_null());
    world.end().await;
}
