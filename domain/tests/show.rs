//! A show: who may do what to it, and when.

use domain::root::Root;
use domain::show::{
    ClassTerms, Command, DetailsPatch, Event, Refusal, Show, ShowApproved, ShowCancelled, ShowConfigured, ShowCreated,
    ShowDetails, ShowEdited, ShowPublished, Status, TermsPatch, TicketClassDefined, TicketClassEdited,
};
use domain::value::{Actor, Role};
use uuid::Uuid;

use crate::common::{
    FLOOR, NOWHERE, ORGANIZER, SHOW, account, admin, another_organizer, at, fingerprint, given, guest, organizer,
    state, support, terms, usd, vnd,
};

fn details() -> ShowDetails {
    ShowDetails {
        name: "Swan Lake".to_owned(),
        description: None,
        starts_at: at(1000),
        ends_at: Some(at(2000)),
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        venue_name: "Opera".to_owned(),
        venue_city: Some("Saigon".to_owned()),
        currency: vnd(),
        categories: vec![],
    }
}

fn created() -> Event {
    ShowCreated { show: SHOW, organizer: ORGANIZER.to_owned(), details: details(), fingerprint: fingerprint(7) }.into()
}

fn defined(terms: ClassTerms) -> Event {
    TicketClassDefined { show: SHOW, terms, fingerprint: fingerprint(7) }.into()
}

fn floor() -> ClassTerms {
    terms(FLOOR, 100, 10)
}

const PUBLISH: Command = Command::Publish { draw_hash: None };

fn configured() -> Event {
    ShowConfigured { show: SHOW, pay_within_s: 900, checkout_url: None, waiting_room: None }.into()
}

fn approved() -> Event {
    ShowApproved { show: SHOW }.into()
}

fn published() -> ShowPublished {
    ShowPublished {
        show: SHOW,
        organizer: ORGANIZER.to_owned(),
        currency: vnd(),
        pay_within_s: 900,
        classes: vec![floor()],
        checkout_url: None,
        waiting_room: None,
        draw_hash: None,
    }
}

fn cancelled(published: bool) -> Event {
    ShowCancelled { show: SHOW, published, waiting_room: false }.into()
}

/// A history that leads to the status.
fn history(status: Status) -> Vec<Event> {
    let mut events = vec![created(), defined(floor())];
    let way = [configured(), approved(), published().into()];
    let steps = match status {
        Status::Draft => 0,
        Status::Configured => 1,
        Status::Approved => 2,
        Status::Published | Status::Cancelled => 3,
    };
    events.extend(way.into_iter().take(steps));
    if status == Status::Cancelled {
        events.push(cancelled(true));
    }
    events
}

fn create(details: ShowDetails) -> Command {
    Command::Create { show: SHOW, details }
}

fn edit(patch: DetailsPatch) -> Command {
    Command::Edit { patch }
}

fn edit_floor(patch: TermsPatch) -> Command {
    Command::EditClass { ticket_class: FLOOR, patch }
}

fn configure(pay_within_s: i64) -> Command {
    Command::Configure { pay_within_s, checkout_url: None, waiting_room: None }
}

fn invalid_field(events: Vec<Event>, command: Command) -> String {
    match given::<Show>(events).by(organizer()).when(command).inspect_result() {
        Err(Refusal::Invalid { field, .. }) => field,
        other => panic!("not invalid: {other:?}"),
    }
}

#[test]
fn organizers_and_admins_create_shows() {
    given::<Show>(vec![]).by(organizer()).when(create(details())).then_expect_events(vec![created()]);
    let by_admin = ShowCreated {
        show: SHOW,
        organizer: "account:ada".to_owned(),
        details: details(),
        fingerprint: fingerprint(7),
    };
    given::<Show>(vec![]).by(admin()).when(create(details())).then_expect_events(vec![by_admin.into()]);
}

#[test]
fn nobody_else_creates_shows() {
    for by in [guest(), support(), account("account:olga", &[Role::Buyer]), Actor::System] {
        given::<Show>(vec![]).by(by).when(create(details())).then_expect_error(Refusal::Forbidden);
    }
}

#[test]
fn creating_again_is_a_retry_or_a_clash() {
    given::<Show>(vec![created()]).by(organizer()).when(create(details())).then_expect_events(vec![]);
    given::<Show>(history(Status::Cancelled)).by(organizer()).when(create(details())).then_expect_events(vec![]);
    given::<Show>(vec![created()]).by(admin()).when(create(details())).then_expect_error(Refusal::AlreadyExists);
    let other =
        ShowCreated { show: SHOW, organizer: ORGANIZER.to_owned(), details: details(), fingerprint: fingerprint(8) };
    given::<Show>(vec![other.into()]).by(organizer()).when(create(details())).then_expect_error(Refusal::AlreadyExists);
}

#[test]
fn a_show_does_not_end_before_it_starts() {
    let backwards = ShowDetails { ends_at: Some(at(999)), ..details() };
    assert_eq!(invalid_field(vec![], create(backwards)), "ends_at");
    let later = DetailsPatch { starts_at: Some(at(2001)), ..DetailsPatch::default() };
    assert_eq!(invalid_field(vec![created()], edit(later)), "ends_at");
    let open_end = DetailsPatch { starts_at: Some(at(2001)), ends_at: Some(None), ..DetailsPatch::default() };
    let details = ShowDetails { starts_at: at(2001), ends_at: None, ..details() };
    given::<Show>(vec![created()])
        .by(organizer())
        .when(edit(open_end))
        .then_expect_events(vec![ShowEdited { show: SHOW, details }.into()]);
}

#[test]
fn texts_have_limits() {
    assert_eq!(invalid_field(vec![], create(ShowDetails { name: String::new(), ..details() })), "name");
    assert_eq!(invalid_field(vec![], create(ShowDetails { name: "x".repeat(201), ..details() })), "name");
    let long = ShowDetails { description: Some("x".repeat(10_001)), ..details() };
    assert_eq!(invalid_field(vec![], create(long)), "description");
}

#[test]
fn strangers_see_nothing_and_support_only_looks() {
    for by in [guest(), another_organizer(), account(ORGANIZER, &[Role::Buyer])] {
        for command in [Command::Look, configure(900), Command::Approve, PUBLISH, Command::Cancel] {
            given::<Show>(vec![created()]).by(by.clone()).when(command).then_expect_error(Refusal::NotFound);
        }
    }
    given::<Show>(vec![created()]).by(support()).when(configure(900)).then_expect_error(Refusal::Forbidden);
    for by in [support(), organizer(), admin(), Actor::System] {
        given::<Show>(vec![created()]).by(by).when(Command::Look).then_expect_events(vec![]);
    }
    given::<Show>(vec![]).by(admin()).when(Command::Look).then_expect_error(Refusal::NotFound);
    given::<Show>(vec![]).by(admin()).when(Command::Cancel).then_expect_error(Refusal::NotFound);
}

#[test]
fn an_edit_changes_what_it_names() {
    let patch = DetailsPatch { name: Some("Giselle".to_owned()), venue_city: Some(None), ..DetailsPatch::default() };
    let details = ShowDetails { name: "Giselle".to_owned(), venue_city: None, ..details() };
    let edited: Event = ShowEdited { show: SHOW, details }.into();
    for by in [organizer(), admin()] {
        given::<Show>(history(Status::Configured))
            .by(by)
            .when(edit(patch.clone()))
            .then_expect_events(vec![edited.clone()]);
    }
    given::<Show>(vec![created(), edited]).by(organizer()).when(edit(patch)).then_expect_events(vec![]);
    let currency = DetailsPatch { currency: Some(usd()), ..DetailsPatch::default() };
    let state = state::<Show>(&[created()]);
    assert_eq!(state.known().unwrap().details.currency, vnd());
    assert!(given::<Show>(vec![created()]).by(organizer()).when(edit(currency)).inspect_result().is_ok());
}

#[test]
fn classes_are_defined_once() {
    let define = || Command::DefineClass { terms: floor() };
    given::<Show>(vec![created()]).by(organizer()).when(define()).then_expect_events(vec![defined(floor())]);
    for status in [Status::Draft, Status::Published, Status::Cancelled] {
        given::<Show>(history(status)).by(organizer()).when(define()).then_expect_events(vec![]);
    }
    let other = TicketClassDefined { show: SHOW, terms: floor(), fingerprint: fingerprint(8) };
    given::<Show>(vec![created(), other.into()])
        .by(organizer())
        .when(define())
        .then_expect_error(Refusal::AlreadyExists);
}

#[test]
fn a_show_has_at_most_a_hundred_classes() {
    let class = |n: u128| defined(terms(Uuid::from_u128(n).into(), 100, 10));
    let mut events = vec![created()];
    events.extend((1000..1099).map(class));
    let define = || Command::DefineClass { terms: floor() };
    given::<Show>(events.clone()).by(organizer()).when(define()).then_expect_events(vec![defined(floor())]);
    events.push(class(1099));
    given::<Show>(events).by(organizer()).when(define()).then_expect_error(Refusal::TooManyClasses { max: 100 });
}

#[test]
fn terms_do_not_contradict_themselves() {
    let define = |terms| Command::DefineClass { terms };
    let field = |terms| invalid_field(vec![created()], define(terms));
    assert_eq!(field(ClassTerms { price: -1, ..floor() }), "price");
    assert_eq!(field(ClassTerms { capacity: -1, ..floor() }), "capacity");
    assert_eq!(field(ClassTerms { max_per_order: 0, ..floor() }), "max_per_order");
    assert_eq!(field(ClassTerms { max_per_order: 101, ..floor() }), "max_per_order");
    assert_eq!(field(ClassTerms { name: String::new(), ..floor() }), "name");
    let window = ClassTerms { sale_starts_at: Some(at(10)), sale_ends_at: Some(at(10)), ..floor() };
    assert_eq!(field(window), "sale_ends_at");
    let starts = ClassTerms { sale_starts_at: Some(at(10)), ..floor() };
    let patch = TermsPatch { sale_ends_at: Some(Some(at(9))), ..TermsPatch::default() };
    assert_eq!(invalid_field(vec![created(), defined(starts)], edit_floor(patch)), "sale_ends_at");
}

#[test]
fn a_class_is_edited_in_part() {
    let patch = TermsPatch { price: Some(120), sale_ends_at: Some(Some(at(5))), ..TermsPatch::default() };
    let terms = ClassTerms { price: 120, sale_ends_at: Some(at(5)), ..floor() };
    let edited: Event = TicketClassEdited { show: SHOW, terms }.into();
    let given_floor = || vec![created(), defined(floor())];
    given::<Show>(given_floor()).by(organizer()).when(edit_floor(patch.clone())).then_expect_events(vec![edited]);
    given::<Show>(given_floor())
        .by(organizer())
        .when(edit_floor(TermsPatch { price: Some(100), ..TermsPatch::default() }))
        .then_expect_events(vec![]);
    given::<Show>(given_floor())
        .by(organizer())
        .when(Command::EditClass { ticket_class: NOWHERE, patch })
        .then_expect_error(Refusal::ClassNotFound);
}

#[test]
fn nothing_is_changed_once_approved() {
    let class = terms(NOWHERE, 1, 1);
    let name = DetailsPatch { name: Some("Giselle".to_owned()), ..DetailsPatch::default() };
    let price = TermsPatch { price: Some(120), ..TermsPatch::default() };
    let commands =
        [edit(name), Command::DefineClass { terms: class }, edit_floor(price), configure(60), Command::Approve];
    for status in [Status::Approved, Status::Published, Status::Cancelled] {
        for command in commands.clone() {
            given::<Show>(history(status)).by(admin()).when(command).then_expect_error(Refusal::WrongStatus { status });
        }
    }
}

#[test]
fn configuring_may_be_repeated() {
    given::<Show>(vec![created()]).by(organizer()).when(configure(900)).then_expect_events(vec![configured()]);
    let again = ShowConfigured { show: SHOW, pay_within_s: 60, checkout_url: None, waiting_room: None };
    given::<Show>(history(Status::Configured))
        .by(organizer())
        .when(configure(60))
        .then_expect_events(vec![again.into()]);
    given::<Show>(history(Status::Configured)).by(organizer()).when(configure(900)).then_expect_events(vec![]);
    assert_eq!(invalid_field(vec![created()], configure(0)), "pay_within_s");
    assert_eq!(invalid_field(vec![created()], configure(86_401)), "pay_within_s");
}

#[test]
fn only_admins_approve_and_only_what_is_configured() {
    given::<Show>(history(Status::Configured)).by(admin()).when(Command::Approve).then_expect_events(vec![approved()]);
    given::<Show>(history(Status::Configured))
        .by(organizer())
        .when(Command::Approve)
        .then_expect_error(Refusal::Forbidden);
    given::<Show>(history(Status::Draft))
        .by(admin())
        .when(Command::Approve)
        .then_expect_error(Refusal::WrongStatus { status: Status::Draft });
}

#[test]
fn publishing_needs_approval_and_a_class() {
    given::<Show>(history(Status::Approved)).by(organizer()).when(PUBLISH).then_expect_events(vec![published().into()]);
    given::<Show>(vec![created(), configured(), approved()])
        .by(organizer())
        .when(PUBLISH)
        .then_expect_error(Refusal::NoTicketClass);
    for status in [Status::Draft, Status::Configured, Status::Published, Status::Cancelled] {
        given::<Show>(history(status)).by(organizer()).when(PUBLISH).then_expect_error(Refusal::WrongStatus { status });
    }
}

#[test]
fn any_show_is_cancelled_once() {
    for status in [Status::Draft, Status::Configured, Status::Approved, Status::Published] {
        let expected = cancelled(status == Status::Published);
        given::<Show>(history(status)).by(organizer()).when(Command::Cancel).then_expect_events(vec![expected]);
    }
    given::<Show>(history(Status::Cancelled))
        .by(organizer())
        .when(Command::Cancel)
        .then_expect_error(Refusal::WrongStatus { status: Status::Cancelled });
}

#[test]
fn a_show_waits_for_nothing() {
    let show = state::<Show>(&history(Status::Published));
    assert_eq!((show.next_due(), show.watched(), Show::due()), (None, false, Command::Look));
    assert_eq!(Show::id(&created()), SHOW.0);
    assert_eq!(created().name(), "ShowCreated");
}
