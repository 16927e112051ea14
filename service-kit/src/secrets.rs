//! The settings that are secret: what things are signed, verified and recognised by.

use std::fmt;

use crate::auth::{Auth, PublicKey, Rules, Settings, SigningKey};
use crate::env::{self, Env, Noted};
use crate::keys::{Keys, Secret32};

/// The key that the keys of personal data are wrapped by.
///
/// # Errors
/// Noted in `env`.
pub fn master_key(env: &mut Env) -> Result<Secret32, Noted> {
    env.required(
        "BOXOFFICE_MASTER_KEY",
        env::secret32(),
        "Wraps the keys of personal data. Lost, all personal data is lost.",
    )
}

/// The seed of the key that tickets are signed by.
///
/// # Errors
/// Noted in `env`.
pub fn ticket_key(env: &mut Env) -> Result<Secret32, Noted> {
    env.required("BOXOFFICE_TICKET_KEY", env::secret32(), "Ed25519 seed that ticket codes are signed by.")
}

/// What things are signed, verified and recognised by.
#[derive(Clone)]
pub struct Secrets {
    secret: Secret32,
    settings: Settings,
    token_seed: Option<Secret32>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads them.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let secret = env.required("BOXOFFICE_SECRET", env::secret32(), "Command ids, fingerprints, order codes and the equality of mail addresses go by it. It stays for the life of the log.");
        let access = env.optional(
            "BOXOFFICE_ACCESS_SECRET",
            env::secret32(),
            "Access tokens, queue tickets and checkout tokens are signed by it; BOXOFFICE_SECRET if not set.",
        );
        let previous = env.optional(
            "BOXOFFICE_ACCESS_SECRET_PREVIOUS",
            env::secret32(),
            "These were signed by it; still accepted while rotating.",
        );
        let seed = env.optional(
            "BOXOFFICE_TOKEN_KEY",
            env::secret32(),
            "Ed25519 seed to mint bearer tokens by (boxctl token); its public key is accepted.",
        );
        let keys = "Ed25519 public keys, each 64 hex digits or kid:hex, separated by commas";
        let public = env.optional(
            "BOXOFFICE_TOKEN_PUBLIC_KEY",
            env::list(keys),
            "Bearer tokens signed by any of these are accepted; this or BOXOFFICE_TOKEN_KEY is required.",
        );
        let issuer = env.optional(
            "BOXOFFICE_TOKEN_ISSUER",
            env::text("the iss of bearer tokens"),
            "Bearer tokens must have this issuer.",
        );
        let audience = env.optional(
            "BOXOFFICE_TOKEN_AUDIENCE",
            env::text("an aud of bearer tokens"),
            "Bearer tokens must be for this audience.",
        );
        let (secret, seed, public) = (secret?, seed?, public?);
        let accounts = accounts(env, seed.as_ref(), public.unwrap_or_default())?;
        let rules = Rules { issuer: issuer?, audience: audience? };
        let settings = Settings { accounts, rules, access: access?.unwrap_or(secret), access_previous: previous? };
        Ok(Self { secret, settings, token_seed: seed })
    }

    /// The lasting keys.
    pub fn keys(&self) -> Keys {
        Keys::new(&self.secret)
    }

    /// An independent key for one purpose, derived from the lasting secret.
    pub fn derive(&self, purpose: &str) -> Secret32 {
        self.secret.derive(purpose)
    }

    /// What verifies tokens.
    pub fn auth(&self) -> Auth {
        Auth::new(&self.settings)
    }

    /// What bearer tokens must say.
    pub fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    /// What mints bearer tokens, where it is set.
    pub fn signing_key(&self) -> Option<SigningKey> {
        self.token_seed.as_ref().map(SigningKey::new)
    }
}

fn accounts(env: &mut Env, seed: Option<&Secret32>, mut keys: Vec<PublicKey>) -> Result<Vec<PublicKey>, Noted> {
    keys.extend(seed.map(|seed| SigningKey::new(seed).public().clone()));
    keys.dedup_by(|a, b| a == b);
    let mut kids: Vec<_> = keys.iter().map(|key| key.kid.as_str()).collect();
    kids.sort_unstable();
    if kids.is_empty() {
        let expected = "it, or BOXOFFICE_TOKEN_KEY, to verify bearer tokens by";
        return Err(env.refuse("BOXOFFICE_TOKEN_PUBLIC_KEY", "is not set", expected));
    }
    if kids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(env.refuse("BOXOFFICE_TOKEN_PUBLIC_KEY", "names a kid twice", "every key once"));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(byte: &str) -> String {
        byte.repeat(32)
    }

    #[test]
    fn tokens_need_some_key_and_every_kid_once() {
        let read = |values: &[(&str, String)]| {
            let secret = ("BOXOFFICE_SECRET", hex("01"));
            Env::from_map(values.iter().cloned().chain([secret]))
                .read(Secrets::read)
                .map(|it| it.settings.accounts.len())
        };
        assert_eq!(
            read(&[]).unwrap_err().to_string(),
            "BOXOFFICE_TOKEN_PUBLIC_KEY: is not set; expected it, or BOXOFFICE_TOKEN_KEY, to verify bearer tokens by"
        );
        let two = format!("{}, b:{}", hex("03"), hex("04"));
        assert_eq!(read(&[("BOXOFFICE_TOKEN_PUBLIC_KEY", two)]), Ok(2));
        let same = format!("b:{}, b:{}", hex("03"), hex("04"));
        assert!(read(&[("BOXOFFICE_TOKEN_PUBLIC_KEY", same)]).is_err());
    }
}
