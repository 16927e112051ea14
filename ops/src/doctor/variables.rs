//! Variables: names that nobody reads, values that no process takes, and defaults that fit no real installation.

use std::collections::{BTreeMap, BTreeSet};

use service_kit::config::{Env, Invalid};

use super::Finding;
use crate::config::sections;
use crate::topology::{Process, TEST_ONLY};

/// Read by scripts only.
const SCRIPTS: [&str; 1] = ["BOXOFFICE_PROFILE"];
/// Read by commands of boxctl by flags of theirs.
const FLAGS: [&str; 2] = ["BOXOFFICE_URL", "BOXOFFICE_TOKEN"];
/// A name is meant to be another one if so many letters differ, at most.
const NEAR: usize = 4;

const SERVICES: [Process; 3] = [Process::CommandApi, Process::Projectors, Process::QueryApi];

type Values = BTreeMap<String, String>;

/// Everything about variables.
pub(super) fn check(env: &Values, process: Option<Process>, local: bool) -> Vec<Finding> {
    let mut findings = unknown(env);
    // What `boxctl dev` tells its processes is made by itself; the shell's own variables do not reach them.
    if local {
        findings.push(Finding::ok("settings", "those of the local installation, made by boxctl"));
        return findings;
    }
    findings.extend(values(env, process));
    findings.extend(habits(env));
    findings
}

fn unknown(env: &Values) -> Vec<Finding> {
    let mut known: BTreeSet<&str> = sections().iter().flat_map(|(_, all)| all).map(|it| it.name).collect();
    known.extend(TEST_ONLY.iter().chain(&SCRIPTS).chain(&FLAGS));
    let unknown = env.keys().filter(|name| !known.contains(name.as_str()));
    let found: Vec<Finding> = unknown
        .map(|name| {
            let near = known.iter().map(|it| (strsim::levenshtein(it, name), *it)).min();
            let remedy = match near {
                Some((far, near)) if far <= NEAR => {
                    format!("did you mean {near}? `boxctl config` lists every variable")
                }
                _ => "take it away; `boxctl config` lists every variable".to_owned(),
            };
            Finding::wrong("variable names", format!("nobody reads {name}"), remedy)
        })
        .collect();
    match found.is_empty() {
        true => vec![Finding::ok("variable names", format!("{} set, all of them known", env.len()))],
        false => found,
    }
}

/// What the processes themselves say when they read it.
fn values(env: &Values, process: Option<Process>) -> Vec<Finding> {
    let asked: Vec<Process> = process.map_or(SERVICES.into(), |one| vec![one]);
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for service in asked {
        let Err(Invalid(errors)) = read(service, env) else {
            findings.push(Finding::ok("variables", format!("{} starts with them", service.binary())));
            continue;
        };
        for error in errors {
            let (found, expected) = error.split_once("; expected ").unwrap_or((error.as_str(), "another value"));
            let missing = found.ends_with("is not set");
            // Without a process named it may be that somebody else has it.
            let finding = match missing && process.is_none() {
                true => Finding::warning(
                    "variables",
                    format!("{found}, which {} needs", service.binary()),
                    format!("right is: {expected}"),
                ),
                false => Finding::wrong("variables", found, format!("right is: {expected}")),
            };
            if told.insert((finding.found.clone(), finding.remedy.clone())) {
                findings.push(finding);
            }
        }
    }
    findings
}

fn read(process: Process, env: &Values) -> Result<(), Invalid> {
    let env = Env::from_map(env.clone());
    match process {
        Process::CommandApi => env.read(command_api::config::Config::read).map(drop),
        Process::Projectors => env.read(projectors::Config::read).map(drop),
        Process::QueryApi => env.read(query_api::config::Config::read).map(drop),
        Process::Sandbox => Ok(()),
    }
}

/// What works, and is hardly meant.
fn habits(env: &Values) -> Vec<Finding> {
    let is = |name: &str| env.get(name).map(String::as_str);
    let mut findings = Vec::new();
    let public = is("BOXOFFICE_PUBLIC_URL").unwrap_or("http://127.0.0.1:8080");
    if public.contains("//127.0.0.1") || public.contains("//localhost") {
        let remedy = "set BOXOFFICE_PUBLIC_URL to how buyers and payment providers reach you";
        findings.push(Finding::warning(
            "public address",
            format!("it is {public}: no provider can tell you anything"),
            remedy,
        ));
    } else if public.starts_with("http://") {
        let remedy = "set BOXOFFICE_PUBLIC_URL to https://…: tokens and personal data travel there";
        findings.push(Finding::warning("public address", format!("{public} is not encrypted"), remedy));
    } else {
        findings.push(Finding::ok("public address", public));
        if is("BOXOFFICE_TRUSTED_PROXIES").is_none_or(|it| it == "0") {
            let remedy = "set BOXOFFICE_TRUSTED_PROXIES to the number of proxies before each process";
            let found = "https, and no proxy is trusted: every buyer would have the proxy's address";
            findings.push(Finding::warning("proxies", found, remedy));
        }
    }
    if is("BOXOFFICE_INSTANCE").is_none_or(|it| it == "local") {
        let remedy = "give every instance its own BOXOFFICE_INSTANCE";
        findings.push(Finding::warning(
            "instance name",
            "it is the default, local: logs and claims cannot be told apart",
            remedy,
        ));
    }
    if is("BOXOFFICE_PARTITIONS").is_none() {
        let remedy = "set BOXOFFICE_PARTITIONS to what `boxctl init` made (boxctl topics check)";
        findings.push(Finding::warning("partitions", "BOXOFFICE_PARTITIONS is not set: services take 4", remedy));
    }
    let api = |name: &str| is(name).is_some_and(|it| it.contains("//127.0.0.1") || it.contains("//localhost"));
    for name in [
        "BOXOFFICE_PAYOS_URL",
        "BOXOFFICE_PAYPAL_URL",
        "BOXOFFICE_STRIPE_URL",
        "BOXOFFICE_VNPAY_URL",
        "BOXOFFICE_ZALOPAY_URL",
    ] {
        if api(name) {
            let found = format!("{name} leads to this machine: no real money would move");
            findings.push(Finding::warning("payment providers", found, format!("take {name} away")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Judgement;

    fn env(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn told(findings: &[Finding], judgement: Judgement, what: &str) -> bool {
        findings.iter().any(|it| {
            it.judgement == judgement
                && (it.found.contains(what) || it.remedy.as_ref().is_some_and(|it| it.contains(what)))
        })
    }

    #[test]
    fn a_name_that_nobody_reads_is_told_with_the_one_that_was_meant() {
        let findings = unknown(&env(&[("BOXOFFICE_KAFKAS", "a:1"), ("BOXOFFICE_TOTALLY_ELSE_WHERE", "x")]));
        assert!(told(&findings, Judgement::Wrong, "did you mean BOXOFFICE_KAFKA?"), "{findings:?}");
        assert!(told(&findings, Judgement::Wrong, "take it away"), "{findings:?}");
        assert_eq!(unknown(&env(&[("BOXOFFICE_KAFKA", "a:1")]))[0].judgement, Judgement::Ok);
    }

    #[test]
    fn bad_and_missing_values_and_a_half_set_provider_are_told() {
        let half = env(&[
            ("BOXOFFICE_KAFKA", "nowhere"),
            ("BOXOFFICE_ACK_DEADLINE_MS", "soon"),
            ("BOXOFFICE_STRIPE_SECRET_KEY", "sk_live_1"),
        ]);
        let findings = values(&half, Some(Process::CommandApi));
        for wrong in
            ["BOXOFFICE_KAFKA", "BOXOFFICE_ACK_DEADLINE_MS", "BOXOFFICE_STRIPE_WEBHOOK_SECRETS", "BOXOFFICE_SECRET"]
        {
            assert!(told(&findings, Judgement::Wrong, wrong), "{wrong}: {findings:?}");
        }
        assert!(!format!("{findings:?}").contains("sk_live_1"), "{findings:?}");
        let anybody = values(&env(&[]), None);
        assert!(told(&anybody, Judgement::Warning, "BOXOFFICE_MASTER_KEY"), "{anybody:?}");
    }

    #[test]
    fn what_fits_no_real_installation_is_told() {
        let findings = habits(&env(&[("BOXOFFICE_STRIPE_URL", "http://127.0.0.1:9")]));
        for warned in ["127.0.0.1:8080", "BOXOFFICE_INSTANCE", "BOXOFFICE_PARTITIONS", "BOXOFFICE_STRIPE_URL"] {
            assert!(told(&findings, Judgement::Warning, warned), "{warned}: {findings:?}");
        }
        let open = env(&[("BOXOFFICE_PUBLIC_URL", "http://shop.example")]);
        assert!(told(&habits(&open), Judgement::Warning, "not encrypted"));
        let proxied = env(&[("BOXOFFICE_PUBLIC_URL", "https://shop.example")]);
        assert!(told(&habits(&proxied), Judgement::Warning, "BOXOFFICE_TRUSTED_PROXIES"));
    }
}
