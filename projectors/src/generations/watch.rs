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
use super::{ControlError, begin};
use crate::model::Layout;
use crate::names::Names;
use crate::schema::{self, LAYOUTS};
use crate::store::is_missing;

/// The last look; nothing before the first.
type Looked = Option<Result<Arc<Overview>, Arc<sqlx::Error>>>;

/// What one read model hears of. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Control(Receiver<Looked>);

/// Looks for all of them.
pub(crate) struct Watcher {
    pool: PgPool,
    names: Names,
    every: Duration,
    told: Sender<Looked>,
}

/// Somebody who looks, to be run, and what is heard of it.
pub(crate) fn watch(pool: PgPool, names: Names, every: Duration) -> (Watcher, Control) {
    let (told, heard) = watch::channel(None);
    (Watcher { pool, names, every, told }, Control(heard))
}

impl Control {
    /// What code of this layout has to do, once it is known.
    pub(crate) async fn target(&mut self, layout: &Layout) -> Result<Target, Arc<sqlx::Error>> {
        let looked = self.0.wait_for(Option::is_some).await.expect("whoever looks lives as long as we do").clone();
        let all = looked.expect("it was waited for")?;
        Ok(all.get(layout.name).map_or(Target::Nothing, |standing| standing.target(layout)))
    }

    /// Waits until that is something else.
    pub(crate) async fn other(&mut self, layout: &Layout, than: Target) {
        loop {
            self.0.changed().await.expect("whoever looks lives as long as we do");
            if self.target(layout).await.is_ok_and(|target| target != than) {
                return;
            }
        }
    }

    /// Waits for the next look.
    pub(crate) async fn looked(&mut self) {
        self.0.changed().await.expect("whoever looks lives as long as we do");
    }

    /// What is known.
    pub(crate) fn overview(&self) -> Option<Arc<Overview>> {
        self.0.borrow().as_ref()?.as_ref().ok().cloned()
    }
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
