//! The routes that every service has beside its own: health, metrics, documents, problems, keys.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use utoipa::PartialSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, PathItem, RefOr};
use utoipa_swagger_ui::SwaggerUi;

use crate::about;
use crate::auth::Auth;
use crate::health::Health;
use crate::problem::{self, Problem};
use crate::problems;
use crate::telemetry::Metrics;

/// What the routes show.
#[derive(Debug, Clone)]
pub struct Operations {
    /// The process's checks.
    pub health: Health,
    /// The process's metrics.
    pub metrics: Metrics,
    /// Whose keys `/.well-known/jwks.json` shows.
    pub auth: Option<Auth>,
}

pub(crate) fn router(operations: Operations, openapi: OpenApi) -> Router {
    let docs: Router = SwaggerUi::new("/docs").url("/openapi.json", describe(openapi)).into();
    Router::new()
        .route("/livez", get(|| async { axum::Json(about::answer()) }))
        .route("/readyz", get(|State(it): State<Operations>| async move { it.health.readiness() }))
        .route("/metrics", get(metrics))
        .route("/problems", get(problems::list))
        .route("/problems/{name}", get(problems::explain))
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(operations)
        .merge(docs)
}

async fn metrics(State(operations): State<Operations>) -> Response {
    metrics::gauge!("boxoffice_ready").set(u8::from(operations.health.is_ready()));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], operations.metrics.render()).into_response()
}

async fn jwks(State(operations): State<Operations>) -> Response {
    match operations.auth {
        Some(auth) => ([(CONTENT_TYPE, "application/jwk-set+json")], auth.jwks().to_string()).into_response(),
        None => Problem::new(problem::Kind::NotFound).into_response(),
    }
}

/// Completes a document: the bearer scheme, the shape of problems, and that any operation may answer one.
fn describe(mut openapi: OpenApi) -> OpenApi {
    let components = openapi.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    components.schemas.insert("FieldError".to_owned(), problem::FieldError::schema());
    for item in openapi.paths.paths.values_mut() {
        for operation in operations_of(item) {
            let answers = &mut operation.responses.responses;
            answers.entry("default".to_owned()).or_insert_with(|| RefOr::T(problem::openapi_response()));
        }
    }
    openapi
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}
