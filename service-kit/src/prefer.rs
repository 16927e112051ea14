//! `Prefer: wait=N` (RFC 7240): how long a reader is willing to wait.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

/// How long to wait when the client does not say.
pub const DEFAULT: Duration = Duration::from_secs(2);

/// The longest wait that is honoured; longer wishes are cut to it.
pub const MAX: Duration = Duration::from_secs(30);

/// How long the client is willing to wait, at most [`MAX`]; [`DEFAULT`] if it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Wait {
    /// The wish of these headers. What cannot be understood is ignored, as RFC 7240 wants; the first `wait` counts.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(asked(headers).map_or(DEFAULT, |wait| wait.min(MAX)))
    }
}

/// The `wait` that is asked for, if any.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(wait_of)
}

fn wait_of(preference: &str) -> Option<Duration> {
    let token = preference.split(';').next()?;
    let (name, value) = token.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    let digits = value.trim().trim_matches('"');
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

impl<S: Sync> FromRequestParts<S> for Wait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(lines: &[&str]) -> u64 {
        let headers = lines.iter().map(|line| (http::HeaderName::from_static("prefer"), line.parse().unwrap()));
        let mut map = HeaderMap::new();
        map.extend(Vec::from_iter(headers));
        Wait::of(&map).0.as_secs()
    }

    #[test]
    fn a_wish_is_read_cut_and_otherwise_ignored() {
        assert_eq!(wait(&[]), 2);
        assert_eq!(wait(&["wait=0"]), 0);
        assert_eq!(wait(&["respond-async, Wait = \"10\"; x=y"]), 10);
        assert_eq!(wait(&["return=minimal", "wait=7"]), 7);
        assert_eq!(wait(&["wait=99999999999999999999999"]), 30);
        for bad in ["wait", "wait=", "wait=-1", "wait=1.5", "wait=+3", "waits=5", "wait=ten"] {
            assert_eq!(wait(&[bad]), 2, "{bad}");
        }
    }
}
