use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use domain::ids::SessionId;
use domain::value::Role;

use super::*;
use crate::checkout_token::Admitted;
use crate::clock::ManualClock;
use crate::queue_ticket::Place;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const ORDER: OrderId = OrderId(Uuid::from_u128(1));
const SHOW: ShowId = ShowId(Uuid::from_u128(2));

fn secret(byte: u8) -> Secret32 {
    Secret32::new([byte; 32])
}

fn settings() -> Settings {
    Settings {
        accounts: vec![SigningKey::new(&secret(1)).public().clone(), SigningKey::new(&secret(2)).public().clone()],
        rules: Rules::default(),
        access: secret(10),
        access_previous: Some(secret(11)),
    }
}

fn auth() -> (Auth, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    (Auth::with_clock(&settings(), clock.clone()), clock)
}

fn bearer(seed: u8, expires_in_s: i64) -> String {
    let roles = BTreeSet::from([Role::Organizer]);
    let rules = Rules::default();
    let token = NewToken { subject: "an", roles, expires: NOW.plus_s(expires_in_s), rules: &rules };
    mint_bearer(&SigningKey::new(&secret(seed)), &token)
}

fn with_claims(claims: &Value) -> String {
    let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[1; 32]].concat();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(SigningKey::new(&secret(1)).public().kid.clone());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&der)).unwrap()
}

#[test]
fn either_of_two_keys_verifies_an_account() {
    let (auth, _) = auth();
    let an = Account { principal: "account:an".to_owned(), roles: BTreeSet::from([Role::Organizer]) };
    assert_eq!(auth.identify(&bearer(1, 60)), Ok(Identity::Account(an.clone())));
    assert_eq!(auth.identify(&bearer(2, 60)), Ok(Identity::Account(an)));
    assert_eq!(auth.identify(&bearer(3, 60)), Err(Refused::Invalid));
}

#[test]
fn a_token_expires_also_from_the_cache() {
    let (auth, clock) = auth();
    let (short, long) = (bearer(1, 10), bearer(1, 1000));
    assert!(auth.identify(&short).is_ok() && auth.identify(&long).is_ok());
    clock.advance_s(10);
    assert_eq!(auth.identify(&short), Err(Refused::Expired));
    assert!(auth.identify(&long).is_ok());
    clock.advance_s(990);
    assert_eq!(auth.identify(&long), Err(Refused::Expired));
}

#[test]
fn any_altered_byte_is_refused() {
    let (auth, _) = auth();
    for token in [bearer(1, 60), auth.mint_access(ORDER, SHOW, None)] {
        assert!(auth.identify(&token).is_ok());
        for at in (0..token.len()).step_by(7) {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(auth.identify(&String::from_utf8(altered).unwrap()), Err(Refused::Invalid), "{at}");
        }
    }
    for bad in ["", ".", "..", "a.b.c", &"x".repeat(10_000)] {
        assert_eq!(auth.identify(bad), Err(Refused::Invalid));
    }
}

#[test]
fn the_header_cannot_choose_the_algorithm() {
    let (auth, _) = auth();
    let public = SigningKey::new(&secret(1)).public().clone();
    let claims = json!({"sub": "evil", "roles": ["admin"], "exp": NOW.0 / 1_000_000 + 60});
    // The classic confusion: the public key used as an HMAC secret.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(public.kid.clone());
    let x = BASE64_URL_SAFE_NO_PAD.encode(public.bytes);
    for key in [&public.bytes[..], x.as_bytes()] {
        let forged = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key)).unwrap();
        assert_eq!(auth.identify(&forged), Err(Refused::Invalid));
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(&json!({"alg": "none", "kid": public.kid})), part(&claims));
    assert_eq!(auth.identify(&none), Err(Refused::Invalid));
    let good = bearer(1, 60);
    let (_, rest) = good.split_once('.').unwrap();
    let access_kid = jsonwebtoken::decode_header(auth.mint_access(ORDER, SHOW, None)).unwrap().kid.unwrap();
    for kid in [Value::Null, json!("other"), json!(access_kid)] {
        let swapped = format!("{}.{rest}", part(&json!({"alg": "EdDSA", "kid": kid})));
        assert_eq!(auth.identify(&swapped), Err(Refused::Invalid), "{kid}");
    }
}

#[test]
fn critical_extensions_are_refused() {
    let (auth, _) = auth();
    let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[1; 32]].concat();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(SigningKey::new(&secret(1)).public().kid.clone());
    header.crit = Some(vec!["b64".to_owned()]);
    let claims = json!({"sub": "an", "exp": NOW.0 / 1_000_000 + 60});
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&der)).unwrap();
    assert_eq!(auth.identify(&token), Err(Refused::Invalid));
}

#[test]
fn claims_are_checked() {
    let (auth, _) = auth();
    let exp = NOW.0 / 1_000_000 + 60;
    assert!(auth.identify(&with_claims(&json!({"sub": "an", "exp": exp, "roles": ["staff", "unheard-of"]}))).is_ok());
    let bad = [
        json!({"exp": exp}),
        json!({"sub": "an"}),
        json!({"sub": "", "exp": exp}),
        json!({"sub": "a\nb", "exp": exp}),
        json!({"sub": "x".repeat(201), "exp": exp}),
        json!({"sub": "an", "exp": "soon"}),
        json!({"sub": "an", "exp": exp, "nbf": exp + 100}),
    ];
    for claims in bad {
        assert_eq!(auth.identify(&with_claims(&claims)), Err(Refused::Invalid), "{claims}");
    }
}

#[test]
fn issuer_and_audience_are_asked_for_when_set() {
    let rules = Rules { issuer: Some("idp".to_owned()), audience: Some("boxoffice".to_owned()) };
    let strict = Settings { rules: rules.clone(), ..settings() };
    let auth = Auth::with_clock(&strict, Arc::new(ManualClock::new(NOW)));
    let token = NewToken { subject: "an", roles: BTreeSet::new(), expires: NOW.plus_s(60), rules: &rules };
    assert!(auth.identify(&mint_bearer(&SigningKey::new(&secret(1)), &token)).is_ok());
    let exp = NOW.0 / 1_000_000 + 60;
    assert!(
        auth.identify(&with_claims(&json!({"sub": "a", "exp": exp, "iss": "idp", "aud": ["x", "boxoffice"]}))).is_ok()
    );
    for claims in
        [json!({}), json!({"iss": "idp"}), json!({"iss": "no", "aud": "boxoffice"}), json!({"iss": "idp", "aud": "x"})]
    {
        let mut claims = claims;
        claims["sub"] = json!("a");
        claims["exp"] = json!(exp);
        assert_eq!(auth.identify(&with_claims(&claims)), Err(Refused::Invalid), "{claims}");
    }
}

#[test]
fn an_access_token_names_its_order_and_survives_one_rotation() {
    let (auth, clock) = auth();
    let holder = Identity::OrderHolder { order: ORDER, show: SHOW };
    assert_eq!(auth.identify(&auth.mint_access(ORDER, SHOW, None)), Ok(holder.clone()));
    let before = Auth::new(&Settings { access: secret(11), access_previous: None, ..settings() });
    assert_eq!(auth.identify(&before.mint_access(ORDER, SHOW, None)), Ok(holder));
    let long_before = Auth::new(&Settings { access: secret(12), access_previous: None, ..settings() });
    assert_eq!(auth.identify(&long_before.mint_access(ORDER, SHOW, None)), Err(Refused::Invalid));
    let short = auth.mint_access(ORDER, SHOW, Some(NOW.plus_s(5)));
    assert!(auth.identify(&short).is_ok());
    clock.advance_s(5);
    assert_eq!(auth.identify(&short), Err(Refused::Expired));
}

#[test]
fn an_accounts_token_is_no_access_token() {
    let (auth, _) = auth();
    assert_eq!(auth.identify_holder(&bearer(1, 60)), Err(Refused::Invalid));
    assert!(auth.identify_holder(&auth.mint_access(ORDER, SHOW, None)).is_ok());
}

#[test]
fn the_jwk_set_lists_every_key_and_no_secret() {
    let (auth, _) = auth();
    let keys = auth.jwks()["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!(key["kty"], "OKP");
        assert!(key.get("d").is_none());
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
        assert!(jsonwebtoken::DecodingKey::from_jwk(&jwk).is_ok());
    }
}

/// Each kind is signed by a key of its own, though all keys come of one secret.
#[test]
fn what_was_signed_for_one_purpose_is_good_for_no_other() {
    let (auth, session) = (auth().0, SessionId(Uuid::from_u128(3)));
    let ticket = auth.queue_tickets().sign(&Place { show: SHOW, session, number: 3, seen: NOW });
    let checkout = auth.checkout_tokens().mint(&Admitted { show: SHOW, session, expires_at: NOW.plus_s(60) });
    let challenge = auth.challenges().of(SHOW, 8, NOW).token;
    let access = auth.mint_access(ORDER, SHOW, None);
    for token in [&ticket, &checkout, &challenge, &access] {
        assert_eq!(auth.queue_tickets().read(token).is_ok(), *token == ticket);
        assert_eq!(auth.checkout_tokens().read(token).is_ok(), *token == checkout);
        assert_eq!(auth.challenges().is_good(token, SHOW, NOW), *token == challenge);
        assert_eq!(auth.identify(token).is_ok(), *token == access);
    }
}
