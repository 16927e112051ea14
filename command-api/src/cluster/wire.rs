//! A command on its way to another instance, and what it led to on its way back.
//!
//! The encoding does not describe itself, so both sides compare the shape of what they know first: instances whose
//! programs differ in it do not take each other's commands.

use std::time::Duration;

use domain::ids::CommandId;
use domain::root::Context;
use domain::value::{Actor, Fingerprint};
use event_log::owner::{Answer, Outcome, Target};
use event_log::snapshot::shape;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::owners::{Held, Request};

/// The layout of this file, which the shape does not cover.
const LAYOUT: u8 = 1;

/// Why bytes are not what they should be.
#[derive(Debug, Error)]
pub enum WireError {
    /// The other side is another version of the program.
    #[error("the other instance is of another shape")]
    Shape,
    /// Cut off, or garbage.
    #[error("what came cannot be decoded")]
    Undecodable(#[source] postcard::Error),
}

/// What is known of a command beside what it asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Whose topic.
    pub context: Context,
    to: To,
    by: Actor,
    id: CommandId,
    hash: Fingerprint,
    correlation_id: Uuid,
    causation_id: Uuid,
    within_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum To {
    Id(Uuid),
    Serial(u64),
}

#[derive(Serialize, Deserialize)]
struct Carried<S> {
    id: Uuid,
    state: S,
    version: u64,
    replayed: bool,
    written: u64,
    offset: i64,
    identity: Uuid,
}

#[derive(Serialize, Deserialize)]
enum LedTo<S, E> {
    Done(Box<Carried<S>>),
    Refused(E),
    NoSuchSerial,
    KeyReused,
    TooLarge,
    TooLate,
    Overloaded,
    NotServed,
    InDoubt,
    Broken,
}

/// A command as bytes.
pub fn encode_command<A: Held>(target: Target, request: &Request<A::Ask>, within: Duration) -> Vec<u8> {
    let head = Head {
        context: A::CONTEXT,
        to: match target {
            Target::Id(id) => To::Id(id),
            Target::Serial(serial) => To::Serial(serial),
        },
        by: request.by.clone(),
        id: request.id,
        hash: request.hash,
        correlation_id: request.correlation_id,
        causation_id: request.causation_id,
        within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
    };
    encode(&(head, &request.ask))
}

/// The head of a command, and the bytes of what it asks.
///
/// # Errors
/// It is not for this program, or garbage.
pub fn decode_head(bytes: &[u8]) -> Result<(Head, &[u8]), WireError> {
    postcard::take_from_bytes(payload(bytes)?).map_err(WireError::Undecodable)
}

/// The whole command, for an aggregate of the head's context.
///
/// # Errors
/// It is garbage.
pub fn decode_command<A: Held>(head: Head, ask: &[u8]) -> Result<(Target, Request<A::Ask>), WireError> {
    let target = match head.to {
        To::Id(id) => Target::Id(id),
        To::Serial(serial) => Target::Serial(serial),
    };
    let request = Request {
        ask: whole(ask)?,
        by: head.by,
        id: head.id,
        hash: head.hash,
        correlation_id: head.correlation_id,
        causation_id: head.causation_id,
        within: Some(Duration::from_millis(head.within_ms)),
    };
    Ok((target, request))
}

/// What a command led to, as bytes.
pub fn encode_outcome<A: Held>(outcome: Outcome<A>) -> Vec<u8> {
    let led_to: LedTo<A, A::Error> = match outcome {
        Outcome::Done(answer) => {
            let Answer { id, state, version, replayed, written, offset, identity } = *answer;
            let written = written as u64;
            LedTo::Done(Box::new(Carried { id, state, version, replayed, written, offset, identity }))
        }
        Outcome::Refused(refusal) => LedTo::Refused(refusal),
        Outcome::NoSuchSerial => LedTo::NoSuchSerial,
        Outcome::KeyReused => LedTo::KeyReused,
        Outcome::TooLarge => LedTo::TooLarge,
        Outcome::TooLate => LedTo::TooLate,
        Outcome::Overloaded => LedTo::Overloaded,
        Outcome::NotServed => LedTo::NotServed,
        Outcome::InDoubt => LedTo::InDoubt,
        Outcome::Broken => LedTo::Broken,
    };
    encode(&led_to)
}

/// What a command led to.
///
/// # Errors
/// It is not for this program, or garbage.
pub fn decode_outcome<A: Held>(bytes: &[u8]) -> Result<Outcome<A>, WireError> {
    let led_to: LedTo<A, A::Error> = whole(payload(bytes)?)?;
    Ok(match led_to {
        LedTo::Done(carried) => {
            let Carried { id, state, version, replayed, written, offset, identity } = *carried;
            let written = usize::try_from(written).unwrap_or(usize::MAX);
            Outcome::Done(Box::new(Answer { id, state, version, replayed, written, offset, identity }))
        }
        LedTo::Refused(refusal) => Outcome::Refused(refusal),
        LedTo::NoSuchSerial => Outcome::NoSuchSerial,
        LedTo::KeyReused => Outcome::KeyReused,
        LedTo::TooLarge => Outcome::TooLarge,
        LedTo::TooLate => Outcome::TooLate,
        LedTo::Overloaded => Outcome::Overloaded,
        LedTo::NotServed => Outcome::NotServed,
        LedTo::InDoubt => Outcome::InDoubt,
        LedTo::Broken => Outcome::Broken,
    })
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut start = vec![LAYOUT];
    start.extend_from_slice(&shape().to_be_bytes());
    postcard::to_extend(value, start).expect("commands, states and refusals are plain data")
}

fn payload(bytes: &[u8]) -> Result<&[u8], WireError> {
    let (layout, rest) = bytes.split_first().ok_or(WireError::Shape)?;
    let (theirs, rest) = rest.split_first_chunk().ok_or(WireError::Shape)?;
    if *layout == LAYOUT && *theirs == shape().to_be_bytes() { Ok(rest) } else { Err(WireError::Shape) }
}

/// Everything of it, and nothing after it.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(WireError::Undecodable)?;
    if rest.is_empty() { Ok(value) } else { Err(WireError::Undecodable(postcard::Error::DeserializeBadEncoding)) }
}

#[cfg(test)]
mod tests {
    use domain::ids::{OrderId, ShowId};
    use domain::inventory::{self, Inventory};

    use super::*;

    fn request() -> Request<inventory::Command> {
        Request {
            ask: inventory::Command::Confirm { order: OrderId(Uuid::from_u128(4)) },
            by: Actor::OrderHolder { order: OrderId(Uuid::from_u128(4)), show: ShowId(Uuid::from_u128(5)) },
            id: CommandId(Uuid::from_u128(6)),
            hash: Fingerprint([7; 16]),
            correlation_id: Uuid::from_u128(8),
            causation_id: Uuid::from_u128(9),
            within: None,
        }
    }

    #[test]
    fn a_command_arrives_as_it_was_sent() {
        for target in [Target::Id(Uuid::from_u128(3)), Target::Serial(77)] {
            let sent = encode_command::<Inventory>(target, &request(), Duration::from_millis(1500));
            let (head, ask) = decode_head(&sent).unwrap();
            assert_eq!(head.context, Context::Inventory);
            let (to, came) = decode_command::<Inventory>(head, ask).unwrap();
            let expected = Request { within: Some(Duration::from_millis(1500)), ..request() };
            assert_eq!((to, format!("{came:?}")), (target, format!("{expected:?}")));
        }
    }

    #[test]
    fn every_outcome_arrives_as_it_was() {
        let done = Answer {
            id: Uuid::from_u128(1),
            state: Inventory::default(),
            version: 3,
            replayed: true,
            written: 2,
            offset: 41,
            identity: Uuid::from_u128(2),
        };
        let outcomes: [Outcome<Inventory>; 10] = [
            Outcome::Done(Box::new(done)),
            Outcome::Refused(inventory::Refusal::NotFound),
            Outcome::NoSuchSerial,
            Outcome::KeyReused,
            Outcome::TooLarge,
            Outcome::TooLate,
            Outcome::Overloaded,
            Outcome::NotServed,
            Outcome::InDoubt,
            Outcome::Broken,
        ];
        for outcome in outcomes {
            let expected = format!("{outcome:?}");
            assert_eq!(format!("{:?}", decode_outcome::<Inventory>(&encode_outcome(outcome)).unwrap()), expected);
        }
    }

    #[test]
    fn another_version_and_garbage_are_told_apart() {
        let sent = encode_command::<Inventory>(Target::Serial(1), &request(), Duration::ZERO);
        for at in 0..17 {
            let mut other = sent.clone();
            other[at] ^= 1;
            assert!(matches!(decode_head(&other), Err(WireError::Shape)), "byte {at}");
        }
        assert!(matches!(decode_head(&[]), Err(WireError::Shape)));
        let (head, ask) = decode_head(&sent).unwrap();
        let longer = [ask, &[0]].concat();
        for wrong in [&ask[..ask.len() - 1], &longer] {
            let decoded = decode_command::<Inventory>(head.clone(), wrong);
            assert!(matches!(decoded, Err(WireError::Undecodable(_))));
        }
    }
}
