//! The services behind the front door, several of a kind, and which of them gets a request.
//!
//! Who is known not to be ready gets none, unless nobody else is there: then it says so itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http::uri::{Authority, PathAndQuery};
use tokio_util::sync::CancellationToken;

use super::proxy::{Proxy, target};
use super::route::Upstream;

/// Between two questions whether a service is ready.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Whoever says nothing for so long is not ready.
const ANSWER: Duration = Duration::from_secs(1);
const READY: &str = "/readyz";

/// Where the services are: `host:port` of each.
#[derive(Debug, Clone)]
pub struct Upstreams {
    /// The write side.
    pub command: Vec<Authority>,
    /// The read side.
    pub query: Vec<Authority>,
}

/// All services.
#[derive(Debug)]
pub struct Pools {
    command: Pool,
    query: Pool,
}

impl Pools {
    /// Until they are asked, all are taken to be ready.
    ///
    /// # Panics
    /// If there is none of a kind.
    pub fn new(upstreams: Upstreams) -> Self {
        Self { command: Pool::new(upstreams.command), query: Pool::new(upstreams.query) }
    }

    /// Those of one kind.
    pub fn of(&self, upstream: Upstream) -> &Pool {
        match upstream {
            Upstream::Command => &self.command,
            Upstream::Query => &self.query,
        }
    }

    /// Asks everybody again and again whether it is ready, until `stop`.
    pub async fn watch(self: Arc<Self>, proxy: Proxy, stop: CancellationToken) {
        let members = self.command.members.iter().chain(&self.query.members);
        let asking = members.map(|member| member.watch(&proxy));
        tokio::select! {
            _ = futures::future::join_all(asking) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// The services of one kind.
#[derive(Debug)]
pub struct Pool {
    members: Vec<Member>,
    turn: AtomicUsize,
}

/// One service.
#[derive(Debug)]
pub struct Member {
    /// Where it is.
    pub at: Authority,
    ready: AtomicBool,
}

impl Pool {
    fn new(at: Vec<Authority>) -> Self {
        assert!(!at.is_empty(), "a front door has something behind it");
        let members = at.into_iter().map(|at| Member { at, ready: AtomicBool::new(true) });
        Self { members: members.collect(), turn: AtomicUsize::new(0) }
    }

    /// In which order they are tried for the next request: those that are ready, beginning with the next one in turn,
    /// then the others.
    pub fn next(&self) -> Vec<&Member> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len();
        let (before, from) = self.members.split_at(turn);
        let (mut ready, others): (Vec<_>, Vec<_>) = from.iter().chain(before).partition(|it| it.is_ready());
        ready.extend(others);
        ready
    }
}

impl Member {
    /// Notes that nobody listens there.
    pub fn refused(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    async fn watch(&self, proxy: &Proxy) {
        loop {
            self.ready.store(self.asks_ready(proxy).await, Ordering::Relaxed);
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn asks_ready(&self, proxy: &Proxy) -> bool {
        let uri = target(&self.at, Some(PathAndQuery::from_static(READY)));
        let Some(request) = uri.and_then(|uri| Request::get(uri).body(Body::empty()).ok()) else { return false };
        let answer = tokio::time::timeout(ANSWER, proxy.send(request)).await;
        // Whoever has no such route is no service of ours, but it answers.
        matches!(answer, Ok(Ok(response)) if !response.status().is_server_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new(["a:1", "b:1", "c:1"].map(Authority::from_static).to_vec())
    }

    fn order(pool: &Pool) -> String {
        pool.next().iter().map(|member| &member.at.as_str()[..1]).collect()
    }

    #[test]
    fn everybody_has_its_turn() {
        let pool = pool();
        assert_eq!([order(&pool), order(&pool), order(&pool), order(&pool)], ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn who_is_not_ready_comes_last() {
        let pool = pool();
        pool.members[1].refused();
        assert_eq!([order(&pool), order(&pool), order(&pool)], ["acb", "cab", "cab"]);
        pool.members.iter().for_each(Member::refused);
        assert_eq!(order(&pool), "abc", "somebody has to say that nobody is ready");
    }
}
