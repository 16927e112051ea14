//! The one address that browsers know: a front door before a world, which can be shut and opened again.

use std::net::SocketAddr;

use anyhow::Context as _;
use ops::front_door::{Door, Limits, Upstreams, serve};
use service_kit::http;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shop::Shop;

/// A front door.
pub struct Entrance {
    address: SocketAddr,
    upstreams: Upstreams,
    open: Option<(CancellationToken, JoinHandle<std::io::Result<()>>)>,
}

impl Entrance {
    /// Opens one before a shop whose services all answer at one address.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn before(shop: &Shop) -> Self {
        Self::try_before(shop).expect("there is a port for a front door")
    }

    fn try_before(shop: &Shop) -> anyhow::Result<Self> {
        let base = shop.client.url("");
        let service = base.strip_prefix("http://").context("services answer over HTTP")?;
        let upstreams = Upstreams { command: vec![service.parse()?], query: vec![service.parse()?] };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut entrance = Self { address, upstreams, open: None };
        entrance.try_open()?;
        Ok(entrance)
    }

    /// Opens it again, where it was.
    ///
    /// # Panics
    /// If somebody else has its port by now.
    pub fn open(&mut self) {
        self.try_open().expect("the port is still free");
    }

    fn try_open(&mut self) -> anyhow::Result<()> {
        let listener = http::listen(self.address)?;
        self.address = listener.local_addr()?;
        let (door, stop) = (Door::new(self.upstreams.clone(), Limits::default()), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, door, stop.clone()));
        self.open = Some((stop, serving));
        Ok(())
    }

    /// Shuts it: every connection ends, and no new one comes.
    ///
    /// # Panics
    /// If it did not serve.
    pub async fn shut(&mut self) {
        if let Some((stop, serving)) = self.open.take() {
            stop.cancel();
            serving.await.expect("it does not panic").expect("it served");
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.open.iter().for_each(|(stop, _)| stop.cancel());
    }
}
