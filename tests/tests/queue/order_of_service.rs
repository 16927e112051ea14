//! Many visitors, few slots: everybody in turn, and never more at once than there are slots.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use system_tests::purchase::OnSale;
use system_tests::queue::{Visitor, room, with};
use system_tests::room::Room;
use system_tests::{World, run};

use super::added_up;

const VISITORS: usize = 48;

/// What a visitor does in turn. Gives how the place ends.
async fn visit(sale: &OnSale, n: usize, mut visitor: Visitor) -> &'static str {
    match n % 8 {
        // Some give up while they wait.
        3 => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            visitor.leave().await;
            "left"
        }
        // Some do not come.
        5 => {
            visitor.until("expired").await;
            "lapsed"
        }
        // Some look at it and go.
        6 => {
            visitor.enter_in_turn().await;
            visitor.leave().await;
            "left"
        }
        _ => {
            let token = visitor.enter_in_turn().await;
            sale.buy_with(&visitor.client, &token, 1).await;
            visitor.until("completed").await;
            "completed"
        }
    }
}

#[test]
fn never_more_than_the_slots_and_everybody_in_turn() {
    run(async {
        let world = World::shared().await;
        let terms = with(room(4), &json!({"admission_batch": 3, "enter_s": 2}));
        let sale = world.on_sale_with_room(0, 100, 600, &terms).await;
        let joined = join_all((0..VISITORS).map(|_| world.join(sale.show))).await;
        let ways = join_all(joined.into_iter().enumerate().map(|(n, visitor)| visit(&sale, n, visitor))).await;

        let of_log: Room = added_up(world, sale.show).await;
        assert_eq!((of_log.slots, of_log.most), (4, 4));
        of_log.check_nobody_lost();
        assert_eq!(of_log.ended.len(), VISITORS, "{:?}", of_log.ended);
        for way in ["left", "lapsed", "completed"] {
            let expected = ways.iter().filter(|it| **it == way).count();
            assert_eq!(of_log.count_of(way), expected, "{way}");
        }
        let sold = i64::try_from(of_log.count_of("completed")).unwrap();
        assert_eq!(world.stock(&sale, 100).await, (0, sold, 100 - sold));
    });
}
