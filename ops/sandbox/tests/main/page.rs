//! The payment page, as a browser sees it.

use reqwest::Response;
use serde_json::json;

use crate::kit::{Kit, request, sign, verified};

async fn press(kit: &Kit, link: &str, action: &str) -> Response {
    kit.http.post(format!("{}/pay/{link}/{action}", kit.base)).send().await.unwrap()
}

fn goal(response: &Response) -> String {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap().to_owned()
}

async fn link(kit: &Kit, order_code: i64) -> String {
    kit.open(order_code).await["paymentLinkId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_shows_the_payment_and_escapes_what_the_shop_wrote() {
    let kit = Kit::new().await;
    let mut body = request(90);
    body["description"] = "<b>\"Tom\" & 'x'</b>".into();
    body["returnUrl"] = "https://shop.test/r?a=\"><script>alert(1)</script>".into();
    body["amount"] = 1_250_000.into();
    let data = verified(kit.create(&sign(body)).await);
    let response = kit.http.get(data["checkoutUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let html = response.text().await.unwrap();
    assert!(html.contains("1.250.000 VND") && html.contains("BOXOFFICE SANDBOX") && html.contains("PENDING"));
    assert!(html.contains("&lt;b&gt;&quot;Tom&quot; &amp; &#39;x&#39;&lt;/b&gt;"), "{html}");
    assert!(!html.contains("<b>") && !html.contains("<script>alert"), "{html}");
    assert!(html.contains("<html lang=\"en\">") && html.contains("<h1>"));
    assert!(!html.contains("src=") && !html.contains("@import"));
}

#[tokio::test]
async fn pay_goes_back_with_the_unsigned_query() {
    let kit = Kit::new().await;
    let link = link(&kit, 91).await;
    let goal = goal(&press(&kit, &link, "pay").await);
    assert_eq!(
        goal,
        format!("https://shop.test/return?order=7&code=00&id={link}&cancel=false&status=PAID&orderCode=91")
    );
    assert_eq!(kit.status(91).await, "PAID");
    kit.receiver.wait_for(1).await;
    let again = press(&kit, &link, "pay").await;
    assert_eq!(again.status(), 409);
    let html = again.text().await.unwrap();
    assert!(html.contains("PAID") && !html.contains("<button"), "{html}");
    assert_eq!(kit.query(91).await["amountPaid"], 10_000);
}

#[tokio::test]
async fn half_stays_on_the_page_until_the_rest_is_paid() {
    let kit = Kit::new().await;
    let link = link(&kit, 92).await;
    assert_eq!(goal(&press(&kit, &link, "half").await), format!("/pay/{link}"));
    assert_eq!(kit.status(92).await, "UNDERPAID");
    let html = kit.http.get(format!("{}/pay/{link}", kit.base)).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("5.000 VND received, 5.000 VND missing") && html.contains("status=PENDING"), "{html}");
    assert!(goal(&press(&kit, &link, "pay").await).contains("status=PAID"));
}

#[tokio::test]
async fn cancel_and_decline_go_to_the_cancel_url() {
    let kit = Kit::new().await;
    for (order_code, action, status) in [(93, "cancel", "CANCELLED"), (94, "decline", "FAILED")] {
        let link = link(&kit, order_code).await;
        let goal = goal(&press(&kit, &link, action).await);
        let query = format!("?code=00&id={link}&cancel=true&status=CANCELLED&orderCode={order_code}");
        assert_eq!(goal, format!("https://shop.test/cancel{query}"));
        assert_eq!(kit.status(order_code).await, status);
    }
}

#[tokio::test]
async fn it_counts_down_and_expires() {
    let kit = Kit::new().await;
    let now: jiff::Timestamp = kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap();
    let mut body = request(95);
    body["expiredAt"] = (now.as_second() + 900).into();
    let data = verified(kit.create(&sign(body)).await);
    let url = data["checkoutUrl"].as_str().unwrap();
    let html = kit.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("role=\"timer\""), "{html}");
    kit.post("/clock", json!({ "offset_s": 1_000 })).await;
    let html = kit.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("EXPIRED") && !html.contains("<button"), "{html}");
    assert_eq!(kit.http.post(format!("{url}/pay")).send().await.unwrap().status(), 409);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let kit = Kit::new().await;
    let link = link(&kit, 96).await;
    for path in ["/pay/nothing".to_owned(), "/pay/96".to_owned(), format!("/pay/{link}/")] {
        let response = kit.http.get(format!("{}{path}", kit.base)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
    assert_eq!(press(&kit, &link, "steal").await.status(), 404);
}
