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

use crate::model::{Envelope, Layout, ReadModel, Touched, View, word};
use crate::rows::{Kind, Merge, Rows, keep, key, set};

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

static SHOWS_COURSE: Merge = Merge::upsert(
    "shows",
    &[
        key("show_id", Kind::Uuid),
        keep("organizer", Kind::Text),
        keep("created_at_us", Kind::Big),
        keep("status", Kind::Text),
        keep("draw_hash", Kind::Text),
        set("updated_at_us", Kind::Big),
        set("version", Kind::Big),
    ],
);

static CONFIGURED: Merge = Merge::update(
    "shows",
    &[
        key("show_id", Kind::Uuid),
        set("pay_within_s", Kind::Big),
        set("checkout_url", Kind::Text),
        set("waiting_room", Kind::Json),
    ],
);

static DETAILS: Merge = Merge::update(
    "shows",
    &[
        key("show_id", Kind::Uuid),
        set("name", Kind::Text),
        set("description", Kind::Text),
        set("starts_at_us", Kind::Big),
        set("ends_at_us", Kind::Big),
        set("time_zone", Kind::Text),
        set("venue_name", Kind::Text),
        set("venue_city", Kind::Text),
        set("currency", Kind::Text),
        set("categories", Kind::Json),
        set("search_text", Kind::Text),
    ],
);

static CLASSES: Merge = Merge::upsert(
    "ticket_classes",
    &[
        key("show_id", Kind::Uuid),
        key("ticket_class_id", Kind::Uuid),
        keep("ordinal", Kind::Big),
        set("name", Kind::Text),
        set("price", Kind::Big),
        set("capacity", Kind::Big),
        set("sale_starts_at_us", Kind::Big),
        set("sale_ends_at_us", Kind::Big),
        set("max_per_order", Kind::Int),
    ],
);

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
    type Stored = ();

    const LAYOUT: Layout = Layout {
        name: "shows",
        version: 2,
        tables: TABLES,
        table_names: &["shows", "ticket_classes"],
        views: &[SHOWS, TICKET_CLASSES],
        merges: &[&SHOWS_COURSE, &CONFIGURED, &DETAILS, &CLASSES],
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

    fn rows(changes: &Changes) -> Vec<Rows> {
        vec![changes.show_rows(), changes.configured_rows(), changes.details_rows(), changes.class_rows()]
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

    fn show_rows(&self) -> Rows {
        let row = |(id, it): (&ShowId, &Show)| {
            [
                id.0.into(),
                it.organizer.clone().into(),
                it.created_at_us.into(),
                it.status.map(word).into(),
                it.draw_hash.clone().into(),
                it.updated_at_us.into(),
                it.version.into(),
            ]
        };
        SHOWS_COURSE.rows(self.shows.iter().map(row))
    }

    fn configured_rows(&self) -> Rows {
        let configured = self.shows.iter().filter_map(|(id, show)| Some((id, show.configured.as_ref()?)));
        let row = |(id, it): (&ShowId, &ShowConfigured)| {
            [
                id.0.into(),
                it.pay_within_s.into(),
                it.checkout_url.clone().into(),
                it.waiting_room.map(|terms| json!(terms)).into(),
            ]
        };
        CONFIGURED.rows(configured.map(row))
    }

    fn details_rows(&self) -> Rows {
        let detailed = self.shows.iter().filter_map(|(id, show)| Some((id, show.details.as_ref()?)));
        let row = |(id, it): (&ShowId, &ShowDetails)| {
            [
                id.0.into(),
                it.name.clone().into(),
                it.description.clone().into(),
                it.starts_at.0.into(),
                it.ends_at.map(|at| at.0).into(),
                it.time_zone.clone().into(),
                it.venue_name.clone().into(),
                it.venue_city.clone().into(),
                it.currency.to_string().into(),
                json!(it.categories).into(),
                search_text(it).into(),
            ]
        };
        DETAILS.rows(detailed.map(row))
    }

    fn class_rows(&self) -> Rows {
        let row = |((show, class), Class { ordinal, terms }): (&(ShowId, TicketClassId), &Class)| {
            [
                show.0.into(),
                class.0.into(),
                (*ordinal).into(),
                terms.name.clone().into(),
                terms.price.into(),
                terms.capacity.into(),
                terms.sale_starts_at.map(|at| at.0).into(),
                terms.sale_ends_at.map(|at| at.0).into(),
                terms.max_per_order.into(),
            ]
        };
        CLASSES.rows(self.classes.iter().map(row))
    }
}

fn search_text(details: &ShowDetails) -> String {
    let mut words = vec![details.name.as_str(), details.venue_name.as_str()];
    words.extend(details.venue_city.as_deref());
    words.extend(details.categories.iter().map(String::as_str));
    words.join(" ").to_lowercase()
}
