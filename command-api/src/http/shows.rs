//! Shows and their ticket classes: what organizers write until a show is published.

use axum::extract::State;
use axum::response::Response;
use domain::ids::{ShowId, TicketClassId};
use domain::show::{Command, Show};
use domain::value::{Actor, Fingerprint};
use service_kit::extract::Path;
use service_kit::json::{Empty, Json};
use service_kit::problem::{Kind, Problem};
use service_kit::views::{self, Money};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::submit::Asking;

mod bodies;
mod room;
mod view;

use bodies::{ClassPatch, Configuration, NewClass, NewShow, ShowPatch};
pub use bodies::{check_money, present};
use room::NewWaitingRoom;
pub use room::{CHALLENGE, INFLOW};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, edit))
        .routes(routes!(define_class, edit_class))
        .routes(routes!(configure))
        .routes(routes!(approve))
        .routes(routes!(publish))
        .routes(routes!(cancel))
}

#[utoipa::path(put, path = "/v1/shows/{show}", tag = "shows", params(("show" = uuid::Uuid, Path)), request_body = NewShow,
    responses((status = 201, body = views::Show), (status = 200, body = views::Show, description = "It was there already.")))]
async fn create(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<NewShow>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let details = body.value.into();
    let answer = app.submit::<Show>(show.0, Command::Create { show, details }, &write).await?;
    Ok(app.receipt(&answer).created(&view::seen(&app, &answer)?))
}

#[utoipa::path(patch, path = "/v1/shows/{show}", tag = "shows", params(("show" = uuid::Uuid, Path)), request_body = ShowPatch,
    responses((status = 200, body = views::Show)))]
async fn edit(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<ShowPatch>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let answer = app.submit::<Show>(show.0, Command::Edit { patch: body.value.into() }, &write).await?;
    Ok(app.receipt(&answer).ok(&view::seen(&app, &answer)?))
}

#[utoipa::path(put, path = "/v1/shows/{show}/ticket-classes/{class}", tag = "shows", request_body = NewClass,
    params(("show" = uuid::Uuid, Path), ("class" = uuid::Uuid, Path)),
    responses((status = 201, body = views::TicketClass), (status = 200, body = views::TicketClass, description = "It was there already.")))]
async fn define_class(
    State(app): State<App>,
    Path((show, class)): Path<(ShowId, TicketClassId)>,
    asking: Asking,
    body: Json<NewClass>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let new = body.value;
    priced_in_its_currency(&app, &write.by, show, &new.price).await?;
    let terms = new.terms(class);
    let answer = app.submit::<Show>(show.0, Command::DefineClass { terms }, &write).await?;
    Ok(app.receipt(&answer).created(&view::seen_class(&answer, class)?))
}

#[utoipa::path(patch, path = "/v1/shows/{show}/ticket-classes/{class}", tag = "shows", request_body = ClassPatch,
    params(("show" = uuid::Uuid, Path), ("class" = uuid::Uuid, Path)), responses((status = 200, body = views::TicketClass)))]
async fn edit_class(
    State(app): State<App>,
    Path((show, class)): Path<(ShowId, TicketClassId)>,
    asking: Asking,
    body: Json<ClassPatch>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let patch = body.value;
    if let Some(price) = &patch.price {
        priced_in_its_currency(&app, &write.by, show, price).await?;
    }
    let patch = patch.into();
    let answer = app.submit::<Show>(show.0, Command::EditClass { ticket_class: class, patch }, &write).await?;
    Ok(app.receipt(&answer).ok(&view::seen_class(&answer, class)?))
}

#[utoipa::path(post, path = "/v1/shows/{show}/configure", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Configuration, responses((status = 200, body = views::Show)))]
async fn configure(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Configuration>,
) -> Result<Response, Problem> {
    let hash = body.fingerprint(&app.0.keys);
    let Configuration { pay_within_s, checkout_url, waiting_room } = body.value;
    let waiting_room = waiting_room.and_then(NewWaitingRoom::terms);
    step(&app, show, asking, hash, Command::Configure { pay_within_s, checkout_url, waiting_room }).await
}

#[utoipa::path(post, path = "/v1/shows/{show}/approve", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Empty, responses((status = 200, body = views::Show)))]
async fn approve(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    step(&app, show, asking, body.fingerprint(&app.0.keys), Command::Approve).await
}

#[utoipa::path(post, path = "/v1/shows/{show}/publish", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Empty, responses((status = 200, body = views::Show)))]
async fn publish(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    let draw_hash = Some(app.0.keys.draw_seed(show).hash());
    step(&app, show, asking, body.fingerprint(&app.0.keys), Command::Publish { draw_hash }).await
}

#[utoipa::path(post, path = "/v1/shows/{show}/cancel", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Empty, responses((status = 200, body = views::Show)))]
async fn cancel(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    step(&app, show, asking, body.fingerprint(&app.0.keys), Command::Cancel).await
}

async fn step(
    app: &App,
    show: ShowId,
    asking: Asking,
    hash: Fingerprint,
    command: Command,
) -> Result<Response, Problem> {
    let write = asking.write(app, hash)?;
    let answer = app.submit::<Show>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&view::seen(app, &answer)?))
}

/// A price is in the show's currency. Strangers learn neither that nor whether there is such a show.
pub(super) async fn priced_in_its_currency(app: &App, by: &Actor, show: ShowId, price: &Money) -> Result<(), Problem> {
    let known = app.look_for::<Show>(by, show.0, Command::Look).await?;
    let Some(known) = known.known() else { return Err(Problem::new(Kind::ShowNotFound)) };
    if known.details.currency.as_str() == price.currency {
        return Ok(());
    }
    let detail = format!("this show is priced in {}", known.details.currency);
    Err(Problem::new(Kind::Validation).error("/price/currency", detail))
}
