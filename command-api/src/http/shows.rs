//! Shows and their ticket classes: what organizers write until a show is published.

use axum::extract::State;
use axum::response::Response;
use domain::ids::{ShowId, TicketClassId};
use domain::show::{ClassTerms, Command, DetailsPatch, Show, ShowDetails, TermsPatch};
use domain::value::{Actor, Currency, Fingerprint, Timestamp};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};
use service_kit::extract::Path;
use service_kit::json::{Empty, Json};
use service_kit::problem::{Kind, Problem};
use service_kit::validate::{Errors, Validate};
use service_kit::views::{self, Money, Venue};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::submit::Asking;

mod room;
mod view;

use room::NewWaitingRoom;

/// No single price is above this: sums of an order then fit in 64 bits.
const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// No class has more.
const MAX_CAPACITY: i64 = 10_000_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, edit))
        .routes(routes!(define_class, edit_class))
        .routes(routes!(configure))
        .routes(routes!(approve))
        .routes(routes!(publish))
        .routes(routes!(cancel))
}

/// A new show.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewShow {
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
struct ShowPatch {
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
struct NewClass {
    name: String,
    price: Money,
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
struct ClassPatch {
    name: Option<String>,
    price: Option<Money>,
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
struct Configuration {
    /// Seconds a buyer has to pay, 1 to 86400.
    #[serde(default = "quarter_of_an_hour")]
    pay_within_s: i64,
    checkout_url: Option<String>,
    /// The queue in front of it; null or left out if there is none.
    waiting_room: Option<NewWaitingRoom>,
}

fn quarter_of_an_hour() -> i64 {
    900
}

/// Tells "not there" from "null".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn check_zone(errors: &mut Errors, name: &str) {
    if TimeZone::get(name).is_err() || name.eq_ignore_ascii_case("local") {
        errors.reject("time_zone", "must be an IANA time zone such as Asia/Ho_Chi_Minh");
    }
}

pub(super) fn check_currency(errors: &mut Errors, code: &str) {
    if iso_currency::Currency::from_code(code).is_none() {
        errors.reject("currency", "must be an ISO 4217 code such as VND");
    }
}

pub(super) fn check_money(errors: &mut Errors, name: &str, money: &Money) {
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

pub(super) fn micros(at: jiff::Timestamp) -> Timestamp {
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

#[utoipa::path(put, path = "/v1/shows/{show}", tag = "shows", params(("show" = uuid::Uuid, Path)), request_body = NewShow,
    responses((status = 201, body = views::Show), (status = 200, body = views::Show, description = "It was there already.")))]
async fn create(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<NewShow>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let details = body.value.into();
    let answer = app.submit::<Show>(show.0, Command::Create { show, details }, &write).await?;
    Ok(app.receipt(&answer).created(&view::seen(&app, &answer)?))
}

#[utoipa::path(patch, path = "/v1/shows/{show}", tag = "shows", params(("show" = uuid::Uuid, Path)), request_body = ShowPatch,
    responses((status = 200, body = views::Show)))]
async fn edit(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<ShowPatch>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let answer = app.submit::<Show>(show.0, Command::Edit { patch: body.value.into() }, &write).await?;
    Ok(app.receipt(&answer).ok(&view::seen(&app, &answer)?))
}

#[utoipa::path(put, path = "/v1/shows/{show}/ticket-classes/{class}", tag = "shows", request_body = NewClass,
    params(("show" = uuid::Uuid, Path), ("class" = uuid::Uuid, Path)),
    responses((status = 201, body = views::TicketClass), (status = 200, body = views::TicketClass, description = "It was there already.")))]
async fn define_class(
    State(app): State<App>,
    Path((show, class)): Path<(ShowId, TicketClassId)>,
    asking: Asking,
    body: Json<NewClass>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let new = body.value;
    priced_in_its_currency(&app, &write.by, show, &new.price).await?;
    let terms = ClassTerms {
        ticket_class: class,
        name: new.name,
        price: new.price.amount,
        capacity: new.capacity,
        sale_starts_at: new.sale_starts_at.map(micros),
        sale_ends_at: new.sale_ends_at.map(micros),
        max_per_order: new.max_per_order,
    };
    let answer = app.submit::<Show>(show.0, Command::DefineClass { terms }, &write).await?;
    Ok(app.receipt(&answer).created(&view::seen_class(&answer, class)?))
}

#[utoipa::path(patch, path = "/v1/shows/{show}/ticket-classes/{class}", tag = "shows", request_body = ClassPatch,
    params(("show" = uuid::Uuid, Path), ("class" = uuid::Uuid, Path)), responses((status = 200, body = views::TicketClass)))]
async fn edit_class(
    State(app): State<App>,
    Path((show, class)): Path<(ShowId, TicketClassId)>,
    asking: Asking,
    body: Json<ClassPatch>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let patch = body.value;
    if let Some(price) = &patch.price {
        priced_in_its_currency(&app, &write.by, show, price).await?;
    }
    let patch = TermsPatch {
        name: patch.name,
        price: patch.price.map(|price| price.amount),
        capacity: patch.capacity,
        sale_starts_at: patch.sale_starts_at.map(|at| at.map(micros)),
        sale_ends_at: patch.sale_ends_at.map(|at| at.map(micros)),
        max_per_order: patch.max_per_order,
    };
    let answer = app.submit::<Show>(show.0, Command::EditClass { ticket_class: class, patch }, &write).await?;
    Ok(app.receipt(&answer).ok(&view::seen_class(&answer, class)?))
}

#[utoipa::path(post, path = "/v1/shows/{show}/configure", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Configuration, responses((status = 200, body = views::Show)))]
async fn configure(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Configuration>,
) -> Result<Response, Problem> {
    let hash = body.fingerprint(&app.0.keys);
    let Configuration { pay_within_s, checkout_url, waiting_room } = body.value;
    let waiting_room = waiting_room.and_then(NewWaitingRoom::terms);
    step(&app, show, asking, hash, Command::Configure { pay_within_s, checkout_url, waiting_room }).await
}

#[utoipa::path(post, path = "/v1/shows/{show}/approve", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Empty, responses((status = 200, body = views::Show)))]
async fn approve(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    step(&app, show, asking, body.fingerprint(&app.0.keys), Command::Approve).await
}

#[utoipa::path(post, path = "/v1/shows/{show}/publish", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Empty, responses((status = 200, body = views::Show)))]
async fn publish(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    let draw_hash = Some(app.0.keys.draw_seed(show).hash());
    step(&app, show, asking, body.fingerprint(&app.0.keys), Command::Publish { draw_hash }).await
}

#[utoipa::path(post, path = "/v1/shows/{show}/cancel", tag = "shows", params(("show" = uuid::Uuid, Path)),
    request_body = Empty, responses((status = 200, body = views::Show)))]
async fn cancel(
    State(app): State<App>,
    Path(show): Path<ShowId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    step(&app, show, asking, body.fingerprint(&app.0.keys), Command::Cancel).await
}

async fn step(
    app: &App,
    show: ShowId,
    asking: Asking,
    hash: Fingerprint,
    command: Command,
) -> Result<Response, Problem> {
    let write = asking.write(app, hash)?;
    let answer = app.submit::<Show>(show.0, command, &write).await?;
    Ok(app.receipt(&answer).ok(&view::seen(app, &answer)?))
}

/// A price is in the show's currency. Strangers learn neither that nor whether there is such a show.
pub(super) async fn priced_in_its_currency(app: &App, by: &Actor, show: ShowId, price: &Money) -> Result<(), Problem> {
    let known = app.look_for::<Show>(by, show.0, Command::Look).await?;
    let Some(known) = known.known() else { return Err(Problem::new(Kind::ShowNotFound)) };
    if known.details.currency.as_str() == price.currency {
        return Ok(());
    }
    let detail = format!("this show is priced in {}", known.details.currency);
    Err(Problem::new(Kind::Validation).error("/price/currency", detail))
}
