use domain::event::Event;
use domain::ids::TicketId;
use domain::ticket::{self, TicketsRevoked};
use query_api::ticket_code::{Admission, Signer, verify};
use serde_json::json;

use crate::story::{STARTS, id};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_admits_by_a_code_that_a_gate_verifies_offline() {
    let world = World::with([("BOXOFFICE_TICKET_KEY_ID", "9")]).await;
    let it = world.reserve(world.on_sale(1).await, 1, "guest:1").await;
    let (who, path) = (world.holder(it.order, it.stage.show), format!("/v1/orders/{}/tickets", it.order));
    assert_eq!(world.get(&who, &path).await.ok(), json!({"items": [], "next_cursor": null}));
    let tickets = world.complete(&it).await;
    let listed = world.get(&who, &path).await.ok();
    let public_key = Signer::new(&world.config.tickets.seed, 9).public_key();
    for (n, ticket) in tickets.iter().enumerate() {
        let item = &listed["items"][n];
        assert_eq!((&item["id"], &item["status"]), (&json!(ticket), &json!("valid")));
        assert_eq!(item["ticket_class"], json!(it.stage.class));
        let not_after = u32::try_from(STARTS / 1_000_000 + 86_400).unwrap();
        let expected = Admission { show: it.stage.show, ticket: *ticket, revision: 0, not_after };
        assert_eq!(verify(9, &public_key, item["code"].as_str().unwrap()), Ok(expected));
        let qr = world.get(&who, item["qr_svg_url"].as_str().unwrap()).await;
        assert_eq!((qr.status.as_u16(), &qr.headers["content-type"]), (200, &"image/svg+xml".parse().unwrap()));
        assert_eq!(qr.headers["cache-control"], "no-store");
        assert!(qr.text.contains("<svg") && qr.text.len() > 1000, "{}", qr.text);
    }
    let order = world.get(&who, &format!("/v1/orders/{}", it.order)).await.ok();
    assert_eq!(order["tickets"], listed["items"]);
    let unknown = TicketId(id("none", 1));
    world.get(&who, &format!("{path}/{unknown}/qr.svg")).await.is(404, "not-found");

    let (order, show) = (it.order, it.stage.show);
    let revoked = TicketsRevoked { order, show, tickets: vec![tickets[0]] };
    world.tell(it.at_us + 9, Event::Ticket(ticket::Event::TicketsRevoked(revoked))).await;
    let listed = world.get(&who, &path).await.ok();
    assert_eq!((&listed["items"][0]["status"], &listed["items"][1]["status"]), (&json!("revoked"), &json!("valid")));
    assert!(listed["items"][0].get("code").is_none() && listed["items"][1]["code"].is_string(), "{listed}");
    world.get(&who, &format!("{path}/{}/qr.svg", tickets[0])).await.is(404, "not-found");
    world.end().await;
}
