//! `Consistency-Token`: which offsets a reader must have passed to see a write.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use uuid::Uuid;

use domain::root::Context;

use crate::problem::{Kind, Problem};

/// The header's name, in requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("consistency-token");

/// The layout of the bytes inside.
const VERSION: u8 = 1;

/// context, partition, offset, log identity.
const ENTRY: usize = 1 + 4 + 8 + 16;

/// Few enough for a header: one of so many takes 5 KB.
const MAX_ENTRIES: usize = 128;

/// No deployment has more.
const MAX_PARTITION: u32 = 65_535;

/// Where in one partition the write lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The offset of the write's last record: a reader sees the write once its next offset is above this.
    pub offset: i64,
    /// The log's identity, the claim at offset 0: in another log the offset means nothing.
    pub log: Uuid,
}

/// One position for each (context, partition), opaque to clients: base64url of a version byte and the entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token(BTreeMap<(Context, u32), Position>);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token")]
pub struct NotAToken;

impl Token {
    /// The token of one write.
    pub fn at(context: Context, partition: u32, offset: i64, log: Uuid) -> Self {
        Self(BTreeMap::from([((context, partition), Position { offset, log })]))
    }

    /// Every position.
    pub fn positions(&self) -> impl Iterator<Item = (Context, u32, Position)> + '_ {
        self.0.iter().map(|(&(context, partition), &position)| (context, partition, position))
    }

    /// The position in one partition.
    pub fn get(&self, context: Context, partition: u32) -> Option<Position> {
        self.0.get(&(context, partition)).copied()
    }

    /// Covers what `other` covers, too; of two logs in one partition the later told wins.
    pub fn merge(&mut self, other: &Self) {
        for (&place, &theirs) in &other.0 {
            let ours = self.0.entry(place).or_insert(theirs);
            if ours.log != theirs.log || ours.offset < theirs.offset {
                *ours = theirs;
            }
        }
    }

    /// Covers what `other` covers, too, if both fit into one token; else it stays as it is.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let mut both = other.clone();
        both.merge(&self);
        if both.0.len() <= MAX_ENTRIES { both } else { self }
    }

    /// The answer to a write of a client that had seen this covers it, too, if the answer has a token.
    pub(crate) fn is_covered_by(&self, answer: &mut HeaderMap) {
        let known = answer.get(HEADER).and_then(|value| value.to_str().ok()?.parse::<Self>().ok());
        if let Some(known) = known {
            answer.insert(HEADER, known.and(self).to_header());
        }
    }

    /// The token as a header's value.
    pub fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).expect("base64url is visible ASCII")
    }

    /// All tokens of a request together: several headers, or several with commas between, as proxies join them.
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut all: Option<Self> = None;
        for value in headers.get_all(HEADER) {
            for text in value.to_str().unwrap_or_default().split(',') {
                let token: Self = text.trim().parse().map_err(|_| Problem::new(Kind::ConsistencyTokenInvalid))?;
                all.get_or_insert_default().merge(&token);
            }
        }
        Ok(all)
    }
}

/// What the client of a write had seen or written before, so that one token tells all of it afterwards.
///
/// # Errors
/// 400 `consistency-token-invalid`.
pub(crate) fn written_after(method: &Method, headers: &HeaderMap) -> Result<Option<Token>, Problem> {
    if method.is_safe() { Ok(None) } else { Token::of(headers) }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(1 + self.0.len() * ENTRY);
        bytes.push(VERSION);
        for (context, partition, position) in self.positions() {
            bytes.push(number(context));
            bytes.extend(partition.to_be_bytes());
            bytes.extend(position.offset.to_be_bytes());
            bytes.extend(position.log.as_bytes());
        }
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        if text.len() > (1 + MAX_ENTRIES * ENTRY).div_ceil(3) * 4 {
            return Err(NotAToken);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAToken)?;
        let (&VERSION, entries) = bytes.split_first().ok_or(NotAToken)? else {
            return Err(NotAToken);
        };
        let (entries, []) = entries.as_chunks::<ENTRY>() else {
            return Err(NotAToken);
        };
        let mut token = Self::default();
        for entry in entries {
            let (place, position) = read(entry).ok_or(NotAToken)?;
            // Strictly ascending, so that one token has one text.
            if token.0.last_key_value().is_some_and(|(&last, _)| last >= place) {
                return Err(NotAToken);
            }
            token.0.insert(place, position);
        }
        if (1..=MAX_ENTRIES).contains(&token.0.len()) { Ok(token) } else { Err(NotAToken) }
    }
}

fn read(entry: &[u8; ENTRY]) -> Option<((Context, u32), Position)> {
    let (&context, rest) = entry.split_first()?;
    let (partition, rest) = rest.split_first_chunk()?;
    let (offset, log) = rest.split_first_chunk()?;
    let partition = Some(u32::from_be_bytes(*partition)).filter(|&it| it <= MAX_PARTITION)?;
    let offset = Some(i64::from_be_bytes(*offset)).filter(|&it| it >= 0)?;
    let context = Context::ALL.into_iter().find(|&it| number(it) == context)?;
    Some(((context, partition), Position { offset, log: Uuid::from_slice(log).ok()? }))
}

/// The number of a context inside a token; never given to another one.
fn number(context: Context) -> u8 {
    match context {
        Context::Catalog => 1,
        Context::Inventory => 2,
        Context::Order => 3,
        Context::Payment => 4,
        Context::Ticket => 5,
        Context::Queue => 6,
        Context::Account => 7,
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of(&parts.headers)
    }
}

impl<S: Sync> FromRequestParts<S> for Token {
    type Rejection = Problem;

    /// A request without a token asks for nothing: the empty one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Uuid = Uuid::from_u128(0x1234);

    #[test]
    fn a_token_comes_back_as_it_was() {
        let mut token = Token::at(Context::Order, 3, 41, LOG);
        token.merge(&Token::at(Context::Catalog, 0, i64::MAX, LOG));
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(token.get(Context::Order, 3), Some(Position { offset: 41, log: LOG }));
        insta::assert_snapshot!(Token::at(Context::Order, 3, 41, LOG), @"AQMAAAADAAAAAAAAACkAAAAAAAAAAAAAAAAAABI0");
    }

    #[test]
    fn merging_keeps_the_later_offset_and_the_newer_log() {
        let mut token = Token::at(Context::Order, 3, 41, LOG);
        token.merge(&Token::at(Context::Order, 3, 40, LOG));
        assert_eq!(token, Token::at(Context::Order, 3, 41, LOG));
        let other = Token::at(Context::Order, 3, 1, Uuid::from_u128(9));
        token.merge(&other);
        assert_eq!(token, other);
    }

    #[test]
    fn a_request_may_carry_several_tokens() {
        let (one, two) = (Token::at(Context::Order, 3, 41, LOG), Token::at(Context::Catalog, 0, 7, LOG));
        let both = one.clone().and(&two);
        let told = |values: &[String]| {
            let values = values.iter().map(|value| (HEADER, value.parse().unwrap()));
            Token::of(&values.collect()).map_err(|problem| problem.kind())
        };
        assert_eq!(told(&[]), Ok(None));
        assert_eq!(told(&[one.to_string(), two.to_string()]), Ok(Some(both.clone())));
        assert_eq!(told(&[format!("{one}, {two}")]), Ok(Some(both)));
        assert_eq!(told(&[one.to_string(), "nonsense".to_owned()]), Err(Kind::ConsistencyTokenInvalid));
        assert_eq!(told(&[format!("{one},")]), Err(Kind::ConsistencyTokenInvalid));
    }

    #[test]
    fn an_answers_token_covers_the_requests_as_long_as_both_fit() {
        let mut full = Token::at(Context::Order, 0, 1, LOG);
        (0..127).for_each(|partition| full.merge(&Token::at(Context::Catalog, partition, 1, LOG)));
        assert_eq!(full.to_string().parse(), Ok(full.clone()));
        let known = Token::at(Context::Order, 0, 9, LOG);
        assert_eq!(known.clone().and(&full).get(Context::Order, 0).map(|it| it.offset), Some(9));
        assert_eq!(known.and(&full).0.len(), 128);
        let new = Token::at(Context::Ticket, 0, 9, LOG);
        assert_eq!(new.clone().and(&full), new);
    }

    #[test]
    fn anything_else_is_refused() {
        let good = Token::at(Context::Order, 3, 41, LOG).to_string();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&good).unwrap();
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        let twice = BASE64_URL_SAFE_NO_PAD.encode([&bytes[..], &bytes[1..]].concat());
        let version = changed(0, 2);
        let context = changed(1, 99);
        let partition = changed(2, 1);
        let offset = changed(6, 0x80);
        let bad = ["", "AQ", "!", &good[1..], &good[..good.len() - 1], &twice, &version, &context, &partition, &offset];
        for text in bad {
            assert_eq!(text.parse::<Token>(), Err(NotAToken), "{text}");
        }
        assert_eq!("A".repeat(100_000).parse::<Token>(), Err(NotAToken));
    }
}
