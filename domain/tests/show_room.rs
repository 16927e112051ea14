//! How the organizer settles a waiting room, and what publishing and cancelling say about it.

use domain::queue;
use domain::show::{
    Command, Event, Refusal, Show, ShowApproved, ShowCancelled, ShowConfigured, ShowCreated, ShowDetails,
    ShowPublished, TicketClassDefined,
};

use crate::common::{FLOOR, ORGANIZER, PRICE, SEED, SHOW, at, fingerprint, given, organizer, room_terms, terms, vnd};

fn created() -> Event {
    let details = ShowDetails {
        name: "A concert".to_owned(),
        description: None,
        starts_at: at(9_000),
        ends_at: None,
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        venue_name: "A hall".to_owned(),
        venue_city: None,
        currency: vnd(),
        categories: vec![],
    };
    ShowCreated { show: SHOW, organizer: ORGANIZER.to_owned(), details, fingerprint: fingerprint(7) }.into()
}

fn class() -> Event {
    TicketClassDefined { show: SHOW, terms: terms(FLOOR, PRICE, 10), fingerprint: fingerprint(7) }.into()
}

fn configure(waiting_room: Option<queue::Terms>) -> Command {
    Command::Configure { pay_within_s: 900, checkout_url: None, waiting_room }
}

fn configured(waiting_room: Option<queue::Terms>) -> Event {
    ShowConfigured { show: SHOW, pay_within_s: 900, checkout_url: None, waiting_room }.into()
}

fn approved(waiting_room: Option<queue::Terms>) -> Vec<Event> {
    vec![created(), class(), configured(waiting_room), ShowApproved { show: SHOW }.into()]
}

fn published(waiting_room: Option<queue::Terms>, draw_hash: Option<String>) -> Event {
    let published = ShowPublished {
        show: SHOW,
        organizer: ORGANIZER.to_owned(),
        currency: vnd(),
        pay_within_s: 900,
        classes: vec![terms(FLOOR, PRICE, 10)],
        checkout_url: None,
        waiting_room,
        draw_hash,
    };
    published.into()
}

fn publish(events: Vec<Event>, draw_hash: Option<String>) -> Result<Vec<Event>, Refusal> {
    given::<Show>(events).by(organizer()).when(Command::Publish { draw_hash }).inspect_result()
}

#[test]
fn a_room_is_configured_changed_and_taken_away_again() {
    let room = Some(room_terms(None));
    let then = |before: Vec<Event>, command, events| {
        given::<Show>(before).by(organizer()).when(command).then_expect_events(events);
    };
    then(vec![created()], configure(room), vec![configured(room)]);
    then(vec![created(), configured(room)], configure(room), vec![]);
    let later = Some(room_terms(Some(at(100))));
    then(vec![created(), configured(room)], configure(later), vec![configured(later)]);
    then(vec![created(), configured(room)], configure(None), vec![configured(None)]);
}

#[test]
fn settings_lie_within_their_bounds() {
    type Change = fn(&mut queue::Terms, i64);
    let settings: [(&str, i64, i64, Change); 8] = [
        ("slots", 1, 100_000, |terms, value| terms.slots = i32::try_from(value).unwrap()),
        ("admission_batch", 1, 400, |terms, value| terms.admission_batch = i32::try_from(value).unwrap()),
        ("inflow_per_min", 1, 1_000_000, |terms, value| terms.inflow_per_min = i32::try_from(value).ok()),
        ("challenge_bits", 8, 24, |terms, value| terms.challenge_bits = i32::try_from(value).ok()),
        ("tick_ms", 10, 60_000, |terms, value| terms.tick_ms = value),
        ("enter_s", 1, 3_600, |terms, value| terms.enter_s = value),
        ("token_ttl_s", 1, 86_400, |terms, value| terms.token_ttl_s = value),
        ("away_grace_s", 1, 86_400, |terms, value| terms.away_grace_s = value),
    ];
    for (field, min, max, change) in settings {
        let with = |value| {
            let mut terms = room_terms(None);
            change(&mut terms, value);
            given::<Show>(vec![created()]).by(organizer()).when(configure(Some(terms))).inspect_result()
        };
        assert!(with(min).is_ok() && with(max).is_ok(), "{field}");
        for value in [min - 1, max + 1] {
            let Err(Refusal::Invalid { field: named, .. }) = with(value) else { panic!("{field} may be {value}") };
            assert_eq!(named, format!("waiting_room/{field}"));
        }
    }
}

#[test]
fn publishing_passes_the_room_on_and_promises_a_draw_only_where_there_is_one() {
    let hash = || Some(SEED.hash());
    let (now, later) = (Some(room_terms(None)), Some(room_terms(Some(at(100)))));
    assert_eq!(publish(approved(None), hash()).unwrap(), [published(None, None)]);
    assert_eq!(publish(approved(now), hash()).unwrap(), [published(now, None)]);
    assert_eq!(publish(approved(later), hash()).unwrap(), [published(later, hash())]);
    assert!(matches!(publish(approved(later), None), Err(Refusal::Invalid { field, .. }) if field == "draw_hash"));
}

#[test]
fn cancelling_says_whether_there_is_a_room() {
    let cancel = |events| given::<Show>(events).by(organizer()).when(Command::Cancel).inspect_result().unwrap();
    for (room, waiting_room) in [(None, false), (Some(room_terms(None)), true)] {
        let published = [approved(room), vec![published(room, None)]].concat();
        let expected = ShowCancelled { show: SHOW, published: true, waiting_room };
        assert_eq!(cancel(published), [Event::from(expected)]);
    }
}
