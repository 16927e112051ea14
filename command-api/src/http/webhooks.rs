//! What a verified webhook leads to: it is recorded at its payment, or kept aside for a person to look at.

use domain::ids::PaymentId;
use domain::payment::{Command, Known, Movement, Payment, Standing};
use domain::value::Provider;
use event_log::owner::{Outcome, Target};
use uuid::Uuid;

use super::App;
use super::payments::by_system;
use crate::payments::PaymentGateway;
use crate::payments::gateway::{self, About, Notified, Report};

/// Records what a provider says, and tells what it is to hear. It comes again unless that is acknowledged in the log.
pub async fn record(app: &App, gateway: &dyn PaymentGateway, notified: Notified) -> gateway::Outcome {
    let Notified { about, report, ask } = notified;
    let provider = gateway.provider();
    let Some(target) = target(&about) else { return aside(app, provider, &about, report.movements).await };
    let payment = match app.outcome::<Payment>(target, Command::Look, &by_system()).await {
        Outcome::Done(answer) => answer.state,
        Outcome::NoSuchSerial | Outcome::Refused(_) => return aside(app, provider, &about, report.movements).await,
        outcome => return not_recorded(provider, &about, &outcome),
    };
    let Some(known) = payment.known().filter(|known| known.provider == provider) else {
        return aside(app, provider, &about, report.movements).await;
    };
    let report = match ask && known.status.open() {
        true => match gateway.stands(known).await {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(payment.id = %known.payment, %error, "a provider that sent a webhook does not say more");
                return gateway::Outcome::RetryLater;
            }
        },
        false => report,
    };
    if nothing_new(&payment, known, &report) {
        return gateway::Outcome::Repeated;
    }
    let amount = report.amount;
    if report.movements.is_empty() && report.standing == Standing::Open {
        return gateway::Outcome::Accepted;
    }
    let command = Command::Report { movements: report.movements, standing: report.standing };
    match app.outcome::<Payment>(Target::Id(known.payment.0), command, &by_system()).await {
        Outcome::Done(_) if amount.is_some_and(|amount| amount != known.amount) => gateway::Outcome::WrongAmount,
        Outcome::Done(_) => gateway::Outcome::Accepted,
        outcome => not_recorded(provider, &about, &outcome),
    }
}

fn target(about: &About) -> Option<Target> {
    match about {
        About::Serial(serial) => u64::try_from(*serial).ok().map(Target::Serial),
        About::Payment(payment) => Some(Target::Id(payment.0)),
        About::Foreign(_) => None,
    }
}

/// Whether the payment has ended, and knows all money that is reported. Told to a payment that is over, a standing changes
/// nothing.
fn nothing_new(payment: &Payment, known: &Known, report: &Report) -> bool {
    !known.status.open() && report.movements.iter().all(|movement| payment.has_seen(&movement.reference))
}

/// Whatever the reason, the provider still knows of something that is not in the log: it must say so again.
fn not_recorded(provider: Provider, about: &About, outcome: &Outcome<Payment>) -> gateway::Outcome {
    if let Outcome::Refused(_) | Outcome::KeyReused | Outcome::TooLarge = outcome {
        let provider = provider.as_str();
        tracing::error!(provider, payment.about = ?about, ?outcome, "a payment does not take what its provider reports");
    }
    gateway::Outcome::RetryLater
}

/// Money for a reference nobody knows is kept under a name of its own, for a person to look at.
async fn aside(app: &App, provider: Provider, about: &About, movements: Vec<Movement>) -> gateway::Outcome {
    let (serial, name) = match about {
        About::Serial(serial) => (*serial, serial.to_string()),
        About::Payment(payment) => (0, payment.to_string()),
        About::Foreign(name) => (0, name.clone()),
    };
    let name = format!("{}:{name}", provider.as_str());
    let payment = PaymentId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
    for movement in movements {
        let command = Command::Quarantine { payment, provider, serial, movement };
        match app.outcome::<Payment>(Target::Id(payment.0), command, &by_system()).await {
            Outcome::Done(_) => {}
            outcome => return not_recorded(provider, about, &outcome),
        }
    }
    gateway::Outcome::Unknown
}

#[cfg(test)]
mod tests {
    use domain::ids::{OrderId, ShowId};
    use domain::value::Timestamp;

    use super::*;
    use crate::http::tests::patient::Patient;
    use crate::payments::GatewayError;
    use domain::payment::Status;

    fn known(status: Status) -> Known {
        Known {
            payment: PaymentId(Uuid::from_u128(1)),
            order: OrderId(Uuid::from_u128(2)),
            show: ShowId(Uuid::from_u128(3)),
            provider: Provider::Payos,
            serial: 1,
            amount: 1000,
            currency: "VND".parse().unwrap(),
            pay_by: Timestamp(0),
            status,
            url: None,
            reference: None,
            return_url: "https://shop.test/r".into(),
            cancel_url: None,
            received: 0,
            refunded: 0,
            refunds: Box::default(),
            quarantined: false,
        }
    }

    #[tokio::test]
    async fn a_payment_that_is_being_closed_is_closed_when_its_provider_wants_to_be_asked() {
        let asked = async |status| (&Patient::default() as &dyn PaymentGateway).stands(&known(status)).await;
        assert_eq!(asked(Status::Closing).await.unwrap(), Report::never_opened());
        assert!(matches!(asked(Status::Ready).await, Err(GatewayError::NotFound)));
    }
}
