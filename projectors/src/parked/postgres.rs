//! Events that are put aside, in Postgres.

use domain::root::Context;
use domain::value::Timestamp;
use event_log::log::Partition;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Aside, Parking, Place, Wish};
use crate::checkpoints::context_name;
use crate::model::column;
use crate::postgres::PgTransaction;

#[derive(FromRow)]
struct Waiting {
    context: String,
    partition: i32,
    key: String,
    events: i64,
}

#[derive(FromRow)]
struct Row {
    offset: i64,
    event_type: String,
    reason: Option<String>,
    order_id: Option<Uuid>,
    header: Vec<u8>,
    value: Vec<u8>,
    appended_at_us: i64,
}

#[derive(FromRow)]
struct WishRow {
    wish_id: Uuid,
    context: String,
    partition: i32,
    key: String,
    skip: Option<i64>,
    why: Option<String>,
}

impl Parking for PgTransaction {
    async fn parked(&mut self, places: &[Partition]) -> Result<Vec<(Partition, String, u64)>, sqlx::Error> {
        let query = sqlx::query_as(
            "select p.context, p.partition, p.key, count(*) as events
             from unnest($1::text[], $2::int[]) as k (context, partition)
             join parked p using (context, partition)
             group by p.context, p.partition, p.key",
        );
        let query = query.bind(column(places, |at| context_name(at.context))).bind(column(places, |at| number(*at)));
        let rows: Vec<Waiting> = query.fetch_all(self.connection()).await?;
        let known = |row: Waiting| Some((place(&row.context, row.partition)?, row.key, row.events.cast_unsigned()));
        Ok(rows.into_iter().filter_map(known).collect())
    }

    async fn are_parked(&mut self, keys: &[Place]) -> Result<bool, sqlx::Error> {
        let query = sqlx::query_scalar(
            "select coalesce(bool_and(exists (select 1 from parked p
                where p.context = k.context and p.partition = k.partition and p.key = k.key)), true)
             from unnest($1::text[], $2::int[], $3::text[]) as k (context, partition, key)",
        );
        let query = query
            .bind(column(keys, |(at, _)| context_name(at.context)))
            .bind(column(keys, |(at, _)| number(*at)))
            .bind(column(keys, |(_, key)| key.clone()));
        query.fetch_one(self.connection()).await
    }

    async fn put_aside(&mut self, events: &[Aside]) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "insert into parked (context, partition, \"offset\", key, event_type, reason, order_id, header, value, appended_at_us)
             select * from unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                $8::bytea[], $9::bytea[], $10::bigint[])",
        );
        let query = query
            .bind(column(events, |it| context_name(it.place.context)))
            .bind(column(events, |it| number(it.place)))
            .bind(column(events, |it| it.offset))
            .bind(column(events, |it| it.key.clone()))
            .bind(column(events, |it| it.event_type.clone()))
            .bind(column(events, |it| it.reason.clone()))
            .bind(column(events, |it| it.order))
            .bind(column(events, |it| it.header.to_vec()))
            .bind(column(events, |it| it.value.to_vec()))
            .bind(column(events, |it| it.appended.0));
        query.execute(self.connection()).await?;
        Ok(())
    }

    async fn queue(&mut self, at: &Place, most: usize) -> Result<Vec<Aside>, sqlx::Error> {
        let query = sqlx::query_as(
            "select \"offset\", event_type, reason, order_id, header, value, appended_at_us
             from parked where context = $1 and partition = $2 and key = $3 order by \"offset\" limit $4",
        );
        let query = query.bind(context_name(at.0.context)).bind(number(at.0)).bind(&at.1);
        let rows: Vec<Row> = query.bind(i64::try_from(most).unwrap_or(i64::MAX)).fetch_all(self.connection()).await?;
        let aside = |row: Row| Aside {
            place: at.0,
            offset: row.offset,
            key: at.1.clone(),
            event_type: row.event_type,
            reason: row.reason,
            order: row.order_id,
            header: row.header.into(),
            value: row.value.into(),
            appended: Timestamp(row.appended_at_us),
        };
        Ok(rows.into_iter().map(aside).collect())
    }

    async fn release(&mut self, at: &Place, through: i64) -> Result<(), sqlx::Error> {
        let query =
            sqlx::query("delete from parked where context = $1 and partition = $2 and key = $3 and \"offset\" <= $4");
        let query = query.bind(context_name(at.0.context)).bind(number(at.0)).bind(&at.1).bind(through);
        query.execute(self.connection()).await?;
        Ok(())
    }

    async fn blame(&mut self, at: &Place, offset: i64, reason: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "update parked set reason = case when \"offset\" = $4 then $5 end
             where context = $1 and partition = $2 and key = $3 and (reason is not null or \"offset\" = $4)",
        );
        let query = query.bind(context_name(at.0.context)).bind(number(at.0)).bind(&at.1).bind(offset).bind(reason);
        query.execute(self.connection()).await?;
        Ok(())
    }

    async fn skip(&mut self, at: &Place, offset: i64, why: &str) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(
            "with gone as (
                delete from parked
                where context = $1 and partition = $2 and key = $3 and \"offset\" = $4 and reason is not null
                returning context, partition, \"offset\", key, event_type, reason)
             insert into skipped (context, partition, \"offset\", key, event_type, reason, why) select *, $5 from gone",
        );
        let query = query.bind(context_name(at.0.context)).bind(number(at.0)).bind(&at.1).bind(offset).bind(why);
        Ok(query.execute(self.connection()).await?.rows_affected() > 0)
    }

    async fn wishes(&mut self, places: &[Partition]) -> Result<Vec<Wish>, sqlx::Error> {
        let query = sqlx::query_as(
            "select w.wish_id, w.context, w.partition, w.key, w.skip, w.why
             from unnest($1::text[], $2::int[]) as k (context, partition)
             join parked_wishes w using (context, partition)
             where w.done_at is null order by w.wished_at, w.wish_id",
        );
        let query = query.bind(column(places, |at| context_name(at.context))).bind(column(places, |at| number(*at)));
        let rows: Vec<WishRow> = query.fetch_all(self.connection()).await?;
        let wish = |row: WishRow| {
            let skip = row.skip.map(|offset| (offset, row.why.unwrap_or_default()));
            Some(Wish { id: row.wish_id, place: place(&row.context, row.partition)?, key: row.key, skip })
        };
        Ok(rows.into_iter().filter_map(wish).collect())
    }

    async fn answer(&mut self, wish: Uuid, outcome: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::query("update parked_wishes set outcome = $2, done_at = now() where wish_id = $1");
        query.bind(wish).bind(outcome).execute(self.connection()).await?;
        // Whoever wished reads the answer at once, and takes it away.
        sqlx::query("delete from parked_wishes where done_at < now() - interval '1 day'")
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn place(context: &str, number: i32) -> Option<Partition> {
    let context = Context::ALL.into_iter().find(|it| context_name(*it) == context)?;
    Some(Partition { context, number: u32::try_from(number).ok()? })
}

fn number(at: Partition) -> i32 {
    i32::try_from(at.number).expect("partitions are numbered with 31 bits")
}
