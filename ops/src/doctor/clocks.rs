//! Clocks: an owner whose clock is off by more than two seconds serves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use service_kit::clock;
use sqlx::postgres::PgPoolOptions;

use super::Finding;
use crate::site::Site;

/// More is told: owners refuse to serve at two seconds.
const OFF_MS: i64 = 2000;
/// HTTP tells whole seconds.
const COARSE_MS: i64 = 1000;

pub(super) async fn check(site: &Site) -> Vec<Finding> {
    let mut off = BTreeMap::new();
    off.extend(postgres(site).await.map(|ms| ("Postgres".to_owned(), ms)));
    let services = site.services.iter().map(|(_, url)| format!("{url}/livez"));
    for url in services.chain([site.registry.clone()]) {
        off.extend(http(&url).await.map(|ms| (url.clone(), ms)));
    }
    judged(&off)
}

fn judged(off: &BTreeMap<String, i64>) -> Vec<Finding> {
    let wrong = off.iter().filter(|(_, ms)| ms.abs() > OFF_MS);
    let findings: Vec<Finding> = wrong
        .map(|(name, ms)| {
            let found = format!("{name} differs from this machine by {ms} ms");
            Finding::wrong("clocks", found, "run NTP (chrony, systemd-timesyncd) on every machine")
        })
        .collect();
    match (findings.is_empty(), off.len()) {
        (false, _) => findings,
        (true, 0) => Vec::new(),
        (true, count) => vec![Finding::ok("clocks", format!("{count} compared, all within {OFF_MS} ms"))],
    }
}

/// Milliseconds that Postgres is ahead of us.
async fn postgres(site: &Site) -> Option<i64> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(2));
    let pool = pool.connect(site.postgres.as_ref()?).await.ok()?;
    let before = clock::now().0;
    let theirs: i64 = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        .fetch_one(&pool)
        .await
        .ok()?;
    Some((theirs - i64::midpoint(before, clock::now().0)) / 1000)
}

/// Milliseconds that a server is ahead of us, as its answer's date says; none if it says none.
async fn http(url: &str) -> Option<i64> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().ok()?;
    let answer = client.get(url).send().await.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_millisecond();
    let off = theirs - clock::now().0 / 1000;
    // Cut to whole seconds, it is up to one second behind.
    Some(if (-COARSE_MS..=0).contains(&off) { 0 } else { off })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Judgement;

    #[test]
    fn a_clock_that_is_off_is_told() {
        let judged = |ms| judged(&[("Postgres".to_owned(), ms)].into())[0].judgement;
        assert_eq!([judged(1500), judged(-2500), judged(3000)], [Judgement::Ok, Judgement::Wrong, Judgement::Wrong]);
    }
}
