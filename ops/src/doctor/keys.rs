//! Whether the lasting keys are those of this log: another master key opens no personal data, another secret knows no
//! order again.

use std::collections::BTreeMap;

use domain::ids::OrderId;
use projectors::Names;
use schemas::sealed::MasterKey;
use service_kit::code;
use service_kit::env::hex32;
use service_kit::keys::{Keys, Secret32};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::Finding;

/// Of the keys that are set; where there are no orders yet, every key is right.
pub(super) async fn check(pool: &PgPool, namespace: &str, env: &BTreeMap<String, String>) -> Vec<Finding> {
    let Ok(schema) = Names::of(namespace).map(|names| names.views()) else { return Vec::new() };
    let value = |name: &str| env.get(name).and_then(|text| hex32(text));
    let mut findings = Vec::new();
    if let Some(master) = value("BOXOFFICE_MASTER_KEY") {
        findings.extend(master_key(pool, &schema, MasterKey::new(master).id()).await);
    }
    if let Some(secret) = value("BOXOFFICE_SECRET") {
        findings.extend(lasting_secret(pool, &schema, &Keys::new(&Secret32::new(secret))).await);
    }
    findings
}

async fn master_key(pool: &PgPool, schema: &str, ours: Uuid) -> Option<Finding> {
    let sql = format!("select master_key_id, count(*) from {schema}.person_keys group by 1");
    // Without the projection there is nothing to compare with; that is told elsewhere.
    let found: Vec<(Option<Uuid>, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await.ok()?;
    let with =
        |right: bool| found.iter().filter(|(id, _)| (*id == Some(ours)) == right).map(|(_, count)| count).sum::<i64>();
    Some(judged_master(ours, with(true), with(false)))
}

fn judged_master(ours: Uuid, opened: i64, closed: i64) -> Finding {
    match (opened, closed) {
        (opened, 0) => Finding::ok("master key", format!("{ours} opens all {opened} keys of persons")),
        (0, closed) => {
            let found =
                format!("none of {closed} keys of persons is wrapped by it ({ours}): no personal data could be read");
            Finding::wrong("master key", found, "set BOXOFFICE_MASTER_KEY to the key this log was written with")
        }
        (opened, closed) => {
            let found = format!("{closed} keys of persons are wrapped by another one, {opened} by this ({ours})");
            Finding::wrong(
                "master key",
                found,
                "some instance runs with another BOXOFFICE_MASTER_KEY: give all the same",
            )
        }
    }
}

async fn lasting_secret(pool: &PgPool, schema: &str, keys: &Keys) -> Option<Finding> {
    let sql = format!("select order_id, code from {schema}.orders limit 1");
    let found: Option<(Uuid, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(pool).await.ok()?;
    let (order, known) = found?;
    Some(match code::order(keys, OrderId(order)) == known {
        true => Finding::ok("lasting secret", "it makes the codes that orders have"),
        false => {
            let found = "BOXOFFICE_SECRET is not the one this log was written with: repeats would not be recognised";
            Finding::wrong(
                "lasting secret",
                found,
                "set BOXOFFICE_SECRET to the one before; it stays for the life of the log",
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Judgement;

    #[test]
    fn a_master_key_that_opens_nothing_is_wrong() {
        let judged = |opened, closed| judged_master(Uuid::nil(), opened, closed).judgement;
        assert_eq!(
            [judged(0, 0), judged(9, 0), judged(0, 9), judged(9, 1)],
            [Judgement::Ok, Judgement::Ok, Judgement::Wrong, Judgement::Wrong]
        );
    }
}
