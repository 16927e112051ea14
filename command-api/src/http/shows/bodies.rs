//! What organizers send about shows and ticket classes, and what is wrong with it.

use domain::ids::TicketClassId;
use domain::show::{ClassTerms, DetailsPatch, ShowDetails, TermsPatch};
use domain::value::{Currency, Timestamp};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};
use service_kit::validate::{Errors, Validate};
use service_kit::views::{Money, Venue};
use utoipa::ToSchema;

use super::room::NewWaitingRoom;

/// No single price is above this: sums of an order then fit in 64 bits.
const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// No class has more.
const MAX_CAPACITY: i64 = 10_000_000;

/// A new show.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShow {
    name: String,
    description: Option<String>,
    starts_at: jiff::Timestamp,
    ends_at: Option<jiff::Timestamp>,
    /// IANA zone of the venue, such as `Asia/Ho_Chi_Minh`.
    time_zone: String,
    venue: Venue,
    currency: String,
    #[serde(default)]
    categories: Vec<String>,
}

/// What of a show is to change; null clears what may be absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShowPatch {
    name: Option<String>,
    #[serde(deserialize_with = "present")]
    description: Option<Option<String>>,
    starts_at: Option<jiff::Timestamp>,
    #[serde(deserialize_with = "present")]
    ends_at: Option<Option<jiff::Timestamp>>,
    time_zone: Option<String>,
    venue: Option<Venue>,
    currency: Option<String>,
    categories: Option<Vec<String>>,
}

/// A new ticket class.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClass {
    name: String,
    pub price: Money,
    capacity: i64,
    sale_starts_at: Option<jiff::Timestamp>,
    sale_ends_at: Option<jiff::Timestamp>,
    #[serde(default = "ten")]
    max_per_order: i32,
}

fn ten() -> i32 {
    10
}

/// What of a ticket class is to change; null clears what may be absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassPatch {
    name: Option<String>,
    pub price: Option<Money>,
    capacity: Option<i64>,
    #[serde(deserialize_with = "present")]
    sale_starts_at: Option<Option<jiff::Timestamp>>,
    #[serde(deserialize_with = "present")]
    sale_ends_at: Option<Option<jiff::Timestamp>>,
    max_per_order: Option<i32>,
}

/// How a show is sold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Seconds a buyer has to pay, 1 to 86400.
    #[serde(default = "quarter_of_an_hour")]
    pub pay_within_s: i64,
    pub checkout_url: Option<String>,
    /// The queue in front of it; null or left out if there is none.
    pub waiting_room: Option<NewWaitingRoom>,
}

fn quarter_of_an_hour() -> i64 {
    900
}

/// Tells "not there" from "null".
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn check_zone(errors: &mut Errors, name: &str) {
    if TimeZone::get(name).is_err() || name.eq_ignore_ascii_case("local") {
        errors.reject("time_zone", "must be an IANA time zone such as Asia/Ho_Chi_Minh");
    }
}

fn check_currency(errors: &mut Errors, code: &str) {
    if iso_currency::Currency::from_code(code).is_none() {
        errors.reject("currency", "must be an ISO 4217 code such as VND");
    }
}

/// An amount in a currency that exists, not negative and not absurd.
pub fn check_money(errors: &mut Errors, name: &str, money: &Money) {
    errors.within(name, |errors| {
        errors.range("amount", money.amount, 0..=MAX_AMOUNT);
        check_currency(errors, &money.currency);
    });
}

fn check_categories(errors: &mut Errors, categories: &[String]) {
    if categories.len() > 20 {
        errors.reject("categories", "must be at most 20");
    }
    errors.within("categories", |errors| {
        for (n, category) in categories.iter().enumerate() {
            errors.text(n, category, 1..=100);
        }
    });
}

fn check_venue(errors: &mut Errors, venue: &Venue) {
    errors.within("venue", |errors| {
        errors.text("name", &venue.name, 1..=200);
        if let Some(city) = &venue.city {
            errors.text("city", city, 1..=200);
        }
    });
}

impl Validate for NewShow {
    fn validate(&self, errors: &mut Errors) {
        errors.text("name", &self.name, 1..=200);
        if let Some(description) = &self.description {
            errors.text("description", description, 0..=10_000);
        }
        check_zone(errors, &self.time_zone);
        check_venue(errors, &self.venue);
        check_currency(errors, &self.currency);
        check_categories(errors, &self.categories);
    }
}

impl Validate for ShowPatch {
    fn validate(&self, errors: &mut Errors) {
        self.name.iter().for_each(|name| errors.text("name", name, 1..=200));
        let description = self.description.iter().flatten();
        description.for_each(|description| errors.text("description", description, 0..=10_000));
        self.time_zone.iter().for_each(|zone| check_zone(errors, zone));
        self.venue.iter().for_each(|venue| check_venue(errors, venue));
        self.currency.iter().for_each(|currency| check_currency(errors, currency));
        self.categories.iter().for_each(|categories| check_categories(errors, categories));
    }
}

impl Validate for NewClass {
    fn validate(&self, errors: &mut Errors) {
        errors.text("name", &self.name, 1..=200);
        check_money(errors, "price", &self.price);
        errors.range("capacity", self.capacity, 0..=MAX_CAPACITY);
        errors.range("max_per_order", self.max_per_order, 1..=100);
    }
}

impl Validate for ClassPatch {
    fn validate(&self, errors: &mut Errors) {
        self.name.iter().for_each(|name| errors.text("name", name, 1..=200));
        self.price.iter().for_each(|price| check_money(errors, "price", price));
        self.capacity.iter().for_each(|capacity| errors.range("capacity", *capacity, 0..=MAX_CAPACITY));
        self.max_per_order.iter().for_each(|max| errors.range("max_per_order", *max, 1..=100));
    }
}

impl Validate for Configuration {
    fn validate(&self, errors: &mut Errors) {
        errors.range("pay_within_s", self.pay_within_s, 1..=86_400);
        self.checkout_url.iter().for_each(|url| errors.url("checkout_url", url));
        self.waiting_room.iter().for_each(|room| errors.within("waiting_room", |errors| room.validate(errors)));
    }
}

/// As events keep it.
pub fn micros(at: jiff::Timestamp) -> Timestamp {
    Timestamp(at.as_microsecond())
}

fn currency(code: &str) -> Currency {
    code.parse().expect("currencies were checked")
}

impl From<NewShow> for ShowDetails {
    fn from(new: NewShow) -> Self {
        Self {
            name: new.name,
            description: new.description,
            starts_at: micros(new.starts_at),
            ends_at: new.ends_at.map(micros),
            time_zone: new.time_zone,
            venue_name: new.venue.name,
            venue_city: new.venue.city,
            currency: currency(&new.currency),
            categories: new.categories,
        }
    }
}

impl From<ShowPatch> for DetailsPatch {
    fn from(patch: ShowPatch) -> Self {
        let (venue_name, venue_city) = match patch.venue {
            Some(venue) => (Some(venue.name), Some(venue.city)),
            None => (None, None),
        };
        Self {
            name: patch.name,
            description: patch.description,
            starts_at: patch.starts_at.map(micros),
            ends_at: patch.ends_at.map(|at| at.map(micros)),
            time_zone: patch.time_zone,
            venue_name,
            venue_city,
            currency: patch.currency.as_deref().map(currency),
            categories: patch.categories,
        }
    }
}

impl NewClass {
    /// The terms of this class.
    pub fn terms(self, ticket_class: TicketClassId) -> ClassTerms {
        ClassTerms {
            ticket_class,
            name: self.name,
            price: self.price.amount,
            capacity: self.capacity,
            sale_starts_at: self.sale_starts_at.map(micros),
            sale_ends_at: self.sale_ends_at.map(micros),
            max_per_order: self.max_per_order,
        }
    }
}

impl From<ClassPatch> for TermsPatch {
    fn from(patch: ClassPatch) -> Self {
        Self {
            name: patch.name,
            price: patch.price.map(|price| price.amount),
            capacity: patch.capacity,
            sale_starts_at: patch.sale_starts_at.map(|at| at.map(micros)),
            sale_ends_at: patch.sale_ends_at.map(|at| at.map(micros)),
            max_per_order: patch.max_per_order,
        }
    }
}
