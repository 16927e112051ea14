//! Shows and their ticket classes, from `catalog-events` (present price and capacity from `inventory-events`).
//!
//! View `shows`, one row a show:
//!
//! | column | type | |
//! |---|---|---|
//! | `show_id` | uuid | |
//! | `organizer` | text | `account:<sub>` |
//! | `name` | text | |
//! | `description` | text, null | |
//! | `starts_at_us` | bigint | microseconds since 1970, UTC; so all `_us` |
//! | `ends_at_us` | bigint, null | |
//! | `time_zone` | text | IANA |
//! | `venue_name` | text | |
//! | `venue_city` | text, null | |
//! | `currency` | text | ISO 4217 |
//! | `categories` | jsonb | array of strings |
//! | `status` | text | `draft`, `configured`, `approved`, `published`, `cancelled` |
//! | `pay_within_s` | bigint, null | null until configured |
//! | `checkout_url` | text, null | |
//! | `waiting_room` | jsonb, null | [`domain::queue::Terms`]; null until configured, and if there is none |
//! | `draw_hash` | text, null | hex SHA-256 of the draw's seed; null until published, and if nothing is drawn |
//! | `created_at_us` | bigint | |
//! | `updated_at_us` | bigint | time of the last event |
//! | `version` | bigint | number of events |
//! | `search_text` | text | name, venue, city and categories, lower case, for `like` |
//! | `search_vector` | tsvector | the same words: `search_vector @@ websearch_to_tsquery('simple', $1)` has an index |
//!
//! View `ticket_classes`, one row a class, also of shows that are not on sale:
//!
//! | column | type | |
//! |---|---|---|
//! | `show_id`, `ticket_class_id` | uuid | |
//! | `ordinal` | bigint | sorts the classes of a show as they were defined |
//! | `name` | text | |
//! | `price` | bigint | minor units, as it is now |
//! | `capacity` | bigint | as it is now |
//! | `sale_starts_at_us`, `sale_ends_at_us` | bigint, null | |
//! | `max_per_order` | integer | |

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{ShowId, TicketClassId};
use domain::root::{Context, Meta};
use domain::show::{self, ClassTerms, ShowConfigured, ShowDetails, Status};
use serde_json::json;
use sqlx::PgConnection;

use crate::model::{Envelope, Layout, ReadModel, Touched, View, column, word};

/// The read model of shows.
#[derive(Debug)]
pub struct Shows;

const TABLES: &str = "
create table if not exists shows (
    show_id uuid primary key,
    organizer text,
    name text,
    description text,
    starts_at_us bigint,
    ends_at_us bigint,
    time_zone text,
    venue_name text,
    venue_city text,
    currency text,
    categories jsonb,
    search_text text,
    search_vector tsvector generated always as (to_tsvector('simple'::regconfig, coalesce(search_text, ''))) stored,
    status text,
    pay_within_s bigint,
    checkout_url text,
    waiting_room jsonb,
    draw_hash text,
    created_at_us bigint,
    updated_at_us bigint,
    version bigint
);
create index if not exists shows_by_status on shows (status, starts_at_us, show_id);
create index if not exists shows_by_organizer on shows (organizer, starts_at_us, show_id);
create index if not exists shows_by_words on shows using gin (search_vector);
create table if not exists ticket_classes (
    show_id uuid,
    ticket_class_id uuid,
    ordinal bigint,
    name text not null,
    price bigint not null,
    capacity bigint not null,
    sale_starts_at_us bigint,
    sale_ends_at_us bigint,
    max_per_order integer not null,
    primary key (show_id, ticket_class_id)
);
";

const SHOWS: View = View {
    name: "shows",
    query: "
select show_id, organizer, name, description, starts_at_us, ends_at_us, time_zone, venue_name, venue_city, currency,
    categories, status, pay_within_s, checkout_url, waiting_room, draw_hash, created_at_us, updated_at_us, version,
    search_text, search_vector
from {shows}.shows
where created_at_us is not null",
};

const TICKET_CLASSES: View = View {
    name: "ticket_classes",
    query: "
select c.show_id, c.ticket_class_id, c.ordinal, c.name,
    coalesce(i.price, c.price) as price,
    coalesce(i.capacity, c.capacity) as capacity,
    c.sale_starts_at_us, c.sale_ends_at_us, c.max_per_order
from {shows}.ticket_classes c
left join {inventory}.classes i using (show_id, ticket_class_id)
where c.ordinal is not null",
};

/// What becomes of one show; `None` leaves the columns as they are.
#[derive(Debug, Default)]
struct Show {
    organizer: Option<String>,
    created_at_us: Option<i64>,
    details: Option<ShowDetails>,
    status: Option<Status>,
    configured: Option<ShowConfigured>,
    draw_hash: Option<String>,
    updated_at_us: i64,
    version: i64,
}

#[derive(Debug)]
struct Class {
    /// Known when the class is defined, kept when it is edited.
    ordinal: Option<i64>,
    terms: ClassTerms,
}

/// Row changes of a batch.
#[derive(Debug, Default)]
pub struct Changes {
    shows: BTreeMap<ShowId, Show>,
    classes: BTreeMap<(ShowId, TicketClassId), Class>,
}

impl ReadModel for Shows {
    type Changes = Changes;

    const LAYOUT: Layout = Layout {
        name: "shows",
        version: 2,
        tables: TABLES,
        table_names: &["shows", "ticket_classes"],
        views: &[SHOWS, TICKET_CLASSES],
    };
    const CONTEXTS: &'static [Context] = &[Context::Catalog];

    fn fold(changes: &mut Changes, envelope: &Envelope) {
        if let Event::Show(event) = &envelope.event {
            changes.fold(&envelope.meta, event);
        }
    }

    fn touched(changes: &Changes) -> Touched {
        Touched { shows: changes.shows.keys().copied().collect(), ..Touched::default() }
    }

    async fn write(changes: &mut Changes, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        Ok(changes.write_shows(tx).await? + changes.write_details(tx).await? + changes.write_classes(tx).await?)
    }
}

impl Changes {
    fn fold(&mut self, meta: &Meta, event: &show::Event) {
        match event {
            show::Event::ShowCreated(it) => {
                let show = self.show(it.show, meta);
                show.organizer = Some(it.organizer.clone());
                show.created_at_us = Some(meta.occurred_at.0);
                show.details = Some(it.details.clone());
                show.status = Some(Status::Draft);
            }
            show::Event::ShowEdited(it) => self.show(it.show, meta).details = Some(it.details.clone()),
            show::Event::TicketClassDefined(it) => self.class(it.show, meta, &it.terms, Some(meta.version)),
            show::Event::TicketClassEdited(it) => self.class(it.show, meta, &it.terms, None),
            show::Event::ShowConfigured(it) => {
                let show = self.show(it.show, meta);
                show.configured = Some(it.clone());
                show.status = Some(Status::Configured);
            }
            show::Event::ShowApproved(it) => self.show(it.show, meta).status = Some(Status::Approved),
            show::Event::ShowPublished(it) => {
                let show = self.show(it.show, meta);
                show.status = Some(Status::Published);
                show.draw_hash = it.draw_hash.clone();
            }
            show::Event::ShowCancelled(it) => self.show(it.show, meta).status = Some(Status::Cancelled),
        }
    }

    fn show(&mut self, id: ShowId, meta: &Meta) -> &mut Show {
        let show = self.shows.entry(id).or_default();
        show.updated_at_us = meta.occurred_at.0;
        show.version = meta.version;
        show
    }

    fn class(&mut self, show: ShowId, meta: &Meta, terms: &ClassTerms, ordinal: Option<i64>) {
        self.show(show, meta);
        let key = (show, terms.ticket_class);
        let ordinal = ordinal.or_else(|| self.classes.get(&key).and_then(|class| class.ordinal));
        self.classes.insert(key, Class { ordinal, terms: terms.clone() });
    }

    async fn write_shows(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&ShowId, &Show)> = self.shows.iter().collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into shows as s (show_id, organizer, created_at_us, status, draw_hash, updated_at_us, version)
             select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[],
                $7::bigint[])
             on conflict (show_id) do update set
                organizer = coalesce(excluded.organizer, s.organizer),
                created_at_us = coalesce(excluded.created_at_us, s.created_at_us),
                status = coalesce(excluded.status, s.status),
                draw_hash = coalesce(excluded.draw_hash, s.draw_hash),
                updated_at_us = excluded.updated_at_us,
                version = excluded.version",
        );
        let query = query
            .bind(column(&rows, |(id, _)| id.0))
            .bind(column(&rows, |(_, show)| show.organizer.clone()))
            .bind(column(&rows, |(_, show)| show.created_at_us))
            .bind(column(&rows, |(_, show)| show.status.map(word)))
            .bind(column(&rows, |(_, show)| show.draw_hash.clone()))
            .bind(column(&rows, |(_, show)| show.updated_at_us))
            .bind(column(&rows, |(_, show)| show.version));
        let written = query.execute(&mut *tx).await?.rows_affected();
        Ok(written + self.write_configured(tx).await?)
    }

    async fn write_configured(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let configured = self.shows.iter().filter_map(|(id, show)| Some((id, show.configured.as_ref()?)));
        let rows: Vec<(&ShowId, &ShowConfigured)> = configured.collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "update shows s set pay_within_s = c.pay_within_s, checkout_url = c.checkout_url,
                waiting_room = c.waiting_room::jsonb
             from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[])
                as c (show_id, pay_within_s, checkout_url, waiting_room)
             where s.show_id = c.show_id",
        );
        let query = query
            .bind(column(&rows, |(id, _)| id.0))
            .bind(column(&rows, |(_, it)| it.pay_within_s))
            .bind(column(&rows, |(_, it)| it.checkout_url.clone()))
            .bind(column(&rows, |(_, it)| it.waiting_room.map(|terms| json!(terms).to_string())));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_details(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let detailed = self.shows.iter().filter_map(|(id, show)| Some((id, show.details.as_ref()?)));
        let rows: Vec<(&ShowId, &ShowDetails)> = detailed.collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "update shows s set name = d.name, description = d.description, starts_at_us = d.starts_at_us,
                ends_at_us = d.ends_at_us, time_zone = d.time_zone, venue_name = d.venue_name,
                venue_city = d.venue_city, currency = d.currency, categories = d.categories::jsonb,
                search_text = d.search_text
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::text[], $11::text[])
                as d (show_id, name, description, starts_at_us, ends_at_us, time_zone, venue_name, venue_city,
                    currency, categories, search_text)
             where s.show_id = d.show_id",
        );
        let query = query
            .bind(column(&rows, |(id, _)| id.0))
            .bind(column(&rows, |(_, it)| it.name.clone()))
            .bind(column(&rows, |(_, it)| it.description.clone()))
            .bind(column(&rows, |(_, it)| it.starts_at.0))
            .bind(column(&rows, |(_, it)| it.ends_at.map(|at| at.0)))
            .bind(column(&rows, |(_, it)| it.time_zone.clone()))
            .bind(column(&rows, |(_, it)| it.venue_name.clone()))
            .bind(column(&rows, |(_, it)| it.venue_city.clone()))
            .bind(column(&rows, |(_, it)| it.currency.to_string()))
            .bind(column(&rows, |(_, it)| json!(it.categories).to_string()))
            .bind(column(&rows, |(_, it)| search_text(it)));
        Ok(query.execute(tx).await?.rows_affected())
    }

    async fn write_classes(&self, tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let rows: Vec<(&ShowId, &Class)> = self.classes.iter().map(|((show, _), class)| (show, class)).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let query = sqlx::query(
            "insert into ticket_classes as c (show_id, ticket_class_id, ordinal, name, price, capacity,
                sale_starts_at_us, sale_ends_at_us, max_per_order)
             select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::bigint[], $9::int[])
             on conflict (show_id, ticket_class_id) do update set
                ordinal = coalesce(excluded.ordinal, c.ordinal), name = excluded.name, price = excluded.price,
                capacity = excluded.capacity, sale_starts_at_us = excluded.sale_starts_at_us,
                sale_ends_at_us = excluded.sale_ends_at_us, max_per_order = excluded.max_per_order",
        );
        let query = query
            .bind(column(&rows, |(show, _)| show.0))
            .bind(column(&rows, |(_, it)| it.terms.ticket_class.0))
            .bind(column(&rows, |(_, it)| it.ordinal))
            .bind(column(&rows, |(_, it)| it.terms.name.clone()))
            .bind(column(&rows, |(_, it)| it.terms.price))
            .bind(column(&rows, |(_, it)| it.terms.capacity))
            .bind(column(&rows, |(_, it)| it.terms.sale_starts_at.map(|at| at.0)))
            .bind(column(&rows, |(_, it)| it.terms.sale_ends_at.map(|at| at.0)))
            .bind(column(&rows, |(_, it)| it.terms.max_per_order));
        Ok(query.execute(tx).await?.rows_affected())
    }
}

fn search_text(details: &ShowDetails) -> String {
    let mut words = vec![details.name.as_str(), details.venue_name.as_str()];
    words.extend(details.venue_city.as_deref());
    words.extend(details.categories.iter().map(String::as_str));
    words.join(" ").to_lowercase()
}
