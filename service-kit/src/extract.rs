//! Path and query parameters that answer problems; page limits.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use domain::ids::CommandId;

use crate::idempotency::{IdempotencyKey, command_id};
use crate::json::lower_case_uuid;
use crate::keys::Keys;
use crate::problem::{Kind, Problem};

/// Items of a page when the client does not say.
pub const DEFAULT_LIMIT: u32 = 50;

/// The most items of a page.
pub const MAX_LIMIT: u32 = 200;

/// The parameters of the path; ids among them must be UUIDs in lower case.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if let Ok(params) = RawPathParams::from_request_parts(parts, state).await {
            for (name, value) in &params {
                only_lower_case(name, value)?;
            }
        }
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection| bad_path(&rejection))
    }
}

/// One thing has one path: what is a UUID in any spelling must be in the one spelling.
fn only_lower_case(name: &str, value: &str) -> Result<(), Problem> {
    if Uuid::try_parse(value).is_ok() && lower_case_uuid(value).is_none() {
        return Err(Problem::new(Kind::BadParameter).error(format!("/{name}"), "must be a UUID in lower case"));
    }
    Ok(())
}

fn bad_path(rejection: &PathRejection) -> Problem {
    match rejection {
        PathRejection::FailedToDeserializePathParams(inner) if inner.status() == StatusCode::BAD_REQUEST => {
            Problem::new(Kind::BadParameter).detail(inner.body_text())
        }
        // The route and the handler disagree about the parameters: a bug.
        _ => Problem::new(Kind::Internal),
    }
}

/// The parameters of the query; unknown ones are refused if the type has `deny_unknown_fields`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        let refused = |rejection: axum::extract::rejection::QueryRejection| {
            Problem::new(Kind::BadParameter).detail(rejection.body_text())
        };
        query.map(|axum::extract::Query(value)| Self(value)).map_err(refused)
    }
}

/// How many items of a list to answer: 50 if not said, 1 to 200.
///
/// # Errors
/// 400 `bad-parameter`.
pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Problem::new(Kind::BadParameter).error("/limit", format!("must be from 1 to {MAX_LIMIT}"))),
    }
}

/// What a request asks to be done where: its method and concrete path, without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The method.
    pub method: Method,
    /// The concrete path.
    pub path: String,
}

impl Target {
    /// The id of the command that `principal` names by `key` here.
    pub fn command_id(&self, keys: &Keys, principal: &str, key: &IdempotencyKey) -> CommandId {
        command_id(keys, principal, &self.method, &self.path, key)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        Ok(Self { method: parts.method.clone(), path: uri.path().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_200_items() {
        assert_eq!(limit(None), Ok(50));
        assert_eq!(limit(Some(200)), Ok(200));
        for bad in [0, 201, u32::MAX] {
            assert_eq!(limit(Some(bad)).unwrap_err().kind(), Kind::BadParameter);
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = "3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e";
        assert!(only_lower_case("show", id).is_ok());
        assert!(only_lower_case("name", "payos").is_ok());
        for bad in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}")] {
            assert!(only_lower_case("show", &bad).is_err(), "{bad}");
        }
    }
}
