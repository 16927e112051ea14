use std::time::Duration;

use domain::root::Context;
use query_api::service::Service;
use service_kit::clock::monotonic;
use service_kit::consistency::Token;
use service_kit::health::Health;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::As;
use crate::world::{LOG, World};

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let started = monotonic();
    while !reached() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_every_read_model_is_there() {
    let world = World::new().await;
    let health = world.health.clone();
    until("readiness", || health.is_ready()).await;
    let schema = world.names.first(&projectors::LAYOUTS[0]);
    world.execute(format!("drop schema {schema} cascade")).await;
    until("the loss", || health.not_ready().get("read-models").is_some_and(|why| why.contains("_shows_v2"))).await;
    // What is missing may be on its way: a client comes again.
    let answer = world.get(&As::Nobody, "/v1/shows").await;
    answer.is(503, "not-ready");
    assert!(answer.headers.contains_key("retry-after"));
    projectors::ensure(&world.pool, &world.names).await.unwrap();
    until("readiness again", || health.is_ready()).await;
    world.get(&As::Nobody, "/v1/shows").await.ok();
    world.end().await;
}

/// Takes connections and says nothing, as a frozen database does.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_is_503_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://postgres@{}/postgres", silent.local_addr().unwrap());
    let mut world = World::new().await;
    let mut config = world.config.clone();
    config.postgres = url;
    let health = Health::default();
    let service = Service::start(&config, &health, CancellationToken::new()).unwrap();
    let (router, _) = service.routes().split_for_parts();
    let answering = std::mem::replace(&mut world.router, router);
    let started = monotonic();
    let answer = world.get(&As::Nobody, "/v1/shows").await;
    answer.is(503, "not-ready");
    assert!(answer.headers.contains_key("retry-after"));
    let token = Token::at(Context::Catalog, 0, 1, LOG).to_string();
    let waited = world.get_with(&As::Nobody, "/v1/shows", &[("consistency-token", &token), ("prefer", "wait=0")]).await;
    waited.is(503, "not-ready");
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    assert_eq!(health.not_ready()["read-models"], "Postgres does not answer");
    tokio::time::timeout(Duration::from_secs(10), service.stop()).await.expect("it stops all the same");
    world.router = answering;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_come_again_after_the_connections_were_cut() {
    let world = World::new().await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let who = world.holder(it.order, it.stage.show);
    let mut feed = world.open(&who, &format!("/v1/orders/{}/events", it.order), &[]).await;
    feed.next().await.unwrap();
    let channel = world.names.orders_channel();
    let cut = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'query-api' and query like '%{channel}%'"
    );
    let listening = async || -> i64 {
        let count = "select count(*) from pg_stat_activity where application_name = 'query-api' and query like $1";
        sqlx::query_scalar(count).bind(format!("%{channel}%")).fetch_one(&world.pool).await.unwrap()
    };
    assert_eq!(listening().await, 1, "one connection listens for everybody");
    world.execute(cut).await;
    // Told while nobody listens: heard when it listens again.
    world.await_payment(&it).await;
    let told = feed.next().await.unwrap();
    assert_ne!(told.order["status"], "cancelled");
    let started = monotonic();
    while listening().await == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "nobody listens again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.cancel(&it).await;
    let started = monotonic();
    while feed.next().await.is_some_and(|told| told.order["status"] != "cancelled") {}
    assert!(started.elapsed() < Duration::from_secs(12), "woken, not found by looking: {:?}", started.elapsed());
    world.end().await;
}
