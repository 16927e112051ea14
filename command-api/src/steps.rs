//! The steps of a recorded trace that sagas take.

use domain::event::Command;
use domain::saga::{Action, Effect};
use event_log::log::Partition;
use event_log::owner::Send;
use service_kit::spans::{Kind, Span};
use service_kit::trace::{self, TraceContext};
use tracing::Instrument as _;

/// Does what an event caused as a step of the event's trace.
pub async fn traced<T>(of: TraceContext, cause: Partition, sent: &Send, work: impl Future<Output = T>) -> T {
    let mut span = Span::below(Some(of), Kind::Consumer, name(&sent.outgoing.action));
    if let Some(span) = &mut span {
        span.set("partition", cause.to_string());
        span.set("offset", sent.at.0);
        span.set("event.id", sent.causation_id.to_string());
        span.set("command.id", sent.outgoing.id.to_string());
    }
    let told = tracing::info_span!("saga", trace.id = of.trace_id());
    trace::within(span.as_ref().map_or(of, Span::context), work).instrument(told).await
}

const fn name(action: &Action) -> &'static str {
    match action {
        Action::Command(Command::Show(..)) => "saga show",
        Action::Command(Command::Queue(..)) => "saga waiting room",
        Action::Command(Command::Inventory(..)) => "saga inventory",
        Action::Command(Command::Order(..)) => "saga order",
        Action::Command(Command::Payment(..)) => "saga payment",
        Action::Command(Command::Ticket(..)) => "saga tickets",
        Action::Command(Command::Account(..)) => "saga person",
        Action::Effect(Effect::CreatePayment(_)) => "effect create payment",
        Action::Effect(Effect::ClosePayment { .. }) => "effect close payment",
        Action::Effect(Effect::RefundPayment { .. }) => "effect refund payment",
        Action::Effect(Effect::RevealSeed { .. }) => "effect reveal seed",
        Action::Effect(Effect::ForgetKeys { .. }) => "effect forget keys",
    }
}
