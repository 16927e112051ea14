//! How orders stand, when money is taken, and how it goes back.

use super::*;

#[tokio::test]
async fn every_standing_is_told_without_taking_money() {
    let captures = |status: &str| order("COMPLETED", json!({ "captures": [capture(status)] }));
    for (order, standing, money) in [
        (order("CREATED", json!(null)), Standing::Open, 0),
        (order("PAYER_ACTION_REQUIRED", json!({})), Standing::Open, 0),
        (order("VOIDED", json!(null)), Standing::Ended, 0),
        (order("COMPLETED", json!(null)), Standing::Open, 0),
        (order("NEW_WORD", json!(null)), Standing::Open, 0),
        (captures("COMPLETED"), Standing::Paid, 1),
        (captures("REFUNDED"), Standing::Paid, 1),
        (captures("PARTIALLY_REFUNDED"), Standing::Paid, 1),
        (captures("PENDING"), Standing::Open, 0),
        (captures("DECLINED"), Standing::Failed, 0),
        (captures("FAILED"), Standing::Failed, 0),
        (captures("NEW_WORD"), Standing::Open, 0),
    ] {
        let stub = stub([json_answer("200 OK", &order)]).await;
        let report = paypal(&stub).status(&attempt()).await.unwrap();
        assert_eq!((report.standing, report.movements.len(), report.amount), (standing, money, Some(1999)), "{order}");
        assert_eq!(report.reference.as_deref(), Some(ORDER));
        assert_eq!(stub.calls()[1..], [format!("GET /v2/checkout/orders/{ORDER}")]);
    }
}

#[tokio::test]
async fn money_is_taken_once_the_payer_agreed() {
    let stub = stub([ok("APPROVED"), captured("COMPLETED")]).await;
    let report = paypal(&stub).status(&attempt()).await.unwrap();
    assert_eq!((report.standing, report.amount), (Standing::Paid, Some(1999)));
    let movement = Movement { reference: "3C67".to_owned(), amount: 1999, currency: "USD".parse().unwrap(), fee: 0 };
    assert_eq!(report.movements, [movement]);
    let request = stub.requests().remove(2);
    assert!(request.starts_with(&format!("POST /v2/checkout/orders/{ORDER}/capture HTTP/1.1\r\n")), "{request}");
    assert!(request.contains(&format!("\r\npaypal-request-id: capture-{PAYMENT}\r\n")), "{request}");
    assert_eq!(body(&request), json!({}));
}

#[tokio::test]
async fn what_became_of_taking_it_is_told() {
    let refused = |issue: &str| refusal("422 No", "UNPROCESSABLE_ENTITY", Some(issue));
    for (answered, standing, money) in [
        (captured("PENDING"), Standing::Open, 0),
        (captured("DECLINED"), Standing::Failed, 0),
        (refused("ORDER_NOT_APPROVED"), Standing::Open, 0),
        (refused("PAYER_ACTION_REQUIRED"), Standing::Open, 0),
        (refused("INSTRUMENT_DECLINED"), Standing::Failed, 0),
        (refused("MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED"), Standing::Failed, 0),
        (refused("ORDER_EXPIRED"), Standing::Ended, 0),
        (refused("ORDER_ALREADY_CAPTURED"), Standing::Paid, 1),
        (ok("COMPLETED"), Standing::Paid, 1),
        (silence(), Standing::Paid, 1),
        (answer("500 Oh", "", ""), Standing::Paid, 1),
        (answer("201 Created", "", "<html>"), Standing::Paid, 1),
    ] {
        let stub = stub([ok("APPROVED"), answered.clone(), captured("COMPLETED")]).await;
        let report = paypal(&stub).status(&attempt()).await.unwrap();
        assert_eq!((report.standing, report.movements.len()), (standing, money), "{answered}");
    }
}

#[tokio::test]
async fn taking_it_can_be_in_doubt_or_refused() {
    for second in [ok("APPROVED"), silence()] {
        let stub = stub([ok("APPROVED"), silence(), second]).await;
        let told = paypal(&stub).status(&attempt()).await;
        assert!(matches!(told, Err(GatewayError::Ambiguous(_))), "{told:?}");
    }
    let slow = stub([ok("APPROVED"), answer("429 Slow", "", "")]).await;
    assert!(matches!(paypal(&slow).status(&attempt()).await, Err(GatewayError::Unavailable { .. })));
    let refused = refusal("422 No", "UNPROCESSABLE_ENTITY", Some("PAYEE_ACCOUNT_RESTRICTED"));
    let told = paypal(&stub([ok("APPROVED"), refused]).await).status(&attempt()).await;
    assert!(matches!(&told, Err(GatewayError::Refused { code }) if code == "PAYEE_ACCOUNT_RESTRICTED"), "{told:?}");
}

#[tokio::test]
async fn money_is_told_as_it_came() {
    for (value, currency, amount) in [("20.00", "USD", 2000), ("20.0", "EUR", 2000), ("19", "JPY", 19)] {
        let mut order = order("COMPLETED", json!({ "captures": [capture("COMPLETED")] }));
        order["purchase_units"][0]["payments"]["captures"][0]["amount"] =
            json!({ "currency_code": currency, "value": value });
        let report = paypal(&stub([json_answer("200 OK", &order)]).await).status(&attempt()).await.unwrap();
        assert_eq!((report.movements[0].amount, report.movements[0].currency.as_str()), (amount, currency));
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_says_nothing() {
    let changed = |change: fn(&mut Value)| {
        let mut order = order("COMPLETED", json!({ "captures": [capture("COMPLETED")] }));
        change(&mut order);
        json_answer("200 OK", &order)
    };
    for wrong in [
        answer("200 OK", "", "<html>"),
        answer("200 OK", "", "{}"),
        answer("502 Bad", "", ""),
        silence(),
        changed(|order| order["id"] = json!("other")),
        changed(|order| order["purchase_units"] = json!([])),
        changed(|order| order["purchase_units"][0]["custom_id"] = json!(Uuid::from_u128(8))),
        changed(|order| order["purchase_units"][0]["payments"]["captures"][0]["custom_id"] = json!("x")),
        changed(|order| order["purchase_units"][0]["payments"]["captures"][0]["amount"]["value"] = json!("1.001")),
        changed(|order| order["purchase_units"][0]["amount"]["currency_code"] = json!("dollars")),
    ] {
        let told = paypal(&stub([wrong.clone()]).await).status(&attempt()).await;
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{wrong}: {told:?}");
    }
    let missing = refusal("404 None", "RESOURCE_NOT_FOUND", Some("INVALID_RESOURCE_ID"));
    let stub = stub([missing, answer("404 None", "", "<html>")]).await;
    let paypal = paypal(&stub);
    assert!(matches!(paypal.status(&attempt()).await, Err(GatewayError::NotFound)));
    assert!(matches!(paypal.status(&attempt()).await, Err(GatewayError::Refused { .. })), "a wrong address, perhaps");
    for reference in [None, Some("../x".to_owned())] {
        let told = paypal.status(&Attempt { reference, ..attempt() }).await;
        assert!(matches!(told, Err(GatewayError::NotFound)), "{told:?}");
    }
    assert_eq!(stub.calls().len(), 3);
}

#[tokio::test]
async fn closing_takes_no_money_and_finds_what_was_taken() {
    for (there, standing, money) in [
        (ok("CREATED"), Standing::Ended, 0),
        (ok("PAYER_ACTION_REQUIRED"), Standing::Ended, 0),
        (ok("APPROVED"), Standing::Ended, 0),
        (ok("VOIDED"), Standing::Ended, 0),
        (ok("COMPLETED"), Standing::Open, 0),
        (captured("COMPLETED"), Standing::Paid, 1),
        (captured("PENDING"), Standing::Open, 0),
        (captured("DECLINED"), Standing::Failed, 0),
        (refusal("404 None", "RESOURCE_NOT_FOUND", None), Standing::Ended, 0),
    ] {
        let stub = stub([there.clone()]).await;
        let report = paypal(&stub).close(&attempt(), "over").await.unwrap();
        assert_eq!((report.standing, report.movements.len()), (standing, money), "{there}");
        assert_eq!(stub.calls()[1..], [format!("GET /v2/checkout/orders/{ORDER}")]);
    }
    let failing = stub([silence()]).await;
    assert!(matches!(paypal(&failing).close(&attempt(), "over").await, Err(GatewayError::Unavailable { .. })));
    let nameless = Attempt { reference: None, ..attempt() };
    assert_eq!(paypal(&Stub::nowhere()).close(&nameless, "over").await.unwrap(), Report::never_opened());
}

fn made(status: &str) -> Value {
    json!({ "id": "1JU0", "status": status, "amount": dollars("5.00"), "custom_id": refund().refund })
}

#[tokio::test]
async fn a_refund_is_made_once_under_its_own_name() {
    let other = json!({ "id": "0", "status": "COMPLETED", "custom_id": Uuid::from_u128(1) });
    let paid = order("COMPLETED", json!({ "captures": [capture("PARTIALLY_REFUNDED")], "refunds": [other] }));
    let stub = stub([json_answer("200 OK", &paid), json_answer("201 Created", &made("COMPLETED"))]).await;
    let done = paypal(&stub).refund(&refund()).await.unwrap();
    assert_eq!(done, Refunded::Done { reference: "1JU0".to_owned() });
    let request = stub.requests().remove(2);
    assert!(request.starts_with("POST /v2/payments/captures/3C67/refund HTTP/1.1\r\n"), "{request}");
    let name = refund().refund;
    assert!(request.contains(&format!("\r\npaypal-request-id: refund-{name}\r\n")), "{request}");
    assert_eq!(body(&request), json!({ "amount": dollars("5.00"), "custom_id": name, "invoice_id": name }));
}

#[tokio::test]
async fn a_refund_that_is_there_is_found() {
    for (status, expected) in [
        ("COMPLETED", Refunded::Done { reference: "1JU0".to_owned() }),
        ("PENDING", Refunded::Pending),
        ("FAILED", Refunded::Failed { code: "FAILED".to_owned() }),
        ("CANCELLED", Refunded::Failed { code: "CANCELLED".to_owned() }),
    ] {
        let paid = order("COMPLETED", json!({ "captures": [capture("COMPLETED")], "refunds": [made(status)] }));
        let stub = stub([json_answer("200 OK", &paid)]).await;
        assert_eq!(paypal(&stub).refund(&refund()).await.unwrap(), expected);
        assert_eq!(stub.calls().len(), 2, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_refund_can_be_refused_or_in_doubt() {
    let refused = refusal("422 No", "UNPROCESSABLE_ENTITY", Some("CAPTURE_FULLY_REFUNDED"));
    let told = paypal(&stub([captured("COMPLETED"), refused]).await).refund(&refund()).await.unwrap();
    assert_eq!(told, Refunded::Failed { code: "CAPTURE_FULLY_REFUNDED".to_owned() });
    for lost in [silence(), answer("500 Oh", "", ""), answer("201 Created", "", "<html>"), answer("409 Busy", "", "")] {
        let told = paypal(&stub([captured("COMPLETED"), lost]).await).refund(&refund()).await;
        assert!(matches!(told, Err(GatewayError::Ambiguous(_))), "{told:?}");
    }
    for unanswered in [vec![silence()], vec![captured("COMPLETED"), answer("429 Slow", "", "")]] {
        let told = paypal(&stub(unanswered).await).refund(&refund()).await;
        assert!(matches!(told, Err(GatewayError::Unavailable { .. })), "{told:?}");
    }
    let no = || refusal("401 No", "AUTHENTICATION_FAILURE", None);
    let told = paypal(&stub([captured("COMPLETED"), no(), token(2), no()]).await).refund(&refund()).await;
    assert!(matches!(told, Err(GatewayError::Refused { .. })), "it is our key that is wrong: {told:?}");
    let told = paypal(&stub([ok("CREATED")]).await).refund(&refund()).await.unwrap();
    assert_eq!(told, Refunded::Failed { code: "nothing-came".to_owned() });
}
