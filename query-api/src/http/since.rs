//! What a client has written and wants to see, and how long it waits for that.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use service_kit::consistency::Token;
use service_kit::prefer::Wait;
use service_kit::problem::Problem;
use tokio::time::Instant;

use super::App;

/// `Consistency-Token` and `Prefer: wait=N` of a request, from when it came.
pub struct Since {
    /// What it has written.
    pub token: Token,
    /// Until when the client waits.
    pub deadline: Instant,
}

impl Since {
    /// Waits until these views show what the client has written.
    ///
    /// # Errors
    /// 504 `not-caught-up`, 503 `not-ready`.
    pub async fn seen(&self, app: &App, views: &[&str]) -> Result<(), Problem> {
        app.progress.reached(&self.token, views, self.deadline).await
    }
}

impl FromRequestParts<App> for Since {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = <Token as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let wait: Result<Wait, Infallible> = Wait::from_request_parts(parts, app).await;
        let Ok(Wait(wait)) = wait;
        Ok(Self { token, deadline: Instant::now() + wait })
    }
}
