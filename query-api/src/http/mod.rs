//! The reading routes. Every handler waits for what the client has written, reads, and answers what it may see.

mod inventory;
mod live;
mod orders;
mod page;
mod paging;
mod payments;
mod persons;
mod queue;
mod refunds;
mod showcase;
mod shows;
mod since;
mod sse;
mod tickets;

use std::sync::Arc;

use axum::extract::FromRef;
use domain::ids::{OrderId, ShowId};
use service_kit::auth::Auth;
use service_kit::consistency;
use service_kit::keys::Keys;
use service_kit::views::PaymentMethod;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required};
use utoipa_axum::router::OpenApiRouter;

use crate::boards::Boards;
use crate::buyers::Buyers;
use crate::changes::Changes;
use crate::config::StreamSettings;
use crate::database::Database;
use crate::progress::Progress;
use crate::stale::Stale;
use crate::ticket_code::Signer;
use crate::together::Together;

/// What handlers work with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    asked: Asked,
    showcases: showcase::Showcases,
    /// Event streams that may still begin.
    streams: Arc<Semaphore>,
}

/// What many ask for at the same time.
#[derive(Debug)]
struct Asked {
    orders: Together<OrderId, Vec<Arc<orders::row::Whole>>>,
    statuses: Together<OrderId, Vec<String>>,
    shows: Together<ShowId, Option<Arc<shows::Row>>>,
    stocks: Together<ShowId, Arc<Vec<inventory::Row>>>,
}

impl Asked {
    fn of(database: &Database) -> Self {
        Self {
            orders: orders::row::wholes(database.clone()),
            statuses: orders::row::statuses(database.clone()),
            shows: shows::by_id(database.clone()),
            stocks: inventory::stocks(database.clone()),
        }
    }
}

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// Verifies tokens.
    pub auth: Auth,
    /// What mail addresses and cursors are recognised by.
    pub keys: Keys,
    /// Where the views are.
    pub database: Database,
    /// Wakes who waits for an order.
    pub changes: Changes,
    /// How far the read models have come.
    pub progress: Progress,
    /// What of them is known to be behind.
    pub stale: Stale,
    /// What visitors of waiting rooms are told.
    pub boards: Boards,
    /// Opens personal data.
    pub buyers: Buyers,
    /// Signs ticket codes.
    pub signer: Signer,
    /// The providers that are set up.
    pub payment_methods: Vec<PaymentMethod>,
    /// Limits of event streams.
    pub streams: StreamSettings,
    /// Ends waiting reads and event streams.
    pub shutdown: CancellationToken,
}

impl App {
    /// Puts it together, inside a tokio runtime.
    pub fn new(parts: Parts) -> Self {
        let streams = Arc::new(Semaphore::new(parts.streams.max));
        let asked = Asked::of(&parts.database);
        Self(Arc::new(Inner { parts, asked, showcases: showcase::Showcases::default(), streams }))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl FromRef<App> for Auth {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}

/// Every reading route with its document.
pub fn routes(app: App) -> OpenApiRouter {
    let mut routes = OpenApiRouter::new()
        .merge(shows::routes())
        .merge(inventory::routes())
        .merge(queue::routes())
        .merge(payments::routes())
        .merge(refunds::routes())
        .merge(orders::routes())
        .merge(persons::routes())
        .merge(tickets::routes())
        .merge(live::routes())
        .merge(page::routes());
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        if let Some(get) = &mut item.get {
            get.parameters.get_or_insert_default().extend(common_headers().map(Into::into));
        }
    }
    routes.with_state(app)
}

/// What every read takes.
fn common_headers() -> [Parameter; 2] {
    let header = |name: &str, doc: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
        parameter.required(Required::False).description(Some(doc)).schema(Some(text)).build()
    };
    [
        header(consistency::HEADER.as_str(), "Of an answer to a write: this read then sees that write, or is 504."),
        header("prefer", "`wait=N`: how many seconds to wait for what is asked for, at most 30; 2 if not said."),
    ]
}
