//! How a show's tickets can be paid.

use axum::extract::State;
use domain::ids::ShowId;
use service_kit::caller::Caller;
use service_kit::extract::Path;
use service_kit::problem::Problem;
use service_kit::views::{Page, PaymentMethod};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::since::Since;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(methods))
}

#[utoipa::path(get, path = "/v1/shows/{show}/payment-methods", tag = "shows", params(("show" = Uuid, Path)), security((), ("bearer" = [])),
    responses((status = 200, body = Page<PaymentMethod>, description = "Those that are set up and can collect the show's currency.")))]
async fn methods(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    caller: Caller,
    since: Since,
) -> Result<axum::Json<Page<PaymentMethod>>, Problem> {
    since.seen(&app, &["shows", "ticket_classes", "availability"]).await?;
    let show = app.show(show, &caller).await?;
    let collects = |method: &&PaymentMethod| method.currencies.contains(&show.currency);
    let items = app.payment_methods.iter().filter(collects).cloned().collect();
    Ok(axum::Json(Page { items, next_cursor: None }))
}
