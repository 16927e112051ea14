//! The seven kinds of aggregates behind one face, so that one world can hold owners of all of them.

use std::time::Duration;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use domain::account::Account;
use domain::event::{Command, Event, Refusal};
use domain::ids::CommandId;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::payment::Payment;
use domain::queue::WaitingRoom;
use domain::root::{Context, Issued, Root};
use domain::show::Show;
use domain::ticket::TicketBatch;
use domain::value::{Actor, Fingerprint, Timestamp};
use event_log::owner::{Outcome, Submission, Target};
use futures::FutureExt;
use uuid::Uuid;

/// An aggregate of any kind.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "few are alive at once, and a box would cost every comparison")]
pub enum Kept {
    /// A show.
    Show(Show),
    /// The stock of one.
    Inventory(Inventory),
    /// An order.
    Order(Order),
    /// A payment.
    Payment(Payment),
    /// The tickets of an order.
    Ticket(TicketBatch),
    /// A waiting room.
    Queue(WaitingRoom),
    /// A person.
    Account(Account),
}

/// A command on its way to an owner.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What it is for.
    pub target: Target,
    /// What is asked; its own id counts only where the target is that id.
    pub command: Command,
    /// Who asks.
    pub by: Actor,
    /// What a repeat is recognised by.
    pub id: CommandId,
    /// HMAC of the body.
    pub hash: Fingerprint,
    /// What it all started with.
    pub correlation_id: Uuid,
    /// What caused it.
    pub causation_id: Uuid,
}

/// What a command led to, of any kind.
#[derive(Debug, Clone)]
pub enum Said {
    /// Carried out, now or before.
    Done(Box<Told>),
    /// The aggregate says no.
    Refused(Refusal),
    /// No aggregate has this serial number.
    NoSuchSerial,
    /// The id was used for another body.
    KeyReused,
    /// Larger than a frame.
    TooLarge,
    /// Not decided in time.
    TooLate,
    /// The mailbox is full.
    Overloaded,
    /// Nobody serves it there.
    NotServed,
    /// Nobody knows.
    InDoubt,
    /// The partition is broken.
    Broken,
}

/// What whoever asked is told when it was carried out.
#[derive(Debug, Clone)]
pub struct Told {
    /// The aggregate.
    pub id: Uuid,
    /// As it is now.
    pub state: Kept,
    /// Its version.
    pub version: u64,
    /// Whether the command had been carried out before.
    pub replayed: bool,
    /// Events written for it just now.
    pub written: usize,
    /// The last offset that this rests on.
    pub offset: i64,
    /// The log's name.
    pub identity: Uuid,
}

impl Said {
    /// Its name in counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done(told) if told.replayed => "replayed",
            Self::Done(told) if told.written == 0 => "nothing to do",
            Self::Done(_) => "done",
            Self::Refused(_) => "refused",
            Self::NoSuchSerial => "no such serial",
            Self::KeyReused => "key reused",
            Self::TooLarge => "too large",
            Self::TooLate => "too late",
            Self::Overloaded => "overloaded",
            Self::NotServed => "not served",
            Self::InDoubt => "in doubt",
            Self::Broken => "broken",
        }
    }
}

/// One kind of aggregate.
pub trait Part: Root + PartialEq {
    /// The bare command, if it is for this kind.
    fn ask(command: Command) -> Option<Self::Ask>;
    /// Its refusal as one of all.
    fn refusal(error: Self::Error) -> Refusal;
    /// It as one of all.
    fn kept(self) -> Kept;
}

macro_rules! parts {
    ($($variant:ident($root:ident) = $context:ident;)*) => {
        $(impl Part for $root {
            fn ask(command: Command) -> Option<Self::Ask> {
                match command {
                    Command::$variant(_, ask) => Some(ask),
                    _ => None,
                }
            }

            fn refusal(error: Self::Error) -> Refusal {
                Refusal::$variant(error)
            }

            fn kept(self) -> Kept {
                Kept::$variant(self)
            }
        })*

        impl Kept {
            /// One that no event has touched.
            pub fn fresh(context: Context) -> Self {
                match context {
                    $(Context::$context => Self::$variant($root::default()),)*
                }
            }

            /// Folds an event of its own kind.
            pub fn apply(&mut self, event: Event) {
                match (self, event) {
                    $((Self::$variant(state), Event::$variant(event)) => state.apply(event),)*
                    (state, event) => panic!("{event:?} is not for {state:?}"),
                }
            }

            /// The part of it that an answer tells.
            pub fn told(&self, asked: &Asked) -> Self {
                match self {
                    $(Self::$variant(state) => Self::$variant(told(state, asked)),)*
                }
            }

            /// How many events a command would lead to, or why it would be refused.
            ///
            /// # Errors
            /// The refusal.
            pub fn decide(&self, asked: &Asked, at: Timestamp) -> Result<usize, Refusal> {
                match self {
                    $(Self::$variant(state) => decide(state, asked, at),)*
                }
            }
        }
    };
}

parts! {
    Show(Show) = Catalog;
    Inventory(Inventory) = Inventory;
    Order(Order) = Order;
    Payment(Payment) = Payment;
    Ticket(TicketBatch) = Ticket;
    Queue(WaitingRoom) = Queue;
    Account(Account) = Account;
}

fn told<A: Part>(state: &A, asked: &Asked) -> A {
    let ask = A::ask(asked.command.clone()).expect("who asks knows of what");
    state.relevant(&A::about(&ask, &asked.by))
}

fn decide<A: Part>(state: &A, asked: &Asked, at: Timestamp) -> Result<usize, Refusal> {
    let command = A::ask(asked.command.clone()).expect("it was asked of this kind");
    let issued = Issued { command, by: asked.by.clone(), at, fingerprint: asked.hash, serial: 1 };
    let sink = EventSink::default();
    let mut copy = state.clone();
    copy.handle(issued, &(), &sink).now_or_never().expect("a decision never waits").map_err(A::refusal)?;
    Ok(sink.collect().now_or_never().expect("collecting never waits").len())
}

/// The submission that a command becomes at its owner.
pub fn submission<A: Part>(asked: Asked, deadline: Option<Duration>, reply: u32) -> Submission<A, u32> {
    let Asked { target, command, by, id, hash, correlation_id, causation_id } = asked;
    let ask = A::ask(command).expect("it was sent to the owner of its kind");
    Submission { target, ask, by, id, hash, correlation_id, causation_id, trace: None, deadline, reply }
}

/// An outcome as one of all.
pub fn said<A: Part>(outcome: Outcome<A>) -> Said {
    match outcome {
        Outcome::Done(answer) => Said::Done(Box::new(Told {
            id: answer.id,
            state: answer.state.kept(),
            version: answer.version,
            replayed: answer.replayed,
            written: answer.written,
            offset: answer.offset,
            identity: answer.identity,
        })),
        Outcome::Refused(error) => Said::Refused(A::refusal(error)),
        Outcome::NoSuchSerial => Said::NoSuchSerial,
        Outcome::KeyReused => Said::KeyReused,
        Outcome::TooLarge => Said::TooLarge,
        Outcome::TooLate => Said::TooLate,
        Outcome::Overloaded => Said::Overloaded,
        Outcome::NotServed => Said::NotServed,
        Outcome::InDoubt => Said::InDoubt,
        Outcome::Broken => Said::Broken,
    }
}
