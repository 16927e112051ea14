//! VNPay: the vectors of PAYMENTS.md section 4, and a shop that sends its buyers there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use provider_sandbox::signature::sign_sha512;
use provider_sandbox::vnpay::signing;
use reqwest::{Method, Response};
use serde_json::json;

use crate::kit::{Kit, Note};

pub const SECRET: &str = "sandbox-hash-secret";
pub const OK: &str = r#"{"RspCode":"00","Message":"Confirm Success"}"#;

/// Secret, signed query and hash: a published create, a real return of the sandbox, a published IPN, our failed IPN.
const QUERIES: [(&str, &str, &str); 4] = [
    (
        "XNBCJFAKAZQSGTARRLGCHVZWCIOIGSHN",
        "vnp_Amount=17500000&vnp_Command=pay&vnp_CreateDate=20261010153000&vnp_CurrCode=VND&vnp_IpAddr=203.113.131.1&vnp_Locale=vn&vnp_OrderInfo=Thanh+toan+ve+xe+SmartBus&vnp_OrderType=other&vnp_ReturnUrl=http%3A%2F%2Flocalhost%3A5173%2Fpayment-waiting&vnp_TmnCode=CGXZLS0Z&vnp_TxnRef=PM-8f3a2c1d&vnp_Version=2.1.0",
        "5643716fc858289a432fc6c74c9281c8b9d32a13600525fda24a5e7227bebc68abdbb03894747633c93a32e01b4d25962eede0f8d8fd123b2be4309992edcbdc",
    ),
    (
        "XNBCJFAKAZQSGTARRLGCHVZWCIOIGSHN",
        "vnp_Amount=50000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14532677&vnp_CardType=ATM&vnp_OrderInfo=Nap+tien+cho+tai+khoan+2&vnp_PayDate=20260811174008&vnp_ResponseCode=00&vnp_TmnCode=CGXZLS0Z&vnp_TransactionNo=14532677&vnp_TransactionStatus=00&vnp_TxnRef=VNPAY_1786469808_2",
        "1ad0a8924244dab0fef96e8af4b477648b790265b1eac7552c6e3ff9f925dfd6db991bf6812bf4caa3f2f45ff2d4e5e102d5cdce259b095a4f35faf5f41754d2",
    ),
    (
        "test_secret",
        "vnp_Amount=1000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14422574&vnp_CardType=ATM&vnp_OrderInfo=Thanh+toan+don+hang+2024-05-21T02%3A17%3A31.249Z&vnp_PayDate=20240521091806&vnp_ResponseCode=00&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=14422574&vnp_TransactionStatus=00&vnp_TxnRef=1716257871703",
        "649982421beb422556a1374713c74e58e716ecbd05007c0c0e1f7effdfaf361dbf146889ca446139afe11b9954c4d5c486e99e3b86fcfab6957f29eb0be72895",
    ),
    (
        "test_secret",
        "vnp_Amount=1000000&vnp_BankCode=VNPAY&vnp_CardType=QRCODE&vnp_OrderInfo=Thanh+toan+don+hang+42&vnp_PayDate=20240521091806&vnp_ResponseCode=24&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=0&vnp_TransactionStatus=02&vnp_TxnRef=42",
        "7f2946d82c8db1cccb896e33bd30104e0ce841f03aa204d3aa02feb76d85da8108233577c4c095e3894556347aecdee36001007abf77fa254cd347cae397bbb8",
    ),
];

/// Signed texts of the API and their hashes under `test_secret`: question and refund, then their answers.
const TEXTS: [(&str, &str); 4] = [
    (
        "REQUEST123456|2.1.0|querydr|TEST_TMN_CODE|TXN123456789|20231221103000|20231221103000|127.0.0.1|Test order query",
        "ac23f7e0db3fc8bc6dc83350725b891aa921ec7a83d1a370978d314457eeda176ff26a87bd4e13dc896c24890238b29fadf033080a07aa52abafa830cd2eb565",
    ),
    (
        "REFUND123456|2.1.0|refund|TEST_TMN_CODE|02|TXN123456789|1000000|14422574|20231221103000|merchant_user|20231221103000|127.0.0.1|Test refund order",
        "1b0d3f82bc64cda12af250a284e72895b965ad745fef5a5b4f2b0ab50142e0089598fd9fd28e73d1c4ede96932996c3b08b4e9ab8a02fa5e88ecc555afba9a33",
    ),
    (
        "RESPONSE123456|querydr|00|Success|TEST_TMN_CODE|TXN123456789|1000000|NCB|20231221103000|14422574|01|00|Test order query||",
        "8c879c6277a89ab44ef8cfddb43786ba04265e2aa60408db13510cd481282db8398418bec2cd779636257e7d2857499e46d9cf42ec955c69c44a2a0b5518d932",
    ),
    (
        "REFUND_RESPONSE123|refund|00|Success|TEST_TMN_CODE|TXN123456789|1000000|NCB|20231221103000|14422574|02|00|Test refund order",
        "40be6c028819734d2ffa54d6fb1518e5cf62e59901d368e02902fccffd596219c26cdcd014d0357ed65d32525ca316bef2d1ebdb6cb7ed9d5764acf12cba0c89",
    ),
];

pub type Fields = BTreeMap<String, String>;

pub fn stamp(time: Timestamp) -> String {
    time.to_zoned(TimeZone::fixed(offset(7))).strftime("%Y%m%d%H%M%S").to_string()
}

pub async fn now(kit: &Kit) -> Timestamp {
    kit.get("/clock").await["now"].as_str().unwrap().parse().unwrap()
}

/// A payment of 100 000 dong in order, for 15 minutes.
pub async fn payment(kit: &Kit, reference: &str) -> Fields {
    let now = now(kit).await;
    let end = stamp(now + jiff::SignedDuration::from_mins(15));
    let fields = [
        ("vnp_Version", "2.1.0"),
        ("vnp_Command", "pay"),
        ("vnp_TmnCode", "SANDBOX1"),
        ("vnp_Amount", "10000000"),
        ("vnp_CurrCode", "VND"),
        ("vnp_TxnRef", reference),
        ("vnp_OrderInfo", "Ve so 1: hang A"),
        ("vnp_OrderType", "other"),
        ("vnp_Locale", "vn"),
        ("vnp_ReturnUrl", "https://shop.test/back?order=7"),
        ("vnp_IpAddr", "203.0.113.7"),
        ("vnp_CreateDate", &stamp(now)),
        ("vnp_ExpireDate", &end),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn query_of(fields: &Fields) -> String {
    let pairs: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    signing::query(&pairs)
}

async fn visit_raw(kit: &Kit, query: &str) -> Response {
    kit.http.get(format!("{}/paymentv2/vpcpay.html?{query}", kit.base)).send().await.unwrap()
}

pub async fn visit(kit: &Kit, fields: &Fields) -> Response {
    let query = query_of(fields);
    visit_raw(kit, &format!("{query}&vnp_SecureHash={}", sign_sha512(SECRET, &query))).await
}

pub fn goal(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// Opens a payment and returns the path of its page.
pub async fn open(kit: &Kit, reference: &str) -> String {
    let response = visit(kit, &payment(kit, reference).await).await;
    assert_eq!(response.status(), 303, "{response:?}");
    goal(&response)
}

/// The code of the error page that a visit leads to.
async fn code(kit: &Kit, response: Response) -> String {
    let goal = goal(&response);
    let page = kit.http.get(format!("{}{goal}", kit.base)).send().await.unwrap();
    assert_eq!((response.status().as_u16(), page.status().as_u16()), (302, 200));
    let code = goal.strip_prefix("/paymentv2/Payment/Error.html?code=").unwrap()[..2].to_owned();
    assert!(page.text().await.unwrap().contains(&format!("<strong>{code}</strong>")));
    code
}

pub async fn press(kit: &Kit, page: &str, action: &str) -> String {
    goal(&kit.http.post(format!("{}{page}/{action}", kit.base)).send().await.unwrap())
}

/// The fields of a query whose hash is right.
fn verified(query: &str) -> Fields {
    let (text, hash) = query.split_once("&vnp_SecureHash=").unwrap();
    assert_eq!(hash, sign_sha512(SECRET, text), "{query}");
    signing::read(text).unwrap().fields
}

fn codes(query: &str) -> (String, String, String) {
    let fields = verified(query);
    let of = |name: &str| fields[name].clone();
    (of("vnp_ResponseCode"), of("vnp_TransactionStatus"), of("vnp_TxnRef"))
}

pub fn told(note: &Note) -> (String, String) {
    assert_eq!((note.provider.as_str(), &note.method), ("vnpay", &Method::GET));
    let (response, status, _) = codes(&note.query);
    (response, status)
}

pub fn are(response: &str, status: &str) -> (String, String) {
    (response.to_owned(), status.to_owned())
}

#[test]
fn the_vectors() {
    for (secret, query, hash) in QUERIES {
        let read = signing::read(&format!("{query}&vnp_SecureHash={hash}&vnp_SecureHashType=HMACSHA512")).unwrap();
        assert_eq!(read.text, query);
        assert_eq!(sign_sha512(secret, &read.text), hash);
        let fields = read.fields.iter().filter(|(name, _)| !name.starts_with("vnp_SecureHash"));
        assert_eq!(query_of(&fields.map(|(name, value)| (name.clone(), value.clone())).collect()), query);
    }
    for (text, hash) in TEXTS {
        assert_eq!(sign_sha512("test_secret", &signing::joined(text.split('|'))), hash);
    }
}

#[tokio::test]
async fn a_visit_opens_a_page_and_paying_tells_shop_and_browser() {
    let kit = Kit::new().await;
    kit.receiver.answer_note(200, OK);
    let fields = payment(&kit, "A-1").await;
    let page = goal(&visit(&kit, &fields).await);
    assert_eq!(page, goal(&visit(&kit, &fields).await), "a reload leads to the same page");
    let html = kit.http.get(format!("{}{page}", kit.base)).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("100.000 VND") && html.contains("Ve so 1: hang A"), "{html}");
    let back = press(&kit, &page, "pay").await;
    let query = back.strip_prefix("https://shop.test/back?order=7&").unwrap();
    assert_eq!(codes(query), ("00".to_owned(), "00".to_owned(), "A-1".to_owned()));
    let note = kit.receiver.wait_for_notes(1).await.remove(0);
    assert_eq!(note.query, query, "the return says what the IPN says");
    let (fields, movement) = (verified(query), kit.get("/statement?provider=vnpay").await["movements"][0].clone());
    assert_eq!(fields["vnp_Amount"], "10000000");
    assert_eq!((&movement["reference"], &movement["amount"]), (&json!(fields["vnp_TransactionNo"]), &json!(100_000)));
    assert!(fields["vnp_TransactionNo"].len() <= 15);
    assert_eq!(kit.receiver.settled_notes().await.len(), 1);
    assert_eq!(kit.http.post(format!("{}{page}/pay", kit.base)).send().await.unwrap().status(), 409);
}

#[tokio::test]
async fn failures_are_told_too() {
    let kit = Kit::new().await;
    for (reference, action, told_back) in [("B-1", "decline", are("51", "02")), ("B-2", "leave", are("24", "02"))] {
        kit.receiver.answer_note(200, OK);
        let page = open(&kit, reference).await;
        let back = press(&kit, &page, action).await;
        let (response, status, _) = codes(back.split_once("order=7&").unwrap().1);
        assert_eq!((response, status), told_back);
        assert_eq!(code(&kit, visit(&kit, &payment(&kit, reference).await).await).await, "01");
    }
    kit.receiver.answer_note(200, OK);
    let page = open(&kit, "B-3").await;
    kit.post("/clock", json!({ "offset_s": 901 })).await;
    let notes = kit.receiver.wait_for_notes(3).await;
    assert_eq!(
        [told(&notes[0]), told(&notes[1]), told(&notes[2])],
        [are("51", "02"), are("24", "02"), are("11", "08")]
    );
    assert!(notes.iter().all(|note| verified(&note.query)["vnp_TransactionNo"] == "0"));
    let html = kit.http.get(format!("{}{page}", kit.base)).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("EXPIRED") && html.contains("vnp_ResponseCode=11"), "{html}");
}

#[tokio::test]
async fn what_is_wrong_with_a_url_leads_to_the_error_page() {
    let kit = Kit::new().await;
    let right = payment(&kit, "C-1").await;
    let long = "x".repeat(256);
    let wrong = [
        ("vnp_TmnCode", "OTHER123", "72"),
        ("vnp_TmnCode", "", "72"),
        ("vnp_Version", "2.0.0", "03"),
        ("vnp_Command", "token", "03"),
        ("vnp_Amount", "10000050", "03"),
        ("vnp_Amount", "0", "03"),
        ("vnp_Amount", "1000000000000", "03"),
        ("vnp_Amount", "100000.00", "03"),
        ("vnp_Amount", "", "03"),
        ("vnp_CurrCode", "USD", "03"),
        ("vnp_TxnRef", "", "03"),
        ("vnp_TxnRef", &long[..101], "03"),
        ("vnp_TxnRef", "a/b", "03"),
        ("vnp_OrderInfo", "Vé", "03"),
        ("vnp_OrderInfo", "a & b", "03"),
        ("vnp_OrderInfo", &long, "03"),
        ("vnp_OrderType", "", "03"),
        ("vnp_Locale", "vi", "03"),
        ("vnp_ReturnUrl", "shop.test/back", "03"),
        ("vnp_IpAddr", "::1", "03"),
        ("vnp_IpAddr", "localhost", "03"),
        ("vnp_BankCode", "NC", "03"),
        ("vnp_CreateDate", "20260230000000", "03"),
        ("vnp_ExpireDate", "", "03"),
        ("vnp_ExpireDate", &right["vnp_CreateDate"], "03"),
    ];
    for (name, value, wanted) in wrong {
        let mut fields = right.clone();
        fields.insert(name.to_owned(), value.to_owned());
        assert_eq!(code(&kit, visit(&kit, &fields).await).await, wanted, "{name}={value}");
    }
    for (late_s, wanted) in [(-3_600, "15"), (3_600, "03")] {
        let mut fields = right.clone();
        let created = now(&kit).await + jiff::SignedDuration::from_secs(late_s);
        fields.insert("vnp_CreateDate".to_owned(), stamp(created));
        fields.insert("vnp_ExpireDate".to_owned(), stamp(created + jiff::SignedDuration::from_mins(15)));
        assert_eq!(code(&kit, visit(&kit, &fields).await).await, wanted);
    }
    let query = query_of(&right);
    let hash = sign_sha512(SECRET, &query);
    let plain = query.replace('+', "%20");
    let raw = [
        (query.clone(), "70"),
        (format!("{query}&vnp_SecureHash={}", hash.to_uppercase()), "70"),
        (format!("{query}&vnp_SecureHash={}", sign_sha512("other", &query)), "70"),
        (format!("{}&vnp_SecureHash={hash}", query.replace("10000000", "1000000")), "70"),
        (format!("{plain}&vnp_SecureHash={}", sign_sha512(SECRET, &plain)), "70"),
        (format!("{query}&vnp_Amount=10000000&vnp_SecureHash={hash}"), "03"),
        (format!("{query}&vnp_BankCode=%+5&vnp_SecureHash={hash}"), "03"),
        (format!("{query}&vnp_BankCode=%e9&vnp_SecureHash={hash}"), "03"),
        (String::new(), "72"),
    ];
    for (query, wanted) in raw {
        assert_eq!(code(&kit, visit_raw(&kit, &query).await).await, wanted, "{query}");
    }
    assert_eq!(kit.get("/summary").await["payments"], 0);
}

#[tokio::test]
async fn a_reference_is_free_again_the_next_day() {
    let kit = Kit::new().await;
    let page = open(&kit, "D-1").await;
    let mut other = payment(&kit, "D-1").await;
    other.insert("vnp_Amount".to_owned(), "20000000".to_owned());
    assert_eq!(code(&kit, visit(&kit, &other).await).await, "01");
    kit.post("/clock", json!({ "offset_s": 86_400 })).await;
    assert_ne!(open(&kit, "D-1").await, page);
}

#[tokio::test]
async fn dates_are_vietnamese_also_in_the_evening_of_london() {
    let kit = Kit::new().await;
    kit.until_evening().await;
    let mut london = payment(&kit, "D-2").await;
    for name in ["vnp_CreateDate", "vnp_ExpireDate"] {
        let vietnamese = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &london[name]).unwrap();
        let time = offset(7).to_timestamp(vietnamese).unwrap().to_zoned(TimeZone::UTC);
        london.insert(name.to_owned(), time.strftime("%Y%m%d%H%M%S").to_string());
    }
    assert_eq!(code(&kit, visit(&kit, &london).await).await, "15");
    kit.receiver.answer_note(200, OK);
    press(&kit, &open(&kit, "D-2").await, "pay").await;
    let fields = verified(&kit.receiver.wait_for_notes(1).await[0].query);
    assert_eq!(fields["vnp_PayDate"][..8], stamp(now(&kit).await)[..8]);
    assert_ne!(fields["vnp_PayDate"][..8], now(&kit).await.strftime("%Y%m%d").to_string());
}

#[tokio::test]
async fn an_ipn_is_repeated_ten_times_until_00_or_02() {
    let kit = Kit::new().await;
    let target = kit.get("/webhook?provider=vnpay").await;
    assert_eq!(target["retry_ms"], json!(vec![300_000; 9]));
    kit.post("/webhook?provider=vnpay", json!({ "retry_ms": vec![10; 9] })).await;
    for (last, state) in [("02", "delivered"), ("97", "given_up")] {
        let before = kit.receiver.notes().len();
        kit.receiver.answer_note(500, OK);
        kit.receiver.answer_note(200, "<html></html>");
        for code in ["01", "04", "97", "99", "99", "99", "99", last] {
            kit.receiver.answer_note(200, &json!({ "RspCode": code }).to_string());
        }
        let page = open(&kit, &format!("E-{last}")).await;
        press(&kit, &page, "pay").await;
        let notes = kit.receiver.wait_for_notes(before + 10).await;
        assert!(notes[before..].iter().all(|note| note.query == notes[before].query));
        assert_eq!(kit.receiver.settled_notes().await.len(), before + 10);
        let seen = kit.get(&format!("/payments/vnpay/E-{last}")).await;
        assert_eq!(seen["deliveries"][0]["state"], state);
    }
}
