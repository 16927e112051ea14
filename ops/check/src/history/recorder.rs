//! Writes a history down while it happens.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::ids::SessionId;
use ring::hmac;
use serde_json::Value;
use service_kit::{canonical, clock, random};

use super::{Asked, Call, Op, Said};

/// Writes every call of any number of clients as it ends; cheap to clone, and may be called from any thread.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Mutex<File>,
    began: Instant,
    /// So that nobody guesses a mail address by its body's digest.
    salt: hmac::Key,
}

impl Recorder {
    /// Begins a history; whatever the file held is gone, since times and digests of two recorders do not go together.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let salt = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>());
        Ok(Self(Arc::new(Shared { file: Mutex::new(file), began: clock::monotonic(), salt })))
    }

    /// Begins a call: to be told before the request leaves. Operation, ids and lines are read off method, path and body.
    pub fn begin(&self, client: &str, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Begun {
        let digest = |text: &str| {
            let tag = hmac::sign(&self.0.salt, text.as_bytes());
            tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let call = Call {
            client: client.to_owned(),
            op: Op::of(method, path),
            path: path.to_owned(),
            key: key.map(digest),
            body_hash: body.map(|body| digest(&canonical::to_string(&body.into()))).unwrap_or_default(),
            called_us: self.now_us(),
            called_at: clock::now(),
            asked: Asked::of(path, body.unwrap_or(&Value::Null)),
            ..Call::default()
        };
        Begun { recorder: self.clone(), call: Some(call) }
    }

    fn now_us(&self) -> i64 {
        i64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// A line is written whole and at once: a recorder that is killed leaves at most one half.
    fn write(&self, call: &Call) {
        let mut line = serde_json::to_vec(call).expect("a call is made of texts and numbers");
        line.push(b'\n');
        let mut file = self.0.file.lock().expect("nobody panics while writing a line");
        file.write_all(&line).expect("the history can be written: without it the run proves nothing");
    }
}

/// A call that is under way. Dropped without an answer, it is written down as one that was never answered.
#[derive(Debug)]
#[must_use = "a call that is dropped counts as never answered"]
pub struct Begun {
    recorder: Recorder,
    call: Option<Call>,
}

impl Begun {
    /// Notes whose checkout token goes with an order: it is not in the body.
    pub fn with_session(mut self, session: SessionId) -> Self {
        if let Some(call) = &mut self.call {
            call.asked.session = Some(session);
        }
        self
    }

    /// The same, read off the checkout token itself; one that cannot be read is nobody's.
    pub fn with_checkout_token(self, token: Option<&str>) -> Self {
        match token.and_then(session_of) {
            Some(session) => self.with_session(session),
            None => self,
        }
    }

    /// Ends it with an answer; `replayed` is whether it had the header `Idempotency-Replayed`.
    pub fn answered(mut self, status: u16, token: Option<&str>, replayed: bool, body: &Value) {
        let Some(mut call) = self.call.take() else { return };
        call.said = Said { replayed, ..Said::of(call.op, body) };
        call.status = Some(status);
        call.token = token.map(str::to_owned);
        call.answered_us = Some(self.recorder.now_us());
        call.answered_at = Some(clock::now());
        self.recorder.write(&call);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.recorder.write(&call);
        }
    }
}

/// The session in a JWT's claims; nothing is verified, the history only tells what was sent.
fn session_of(token: &str) -> Option<SessionId> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["session"].as_str()?.parse().ok()
}
