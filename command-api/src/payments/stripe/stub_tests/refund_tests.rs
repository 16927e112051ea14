//! How money goes back.

use super::*;

fn made(status: &str) -> Value {
    json!({ "id": "re_1", "object": "refund", "status": status, "amount": 50_000, "metadata": { "refund": REFUND } })
}

fn page(refunds: Value) -> String {
    json_answer("200 OK", &json!({ "object": "list", "data": refunds, "has_more": false }))
}

#[tokio::test]
async fn a_refund_is_made_once_under_its_own_name() {
    let other = json!([{ "id": "re_0", "status": "succeeded", "metadata": { "refund": Uuid::from_u128(1) } }]);
    let stub = Stub::new([ok(paid()), page(other), json_answer("200 OK", &made("succeeded"))]).await;
    let done = stripe(&stub, |_| {}).refund(&refund()).await.unwrap();
    assert_eq!(done, Refunded::Done { reference: "re_1".to_owned() });
    assert_eq!(stub.calls()[1..], ["GET /v1/refunds?payment_intent=pi_1&limit=100", "POST /v1/refunds"]);
    let request = stub.requests().remove(2);
    assert!(request.contains(&format!("\r\nidempotency-key: refund-{REFUND}\r\n")), "{request}");
    let (refund, payment) = (REFUND.to_string(), PAYMENT.to_string());
    let expected = [
        ("payment_intent", "pi_1"),
        ("amount", "50000"),
        ("metadata[refund]", &refund),
        ("metadata[payment]", &payment),
    ];
    assert_eq!(form(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_refund_that_is_there_is_found() {
    let failed =
        || json!({ "id": "re_1", "status": "failed", "failure_reason": "declined", "metadata": { "refund": REFUND } });
    for (there, expected) in [
        (made("succeeded"), Refunded::Done { reference: "re_1".to_owned() }),
        (made("pending"), Refunded::Pending),
        (made("requires_action"), Refunded::Pending),
        (made("canceled"), Refunded::Failed { code: "canceled".to_owned() }),
        (failed(), Refunded::Failed { code: "declined".to_owned() }),
    ] {
        let stub = Stub::new([ok(paid()), page(json!([there]))]).await;
        assert_eq!(stripe(&stub, |_| {}).refund(&refund()).await.unwrap(), expected);
        assert_eq!(stub.calls().len(), 2, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_refund_can_be_refused_or_in_doubt() {
    let asked = || [ok(paid()), page(json!([]))].into_iter();
    let refused = refusal("400 Bad", "invalid_request_error", Some("charge_already_refunded"));
    let stub = Stub::new(asked().chain([refused])).await;
    let told = stripe(&stub, |_| {}).refund(&refund()).await.unwrap();
    assert_eq!(told, Refunded::Failed { code: "charge_already_refunded".to_owned() });
    for lost in [silence(), answer("500 Oh", "", ""), answer("200 OK", "", "<html>"), answer("409 Busy", "", "")] {
        let stub = Stub::new(asked().chain([lost])).await;
        let told = stripe(&stub, |_| {}).refund(&refund()).await;
        assert!(matches!(told, Err(GatewayError::Ambiguous(_))), "{told:?}");
    }
    for unanswered in
        [vec![silence()], vec![ok(paid()), silence()], vec![ok(paid()), page(json!([])), answer("429 Slow", "", "")]]
    {
        let stub = Stub::new(unanswered).await;
        let told = stripe(&stub, |_| {}).refund(&refund()).await;
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{told:?}");
    }
    let stub = Stub::new(asked().chain([refusal("401 No", "invalid_request_error", None)])).await;
    let told = stripe(&stub, |_| {}).refund(&refund()).await;
    assert!(matches!(told, Err(GatewayError::Refused { .. })), "it is our key that is wrong: {told:?}");
    let stub = Stub::new([ok(json!({}))]).await;
    let told = stripe(&stub, |_| {}).refund(&refund()).await.unwrap();
    assert_eq!(told, Refunded::Failed { code: "nothing-came".to_owned() });
}
