//! Request bodies: JSON, strict, bounded, with every fault named by its place.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use futures::StreamExt as _;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use uuid::Uuid;

use domain::value::Fingerprint;

use crate::canonical::{self, Strict};
use crate::keys::Keys;
use crate::problem::{Kind, Problem};
use crate::validate::{Errors, Validate, escape};

/// The most bytes that a body may have.
pub const MAX_BODY: usize = 64 * 1024;

/// A body that was parsed and found valid. An empty body counts as `{}`, and then needs no `Content-Type`.
///
/// Refused are: more than 64 KiB (413), another content type (415), malformed JSON or a member named twice
/// (400 `bad-json`), an unknown field (400 `unknown-field`; the type needs `deny_unknown_fields`), a missing field,
/// a wrong type or a broken rule (422 `validation`).
#[derive(Debug, Clone)]
pub struct Json<T> {
    /// The body.
    pub value: T,
    canonical: String,
}

impl<T> Json<T> {
    /// What tells this body from another one: HMAC of its canonical form (RFC 8785).
    pub fn fingerprint(&self, keys: &Keys) -> Fingerprint {
        keys.fingerprint(&self.canonical)
    }
}

impl<T: DeserializeOwned + Validate> Json<T> {
    /// Parses and checks a body.
    ///
    /// # Errors
    /// The problems named at [`Json`], but for the content type.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let body = if body.is_empty() { b"{}" } else { body };
        let strict: Strict<'_> = text(body)?;
        let canonical = canonical::to_string(&strict);
        // Straight from the text, which is quicker; only to say what is wrong, and where, it is looked at again.
        let value: T = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(_) => serde_path_to_error::deserialize(text::<Value>(body)?).map_err(|error| misshapen(&error))?,
        };
        let mut errors = Errors::default();
        value.validate(&mut errors);
        errors.into_result()?;
        Ok(Self { value, canonical })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        if !body.is_empty() && !is_json(&parts.headers) {
            return Err(Problem::new(Kind::UnsupportedMediaType));
        }
        Self::parse(&body)
    }
}

/// The whole body, if it is not too large.
///
/// # Errors
/// 413 `too-large`; 400 `bad-json` if the client breaks off.
pub async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let mut whole = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::new(Kind::BadJson).detail("The body broke off."))?;
        if whole.len() + chunk.len() > MAX_BODY {
            return Err(Problem::new(Kind::TooLarge));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

fn text<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(Kind::BadJson).detail(short(&error.to_string())))
}

/// `application/json`, and no other character set than UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = text.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    json && parts.all(utf8)
}

/// What serde found wrong, with its place as a pointer.
fn misshapen(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let detail = error.inner().to_string();
    let pointer = pointer(error.path());
    if let Some(field) = named_after(&detail, "unknown field `") {
        let detail = "this field is not known";
        return Problem::new(Kind::UnknownField).error(child(&pointer, field), detail);
    }
    if let Some(field) = named_after(&detail, "missing field `") {
        return Problem::new(Kind::Validation).error(format!("{pointer}/{}", escape(field)), "is missing");
    }
    Problem::new(Kind::Validation).error(pointer, short(&detail))
}

/// The name in back quotes after `prefix`.
fn named_after<'a>(detail: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = detail.strip_prefix(prefix)?;
    rest.rfind('`').map(|_| rest.split('`').next().unwrap_or(rest))
}

/// The pointer of a member, whether or not the path ends with it already.
fn child(pointer: &str, name: &str) -> String {
    let step = format!("/{}", escape(name));
    if pointer.ends_with(&step) { pointer.to_owned() } else { format!("{pointer}{step}") }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Enough of a message to understand it: serde repeats what the client sent, which may be long.
fn short(message: &str) -> String {
    const LENGTH: usize = 300;
    match message.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

/// A body that must be empty, or `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

impl Validate for Empty {
    fn validate(&self, _: &mut Errors) {}
}

/// For `#[serde(deserialize_with = "service_kit::json::id")]`: an id as a UUID in lower case, 36 characters.
///
/// # Errors
/// If it is written in another way.
pub fn id<'de, D: Deserializer<'de>, T: From<Uuid>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(IdVisitor(PhantomData))
}

struct IdVisitor<T>(PhantomData<T>);

impl<T: From<Uuid>> Visitor<'_> for IdVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID in lower case")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        lower_case_uuid(text).map(T::from).ok_or_else(|| E::custom("must be a UUID in lower case"))
    }
}

/// The id that is written as 36 lower-case characters.
pub fn lower_case_uuid(text: &str) -> Option<Uuid> {
    let lower = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if lower { Uuid::try_parse(text).ok() } else { None }
}

/// Lets `Option<Id>` fields use the same rule: `#[serde(default, deserialize_with = "service_kit::json::optional_id")]`.
///
/// # Errors
/// If it is neither null nor an id.
pub fn optional_id<'de, D: Deserializer<'de>, T: From<Uuid>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    let parse = |text: String| {
        lower_case_uuid(&text).map(T::from).ok_or_else(|| D::Error::custom("must be a UUID in lower case"))
    };
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use domain::ids::ShowId;

    use super::*;
    use crate::keys::Secret32;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[serde(deserialize_with = "id")]
        show: ShowId,
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        quantity: i32,
    }

    impl Validate for Order {
        fn validate(&self, errors: &mut Errors) {
            errors.each("lines", &self.lines);
        }
    }

    impl Validate for Line {
        fn validate(&self, errors: &mut Errors) {
            errors.range("quantity", self.quantity, 1..=100);
        }
    }

    const SHOW: &str = "3f6b1f5e-5d0e-4b6c-9d3c-2f1a0b9c8d7e";

    fn refused(body: &str) -> String {
        let problem = Json::<Order>::parse(body.as_bytes()).unwrap_err();
        let errors: Vec<_> = problem.errors().iter().map(|it| format!(" [{}] {}", it.pointer, it.detail)).collect();
        format!("{problem}{}", errors.concat())
    }

    #[test]
    fn a_good_body_is_read() {
        let body = format!(r#"{{"show":"{SHOW}","lines":[{{"quantity":2}}]}}"#);
        let order = Json::<Order>::parse(body.as_bytes()).unwrap().value;
        assert_eq!((order.show.to_string().as_str(), order.lines[0].quantity), (SHOW, 2));
    }

    #[test]
    fn malformed_json_is_refused_with_its_position() {
        insta::assert_snapshot!(refused("{\"show\": }"), @"bad-json: expected value at line 1 column 10");
        insta::assert_snapshot!(refused(r#"{"lines":[],"lines":[]}"#), @r#"bad-json: the member "lines" is there twice at line 1 column 23"#);
        insta::assert_snapshot!(refused("{} {}"), @"bad-json: trailing characters at line 1 column 4");
        assert!(refused(&"[".repeat(1000)).starts_with("bad-json"));
        assert!(refused("\"\\ud800\"").starts_with("bad-json"));
    }

    #[test]
    fn a_misshapen_body_is_refused_with_the_place() {
        insta::assert_snapshot!(refused(&format!(r#"{{"show":"{SHOW}","lines":[{{"quantity":1,"x/y":1}}]}}"#)), @"unknown-field: The body has a field that this route does not know. [/lines/0/x~1y] this field is not known");
        insta::assert_snapshot!(refused(&format!(r#"{{"show":"{SHOW}","lines":[],"colour":1}}"#)), @"unknown-field: The body has a field that this route does not know. [/colour] this field is not known");
        insta::assert_snapshot!(refused(&format!(r#"{{"show":"{SHOW}","lines":[{{"quantity":"2"}}]}}"#)), @r#"validation: The body breaks rules; errors names each place. [/lines/0/quantity] invalid type: string "2", expected i32"#);
        insta::assert_snapshot!(refused(&format!(r#"{{"show":"{SHOW}","lines":[{{}}]}}"#)), @"validation: The body breaks rules; errors names each place. [/lines/0/quantity] is missing");
        insta::assert_snapshot!(refused(&format!(r#"{{"show":"{}","lines":[]}}"#, SHOW.to_uppercase())), @"validation: The body breaks rules; errors names each place. [/show] must be a UUID in lower case");
        insta::assert_snapshot!(refused(&format!(r#"{{"show":"{SHOW}","lines":[{{"quantity":1}},{{"quantity":0}}]}}"#)), @"validation: The body breaks rules; errors names each place. [/lines/1/quantity] must be from 1 to 100");
        insta::assert_snapshot!(refused(""), @"validation: The body breaks rules; errors names each place. [/show] is missing");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Nested {
        inner: Option<Box<Nested>>,
        needed: i32,
    }

    impl Validate for Nested {
        fn validate(&self, _: &mut Errors) {}
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Around {
        quantity: Line,
    }

    impl Validate for Around {
        fn validate(&self, _: &mut Errors) {}
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Colour {
        colour: Line,
    }

    impl Validate for Colour {
        fn validate(&self, _: &mut Errors) {}
    }

    #[test]
    fn a_place_with_the_name_of_the_field_around_it_is_named_whole() {
        let place = |body: &str| Json::<Nested>::parse(body.as_bytes()).unwrap_err().errors()[0].pointer.clone();
        assert_eq!(place(r#"{"needed":1,"inner":{"inner":{}}}"#), "/inner/inner/needed");
        assert_eq!(place(r#"{"needed":1,"inner":{"needed":1,"x":{"x":1}}}"#), "/inner/x");
        assert_eq!(place(r#"{"needed":1,"inner":{"needed":1,"inner":{"needed":"1"}}}"#), "/inner/inner/needed");
        let colour = Json::<Colour>::parse(br#"{"colour":{"quantity":1,"colour":1}}"#).unwrap_err();
        assert_eq!(colour.errors()[0].pointer, "/colour/colour");
        let missing = Json::<Around>::parse(br#"{"quantity":{}}"#).unwrap_err();
        assert_eq!(missing.errors()[0].pointer, "/quantity/quantity");
    }

    #[test]
    fn long_values_are_not_repeated_whole() {
        let body = format!(r#"{{"show":"{SHOW}","lines":"{}"}}"#, "x".repeat(5000));
        assert!(refused(&body).len() < 500);
    }

    #[test]
    fn a_fingerprint_sees_content_not_spelling() {
        let keys = Keys::new(&Secret32::new([1; 32]));
        let of = |body: &str| Json::<Order>::parse(body.as_bytes()).unwrap().fingerprint(&keys);
        let one = of(&format!(r#"{{"show":"{SHOW}","lines":[{{"quantity":2}}]}}"#));
        assert_eq!(one, of(&format!(r#"{{ "lines": [ {{ "quantity": 2 }} ], "show": "{SHOW}" }}"#)));
        assert_ne!(one, of(&format!(r#"{{"show":"{SHOW}","lines":[{{"quantity":3}}]}}"#)));
        let empty = |body: &[u8]| Json::<Empty>::parse(body).unwrap().fingerprint(&keys);
        assert_eq!(empty(b""), empty(b"{ }"));
    }

    #[test]
    fn only_utf_8_json_counts() {
        let json = |text: &str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]));
        assert!(json("application/json") && json("Application/JSON; charset=\"UTF-8\""));
        assert!(!json("text/json") && !json("application/json; charset=latin1") && !json("application/jsonp"));
    }
}
