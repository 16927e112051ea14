//! Secrets: weak ones, one value for two purposes, and those of somebody's development.

use std::collections::{BTreeMap, BTreeSet};

use provider_sandbox::Settings;
use service_kit::env::hex32;

use super::Finding;

/// Values that nobody else may know.
const KEYS: [&str; 6] = [
    "BOXOFFICE_SECRET",
    "BOXOFFICE_MASTER_KEY",
    "BOXOFFICE_TICKET_KEY",
    "BOXOFFICE_TOKEN_KEY",
    "BOXOFFICE_ACCESS_SECRET",
    "BOXOFFICE_ACCESS_SECRET_PREVIOUS",
];
/// 32 random bytes have more different ones, but once in 10^30 draws.
const DIFFERENT: usize = 14;

/// Everything about secrets. A local installation makes its own, and plays its providers.
pub(super) fn check(env: &BTreeMap<String, String>, local: bool) -> Vec<Finding> {
    let set: Vec<(&str, &str)> = KEYS.iter().filter_map(|name| Some((*name, env.get(*name)?.as_str()))).collect();
    let mut findings: Vec<Finding> =
        set.iter().filter(|(_, value)| is_weak(value)).map(|(name, _)| weak(name)).collect();
    for (n, (name, value)) in set.iter().enumerate() {
        // While keys are changed, the one before may still be the lasting one.
        let other = set[..n].iter().find(|(other, known)| known == value && !rotates(other, name));
        findings.extend(other.map(|(other, _)| {
            let remedy = format!("give {name} a value of its own: openssl rand -hex 32");
            Finding::wrong("secrets", format!("{name} and {other} are the same"), remedy)
        }));
    }
    if !local {
        findings.extend(sandbox_keys(env));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("secrets", format!("{} set, each of them its own", set.len())));
    }
    findings
}

fn rotates(one: &str, other: &str) -> bool {
    [one, other].contains(&"BOXOFFICE_SECRET") && [one, other].contains(&"BOXOFFICE_ACCESS_SECRET_PREVIOUS")
}

fn is_weak(value: &str) -> bool {
    let Some(bytes) = hex32(value) else { return false };
    let different: BTreeSet<u8> = bytes.into_iter().collect();
    let counts_up = bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    different.len() < DIFFERENT || counts_up
}

fn weak(name: &str) -> Finding {
    let remedy = match name {
        "BOXOFFICE_SECRET" => {
            "a new installation: openssl rand -hex 32; one that has sold something keeps it, because the log refers to it"
        }
        "BOXOFFICE_MASTER_KEY" => "a new installation: openssl rand -hex 32; else it wraps keys that are in use",
        _ => "openssl rand -hex 32 (docs/configuration.md, Rotating keys)",
    };
    Finding::wrong("secrets", format!("{name} is not random: it can be guessed"), remedy)
}

/// The keys that our own sandbox is known for open no real account, and everybody can sign with them.
fn sandbox_keys(env: &BTreeMap<String, String>) -> Vec<Finding> {
    let published = Settings::default().for_a_shop("http://sandbox", std::path::Path::new("ca.pem"));
    let is_key =
        |name: &str| ["_KEY", "_SECRET", "_SECRETS", "_KEY1", "_KEY2", "_ID"].iter().any(|end| name.ends_with(end));
    let same = published.into_iter().filter(|(name, value)| is_key(name) && env.get(*name) == Some(value));
    let found = same.map(|(name, _)| {
        let found = format!("{name} is the sandbox's, which everybody knows: payments could be forged");
        Finding::wrong(
            "payment providers",
            found,
            format!("set {name} to what the provider gave you (docs/payments.md)"),
        )
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&str, &str)], local: bool) -> Vec<String> {
        let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&env, local).into_iter().map(|it| it.found).collect()
    }

    const GOOD: &str = "5f1c9c3f0e7a44d2b8a9137e6c50d4f2889b3be1a7c64d0f92e35ab81c7d60e4";

    #[test]
    fn weak_and_shared_secrets_are_told() {
        let told = found(&[("BOXOFFICE_SECRET", &"11".repeat(32)), ("BOXOFFICE_MASTER_KEY", GOOD)], false);
        assert_eq!(told, ["BOXOFFICE_SECRET is not random: it can be guessed"]);
        let told = found(&[("BOXOFFICE_TOKEN_KEY", GOOD), ("BOXOFFICE_SECRET", GOOD)], false);
        assert_eq!(told, ["BOXOFFICE_TOKEN_KEY and BOXOFFICE_SECRET are the same"]);
        let told = found(&[("BOXOFFICE_SECRET", GOOD), ("BOXOFFICE_ACCESS_SECRET_PREVIOUS", GOOD)], false);
        assert_eq!(told, ["2 set, each of them its own"]);
    }

    #[test]
    fn the_sandboxs_keys_are_told_where_it_is_not_at_home() {
        let keys = Settings::default().for_a_shop("http://x", std::path::Path::new("y"));
        let stripe = keys.iter().find(|(name, _)| *name == "BOXOFFICE_STRIPE_SECRET_KEY").unwrap();
        assert!(found(&[(stripe.0, &stripe.1)], false)[0].contains("forged"));
        assert_eq!(found(&[(stripe.0, &stripe.1)], true), ["0 set, each of them its own"]);
    }
}
