//! Postgres: version, settings, connections, and the projections.

use std::collections::BTreeMap;
use std::time::Duration;

use projectors::{Names, READS};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use super::{Finding, Patient, keys};

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(5);
/// Older ones were never tried.
const OLDEST: i32 = 150_000;
/// Read models with a pool of their own.
const POOLS: i64 = 8;

/// Everything about Postgres, and what only Postgres knows.
pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let Some(url) = &patient.site.postgres else {
        let remedy = "set BOXOFFICE_POSTGRES, if this is not a command-api";
        return vec![Finding::warning("postgres", "BOXOFFICE_POSTGRES is not set: nothing was looked at", remedy)];
    };
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect(url).await;
    let pool = match pool {
        Ok(pool) => pool,
        Err(error) => {
            let remedy = "start Postgres, or set BOXOFFICE_POSTGRES to its address, user and password";
            return vec![Finding::wrong("postgres", format!("it does not answer: {error}"), remedy)];
        }
    };
    let mut findings = match settings(&pool).await {
        Ok(settings) => judged(&settings, &patient.env, patient.site.local),
        Err(error) => {
            vec![Finding::wrong("postgres", format!("it cannot be asked: {error}"), "grant the user what it needs")]
        }
    };
    findings.extend(projections(&pool, &patient.site.namespace).await);
    findings.extend(keys::check(&pool, &patient.site.namespace, &patient.env).await);
    findings
}

/// What matters of the server.
#[derive(Debug, Default)]
struct Server {
    version: i32,
    settings: BTreeMap<String, String>,
    used: i64,
    standby: bool,
    may_create: bool,
}

async fn settings(pool: &PgPool) -> Result<Server, sqlx::Error> {
    let names = [
        "server_version_num",
        "max_connections",
        "superuser_reserved_connections",
        "fsync",
        "full_page_writes",
        "autovacuum",
    ];
    let settings: Vec<(String, String)> = sqlx::query_as("select name, setting from pg_settings where name = any($1)")
        .bind(&names[..])
        .fetch_all(pool)
        .await?;
    let (used, standby, may_create) = sqlx::query_as(
        "select (select count(*) from pg_stat_activity where backend_type = 'client backend'), pg_is_in_recovery(),
            has_database_privilege(current_database(), 'create')",
    )
    .fetch_one(pool)
    .await?;
    let settings: BTreeMap<String, String> = settings.into_iter().collect();
    let version = settings.get("server_version_num").and_then(|it| it.parse().ok()).unwrap_or_default();
    Ok(Server { version, settings, used, standby, may_create })
}

fn judged(server: &Server, env: &BTreeMap<String, String>, local: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = format!("{}.{}", server.version / 10_000, server.version % 10_000);
    match server.version {
        ..OLDEST => findings.push(Finding::wrong("postgres", format!("version {version}"), "upgrade to 15 or newer")),
        _ => findings.push(Finding::ok("postgres", format!("version {version}"))),
    }
    if server.standby {
        let remedy = "projectors need the primary; a replica serves query-apis only";
        findings.push(Finding::warning("postgres role", "this server is a replica: nothing can be written", remedy));
    }
    if !server.may_create {
        let remedy = "grant create on the database to the user of BOXOFFICE_POSTGRES: projectors make schemas";
        findings.push(Finding::wrong("postgres rights", "the user may not make schemas", remedy));
    }
    for (name, loses) in [
        ("fsync", "a crash of the machine can break every table"),
        ("full_page_writes", "a crash can break tables"),
        ("autovacuum", "tables grow without end"),
    ] {
        // What a local stack loses is filled again.
        if server.settings.get(name).is_some_and(|it| it == "off") && !local {
            findings.push(Finding::warning(
                "postgres settings",
                format!("{name} is off: {loses}"),
                format!("set {name}=on"),
            ));
        }
    }
    findings.push(connections(server, env));
    findings
}

fn connections(server: &Server, env: &BTreeMap<String, String>) -> Finding {
    let number = |name: &str, otherwise: i64| env.get(name).and_then(|it| it.parse().ok()).unwrap_or(otherwise);
    let setting = |name: &str| server.settings.get(name).and_then(|it| it.parse::<i64>().ok()).unwrap_or_default();
    let one_of_each =
        number("BOXOFFICE_PROJECTOR_CONNECTIONS", 4) * POOLS + number("BOXOFFICE_QUERY_CONNECTIONS", 16) + 2;
    let most = setting("max_connections") - setting("superuser_reserved_connections");
    let found =
        format!("{} of {most} connections used; a projector and a query-api take up to {one_of_each}", server.used);
    if one_of_each > most {
        let remedy = "raise max_connections, or lower BOXOFFICE_PROJECTOR_CONNECTIONS and BOXOFFICE_QUERY_CONNECTIONS";
        return Finding::wrong("postgres connections", found, remedy);
    }
    if server.used * 10 > most * 9 {
        return Finding::warning(
            "postgres connections",
            found,
            "raise max_connections before the next instance starts",
        );
    }
    Finding::ok("postgres connections", found)
}

/// Whether every read model is there.
async fn projections(pool: &PgPool, namespace: &str) -> Vec<Finding> {
    let names = match Names::of(namespace) {
        Ok(names) => names,
        Err(error) => {
            return vec![Finding::wrong("projections", error.to_string(), "choose another BOXOFFICE_NAMESPACE")];
        }
    };
    let sql = format!("select distinct projection from {}.checkpoints", names.views());
    let found: Result<Vec<String>, _> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await;
    let Ok(found) = found else {
        let found = format!("schema {} has no projections", names.views());
        return vec![Finding::wrong(
            "projections",
            found,
            "start a projector: it makes them and fills them from the log",
        )];
    };
    let missing: Vec<&str> =
        READS.iter().map(|(name, _)| *name).filter(|name| !found.iter().any(|it| it == name)).collect();
    match missing.is_empty() {
        true => vec![Finding::ok("projections", format!("{} present", found.len()))],
        false => {
            let found = format!("{} have never begun", missing.join(", "));
            vec![Finding::wrong("projections", found, "start a projector of this version")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(version: i32, most: &str) -> Server {
        let settings = [("max_connections", most), ("superuser_reserved_connections", "3"), ("fsync", "off")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Server { version, settings, used: 5, standby: false, may_create: true }
    }

    #[test]
    fn a_server_that_does_not_fit_is_told() {
        let told = |server: &Server, local| {
            let judged = judged(server, &BTreeMap::new(), local).into_iter();
            judged.filter(|it| it.remedy.is_some()).map(|it| it.found).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(&server(170_002, "100"), true), "");
        assert!(told(&server(140_000, "100"), true).contains("version 14.0"));
        assert!(told(&server(170_002, "100"), false).contains("fsync is off"));
        assert!(told(&server(170_002, "20"), true).contains("5 of 17 connections"));
        let replica = Server { standby: true, may_create: false, ..server(170_002, "100") };
        assert!(told(&replica, true).contains("replica") && told(&replica, true).contains("may not make schemas"));
    }
}
