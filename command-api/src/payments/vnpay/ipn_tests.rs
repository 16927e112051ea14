//! Which notifications are believed, and what they say.

use http::HeaderMap;
use proptest::prelude::{any, prop_assert, proptest};
use uuid::Uuid;

use super::super::vectors::{CANCELLED, PAID, SANDBOX_RETURN, SANDBOX_SECRET, TEST_SECRET};
use super::*;
use crate::payments::gateway::Notification;

const REFERENCE: &str = "20261011003000-00000000000000000000000000000007";

fn keys() -> VnpayKeys {
    VnpayKeys::new("TEST_TMN_CODE", TEST_SECRET)
}

fn ours() -> About {
    About::Payment(domain::ids::PaymentId(Uuid::from_u128(7)))
}

fn with<'a>(changes: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    let usual = [
        ("vnp_Amount", "15000000"),
        ("vnp_BankCode", "NCB"),
        ("vnp_BankTranNo", "VNP14422574"),
        ("vnp_CardType", "ATM"),
        ("vnp_OrderInfo", "Order K7M2P9Q4TX: 2 tickets"),
        ("vnp_PayDate", "20261011003124"),
        ("vnp_ResponseCode", "00"),
        ("vnp_TmnCode", "TEST_TMN_CODE"),
        ("vnp_TransactionNo", "14422574"),
        ("vnp_TransactionStatus", "00"),
        ("vnp_TxnRef", REFERENCE),
    ];
    usual.into_iter().chain(changes.iter().copied()).collect()
}

fn signed(changes: &[(&str, &str)]) -> String {
    let text = query_text(with(changes));
    format!("{text}&vnp_SecureHash={}", keys().secret.sign(&text))
}

fn read_query(query: &str) -> Result<Notified, Rejected> {
    read(&keys(), &Notification { method: &Method::GET, headers: &HeaderMap::new(), query, body: b"" })
}

#[test]
fn money_is_told_under_vnpays_name_of_it() {
    let notified = read_query(&signed(&[])).unwrap();
    let movement = Movement { reference: "14422574".to_owned(), amount: 150_000, currency: *DONG, fee: 0 };
    let report = Report {
        movements: vec![movement],
        standing: Standing::Paid,
        reference: Some(REFERENCE.to_owned()),
        url: None,
        amount: Some(150_000),
    };
    assert_eq!(notified, Notified { about: ours(), report, ask: false });
}

#[test]
fn the_published_notifications_are_genuine_but_not_ours() {
    for (code, secret, (text, hash), amount, paid) in [
        ("CGXZLS0Z", SANDBOX_SECRET, SANDBOX_RETURN, 500_000, true),
        ("TEST_TMN_CODE", TEST_SECRET, PAID, 10_000, true),
        ("TEST_TMN_CODE", TEST_SECRET, CANCELLED, 10_000, false),
    ] {
        let query = format!("{text}&vnp_SecureHash={hash}");
        let raw = Notification { method: &Method::GET, headers: &HeaderMap::new(), query: &query, body: b"" };
        let notified = read(&VnpayKeys::new(code, secret), &raw).unwrap();
        assert!(matches!(&notified.about, About::Foreign(name) if text.contains(name)), "{notified:?}");
        assert_eq!(notified.report.amount, Some(amount));
        assert_eq!(notified.report.movements.len(), usize::from(paid));
        assert_eq!(notified.report.standing, if paid { Standing::Paid } else { Standing::Ended });
        let others = read(&VnpayKeys::new("OTHER", secret), &raw);
        assert!(matches!(others, Err(Rejected::Malformed(_))), "another terminal's: {others:?}");
        assert_eq!(read(&VnpayKeys::new(code, "x"), &raw), Err(Rejected::Signature));
    }
}

#[test]
fn failures_are_told_and_move_nothing() {
    for (response, transaction, standing, ask) in [
        ("24", "02", Standing::Ended, false),
        ("11", "02", Standing::Ended, false),
        ("51", "02", Standing::Failed, false),
        ("99", "02", Standing::Failed, false),
        ("07", "00", Standing::Open, false),
        ("07", "07", Standing::Open, false),
        ("00", "07", Standing::Open, false),
        ("00", "01", Standing::Open, true),
        ("24", "00", Standing::Open, true),
        ("99", "04", Standing::Open, true),
        ("", "", Standing::Open, true),
    ] {
        let changes =
            [("vnp_ResponseCode", response), ("vnp_TransactionStatus", transaction), ("vnp_TransactionNo", "0")];
        let notified = read_query(&signed(&changes)).unwrap();
        assert_eq!(notified.report.movements, [], "{response} {transaction}");
        assert_eq!((notified.report.standing, notified.ask), (standing, ask), "{response} {transaction}");
        assert_eq!(notified.about, ours());
    }
}

#[test]
fn another_amount_is_told_as_it_came() {
    let notified = read_query(&signed(&[("vnp_Amount", "100")])).unwrap();
    assert_eq!((notified.report.amount, notified.report.movements[0].amount), (Some(1), 1));
}

#[test]
fn the_order_of_fields_and_the_way_of_encoding_do_not_matter() {
    let query = signed(&[]);
    let expected = read_query(&query);
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.reverse();
    assert_eq!(read_query(&pairs.join("&")), expected);
    let other_encoding =
        query.replace("%3A", "%3a").replace('+', "%20").replace("vnp_BankCode=NCB", "vnp_BankCode=%4eCB");
    assert_eq!(read_query(&other_encoding), expected);
    assert_eq!(read_query(&format!("utm=1&{query}&vnp_SecureHashType=SHA512&vnp_Empty=&x=y")), expected);
    let (text, hash) = query.split_once("&vnp_SecureHash=").unwrap();
    assert_eq!(read_query(&format!("{text}&vnp_SecureHash={}", hash.to_uppercase())), expected);
}

#[test]
fn other_encodings_that_vnpay_signed_are_believed_as_they_came() {
    let text = query_text(with(&[])).replace("K7M2P9Q4TX", "a*~!'()b");
    assert_eq!(read_query(&format!("{text}&vnp_SecureHash={}", keys().secret.sign(&text))).unwrap().about, ours());
}

#[test]
fn what_makes_no_sense_is_refused_although_signed() {
    for change in [
        ("vnp_TmnCode", "OTHER"),
        ("vnp_TmnCode", ""),
        ("vnp_TxnRef", ""),
        ("vnp_Amount", ""),
        ("vnp_Amount", "0"),
        ("vnp_Amount", "-15000000"),
        ("vnp_Amount", "15000050"),
        ("vnp_Amount", "1.5"),
        ("vnp_Amount", "99999999999999999999"),
        ("vnp_TransactionNo", "0"),
        ("vnp_TransactionNo", ""),
        ("vnp_TransactionNo", "x"),
    ] {
        let refused = read_query(&signed(&[change]));
        assert!(matches!(refused, Err(Rejected::Malformed(_))), "{change:?}: {refused:?}");
    }
}

#[test]
fn a_name_that_stands_there_twice_is_refused() {
    let query = signed(&[]);
    for more in ["&vnp_Amount=1", "&vnp_Amount=", "&vnp_SecureHash=", "&vnp_TxnRef"] {
        for both in [format!("{query}{more}"), format!("{}&{query}", &more[1..])] {
            assert!(matches!(read_query(&both), Err(Rejected::Malformed(_))), "{both}");
        }
    }
    for hidden in ["&vnp_Amoun%74=1", "&vnp_Amount%00=1"] {
        assert!(matches!(read_query(&format!("{query}{hidden}")), Err(Rejected::Malformed(_))), "{hidden}");
    }
    assert_eq!(read_query(&format!("{query}&vnp_New=1")), Err(Rejected::Signature));
}

#[test]
fn what_is_not_signed_is_refused() {
    let query = signed(&[]);
    let (text, _) = query.split_once("&vnp_SecureHash=").unwrap();
    for unsigned in ["", "x=1", text, &format!("{text}&vnp_SecureHash="), &format!("{text}&vnp_SecureHash=00")] {
        assert_eq!(read_query(unsigned), Err(Rejected::Signature), "{unsigned}");
    }
    assert!(matches!(read_query(&format!("{query}&x={}", "x".repeat(LONGEST))), Err(Rejected::Malformed(_))));
    let raw = Notification { method: &Method::POST, headers: &HeaderMap::new(), query: &query, body: b"" };
    assert_eq!(read(&keys(), &raw), Err(Rejected::Method));
}

#[test]
fn money_under_names_that_we_never_gave_is_told_as_such() {
    for name in ["42", "20261311003000-00000000000000000000000000000007", "20261011003000-7"] {
        let notified = read_query(&signed(&[("vnp_TxnRef", name)])).unwrap();
        assert_eq!((notified.about, notified.report.movements.len()), (About::Foreign(name.to_owned()), 1));
    }
}

/// Every bit of every byte, flipped. Some flips only write the same in another way: then the same must be read.
#[test]
fn any_flipped_byte_is_refused_or_means_the_same() {
    let query = signed(&[]);
    let fields = verified(&keys(), &query).unwrap();
    let mut same = 0;
    for (at, flip) in (0..query.len()).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
        let mut bytes = query.clone().into_bytes();
        bytes[at] ^= flip;
        // Requests have no other queries.
        let Ok(flipped) = String::from_utf8(bytes) else { continue };
        match verified(&keys(), &flipped) {
            Ok(read) => {
                assert_eq!(read, fields, "{flipped}");
                same += 1;
            }
            Err(_) => assert!(read_query(&flipped).is_err()),
        }
    }
    let hash = query.split_once("vnp_SecureHash=").unwrap().1;
    let letters = hash.bytes().filter(u8::is_ascii_alphabetic).count();
    // The case of the hash's letters and of `%3A`, and `+` for a space which may stand there itself.
    let spaces = query.matches('+').count();
    let escapes = query.matches("%3A").count();
    assert!(same >= letters && same <= letters + escapes + spaces, "{same} flips of {letters} letters");
}

proptest! {
    #[test]
    fn any_query_is_read_without_panic(query in "(vnp_[A-Za-z]{0,8}=[ -~]{0,9}&?){0,9}", other in any::<String>()) {
        prop_assert!(read_query(&query).is_err());
        prop_assert!(read_query(&other).is_err());
    }
}
