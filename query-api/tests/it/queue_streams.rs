use std::time::Duration;

use serde_json::json;
use service_kit::clock::{self, monotonic};
use service_kit::queue_ticket::Place;

use crate::client::{As, Told};
use crate::room::terms;
use crate::world::World;

/// The ticket in an event.
fn ticket(told: &Told) -> &str {
    told.order["queue_ticket"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_every_change_with_a_fresh_ticket_and_ends_with_the_place() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.join(2).await;
    let path = room.events_path(2, &room.ticket(2, 200));
    let mut feed = world.open(&As::Nobody, &path, &[("last-event-id", "nothing of ours")]).await;
    assert_eq!((feed.status.as_u16(), &feed.headers["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    assert_eq!(feed.headers["x-accel-buffering"], "no");
    let first = feed.next().await.unwrap();
    assert_eq!((first.event.as_str(), &first.order["ahead"]), ("status", &json!(1)));
    let read = |told: &Told| world.auth().queue_tickets().read(ticket(told)).unwrap();
    assert!(read(&first).seen > clock::now().plus_s(-10));
    room.leave(1).await;
    let second = feed.next().await.unwrap();
    assert_eq!((&second.order["status"], &second.order["ahead"]), (&json!("queued"), &json!(0)));
    assert!(read(&second).seen > read(&first).seen && second.id != first.id);
    // What changes nothing for this place is not told: the next event is the admission.
    room.tell(room.joined(3)).await;
    room.tell(room.joined(4)).await;
    room.admit(2, 2, clock::now().plus_s(60)).await;
    assert_eq!(feed.next().await.unwrap().order["status"], "admitted");
    room.enter(2, clock::now().plus_s(900)).await;
    assert_eq!(feed.next().await.unwrap().order["status"], "in_checkout");
    room.complete(2).await;
    let last = feed.next().await.unwrap();
    assert_eq!(last.order["status"], "completed");
    assert!(feed.next().await.is_none());
    // A browser comes again after the end, and is told not to.
    let again = world.get_with(&As::Nobody, &path, &[("last-event-id", &last.id)]).await;
    assert_eq!(again.status.as_u16(), 204, "{}", again.text);
    let mut anew = world.open(&As::Nobody, &path, &[]).await;
    assert_eq!(anew.next().await.unwrap().order["status"], "completed");
    assert!(anew.next().await.is_none());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_is_not_away() {
    let world = World::new().await;
    let mut room = world.room_with(1, terms(None, 1)).await;
    room.join(2).await;
    room.status(2).await.ok();
    let path = room.events_path(2, &room.ticket(2, 0));
    let mut feed = world.open(&As::Nobody, &path, &[]).await;
    let (first, started) = (feed.next().await.unwrap(), monotonic());
    // Nothing changes, and still its ticket is always good.
    let mut last = feed.next().await.unwrap();
    let mut events = 2;
    while started.elapsed() < Duration::from_secs(3) {
        (last, events) = (feed.next().await.unwrap(), events + 1);
        assert_eq!(last.order["ahead"], 1);
        room.ask(2, &[("queue-ticket", ticket(&last))]).await.ok();
    }
    assert!(events > 5, "{events} tickets for three times as long as one is good");
    // The address is old by now; what the last event said is not.
    world.get(&As::Nobody, &path).await.is(410, "queue-place-lost");
    world.get_with(&As::Nobody, &path, &[("last-event-id", &first.id)]).await.is(410, "queue-place-lost");
    let mut again = world.open(&As::Nobody, &path, &[("last-event-id", &last.id)]).await;
    assert_eq!(again.next().await.unwrap().order["status"], "queued");
    // Nobody else's ticket helps.
    let other = Place { show: room.show, session: room.session(1), number: 1, seen: clock::now() };
    let name = last.id.split('.').next().unwrap();
    let forged = format!("{name}.{}", world.auth().queue_tickets().sign(&other));
    world.get_with(&As::Nobody, &path, &[("last-event-id", &forged)]).await.is(410, "queue-place-lost");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_places_are_bounded_and_end_with_the_process() {
    let world = World::with([("BOXOFFICE_MAX_STREAMS", "1"), ("BOXOFFICE_STREAM_LIFE_S", "2")]).await;
    let mut room = world.room(1, None).await;
    room.join(2).await;
    let path = room.events_path(1, &room.ticket(1, 0));
    let started = monotonic();
    let mut feed = world.open(&As::Nobody, &path, &[]).await;
    world.get(&As::Nobody, &path).await.is(503, "overloaded");
    assert!(feed.next().await.is_some());
    assert!(feed.next().await.is_none());
    assert!(started.elapsed() >= Duration::from_secs(2));
    drop(feed);
    let mut feed = world.open(&As::Nobody, &path, &[]).await;
    assert!(feed.next().await.is_some());
    world.shutdown.cancel();
    assert!(feed.next().await.is_none());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hear_of_one_change() {
    let world = World::new().await;
    let mut room = world.room(1, None).await;
    room.join(50).await;
    let mut feeds = Vec::new();
    for number in 2..=50 {
        let mut feed = world.open(&As::Nobody, &room.events_path(number, &room.ticket(number, 0)), &[]).await;
        feed.next().await.unwrap();
        feeds.push((number, feed));
    }
    room.leave(1).await;
    for (number, feed) in &mut feeds {
        assert_eq!(feed.next().await.unwrap().order["ahead"], *number - 2);
    }
    room.tell(domain::queue::WaitingRoomClosed { show: room.show, reason: domain::queue::CloseReason::ShowCancelled })
        .await;
    for (_, feed) in &mut feeds {
        assert_eq!(feed.next().await.unwrap().order["status"], "expired");
        assert!(feed.next().await.is_none());
    }
    world.end().await;
}
