//! Gets done what events caused: commands to other aggregates, and effects on the world outside.
//!
//! Invariant: something is settled only once it was answered, or its refusal was dealt with. Until then it is tried again,
//! always under the same id, so that a target recognises it; also after a panic. It ends with the tenure of the partition
//! that wants it: the successor sends it again.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use domain::account::Account;
use domain::event::{Command, Refusal};
use domain::ids::{CommandId, OrderId};
use domain::inventory::Inventory;
use domain::order::{self, Order, Step};
use domain::payment::Payment;
use domain::queue::WaitingRoom;
use domain::root::Context;
use domain::saga::{self, Action, Outgoing};
use domain::show::Show;
use domain::ticket::TicketBatch;
use domain::value::{Actor, Fingerprint};
use event_log::log::Partition;
use event_log::owner::{Outcome, Send, Target};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use service_kit::backoff::Backoff;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::effects::Effects;
use crate::owners::{Held, Owners, Request};
use crate::pressure::Throttle;
use crate::steps;

/// So many outgoing commands to one destination are under way at once.
const UNDER_WAY: usize = 256;
/// A refusal that causes a command that is refused, and so on: never deeper than this.
const REFUSALS: u64 = 4;
/// Between two attempts, at first and at most.
const LEAST_WAIT: Duration = Duration::from_millis(50);
const MOST_WAIT: Duration = Duration::from_secs(2);
/// What made a sender panic is tried again after so long.
const AFTER_PANIC: Duration = Duration::from_secs(30);

/// What an owner wants done, with where it comes from.
pub struct Wanted {
    cause: Partition,
    sent: Send,
    tenure: Arc<Tenure>,
}

/// One spell of owning a partition number; what its outbox wants is carried out during that alone.
#[derive(Default)]
pub struct Tenure {
    ending: CancellationToken,
    ended: CancellationToken,
    effects: TaskTracker,
}

impl Tenure {
    /// From now on nothing new is begun.
    pub fn begin_to_end(&self) {
        self.ending.cancel();
    }

    /// Whether no effect is under way any more.
    pub fn effects_ended(&self) -> bool {
        self.effects.is_empty()
    }

    /// Whatever is still under way ends where it is.
    pub fn end(&self) {
        self.begin_to_end();
        self.ended.cancel();
    }

    /// Runs something to its end, or to the tenure's.
    async fn carry<T>(&self, action: &Action, work: impl Future<Output = T>) -> Option<T> {
        if self.ending.is_cancelled() {
            return None;
        }
        // Commands are quick and can be cut off anywhere: their targets recognise them.
        let _under_way = matches!(action, Action::Effect(_)).then(|| self.effects.token());
        self.ended.run_until_cancelled(work).await
    }
}

/// Collects what owners want done, until the dispatcher is started. Cheap to clone.
#[derive(Clone)]
pub struct Collector(UnboundedSender<Wanted>);

/// A collector and what it collects.
pub fn collect() -> (Collector, UnboundedReceiver<Wanted>) {
    let (wanted, received) = unbounded_channel();
    (Collector(wanted), received)
}

impl Collector {
    /// The outbox of owners during one tenure.
    pub fn during(&self, tenure: &Arc<Tenure>) -> event_log::driver::Outbox {
        let (wanted, tenure) = (self.0.clone(), Arc::clone(tenure));
        Arc::new(move |cause, sent| {
            // A dispatcher that is gone belongs to a process that ends: the next one re-sends.
            let _ = wanted.send(Wanted { cause, sent, tenure: Arc::clone(&tenure) });
        })
    }
}

/// Where something goes: each destination has a sender of its own, so that a slow one holds back no other.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Destination {
    Owner(Context, u32),
    Outside,
}

/// Distributes what is wanted to its destinations, for ever.
pub async fn dispatch(owners: Arc<Owners>, effects: Arc<Effects>, mut wanted: UnboundedReceiver<Wanted>) {
    let mut senders: HashMap<Destination, UnboundedSender<Wanted>> = HashMap::new();
    while let Some(next) = wanted.recv().await {
        let destination = destination(&owners, &next.sent.outgoing.action);
        let sender = senders.entry(destination).or_insert_with(|| {
            let (sender, received) = unbounded_channel();
            tokio::spawn(send_all(Arc::clone(&owners), Arc::clone(&effects), received));
            sender
        });
        if sender.send(next).is_err() {
            tracing::error!(?destination, "the sender of a destination has ended");
        }
    }
}

fn destination(owners: &Owners, action: &Action) -> Destination {
    let at = |partition: Partition| Destination::Owner(partition.context, partition.number);
    match action {
        Action::Command(Command::Show(id, _)) => at(owners.partition_of::<Show>(Target::Id(id.0))),
        Action::Command(Command::Queue(id, _)) => at(owners.partition_of::<WaitingRoom>(Target::Id(id.0))),
        Action::Command(Command::Inventory(id, _)) => at(owners.partition_of::<Inventory>(Target::Id(id.0))),
        Action::Command(Command::Order(id, _)) => at(owners.partition_of::<Order>(Target::Id(id.0))),
        Action::Command(Command::Payment(id, _)) => at(owners.partition_of::<Payment>(Target::Id(id.0))),
        Action::Command(Command::Ticket(id, _)) => at(owners.partition_of::<TicketBatch>(Target::Id(id.0))),
        Action::Command(Command::Account(id, _)) => at(owners.partition_of::<Account>(Target::Id(id.0))),
        Action::Effect(_) => Destination::Outside,
    }
}

/// While people wait too long, only so much is begun in every step: what was promised goes on, slowly.
async fn send_all(owners: Arc<Owners>, effects: Arc<Effects>, mut received: UnboundedReceiver<Wanted>) {
    let mut under_way = FuturesUnordered::new();
    let mut throttle = Throttle::default();
    loop {
        let free = under_way.len() < UNDER_WAY;
        let next = async {
            throttle.ready(owners.pressure()).await;
            received.recv().await
        };
        tokio::select! {
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
            next = next, if free => match next {
                Some(wanted) => {
                    throttle.begin();
                    under_way.push(carry_out(&owners, &effects, wanted));
                }
                None => return,
            },
        }
    }
}

async fn carry_out(owners: &Owners, effects: &Effects, wanted: Wanted) {
    let Wanted { cause, sent, tenure } = wanted;
    let attempt = || async {
        match &sent.outgoing.action {
            Action::Command(_) => deliver(owners, &sent).await,
            // In a box, because it is large, and there are many beside it that are small.
            Action::Effect(effect) => effects.carry_out(effect, sent.correlation_id, sent.outgoing.id).boxed().await,
        }
    };
    let done = until_done(attempt, AFTER_PANIC);
    let carried = match sent.trace.as_deref() {
        None => tenure.carry(&sent.outgoing.action, done).await,
        // In a box, because nearly nothing is traced, and what is not must not be larger for it.
        Some(trace) => tenure.carry(&sent.outgoing.action, steps::traced(*trace, cause, &sent, done).boxed()).await,
    };
    if carried.is_some() {
        owners.settled(cause, sent.at);
    }
}

/// Others go the same way, so a panic must not end it; and what was wanted is not dropped either.
async fn until_done<F: Future<Output = ()>>(attempt: impl Fn() -> F, pause: Duration) {
    while AssertUnwindSafe(attempt()).catch_unwind().await.is_err() {
        metrics::counter!("boxoffice_outbox_panics_total").increment(1);
        tracing::error!("something that an event caused panicked; it is tried again");
        tokio::time::sleep(pause).await;
    }
}

/// Delivers a command, and what its refusal causes, until every one of them is answered.
async fn deliver(owners: &Owners, sent: &Send) {
    let mut outgoing = sent.outgoing.clone();
    for _ in 0..REFUSALS {
        let Action::Command(command) = &outgoing.action else { return };
        let attempt = || insist(owners, command.clone(), outgoing.id, sent.correlation_id, sent.causation_id);
        let mut answer = attempt().await;
        let mut backoff = Backoff::between(LEAST_WAIT, MOST_WAIT);
        while answer.as_ref().is_err_and(|refusal| saga::is_early(&outgoing, refusal)) {
            backoff.wait().await;
            answer = attempt().await;
        }
        let Err(refusal) = answer else { return };
        let Some(next) = saga::on_refusal(&outgoing, &refusal) else {
            tracing::debug!(?refusal, command.id = %outgoing.id, "a saga command was refused, as may be");
            return;
        };
        let id = CommandId(domain::ids::derived(outgoing.id.0, "refused", 0));
        outgoing = Outgoing { id, action: Action::Command(next) };
    }
    tracing::error!(command.id = %sent.outgoing.id, "refusals cause refusals: a person has to look");
}

/// Sends a command to its owner until it is answered.
///
/// # Errors
/// The aggregate's refusal.
pub async fn insist(
    owners: &Owners,
    command: Command,
    id: CommandId,
    correlation_id: Uuid,
    causation_id: Uuid,
) -> Result<(), Refusal> {
    let insistent = Insistent { owners, id, correlation_id, causation_id };
    match command {
        Command::Show(to, ask) => insistent.ask::<Show>(to.0, ask).await.map_err(Refusal::Show),
        Command::Queue(to, ask) => insistent.ask::<WaitingRoom>(to.0, ask).await.map_err(Refusal::Queue),
        Command::Inventory(to, ask) => insistent.ask::<Inventory>(to.0, ask).await.map_err(Refusal::Inventory),
        Command::Order(to, ask) => insistent.ask::<Order>(to.0, ask).await.map_err(Refusal::Order),
        Command::Payment(to, ask) => insistent.ask::<Payment>(to.0, ask).await.map_err(Refusal::Payment),
        Command::Ticket(to, ask) => insistent.ask::<TicketBatch>(to.0, ask).await.map_err(Refusal::Ticket),
        Command::Account(to, ask) => insistent.ask::<Account>(to.0, ask).await.map_err(Refusal::Account),
    }
}

struct Insistent<'a> {
    owners: &'a Owners,
    id: CommandId,
    correlation_id: Uuid,
    causation_id: Uuid,
}

impl Insistent<'_> {
    async fn ask<A: Held>(&self, to: Uuid, ask: A::Ask) -> Result<(), A::Error> {
        let mut backoff = Backoff::between(LEAST_WAIT, MOST_WAIT);
        loop {
            let request = Request {
                ask: ask.clone(),
                by: Actor::System,
                id: self.id,
                hash: Fingerprint::default(),
                correlation_id: self.correlation_id,
                causation_id: self.causation_id,
                within: None,
            };
            match self.owners.ask::<A>(Target::Id(to), request).await {
                Outcome::Done(_) => return Ok(()),
                Outcome::Refused(refusal) => return Err(refusal),
                Outcome::Overloaded | Outcome::TooLate | Outcome::NotServed | Outcome::InDoubt | Outcome::Broken => {}
                // None of these can come of a command that Boxoffice itself sends; a person has to look.
                outcome @ (Outcome::KeyReused | Outcome::TooLarge | Outcome::NoSuchSerial) => {
                    // Not the command itself: it may name who bought.
                    tracing::error!(?outcome, aggregate.id = %to, command.id = %self.id, "a saga command cannot be carried out");
                    return Ok(());
                }
            }
            backoff.wait().await;
        }
    }
}

/// Records that a step of an order does not get on.
pub async fn mark_stuck(
    owners: &Owners,
    order: OrderId,
    step: Step,
    reason: String,
    cause: CommandId,
    correlation: Uuid,
) {
    let id = CommandId(domain::ids::derived(cause.0, "stuck", 0));
    let command = Command::Order(order, order::Command::MarkStuck { step, reason });
    if let Err(refusal) = insist(owners, command, id, correlation, cause.0).await {
        tracing::debug!(?refusal, order.id = %order, "the order got on in the meantime");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_panics_is_tried_again() {
        let attempts = Cell::new(0);
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            assert!(attempts.get() > 2, "as the test wants");
        };
        until_done(attempt, Duration::ZERO).await;
        assert_eq!(attempts.get(), 3);
    }

    #[tokio::test]
    async fn a_tenure_begins_nothing_when_it_ends_and_waits_for_effects_alone() {
        let tenure = Tenure::default();
        let effect = Action::Effect(saga::Effect::ClosePayment {
            payment: domain::ids::PaymentId(Uuid::nil()),
            provider: domain::value::Provider::Payos,
            serial: 1,
        });
        let command = Action::Command(Command::Order(OrderId(Uuid::nil()), order::Command::Look));
        let stuck = tenure.carry(&command, std::future::pending::<()>());
        let slow = tenure.carry(&effect, tokio::time::sleep(Duration::from_millis(50)));
        let ending = async {
            tenure.begin_to_end();
            assert!(tenure.carry(&effect, async {}).await.is_none(), "nothing new is begun");
            while !tenure.effects_ended() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tenure.end();
        };
        let (stuck, slow, ()) = tokio::join!(stuck, slow, ending);
        assert_eq!((stuck, slow), (None, Some(())), "the effect came to its end, the command was cut off");
    }
}
