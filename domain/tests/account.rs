//! Forgetting a person.

use domain::account::{Account, Command, ErasedOrder, Event, PersonErased, Refusal};
use domain::event::Event as AnyEvent;
use domain::ids::{DataKeyId, PersonId};
use domain::root::Meta;
use domain::saga::{Action, Effect, react};
use domain::value::Actor;
use uuid::Uuid;

use crate::common::{ORDER, OTHER_ORDER, SHOW, admin, at, buyer, given, holder, organizer, state, support};

const PERSON: PersonId = PersonId(Uuid::from_u128(0x9e));
const ONE: ErasedOrder = ErasedOrder { order: ORDER, show: SHOW, key: DataKeyId(Uuid::from_u128(1)) };
const TWO: ErasedOrder = ErasedOrder { order: OTHER_ORDER, show: SHOW, key: DataKeyId(Uuid::from_u128(2)) };

fn erase(orders: &[ErasedOrder]) -> Command {
    Command::Erase { person: PERSON, orders: orders.to_vec() }
}

fn erased(orders: &[ErasedOrder]) -> Event {
    PersonErased { person: PERSON, orders: orders.to_vec() }.into()
}

#[test]
fn each_key_is_taken_away_once() {
    given::<Account>(vec![]).by(support()).when(erase(&[ONE, ONE])).then_expect_events(vec![erased(&[ONE])]);
    given::<Account>(vec![erased(&[ONE])]).by(admin()).when(erase(&[ONE])).then_expect_events(vec![]);
    given::<Account>(vec![erased(&[ONE])])
        .by(support())
        .when(erase(&[TWO, ONE]))
        .then_expect_events(vec![erased(&[TWO])]);
    let keys: Vec<DataKeyId> = state::<Account>(&[erased(&[ONE]), erased(&[TWO])]).erased().collect();
    assert_eq!(keys, [ONE.key, TWO.key]);
}

#[test]
fn only_support_and_admins_forget_people() {
    for by in [buyer(), organizer(), holder(ORDER, SHOW)] {
        given::<Account>(vec![]).by(by).when(erase(&[ONE])).then_expect_error(Refusal::Forbidden);
    }
}

#[test]
fn who_was_never_forgotten_is_not_known() {
    given::<Account>(vec![]).by(Actor::System).when(Command::Look).then_expect_error(Refusal::NotFound);
    given::<Account>(vec![erased(&[ONE])]).by(Actor::System).when(Command::Look).then_expect_events(vec![]);
}

#[test]
fn the_keys_are_forgotten_because_of_it() {
    let meta = Meta {
        event_id: Uuid::from_u128(5),
        occurred_at: at(0),
        version: 1,
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: String::new(),
    };
    let actions: Vec<Action> =
        react(&AnyEvent::Account(erased(&[ONE, TWO])), &meta).into_iter().map(|it| it.action).collect();
    assert_eq!(actions, [Action::Effect(Effect::ForgetKeys { keys: vec![ONE.key, TWO.key] })]);
}
