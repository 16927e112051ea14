//! Waiting rooms: taking a place, entering once admitted, giving the place up.
//!
//! A place is its queue ticket's bearer's, whoever that is; the account or guest only tells who has a place already.

use axum::extract::State;
use axum::response::Response;
use domain::ids::{SessionId, ShowId};
use domain::queue::{Command, Refusal, Standing, WaitingRoom, session};
use domain::show::{self, Show};
use event_log::owner::{Answer, Outcome, Target};
use service_kit::challenge::QueueProof;
use service_kit::checkout_token::Admitted;
use service_kit::client_address::ClientAddress;
use service_kit::extract::Path;
use service_kit::json::{Empty, Json};
use service_kit::problem::{Kind, Problem};
use service_kit::queue_ticket::{Place, QueueTicket};
use service_kit::views::{QueueEntered, QueuePlace, moment};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::refusals::IntoProblem;
use super::submit::{Asking, done};
use super::visitors::visitor_of;

mod flow;
mod joins;

pub use joins::Joins;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(join)).routes(routes!(enter)).routes(routes!(leave)).merge(flow::routes())
}

#[utoipa::path(post, path = "/v1/shows/{show}/queue", tag = "queue", request_body = Empty,
    params(("show" = Uuid, Path), ("Idempotency-Key" = String, Header, description = "A guest's is a UUID."),
        ("Queue-Proof" = Option<String>, Header, description = "`<token>.<nonce>`: the answer to the challenge that joining was refused with.")),
    responses((status = 201, body = QueuePlace), (status = 200, body = QueuePlace, description = "It was there already."),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "`challenge-required`: a proof of work is asked for; `challenge` says which."),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such show, or it has no waiting room."),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The waiting room is closed, or (with Retry-After) about to open."),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many join at once, from this address, or by this visitor: come again, with the same key, as Retry-After says.")))]
async fn join(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    from: ClientAddress,
    proof: QueueProof,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    let by = visitor_of(&app, &asking)?;
    let _under_way = app.0.joins.begin(from, &by.principal())?;
    let proof_bits = proof_bits(&app, show, &asking, &proof);
    let write = asking.write_by(by, &app, body.fingerprint(&app.0.keys));
    let answer = match app.outcome::<WaitingRoom>(Target::Id(show.0), Command::Join { proof_bits }, &write).await {
        Outcome::Refused(refusal) => return Err(not_joined(&app, show, refusal).await),
        other => done(other)?,
    };
    if answer.written > 0 {
        app.0.joins.placed(show, from);
    }
    Ok(app.receipt(&answer).created(&joined(&app, show, &answer, &write.by.principal())?))
}

#[utoipa::path(post, path = "/v1/shows/{show}/queue/{session}/enter", tag = "queue", request_body = Empty,
    params(("show" = Uuid, Path), ("session" = Uuid, Path), ("Queue-Ticket" = String, Header)),
    responses((status = 200, body = QueueEntered),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The Queue-Ticket is missing, altered or of another place."),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Not admitted yet."),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "The place is lost.")))]
async fn enter(
    State(app): State<App>,
    Path((show, session)): Path<(ShowId, SessionId)>,
    asking: Asking,
    ticket: QueueTicket,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    let place = app.0.auth.queue_tickets().of(ticket.as_deref(), show, session)?;
    let write = asking.write_by(asking.caller.actor_or_guest(session.0), &app, body.fingerprint(&app.0.keys));
    let command = Command::Enter { number: place.number, seen: place.seen };
    let answer = app.submit::<WaitingRoom>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&entered(&app, &answer, &place)?))
}

#[utoipa::path(delete, path = "/v1/shows/{show}/queue/{session}", tag = "queue",
    params(("show" = Uuid, Path), ("session" = Uuid, Path), ("Queue-Ticket" = String, Header)),
    responses((status = 204, description = "The place is free, or was before."),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The Queue-Ticket is missing, altered or of another place."),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "An order was placed from it: cancel that.")))]
async fn leave(
    State(app): State<App>,
    Path((show, session)): Path<(ShowId, SessionId)>,
    asking: Asking,
    ticket: QueueTicket,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    let place = app.0.auth.queue_tickets().of(ticket.as_deref(), show, session)?;
    let write = asking.write_by(asking.caller.actor_or_guest(session.0), &app, body.fingerprint(&app.0.keys));
    let answer = app.submit::<WaitingRoom>(show.0, Command::Leave { number: place.number }, &write).await?;
    Ok(app.receipt(&answer).no_content())
}

/// How much work was shown; nobody but who has a key can show any.
fn proof_bits(app: &App, show: ShowId, asking: &Asking, proof: &QueueProof) -> i32 {
    let auth = &app.0.auth;
    asking.key.as_ref().map_or(0, |key| auth.challenges().bits(proof, show, key, auth.now()))
}

/// The visitor's newest place. A repeat is answered with how it stands now, and a room that has closed knows nobody.
fn joined(app: &App, show: ShowId, answer: &Answer<WaitingRoom>, principal: &str) -> Result<QueuePlace, Problem> {
    let room = &answer.state;
    let known = room.known().zip(room.number_of(principal));
    let (opened, number) = known.ok_or_else(|| Refusal::Closed.into_problem())?;
    let place = Place { show, session: session(show, number), number, seen: app.0.auth.now() };
    let (order, standing) = (room.place(number), room.standing(number));
    Ok(QueuePlace::of(app.0.auth.queue_tickets(), &place, opened, order, standing))
}

/// The token is made of what was decided on entering, so it is the same again. A repeat may come after all is over.
fn entered(app: &App, answer: &Answer<WaitingRoom>, place: &Place) -> Result<QueueEntered, Problem> {
    let Standing::InCheckout { expires_at } = answer.state.standing(place.number) else {
        return Err(Refusal::PlaceLost.into_problem());
    };
    let admitted = Admitted { show: place.show, session: place.session, expires_at };
    Ok(QueueEntered {
        checkout_token: app.0.auth.checkout_tokens().mint(&admitted),
        checkout_expires_at: moment(expires_at),
        checkout_url: answer.state.known().and_then(|opened| opened.checkout_url.clone()),
    })
}

/// The room's refusal in the visitor's words: only the show itself knows whether it exists and is about to have a room.
async fn not_joined(app: &App, show: ShowId, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotFound => {}
        Refusal::ProofNeeded { bits } => {
            let challenge = app.0.auth.challenges().of(show, bits, app.0.auth.now());
            return refusal.into_problem().with("challenge", challenge);
        }
        other => return other.into_problem(),
    }
    let shown = match app.look::<Show>(show.0, show::Command::Look).await {
        Err(problem) => return problem,
        Ok(shown) => shown,
    };
    let has_room = shown.known().is_some_and(|known| known.waiting_room.is_some());
    match shown.known().map(|known| known.status) {
        Some(show::Status::Published) if has_room => {
            Problem::new(Kind::NotOnSale).detail("The waiting room is about to open.").retry_after_s(1)
        }
        Some(show::Status::Published) => Problem::new(Kind::NotFound).detail("This show has no waiting room."),
        Some(show::Status::Cancelled) => Problem::new(Kind::NotOnSale).detail("The show is cancelled."),
        Some(show::Status::Draft | show::Status::Configured | show::Status::Approved) | None => {
            Problem::new(Kind::ShowNotFound)
        }
    }
}
