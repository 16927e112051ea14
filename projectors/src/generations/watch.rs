//! What this process knows of the generations: looked up once for all its read models, when somebody tells that they
//! changed, and now and then.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::time::{sleep, timeout};

use super::overview::{Overview, Target, overview};
use super::{ControlError, Duty, Generation, begin};
use crate::model::Layout;
use crate::names::Names;
use crate::schema::{self, LAYOUTS};
use crate::store::is_missing;

/// The last look; nothing before the first.
type Looked = Option<Result<Arc<Overview>, Arc<sqlx::Error>>>;

/// What one read model hears of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Control {
    heard: Heard,
    pub(crate) duty: Duty,
}

#[derive(Clone)]
enum Heard {
    Looks(Receiver<Looked>),
    /// Whatever is shown: this one is filled.
    Only(Generation),
}

/// Looks for all of them.
pub(crate) struct Watcher {
    pool: PgPool,
    names: Names,
    instance: String,
    every: Duration,
    told: Sender<Looked>,
    duty: Duty,
}

/// Somebody who looks, to be run, and what is heard of it. `instance` names this process.
pub(crate) fn watch(pool: PgPool, names: Names, instance: String, every: Duration) -> (Watcher, Control) {
    let (told, heard) = watch::channel(None);
    let duty = Duty::default();
    let control = Control { heard: Heard::Looks(heard), duty: duty.clone() };
    (Watcher { pool, names, instance, every, told, duty }, control)
}

impl Control {
    /// Of whoever fills this generation, whatever is shown.
    pub(crate) fn only(generation: Generation) -> Self {
        Self { heard: Heard::Only(generation), duty: Duty::default() }
    }

    /// What code of this layout has to do, once it is known.
    pub(crate) async fn target(&mut self, layout: &Layout) -> Result<Target, Arc<sqlx::Error>> {
        let heard = match &mut self.heard {
            Heard::Looks(heard) => heard,
            Heard::Only(generation) => return Ok(Target::Fill(*generation)),
        };
        let looked = heard.wait_for(Option::is_some).await.ok().and_then(|looked| looked.clone());
        let Some(looked) = looked else { return ending().await };
        let all = looked?;
        Ok(all.get(layout.name).map_or(Target::Nothing, |standing| standing.target(layout)))
    }

    /// Waits until that is something else.
    pub(crate) async fn other(&mut self, layout: &Layout, than: Target) {
        loop {
            self.looked().await;
            if self.target(layout).await.is_ok_and(|target| target != than) {
                return;
            }
        }
    }

    /// Waits for the next look.
    pub(crate) async fn looked(&mut self) {
        match &mut self.heard {
            Heard::Looks(heard) => {
                if heard.changed().await.is_err() {
                    ending().await
                }
            }
            Heard::Only(_) => std::future::pending().await,
        }
    }

    /// What is known.
    pub(crate) fn overview(&self) -> Option<Arc<Overview>> {
        match &self.heard {
            Heard::Looks(heard) => heard.borrow().as_ref()?.as_ref().ok().cloned(),
            Heard::Only(_) => None,
        }
    }
}

/// Whoever looks lives as long as all others; they are dropped in any order.
async fn ending<T>() -> T {
    std::future::pending().await
}

impl Watcher {
    /// Makes what is missing, and keeps looking.
    pub(crate) async fn run(self) -> Infallible {
        let mut listener = None;
        let mut prepared = false;
        loop {
            match self.look(&mut prepared).await {
                Ok(all) => self.tell(all),
                Err(error) => {
                    prepared &= !is_missing(&error);
                    tracing::warn!(%error, "cannot look up which generations there are");
                    // What was known before is still the best there is.
                    let unknown = !matches!(&*self.told.borrow(), Some(Ok(_)));
                    if unknown {
                        self.told.send_replace(Some(Err(Arc::new(error))));
                    }
                }
            }
            self.wait(&mut listener).await;
        }
    }

    async fn look(&self, prepared: &mut bool) -> Result<Overview, sqlx::Error> {
        if !*prepared {
            schema::ensure(&self.pool, &self.names).await?;
            *prepared = true;
        }
        let mut all = overview(&self.pool, &self.names).await?;
        for layout in &LAYOUTS {
            if all.get(layout.name).is_none_or(|standing| standing.lacks(layout)) {
                self.begin(layout).await?;
                all = overview(&self.pool, &self.names).await?;
            }
        }
        self.duty.tell(&self.pool, &self.names, &self.instance).await?;
        Ok(all)
    }

    async fn begin(&self, layout: &Layout) -> Result<(), sqlx::Error> {
        match begin(&self.pool, &self.names, layout).await {
            Ok(generation) => {
                tracing::info!(projection = layout.name, %generation, "a new version of this read model is filled beside");
                Ok(())
            }
            Err(ControlError::Database(error)) => Err(error),
            Err(other) => Err(sqlx::Error::Protocol(other.to_string())),
        }
    }

    fn tell(&self, all: Overview) {
        self.told.send_if_modified(|told| {
            let news = !matches!(told, Some(Ok(before)) if **before == all);
            *told = Some(Ok(Arc::new(all)));
            news
        });
    }

    /// Until somebody tells of a change, or it is time to look anyway.
    async fn wait(&self, listener: &mut Option<PgListener>) {
        if listener.is_none() {
            *listener = self.listen().await.ok();
        }
        let Some(listening) = listener else {
            return sleep(self.every).await;
        };
        match timeout(self.every, listening.try_recv()).await {
            Err(_) | Ok(Ok(Some(_))) => {}
            Ok(Ok(None) | Err(_)) => {
                *listener = None;
                sleep(self.every).await;
            }
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        let options = self.pool.options().clone().min_connections(0).max_connections(1);
        let options = options.max_lifetime(None).idle_timeout(None);
        let lone = options.connect_lazy_with(self.pool.connect_options().as_ref().clone());
        let mut listener = PgListener::connect_with(&lone).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.names.control_channel()).await?;
        Ok(listener)
    }
}
