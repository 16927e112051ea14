//! `boxctl token`: mints a bearer token, where no identity provider stands before the services.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use domain::value::Role;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as NoRole, StrDeserializer};
use service_kit::auth::{NewToken, Rules, SigningKey, mint_bearer};
use service_kit::clock;
use service_kit::config::{Env, Noted};
use service_kit::env;

use crate::local::{self, LocalSecrets};
use crate::stack;

/// Who the token is for. The key: BOXOFFICE_TOKEN_KEY, or that of `boxctl dev`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What the account may do: organizer, admin, staff, support, buyer; several separated by commas.
    #[arg(long = "role", alias = "roles", value_delimiter = ',', required = true, value_parser = role)]
    roles: Vec<Role>,
    /// The account's name.
    #[arg(long, default_value = "local")]
    sub: String,
    /// How long it is good: a number and s, m, h or d.
    #[arg(long, default_value = "1d", value_parser = ttl)]
    ttl: Duration,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Mints it and prints it alone on a line.
///
/// # Errors
/// A setting is wrong, or there is no key.
pub fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let (seed, rules) = Env::from_process().read(read)?;
    let key = match seed {
        Some(seed) => SigningKey::new(&seed),
        None => LocalSecrets::of(&local::folder(&local_stack::find_root()?))
            .and_then(|secrets| secrets.signing_key())
            .context("BOXOFFICE_TOKEN_KEY is not set, and there is no local key")?,
    };
    let token = mint(&key, &rules, &args.sub, args.roles.iter().copied(), args.ttl);
    let text = match args.json {
        true => serde_json::json!({ "token": token, "expires_in_s": args.ttl.as_secs() }).to_string(),
        false => token,
    };
    stack::print(&(text + "\n"))
}

/// A bearer token that is good from now on for so long.
pub fn mint(
    key: &SigningKey,
    rules: &Rules,
    subject: &str,
    roles: impl IntoIterator<Item = Role>,
    ttl: Duration,
) -> String {
    let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let roles: BTreeSet<Role> = roles.into_iter().collect();
    mint_bearer(key, &NewToken { subject, roles, expires: clock::now().plus_s(seconds), rules })
}

type Key = Option<service_kit::keys::Secret32>;

fn read(env: &mut Env) -> Result<(Key, Rules), Noted> {
    let seed = env.optional("BOXOFFICE_TOKEN_KEY", env::secret32(), "Ed25519 seed to mint bearer tokens by.");
    let issuer = env.optional("BOXOFFICE_TOKEN_ISSUER", env::text("the iss of bearer tokens"), "The token's iss.");
    let audience = env.optional("BOXOFFICE_TOKEN_AUDIENCE", env::text("an aud of bearer tokens"), "The token's aud.");
    Ok((seed?, Rules { issuer: issuer?, audience: audience? }))
}

fn role(text: &str) -> Result<Role, String> {
    let name: StrDeserializer<'_, NoRole> = text.into_deserializer();
    Role::deserialize(name).map_err(|_| "expected organizer, admin, staff, support or buyer".to_owned())
}

/// The longest life of a token.
const MAX_DAYS: u64 = 3660;

fn ttl(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a number and s, m, h or d, such as 12h, at most {MAX_DAYS}d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let unit_s = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    match number.checked_mul(unit_s) {
        Some(seconds @ 1..) if seconds <= MAX_DAYS * 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_has_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("12h", 43_200), ("1d", 86_400)] {
            assert_eq!(ttl(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "1", "d", "0s", "-1d", "1.5h", "1w", "3661d", "99999999999999999999d", "1é"] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_role_is_one_of_ours() {
        assert_eq!(role("organizer"), Ok(Role::Organizer));
        assert!(role("root").is_err());
    }
}
