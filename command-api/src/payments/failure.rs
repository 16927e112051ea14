//! What can be wrong with a call to a provider, and what that leaves known.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;

use super::gateway::{Cause, GatewayError};

/// No answer is longer than this; the longest real ones list a link's transfers, 500 bytes each.
pub(super) const LONGEST_ANSWER: usize = 1024 * 1024;

/// Why a call brought no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The provider says no.
    Refused { status: StatusCode, code: String },
    /// It did not reach the provider, or was not looked at.
    Unsent { retry_after: Option<Duration>, cause: Cause },
    /// It may have been done.
    Lost { retry_after: Option<Duration>, cause: Cause },
}

/// What was wrong with an answer, or in its place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the provider has not answered lately: calls to it pause")]
    Paused,
    #[error("the provider answers with HTTP status {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    #[error("the answer cannot be read")]
    Unreadable(#[source] Cause),
    #[error("the answer's signature does not verify")]
    Signature,
    #[error("the answer is about another payment")]
    AnotherPayment,
}

impl Failure {
    pub(super) fn lost(retry_after: Option<Duration>, trouble: Trouble) -> Self {
        Self::Lost { retry_after, cause: Box::new(trouble) }
    }

    pub(super) fn refused(status: StatusCode, code: &str) -> Self {
        let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let code = if plain && !code.is_empty() { short(code, 64) } else { status.as_str() };
        Self::Refused { status, code: code.to_owned() }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { .. } => None,
            Self::Unsent { retry_after, .. } | Self::Lost { retry_after, .. } => *retry_after,
        }
    }

    /// What a question that was not answered leaves known: asking does nothing, so that a lost answer leaves no doubt.
    pub(super) fn of_question(self) -> GatewayError {
        match self {
            Self::Refused { code, .. } => GatewayError::Refused { code },
            Self::Unsent { retry_after, cause } | Self::Lost { retry_after, cause } => {
                GatewayError::Unavailable { retry_after, cause }
            }
        }
    }

    /// What a request to do something leaves known: lost, it may have been done.
    pub(super) fn of_deed(self) -> GatewayError {
        match self {
            Self::Refused { code, .. } => GatewayError::Refused { code },
            Self::Unsent { retry_after, cause } => GatewayError::Unavailable { retry_after, cause },
            Self::Lost { cause, .. } => GatewayError::Ambiguous(cause),
        }
    }

    /// Whether it was our own breaker.
    pub(super) fn is_pause(&self) -> bool {
        matches!(self, Self::Unsent { cause, .. } if matches!(cause.downcast_ref(), Some(Trouble::Paused)))
    }

    /// Whether the provider gave no sign of life, or one of failing; asking us to slow down is a sign of life.
    pub(super) fn is_deaf(&self) -> bool {
        let slow_down =
            |cause: &Cause| matches!(cause.downcast_ref(), Some(Trouble::Status(StatusCode::TOO_MANY_REQUESTS)));
        match self {
            Self::Refused { .. } => false,
            Self::Unsent { cause, .. } => !slow_down(cause),
            Self::Lost { .. } => true,
        }
    }

    /// An earlier attempt that was lost may have done it, whatever became of the last one.
    pub(super) fn after(self, lost: bool) -> Self {
        match self {
            Self::Unsent { retry_after, cause } if lost => Self::Lost { retry_after, cause },
            other => other,
        }
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unsent { .. } => "unsent",
            Self::Lost { .. } => "lost",
        }
    }

    /// For the log, with all causes.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Refused { status, code } => format!("HTTP {status}, code {code}"),
            Self::Unsent { cause, .. } | Self::Lost { cause, .. } => {
                let first: &(dyn Error + 'static) = &**cause;
                let causes = std::iter::successors(Some(first), |it| (**it).source());
                causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
            }
        }
    }
}

/// A call that never had a connection was not sent; any other that brought no answer may have been.
pub(super) fn unanswered(error: reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        return Failure::Unsent { retry_after: None, cause: Box::new(error) };
    }
    Failure::Lost { retry_after: None, cause: Box::new(error) }
}

/// The first so many characters.
pub(super) fn short(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}
