//! A show from draft to published.

use serde_json::json;
use system_tests::World;
use system_tests::purchase::{class_body, id, show_body};

#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    let world = World::start().await;
    let t = std::time::Instant::now();
    let sale = world.on_sale(150_000, 10, 60).await;
    eprintln!("on sale after {:?}", t.elapsed());
    let (order, holder, answer) = sale.buy(&world, 2).await;
    eprintln!("{:#?}", answer.body);
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let again = holder.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await;
    eprintln!("{again:#?}");
    let _ = (id(), class_body(1, 1), show_body());
    world.stop().await;
}
