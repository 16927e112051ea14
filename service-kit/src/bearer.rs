//! Bearer tokens of accounts: EdDSA JWTs with `kid`, `sub`, `roles` and `exp`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use domain::value::{Role, Timestamp};

use crate::keys::Secret32;

/// A verified token is believed so long without looking again.
const CACHE_S: i64 = 60;

/// Verified tokens remembered, in two halves.
const CACHE_HALF: usize = 5_000;

/// A token of another clock may be so much ahead of ours.
const CLOCK_SKEW_S: i64 = 60;

/// The DER of a PKCS#8 Ed25519 private key, before the seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A key that verifies tokens, and the `kid` that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What tokens name it by.
    pub kid: String,
    /// The Ed25519 public key.
    pub bytes: [u8; 32],
}

impl PublicKey {
    /// A key named by its RFC 7638 thumbprint.
    pub fn new(bytes: [u8; 32]) -> Self {
        let x = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let thumbprint = digest::digest(&digest::SHA256, jwk.as_bytes());
        Self { kid: BASE64_URL_SAFE_NO_PAD.encode(thumbprint), bytes }
    }

    fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.bytes);
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x})
    }
}

impl FromStr for PublicKey {
    type Err = ();

    /// `<64 hex digits>` or `<kid>:<64 hex digits>`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (kid, hex) = text.rsplit_once(':').map_or((None, text), |(kid, hex)| (Some(kid), hex));
        let key = Self::new(crate::env::hex32(hex).ok_or(())?);
        match kid {
            None => Ok(key),
            Some(kid) if !kid.is_empty() && kid.len() <= 100 && kid.bytes().all(|it| it.is_ascii_graphic()) => {
                Ok(Self { kid: kid.to_owned(), ..key })
            }
            Some(_) => Err(()),
        }
    }
}

/// A key that makes tokens: for the local stack, and wherever no identity provider stands before us.
pub struct SigningKey {
    public: PublicKey,
    encoding: EncodingKey,
}

impl SigningKey {
    /// The key of a seed.
    pub fn new(seed: &Secret32) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("every 32 bytes are an Ed25519 seed");
        let public: [u8; 32] = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        let der = [&PKCS8_PREFIX[..], seed.expose()].concat();
        Self { public: PublicKey::new(public), encoding: EncodingKey::from_ed_der(&der) }
    }

    /// What verifies its tokens.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.kid)
    }
}

/// Who a new token is for.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// The account.
    pub subject: &'a str,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Until when it is good.
    pub expires: Timestamp,
    /// `iss` and `aud`, if the services ask for them.
    pub rules: &'a Rules,
}

/// What a token must say beside a good signature; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Its `iss`.
    pub issuer: Option<String>,
    /// One of its `aud`.
    pub audience: Option<String>,
}

/// Makes a bearer token.
pub fn mint_bearer(key: &SigningKey, token: &NewToken<'_>) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(key.public.kid.clone());
    let mut claims = json!({"sub": token.subject, "roles": token.roles, "exp": token.expires.0 / 1_000_000});
    for (name, value) in [("iss", &token.rules.issuer), ("aud", &token.rules.audience)] {
        if let Some(value) = value {
            claims[name] = json!(value);
        }
    }
    jsonwebtoken::encode(&header, &claims, &key.encoding).expect("an Ed25519 key signs any claims")
}

/// A verified account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `account:<sub>`.
    pub principal: String,
    /// What it may do; roles that we do not know are left out.
    pub roles: BTreeSet<Role>,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a token of ours, altered, or of an unknown key.
    #[error("The token is not valid.")]
    Invalid,
    /// It was good once.
    #[error("The token has expired.")]
    Expired,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
    exp: f64,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Verifies bearer tokens; several keys may be good at once.
pub(crate) struct Verifier {
    keys: HashMap<String, DecodingKey>,
    jwks: Value,
    rules: Rules,
    validation: Validation,
    cache: Mutex<Cache>,
}

impl Verifier {
    pub(crate) fn new(keys: &[PublicKey], rules: Rules) -> Self {
        let decoding = |key: &PublicKey| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(key.bytes);
            DecodingKey::from_ed_components(&x).expect("32 bytes in base64url are a key's form")
        };
        Self {
            keys: keys.iter().map(|key| (key.kid.clone(), decoding(key))).collect(),
            jwks: json!({"keys": keys.iter().map(PublicKey::jwk).collect::<Vec<_>>()}),
            rules,
            validation: signature_only(Algorithm::EdDSA),
            cache: Mutex::default(),
        }
    }

    /// RFC 7517.
    pub(crate) fn jwks(&self) -> &Value {
        &self.jwks
    }

    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Whose token this is, if exactly this one was verified a short while ago.
    pub(crate) fn verified_lately(&self, token: &str, now: Timestamp) -> Option<Account> {
        self.cache.lock().unwrap_or_else(|it| it.into_inner()).get(&digest_of(token), now)
    }

    pub(crate) fn verify(&self, kid: &str, token: &str, now: Timestamp) -> Result<Account, Refused> {
        let key = self.keys.get(kid).ok_or(Refused::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| Refused::Invalid)?.claims;
        let expires = micros(claims.exp);
        self.check(&claims, expires, now)?;
        let account = account(&claims);
        let entry = Entry { account: account.clone(), until: expires.min(now.plus_s(CACHE_S)) };
        self.cache.lock().unwrap_or_else(|it| it.into_inner()).put(digest_of(token), entry);
        Ok(account)
    }

    fn check(&self, claims: &Claims, expires: Timestamp, now: Timestamp) -> Result<(), Refused> {
        let subject = (1..=200).contains(&claims.sub.len()) && !claims.sub.contains(|c: char| c.is_control());
        let started = claims.nbf.is_none_or(|nbf| micros(nbf) <= now.plus_s(CLOCK_SKEW_S));
        let issuer = self.rules.issuer.as_ref().is_none_or(|iss| claims.iss.as_ref() == Some(iss));
        let audience = self.rules.audience.as_ref().is_none_or(|aud| match &claims.aud {
            None => false,
            Some(Audience::One(one)) => one == aud,
            Some(Audience::Many(many)) => many.contains(aud),
        });
        match subject && started && issuer && audience {
            false => Err(Refused::Invalid),
            true if expires <= now => Err(Refused::Expired),
            true => Ok(()),
        }
    }
}

fn digest_of(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

/// A signature by exactly this algorithm; the claims are checked by us, on our clock.
pub(crate) fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

/// Seconds since 1970 as JWTs count them, fractions allowed, to microseconds; saturates.
#[allow(clippy::cast_possible_truncation, reason = "the cast saturates, and beyond 290,000 years it may")]
fn micros(seconds: f64) -> Timestamp {
    Timestamp((seconds * 1e6) as i64)
}

fn account(claims: &Claims) -> Account {
    let role = |name: &String| {
        let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = name.as_str().into_deserializer();
        Role::deserialize(name).ok()
    };
    Account { principal: format!("account:{}", claims.sub), roles: claims.roles.iter().filter_map(role).collect() }
}

/// Verified tokens by digest. When the young half is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<[u8; 32], Entry>,
    old: HashMap<[u8; 32], Entry>,
}

struct Entry {
    account: Account,
    until: Timestamp,
}

impl Cache {
    fn get(&self, digest: &[u8; 32], now: Timestamp) -> Option<Account> {
        let entry = self.young.get(digest).or_else(|| self.old.get(digest))?;
        (now < entry.until).then(|| entry.account.clone())
    }

    fn put(&mut self, digest: [u8; 32], entry: Entry) {
        if self.young.len() >= CACHE_HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        // RFC 8037, appendix A.2 and A.3.
        let x = BASE64_URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = PublicKey::new(x.try_into().unwrap());
        assert_eq!(key.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_public_key_is_read_with_or_without_a_name() {
        let hex = "ab".repeat(32);
        assert_eq!(hex.parse(), Ok(PublicKey::new([0xab; 32])));
        assert_eq!(format!("idp:2026:{hex}").parse::<PublicKey>().unwrap().kid, "idp:2026");
        for bad in ["", "ab", &format!(":{hex}"), &format!("{hex}00"), &"zz".repeat(32)] {
            assert_eq!(bad.parse::<PublicKey>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_in_time() {
        let entry =
            || Entry { account: Account { principal: String::new(), roles: BTreeSet::new() }, until: Timestamp(10) };
        let digest = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            digest
        };
        let mut cache = Cache::default();
        for n in 0..5 * CACHE_HALF {
            cache.put(digest(n), entry());
        }
        assert_eq!(cache.young.len() + cache.old.len(), 2 * CACHE_HALF);
        let last = digest(5 * CACHE_HALF - 1);
        assert!(cache.get(&last, Timestamp(9)).is_some());
        assert!(cache.get(&last, Timestamp(10)).is_none());
        assert!(cache.get(&digest(0), Timestamp(9)).is_none());
    }
}
