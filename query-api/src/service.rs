//! Puts the process together: the database, who listens to it, routes.

use service_kit::health::Health;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

use crate::boards::Boards;
use crate::buyers::Buyers;
use crate::changes::{Changes, Heard};
use crate::config::Config;
use crate::database::Database;
use crate::figures;
use crate::http::{self, App, Parts};
use crate::progress::Progress;
use crate::stale::Stale;
use crate::ticket_code::Signer;

/// The running read side.
#[derive(Debug)]
pub struct Service {
    app: App,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Service {
    /// Starts everything, inside a tokio runtime; nothing is waited for. `health` says when the read models can be read.
    /// Waiting reads and event streams end by `shutdown`.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn start(config: &Config, health: &Health, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let database = Database::new(&config.postgres, &config.common.namespace, config.connections)?;
        let (changes, progress, boards) = (Changes::default(), Progress::new(), Boards::default());
        let stale = Stale::default();
        let shutdown = shutdown.child_token();
        let tasks = TaskTracker::new();
        tasks.spawn(database.clone().watch(health.register("read-models"), shutdown.clone()));
        tasks.spawn(progress.clone().run(database.clone(), stale.clone(), shutdown.clone()));
        tasks.spawn(stale.clone().run(database.clone(), shutdown.clone()));
        tasks.spawn(boards.clone().run(database.clone(), shutdown.clone()));
        let heard = Heard { progress: progress.clone(), boards: boards.clone() };
        tasks.spawn(changes.clone().listen(database.clone(), heard, shutdown.clone()));
        let watched = database.clone();
        let app = App::new(Parts {
            auth: config.secrets.auth(),
            keys: config.secrets.keys(),
            buyers: Buyers::new(&config.master_key, database.clone()),
            signer: Signer::new(&config.tickets.seed, config.tickets.key_id),
            payment_methods: config.payment_methods.clone(),
            streams: config.streams,
            database,
            changes,
            progress,
            stale,
            boards,
            shutdown: shutdown.clone(),
        });
        tasks.spawn(figures::run(watched, app.clone(), shutdown.clone()));
        Ok(Self { app, tasks, shutdown })
    }

    /// The reading routes with their document.
    pub fn routes(&self) -> OpenApiRouter {
        http::routes(self.app.clone())
    }

    /// Ends waiting reads, event streams and what runs in the background.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
