//! Redis: one script per reservation, which Redis runs alone, on one connection that many requests share.
//!
//! There is no history, no saga and no expiry that would give stock back.

use std::path::Path;

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Script};
use tokio::sync::Mutex;

use crate::Durability;
use crate::redis_server::RedisServer;
use crate::store::{Failure, Reserved, Store, Tally, Wish};

const STOCK: &str = "stock";
/// Every order is a value of its own under this and its id.
const ORDER: &str = "order:";

/// Answers the order that was there, or how many tickets were left if that was too little, or neither.
const RESERVE: &str = "
local known = redis.call('GET', KEYS[2])
if known then
    return {known, false}
end
local stock = redis.call('HMGET', KEYS[1], 'capacity', 'sold')
local free = tonumber(stock[1]) - tonumber(stock[2])
local tickets = tonumber(ARGV[1])
if tickets > free then
    return {false, free}
end
redis.call('HINCRBY', KEYS[1], 'sold', tickets)
redis.call('SET', KEYS[2], ARGV[2])
return {false, false}
";

/// Orders looked at in one go when they are counted.
const PAGE: usize = 1000;

/// The design with what it runs on.
pub struct RedisLua {
    server: Mutex<RedisServer>,
    connection: MultiplexedConnection,
    reserve: Script,
}

impl RedisLua {
    /// Starts the server and puts the tickets on sale.
    ///
    /// # Errors
    /// The server does not start.
    pub async fn start(
        program: &Path,
        folder: Option<&Path>,
        durability: Durability,
        capacity: i64,
    ) -> anyhow::Result<Self> {
        let (server, mut connection) = RedisServer::start(program, folder, durability).await?;
        let stock = [("capacity", capacity), ("sold", 0)];
        let () = connection.hset_multiple(STOCK, &stock).await.context("putting tickets on sale")?;
        let reserve = Script::new(RESERVE);
        reserve.load_async(&mut connection).await.context("loading the script")?;
        Ok(Self { server: Mutex::new(server), connection, reserve })
    }
}

fn key(wish: &Wish) -> String {
    format!("{ORDER}{}", wish.order)
}

impl Store for RedisLua {
    async fn reserve(&self, wish: Wish) -> Result<Reserved, Failure> {
        let mut connection = self.connection.clone();
        let mut call = self.reserve.prepare_invoke();
        call.key(STOCK).key(key(&wish)).arg(wish.quantity).arg(serde_json::to_string(&wish)?);
        let (known, free): (Option<String>, Option<i64>) = call.invoke_async(&mut connection).await?;
        match (known, free) {
            (Some(known), _) => Ok(Reserved::Before(serde_json::from_str::<Wish>(&known)?.held)),
            (None, Some(available)) => Ok(Reserved::SoldOut { available }),
            (None, None) => Ok(Reserved::Now),
        }
    }

    async fn tally(&self) -> anyhow::Result<Tally> {
        let mut connection = self.connection.clone();
        let capacity: i64 = connection.hget(STOCK, "capacity").await?;
        let (mut tally, mut cursor) = (Tally { capacity, sold: 0, orders: 0 }, 0_u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{ORDER}*")).arg("COUNT").arg(PAGE);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await?;
            if !keys.is_empty() {
                let orders: Vec<String> = connection.mget(&keys).await?;
                for order in orders {
                    tally.sold += serde_json::from_str::<Wish>(&order)?.quantity;
                    tally.orders += 1;
                }
            }
            if next == 0 {
                return Ok(tally);
            }
            cursor = next;
        }
    }

    async fn close(&self) -> anyhow::Result<()> {
        self.server.lock().await.end().await
    }
}
