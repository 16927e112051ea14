//! The requests of a buyer, written.

use serde_json::json;
use uuid::Uuid;

use crate::plan::Sale;
use crate::wire;

/// The body of an order of one ticket by the buyer of this number.
pub fn order_body(sale: Sale, buyer: usize) -> Vec<u8> {
    let price = json!({"amount": sale.price, "currency": "VND"});
    let mut body = json!({
        "show": sale.show,
        "lines": [{"ticket_class": sale.ticket_class, "quantity": 1, "unit_price": price}],
        "buyer": {"name": format!("Nguyễn Văn {buyer}"), "email": format!("buyer{buyer}@example.com")},
    });
    if sale.price > 0 {
        body["payment"] = json!({"provider": "payos", "return_url": "https://shop.example/thanks"});
    }
    body.to_string().into_bytes()
}

/// What a request says beside its path and body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Says<'a> {
    /// The account's token, with `Bearer `.
    pub bearer: Option<&'a str>,
    /// The idempotency key.
    pub key: Option<Uuid>,
    /// The queue ticket of who waits.
    pub ticket: Option<&'a str>,
    /// The checkout token of who was admitted.
    pub checkout: Option<&'a str>,
    /// A write that has to be seen.
    pub after: Option<&'a str>,
    /// Seconds that the answer may wait for.
    pub wait_s: u32,
}

/// Writes a request.
pub fn request(method: &str, path: &str, says: Says<'_>, body: Option<&[u8]>) -> Vec<u8> {
    let mut buffer = Uuid::encode_buffer();
    let key = says.key.map(|key| &*key.hyphenated().encode_lower(&mut buffer));
    let wait = (says.wait_s > 0).then(|| format!("wait={}", says.wait_s));
    let all = [
        ("authorization", says.bearer),
        ("idempotency-key", key),
        ("queue-ticket", says.ticket),
        ("checkout-token", says.checkout),
        ("consistency-token", says.after),
        ("prefer", wait.as_deref()),
    ];
    let mut headers = [("", ""); 6];
    let mut count = 0;
    for (name, value) in all.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        headers[count] = (name, value);
        count += 1;
    }
    let mut bytes = Vec::with_capacity(512 + body.map_or(0, <[u8]>::len) + says.bearer.map_or(0, str::len));
    wire::write(&mut bytes, method, path, &headers[..count], body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_ticket_asks_for_no_payment() {
        let sale = |price| Sale { show: Uuid::nil(), ticket_class: Uuid::nil(), price };
        let text = |price| String::from_utf8(order_body(sale(price), 1)).unwrap();
        assert!(text(150_000).contains("\"provider\":\"payos\"") && !text(0).contains("payment"));
    }

    #[test]
    fn only_what_is_said_is_sent() {
        let says = Says { key: Some(Uuid::nil()), wait_s: 3, ..Says::default() };
        let text = String::from_utf8(request("GET", "/x", says, None)).unwrap();
        let expected = "GET /x HTTP/1.1\r\nhost: load\r\nidempotency-key: 00000000-0000-0000-0000-000000000000\r\n\
                        prefer: wait=3\r\n\r\n";
        assert_eq!(text, expected);
    }
}
