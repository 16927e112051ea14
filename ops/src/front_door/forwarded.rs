//! For whom a request is passed on.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Appends the address that a request came from to those that proxies before us have named: what a client claims itself
/// stays before what we have seen, so whoever trusts one proxy takes the last one.
pub fn append(headers: &mut HeaderMap, from: IpAddr) {
    // An IPv4 address that came in over IPv6 is the same client.
    let from = from.to_canonical().to_string();
    let named = headers.get_all(FORWARDED_FOR).into_iter().map(HeaderValue::as_bytes);
    let all: Vec<&[u8]> = named.chain([from.as_bytes()]).collect();
    let all = HeaderValue::from_bytes(&all.join(b", ".as_slice())).expect("parts of header values make a header value");
    headers.insert(FORWARDED_FOR, all);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_address_comes_last() {
        let mut headers = HeaderMap::new();
        append(&mut headers, "::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(headers[FORWARDED_FOR], "192.0.2.7");
        headers.append(FORWARDED_FOR, HeaderValue::from_static("198.51.100.1, 198.51.100.2"));
        append(&mut headers, "2001:db8::1".parse().unwrap());
        assert_eq!(headers[FORWARDED_FOR], "192.0.2.7, 198.51.100.1, 198.51.100.2, 2001:db8::1");
        assert_eq!(headers.get_all(FORWARDED_FOR).iter().count(), 1);
    }
}
