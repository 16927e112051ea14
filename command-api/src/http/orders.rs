//! Orders: placing one, paying it in another way, giving it up.

use std::collections::HashSet;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId, derived};
use domain::inventory::{self, Admission, Checkout, Inventory};
use domain::order::{self, Order};
use domain::show::{self, Show};
use domain::value::{Actor, Currency, Fingerprint, PaymentChoice, PricedLine};
use event_log::owner::{Answer, Outcome, Target};
use schemas::sealed;
use serde::Deserialize;
use service_kit::caller::Caller;
use service_kit::checkout_token::CheckoutToken;
use service_kit::clock;
use service_kit::code;
use service_kit::extract::Path;
use service_kit::json::{self, Empty, Json};
use service_kit::keys::hex;
use service_kit::problem::{Kind, Problem};
use service_kit::validate::{Errors, Validate};
use service_kit::views::{self, Buyer, Line};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::App;
use super::refusals::{IntoProblem, payment_mismatch};
use super::shows::check_money;
use super::submit::{Asking, Write, done};
use super::visitors::buyer_of;

mod refund;
mod view;

pub use view::status_word;

/// A key for the buyer's data is waited for so long.
const KEY_WITHIN: Duration = Duration::from_secs(2);
/// An order that a saga is about to create is waited for so long.
const ABOUT_TO_BE: Duration = Duration::from_secs(2);
/// Between two looks whether it is there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(place))
        .routes(routes!(add_payment))
        .routes(routes!(cancel))
        .merge(refund::routes())
}

/// A new order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    #[serde(deserialize_with = "json::id")]
    #[schema(value_type = Uuid)]
    show: ShowId,
    /// 1 to 20.
    lines: Vec<Line>,
    buyer: Buyer,
    /// Left out for a free order.
    payment: Option<NewPayment>,
}

/// How to pay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPayment {
    provider: String,
    /// Where the browser goes afterwards, with `order` and `status`.
    return_url: String,
    /// Where it goes after giving up; `return_url` if absent.
    cancel_url: Option<String>,
}

impl Validate for NewOrder {
    fn validate(&self, errors: &mut Errors) {
        if !(1..=20).contains(&self.lines.len()) {
            errors.reject("lines", "must be from 1 to 20 lines");
        }
        let currencies: HashSet<&str> = self.lines.iter().map(|line| line.unit_price.currency.as_str()).collect();
        if currencies.len() > 1 {
            errors.reject("lines", "must all be in one currency");
        }
        errors.within("lines", |errors| {
            for (n, line) in self.lines.iter().enumerate() {
                errors.within(n, |errors| {
                    errors.range("quantity", line.quantity, 1..=100);
                    check_money(errors, "unit_price", &line.unit_price);
                });
            }
        });
        errors.within("buyer", |errors| check_buyer(errors, &self.buyer));
        if let Some(payment) = &self.payment {
            errors.within("payment", |errors| payment.validate(errors));
        }
    }
}

fn check_buyer(errors: &mut Errors, buyer: &Buyer) {
    errors.text("name", &buyer.name, 1..=200);
    let address = buyer.email.trim();
    let parts = address.split_once('@');
    let sound = parts.is_some_and(|(local, host)| {
        !local.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && !host.contains('@')
    });
    if !sound || address.len() > 254 || address.contains(char::is_whitespace) || address.contains(char::is_control) {
        errors.reject("email", "must be a mail address");
    }
    if let Some(phone) = &buyer.phone {
        let sound = phone.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c));
        if !sound || !(3..=30).contains(&phone.len()) {
            errors.reject("phone", "must be 3 to 30 digits, spaces and + - ( ) .");
        }
    }
}

impl Validate for NewPayment {
    fn validate(&self, errors: &mut Errors) {
        errors.url("return_url", &self.return_url);
        self.cancel_url.iter().for_each(|url| errors.url("cancel_url", url));
    }
}

#[utoipa::path(put, path = "/v1/orders/{order}", tag = "orders", request_body = NewOrder,
    params(("order" = Uuid, Path), ("Checkout-Token" = Option<String>, Header, description = "Needed where the show has a waiting room.")),
    responses((status = 201, body = views::Order), (status = 200, body = views::Order, description = "It was there already.")))]
async fn place(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    asking: Asking,
    token: CheckoutToken,
    body: Json<NewOrder>,
) -> Result<Response, Problem> {
    let by = buyer_of(&app, &asking, order)?;
    let hash = body.fingerprint(&app.0.keys);
    let write = asking.write_by(by, &app, hash);
    let new = body.value;
    let show = new.show;
    let admission = admission(&app, show, token)?;
    let (payment, accepts) = payment(&app, &new, &write)?;
    let key = app.0.key_pool.take(KEY_WITHIN).await.ok_or_else(|| Problem::new(Kind::NotReady))?;
    let checkout = checkout(&app, order, &new, &write, hash, payment, &key)?;
    let (lines, hold_backstop_s) = (new.lines.iter().map(priced).collect(), app.0.hold_backstop_s);
    let command = inventory::Command::Reserve { order, lines, checkout, accepts, hold_backstop_s, admission };
    let outcome = app.outcome::<Inventory>(Target::Id(show.0), command, &write).await;
    if wrote_nothing(&outcome) {
        app.0.key_pool.give_back(key);
    }
    let answer = match outcome {
        Outcome::Refused(refusal) => return Err(refused(&app, show, refusal, &new).await),
        other => done(other)?,
    };
    let receipt = app.receipt(&answer);
    let mut view = match receipt.is_new() {
        true => view::reserved(&answer, order, &new)?,
        false => present(&app, &answer, order, &new).await?,
    };
    if matches!(asking.caller, Caller::Anonymous) {
        view.access_token = Some(app.0.auth.mint_access(order, show, None));
    }
    Ok(receipt.created(&view))
}

/// Whether it is certain that the sealed data is nowhere: then its key protects nothing.
fn wrote_nothing(outcome: &Outcome<Inventory>) -> bool {
    match outcome {
        Outcome::Done(answer) => answer.written == 0,
        Outcome::InDoubt => false,
        Outcome::Refused(_)
        | Outcome::NoSuchSerial
        | Outcome::KeyReused
        | Outcome::TooLarge
        | Outcome::TooLate
        | Outcome::Overloaded
        | Outcome::NotServed
        | Outcome::Broken => true,
    }
}

/// What the waiting room lets this buyer do; a token that has expired may still be that of an order which is there.
fn admission(app: &App, show: ShowId, token: CheckoutToken) -> Result<Option<Admission>, Problem> {
    let Some(token) = token.0 else { return Ok(None) };
    let admitted = app.0.auth.checkout_tokens().read(&token)?;
    if admitted.show != show {
        return Err(Problem::new(Kind::CheckoutTokenInvalid).detail("The Checkout-Token is of another show."));
    }
    Ok(Some(Admission { session: admitted.session, expires_at: admitted.expires_at }))
}

fn checkout(
    app: &App,
    order: OrderId,
    new: &NewOrder,
    write: &Write,
    fingerprint: Fingerprint,
    payment: Option<PaymentChoice>,
    key: &sealed::DataKey,
) -> Result<Checkout, Problem> {
    let principal = write.by.principal();
    let person = match &write.by {
        Actor::Account { .. } => PersonId(derived(Uuid::NAMESPACE_OID, &principal, 0)),
        _ => PersonId(derived(order.0, "person", 0)),
    };
    Ok(Checkout {
        session: None,
        person,
        principal,
        code: code::order(&app.0.keys, order),
        buyer: seal(key, order, &new.buyer)?,
        email_hash: email_hash(app, &new.buyer.email),
        payment,
        fingerprint,
    })
}

fn priced(line: &Line) -> PricedLine {
    PricedLine {
        ticket_class: TicketClassId(line.ticket_class),
        quantity: line.quantity,
        unit_price: line.unit_price.amount,
    }
}

fn seal(key: &sealed::DataKey, order: OrderId, buyer: &Buyer) -> Result<domain::value::Sealed, Problem> {
    let buyer =
        sealed::Buyer { name: buyer.name.clone(), email: buyer.email.trim().to_owned(), phone: buyer.phone.clone() };
    let sealed = buyer.seal(key, order.0.as_bytes(), &ring::rand::SystemRandom::new());
    sealed.map_err(|_| Problem::new(Kind::Internal))
}

fn email_hash(app: &App, address: &str) -> String {
    hex(&app.0.keys.email(address))
}

/// How the order is to be paid, and in which currencies that could be: the one that the buyer saw, if the provider takes it.
fn payment(app: &App, new: &NewOrder, write: &Write) -> Result<(Option<PaymentChoice>, Vec<Currency>), Problem> {
    let total = new.lines.iter().try_fold(0_i64, |sum, line| {
        line.unit_price.amount.checked_mul(i64::from(line.quantity)).and_then(|price| sum.checked_add(price))
    });
    let total = total.ok_or_else(|| Problem::new(Kind::Validation).error("/lines", "the sum is too large"))?;
    let Some(payment) = &new.payment else {
        return if total > 0 { Err(payment_mismatch(total)) } else { Ok((None, Vec::new())) };
    };
    if total == 0 {
        return Err(payment_mismatch(total));
    }
    let seen: Currency = new.lines[0].unit_price.currency.parse().expect("currencies were checked");
    let choice = choice(app, payment, write, "/payment/provider")?;
    if !app.0.gateways.takes(choice.provider, seen) {
        let problem = Problem::new(Kind::ProviderUnavailable);
        return Err(problem.error("/payment/provider", format!("cannot collect {seen}")));
    }
    Ok((Some(choice), vec![seen]))
}

fn choice(app: &App, payment: &NewPayment, write: &Write, pointer: &str) -> Result<PaymentChoice, Problem> {
    let gateway = app.0.gateways.by_name(&payment.provider).ok_or_else(|| {
        Problem::new(Kind::ProviderUnavailable).error(pointer, "is not a provider that is set up here")
    })?;
    Ok(PaymentChoice {
        payment: PaymentId(derived(write.id.0, "payment", 0)),
        provider: gateway.provider(),
        return_url: payment.return_url.clone(),
        cancel_url: payment.cancel_url.clone(),
    })
}

/// The stock's refusal in the buyer's words: only the show itself knows whether it exists and is about to be sold.
async fn refused(app: &App, show: ShowId, refusal: inventory::Refusal, new: &NewOrder) -> Problem {
    match refusal {
        inventory::Refusal::NotOnSale { line: None, opens_at: None } => {
            match app.look::<Show>(show.0, show::Command::Look).await {
                Err(problem) => problem,
                Ok(known) => match known.known().map(|known| known.status) {
                    Some(show::Status::Published) => {
                        Problem::new(Kind::NotOnSale).detail("Sales are about to open.").retry_after_s(1)
                    }
                    Some(show::Status::Cancelled) => Problem::new(Kind::NotOnSale).detail("The show is cancelled."),
                    Some(show::Status::Draft | show::Status::Configured | show::Status::Approved) | None => {
                        Problem::new(Kind::ShowNotFound)
                    }
                },
            }
        }
        // What the buyer saw was in another currency than the show's.
        inventory::Refusal::ProviderUnavailable { currency }
            if new.lines.iter().any(|line| line.unit_price.currency != currency.as_str()) =>
        {
            Problem::new(Kind::PriceChanged)
                .error("/lines/0/unit_price/currency", format!("this show is priced in {currency}"))
        }
        refusal => refusal.into_problem(),
    }
}

/// The order as it is now, for a request that had been carried out before.
async fn present(
    app: &App,
    answer: &Answer<Inventory>,
    order: OrderId,
    new: &NewOrder,
) -> Result<views::Order, Problem> {
    let known = app.look::<Order>(order.0, order::Command::Look).await?;
    match known.known() {
        Some(known) if known.show == new.show => {
            let mut view = view::present(app, known).await?;
            view.buyer = Some(new.buyer.clone());
            Ok(view)
        }
        // The saga has not got there yet, or another show has an order of this id.
        _ => view::reserved(answer, order, new),
    }
}

#[utoipa::path(post, path = "/v1/orders/{order}/payments", tag = "orders", params(("order" = Uuid, Path)), request_body = NewPayment,
    responses((status = 201, body = views::Order)))]
async fn add_payment(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    asking: Asking,
    body: Json<NewPayment>,
) -> Result<Response, Problem> {
    let write = asking.write_with_key(&app, body.fingerprint(&app.0.keys))?;
    let payment = choice(&app, &body.value, &write, "/provider")?;
    let accepts = app.0.gateways.get(payment.provider).map(|gateway| gateway.currencies().to_vec()).unwrap_or_default();
    let command = order::Command::AddPayment { payment, accepts };
    let answer = app.submit_to_order(order, command, &write).await?;
    let view = seen(&app, &answer).await?;
    Ok(app.receipt(&answer).created(&view))
}

#[utoipa::path(post, path = "/v1/orders/{order}/cancel", tag = "orders", params(("order" = Uuid, Path)), request_body = Empty,
    responses((status = 200, body = views::Order)))]
async fn cancel(
    State(app): State<App>,
    Path(order): Path<OrderId>,
    asking: Asking,
    body: Json<Empty>,
) -> Result<Response, Problem> {
    let write = asking.write(&app, body.fingerprint(&app.0.keys))?;
    let answer = app.submit_to_order(order, order::Command::Cancel, &write).await?;
    let view = seen(&app, &answer).await?;
    Ok(app.receipt(&answer).ok(&view))
}

async fn seen(app: &App, answer: &Answer<Order>) -> Result<views::Order, Problem> {
    let known = answer.state.known().ok_or_else(|| Problem::new(Kind::NotFound))?;
    view::present(app, known).await
}

impl App {
    /// Sends a write to an order. One that a saga is about to create is waited for, for everyone alike. Whoever holds its
    /// token was promised that it comes, and is told to come again, not that there is none.
    async fn submit_to_order(
        &self,
        order: OrderId,
        ask: order::Command,
        write: &Write,
    ) -> Result<Answer<Order>, Problem> {
        let begun = clock::monotonic();
        loop {
            match self.submit::<Order>(order.0, ask.clone(), write).await {
                Err(problem) if problem.kind() != Kind::NotFound => return Err(problem),
                Err(_) if begun.elapsed() < ABOUT_TO_BE => tokio::time::sleep(LOOK_AGAIN).await,
                Err(missing) => {
                    let promised = matches!(&write.by, Actor::OrderHolder { order: theirs, .. } if *theirs == order);
                    let comes = promised && self.look::<Order>(order.0, order::Command::Look).await?.known().is_none();
                    return Err(if comes { Problem::new(Kind::NotReady) } else { missing });
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }
}
