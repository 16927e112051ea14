//! Refunds that a person did by hand, because the provider has no call for them or would not.

use axum::extract::State;
use axum::response::Response;
use domain::ids::{PaymentId, RefundId};
use domain::payment::{Command, Payment, RefundState};
use serde::{Deserialize, Serialize};
use service_kit::extract::Path;
use service_kit::json::Json;
use service_kit::problem::{Kind, Problem};
use service_kit::validate::{Errors, Validate};
use service_kit::views::Money;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::submit::Asking;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(done))
}

/// What was done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Done {
    /// Which refund; left out if only one of the payment is due.
    refund: Option<Uuid>,
    /// The bank's own name of the transfer, 1 to 128 visible ASCII characters; never the payee's name or account.
    reference: String,
}

/// A refund that is done.
#[derive(Debug, Serialize, ToSchema)]
struct Settled {
    /// Which one.
    id: Uuid,
    /// Of which payment.
    payment: Uuid,
    /// Of which order.
    order: Uuid,
    /// How much.
    amount: Money,
    /// Always `done`.
    status: &'static str,
    /// The name under which it was done.
    reference: String,
}

impl Validate for Done {
    fn validate(&self, errors: &mut Errors) {
        let sound = self.reference.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound || !(1..=128).contains(&self.reference.len()) {
            errors.reject("reference", "must be 1 to 128 visible ASCII characters: the bank's name of the transfer");
        }
    }
}

#[utoipa::path(post, path = "/v1/refunds/{payment}/done", tag = "payments", params(("payment" = Uuid, Path)), request_body = Done,
    security(("bearer" = [])),
    responses((status = 200, body = Settled, description = "For support and admins. Again with the same reference changes nothing.")))]
async fn done(
    State(app): State<App>,
    Path(payment): Path<PaymentId>,
    asking: Asking,
    body: Json<Done>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let Done { refund, reference } = body.value;
    let command = Command::SettleRefund { refund: refund.map(RefundId), reference: reference.clone() };
    let answer = app.submit::<Payment>(payment.0, command, &write).await?;
    let known = answer.state.known().ok_or_else(|| Problem::new(Kind::NotFound))?;
    let is_it = |state: &RefundState| matches!(state, RefundState::Done(under) if **under == *reference);
    let named = |it: &&domain::payment::Refund| refund.is_none_or(|named| it.refund.0 == named);
    let settled =
        known.refunds.iter().filter(named).find(|it| is_it(&it.state)).ok_or_else(|| Problem::new(Kind::Internal))?;
    let view = Settled {
        id: settled.refund.0,
        payment: payment.0,
        order: known.order.0,
        amount: Money::of(settled.amount, known.currency),
        status: "done",
        reference,
    };
    Ok(app.receipt(&answer).ok(&view))
}
