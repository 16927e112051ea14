//! What is sold: a show in every partition, two that are free, and two behind waiting rooms.

use event_log::partition::partition_of;
use futures::future::join_all;
use serde_json::json;
use system_tests::Shop;
use system_tests::purchase::{OnSale, class_body, id, show_body};
use uuid::Uuid;

/// More than any run sells.
pub(super) const CAPACITY: i64 = 100_000;
const PRICE: i64 = 1000;
/// Nobody waits so long for money.
const PAY_WITHIN_S: i64 = 600;

/// Shows on sale.
#[derive(Debug, Clone)]
pub struct Shows {
    /// One in every partition, in order.
    pub open: Vec<OnSale>,
    /// One in every partition, for nothing.
    pub free: Vec<OnSale>,
    /// Behind a waiting room, for nothing.
    pub rooms: Vec<OnSale>,
}

/// A fresh id that lies in this partition.
pub fn id_in(partition: u32, partitions: u32) -> Uuid {
    std::iter::repeat_with(id).find(|id| partition_of(*id, partitions) == partition).expect("ids do not end")
}

impl Shows {
    /// Puts them on sale.
    pub(super) async fn open(shop: &Shop, partitions: u32) -> Self {
        let room = json!({"enabled": true, "slots": 12, "admission_batch": 10, "tick_ms": 200, "enter_s": 60});
        let plain = json!({"pay_within_s": PAY_WITHIN_S});
        let roomy = json!({"pay_within_s": PAY_WITHIN_S, "waiting_room": room});
        let all = 0..partitions;
        let open = join_all(all.clone().map(|it| sale(shop, id_in(it, partitions), PRICE, &plain)));
        let free = join_all(all.clone().map(|it| sale(shop, id_in(it, partitions), 0, &plain)));
        let rooms = join_all(all.step_by(2).map(|it| sale(shop, id_in(it, partitions), 0, &roomy)));
        let (open, free, rooms) = tokio::join!(open, free, rooms);
        Self { open, free, rooms }
    }
}

async fn sale(shop: &Shop, show: Uuid, price: i64, configuration: &serde_json::Value) -> OnSale {
    let class = id();
    shop.published_as(show, show_body(), &[(class, class_body(price, CAPACITY))], configuration).await;
    OnSale { show, class, price }
}
