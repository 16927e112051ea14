//! How people are let through a waiting room: the organizer's hand on the queue, while it is open.

use axum::extract::State;
use axum::response::Response;
use domain::ids::ShowId;
use domain::queue::{Command, Setting, WaitingRoom};
use event_log::owner::Answer;
use serde::Deserialize;
use service_kit::extract::Path;
use service_kit::json::Json;
use service_kit::problem::Problem;
use service_kit::validate::{Errors, Validate};
use service_kit::views::{QueueFlow, QueueMode};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;
use crate::http::shows::{CHALLENGE, INFLOW, present};
use crate::http::submit::Asking;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(change_flow))
}

/// What changes; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFlow {
    /// In which way people are let through from now on.
    mode: Option<QueueMode>,
    /// How many are admitted a minute at most, 1 to 1,000,000; null for no limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i32>)]
    inflow_per_min: Option<Option<i32>>,
    /// How hard the proof of work is that joining takes, 8 to 24 bits; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i32>)]
    challenge_bits: Option<Option<i32>>,
}

impl Validate for NewFlow {
    fn validate(&self, errors: &mut Errors) {
        if self.mode.is_none() && self.inflow_per_min.is_none() && self.challenge_bits.is_none() {
            errors.reject_whole(
                "must have mode (queue, pause, pass_through or reject), inflow_per_min or challenge_bits",
            );
        }
        if let Some(Some(limit)) = self.inflow_per_min {
            errors.range("inflow_per_min", limit, INFLOW);
        }
        if let Some(Some(bits)) = self.challenge_bits {
            errors.range("challenge_bits", bits, CHALLENGE);
        }
    }
}

#[utoipa::path(post, path = "/v1/shows/{show}/queue/mode", tag = "queue", request_body = NewFlow,
    params(("show" = Uuid, Path)),
    responses((status = 200, body = QueueFlow, description = "As it is from now on. For the show's organizer and admins."),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such show, it has no open waiting room, or it is somebody else's."),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The waiting room is closed.")))]
async fn change_flow(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<NewFlow>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let NewFlow { mode, inflow_per_min, challenge_bits } = body.value;
    let command = Command::SetFlow {
        mode: mode.map(QueueMode::mode),
        inflow_per_min: setting(inflow_per_min),
        challenge_bits: setting(challenge_bits),
    };
    let answer = app.submit::<WaitingRoom>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&flow(show, &answer)))
}

fn setting(wanted: Option<Option<i32>>) -> Setting {
    match wanted {
        None => Setting::Keep,
        Some(None) => Setting::Off,
        Some(Some(limit)) => Setting::To(limit),
    }
}

fn flow(show: ShowId, answer: &Answer<WaitingRoom>) -> QueueFlow {
    let room = &answer.state;
    let (inflow_per_min, challenge_bits) = (room.inflow_per_min(), room.challenge_bits());
    QueueFlow { show: show.0, mode: QueueMode::of(room.mode()), inflow_per_min, challenge_bits }
}
