//! Tickets: what a gate scans, and who gets to see it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};
use system_tests::purchase::id;
use system_tests::{World, run};
use uuid::Uuid;

/// What gates have: the public key of `BOXOFFICE_TICKET_KEY`.
fn public_key() -> Vec<u8> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[0x33; 32]).unwrap();
    pair.public_key().as_ref().to_vec()
}

/// Show, ticket and end of a code, read as a gate reads it: 40 bytes and their signature.
fn scan(code: &str) -> Option<(Uuid, Uuid, u32)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(code).ok()?;
    let (payload, signature) = bytes.split_at_checked(40)?;
    let signed = [b"ticket-v1\0", payload].concat();
    UnparsedPublicKey::new(&ED25519, public_key()).verify(&signed, signature).ok()?;
    assert_eq!(payload[..2], [1, 1], "version and key id");
    let until = u32::from_be_bytes(payload[36..40].try_into().unwrap());
    Some((Uuid::from_slice(&payload[2..18]).ok()?, Uuid::from_slice(&payload[18..34]).ok()?, until))
}

#[test]
fn a_whole_purchase() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(150_000, 10, 600).await;
        let (order, holder, placed) = sale.buy(world, 3).await;
        assert_eq!((placed.text("status"), &placed.body["total"]["amount"]), ("reserved".to_owned(), &json!(450_000)));
        let code = placed.text("code");
        assert!(code.len() == 10 && code.chars().all(|c| "0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(c)), "{code}");
        let none = holder.get(&format!("/v1/orders/{order}/tickets")).await.is(200);
        assert_eq!(none.body, json!({"items": [], "next_cursor": null}));
        let link = world.payment_page(order, &holder).await;
        let at_provider = world.at_provider(&link).await;
        assert_eq!((&at_provider["amount"], &at_provider["description"]), (&json!(450_000), &json!(code)));
        world.pay(&link, &json!({})).await;
        let done = world.until(order, &holder, "completed").await.body;
        for lasting in ["id", "show", "lines", "total", "buyer", "pay_by", "code", "created_at"] {
            assert_eq!(done[lasting], placed.body[lasting], "{lasting}");
        }
        let listed = holder.get(&format!("/v1/orders/{order}/tickets")).await.is(200).body;
        assert_eq!(listed["items"], done["tickets"]);
        let tickets: Vec<&Value> = done["tickets"].as_array().unwrap().iter().collect();
        assert_eq!(tickets.len(), 3);
        for ticket in &tickets {
            let (show, id, until) = scan(ticket["code"].as_str().unwrap()).expect("a gate takes it");
            assert_eq!(
                (show.to_string().as_str(), id.to_string().as_str()),
                (sale.show.to_string().as_str(), ticket["id"].as_str().unwrap())
            );
            let ends: jiff::Timestamp = "2027-06-01T15:00:00Z".parse().unwrap();
            assert!(i64::from(until) >= ends.as_second(), "it would expire before the show ends");
            assert_eq!((&ticket["status"], &ticket["ticket_class"]), (&json!("valid"), &json!(sale.class)));
        }
        // Altered codes are worth nothing.
        let code = tickets[0]["code"].as_str().unwrap();
        let other = if code.as_bytes()[30] == b'A' { "B" } else { "A" };
        assert_eq!(scan(&format!("{}{other}{}", &code[..30], &code[31..])), None);
        assert_eq!(world.stock(&sale, 10).await, (0, 3, 7));
    });
}

#[test]
fn a_ticket_as_a_picture() {
    run(async {
        let world = World::shared().await;
        let sale = world.on_sale(0, 10, 600).await;
        let (order, holder, _) = sale.buy(world, 1).await;
        let done = world.until(order, &holder, "completed").await.body;
        let path = done["tickets"][0]["qr_svg_url"].as_str().unwrap().to_owned();
        let response = holder.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "image/svg+xml");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let picture = response.text().await.unwrap();
        assert!(picture.starts_with("<?xml") || picture.starts_with("<svg"), "{picture:.60}");
        assert!(picture.contains("</svg>") && !picture.contains("<script"));
        // Two tickets look different, the same one the same.
        let again = holder.request(Method::GET, &path).send().await.unwrap().text().await.unwrap();
        assert_eq!(picture, again);
        let head = holder.request(Method::HEAD, &path).send().await.unwrap();
        assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &"image/svg+xml".parse().unwrap()));
        assert_eq!(head.bytes().await.unwrap().len(), 0);

        world.client.get(&path).await.is_problem(401, "unauthorized");
        world.buyer("stranger").get(&path).await.is_problem(404, "not-found");
        let unknown = format!("/v1/orders/{order}/tickets/{}/qr.svg", id());
        holder.get(&unknown).await.is_problem(404, "not-found");
    });
}
