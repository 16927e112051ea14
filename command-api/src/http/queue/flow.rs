//! How people are let through a waiting room: the organizer's hand on the queue, while it is open.

use axum::extract::State;
use axum::response::Response;
use domain::ids::ShowId;
use domain::queue::{Command, Inflow, WaitingRoom};
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
use crate::http::shows::{INFLOW, present};
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
}

impl Validate for NewFlow {
    fn validate(&self, errors: &mut Errors) {
        if self.mode.is_none() && self.inflow_per_min.is_none() {
            errors.reject_whole("must have mode (queue, pause, pass_through or reject), inflow_per_min, or both");
        }
        if let Some(Some(limit)) = self.inflow_per_min {
            errors.range("inflow_per_min", limit, INFLOW);
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
    let inflow = match body.value.inflow_per_min {
        None => Inflow::Keep,
        Some(None) => Inflow::Unlimited,
        Some(Some(limit)) => Inflow::PerMin(limit),
    };
    let command = Command::SetFlow { mode: body.value.mode.map(QueueMode::mode), inflow };
    let answer = app.submit::<WaitingRoom>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&flow(show, &answer)))
}

fn flow(show: ShowId, answer: &Answer<WaitingRoom>) -> QueueFlow {
    let (mode, inflow_per_min) = (QueueMode::of(answer.state.mode()), answer.state.inflow_per_min());
    QueueFlow { show: show.0, mode, inflow_per_min }
}
