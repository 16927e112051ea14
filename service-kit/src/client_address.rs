//! Where a request came from.
//!
//! Each proxy before us adds whom it heard to `X-Forwarded-For`, so of that list only the last entries can be believed: as
//! many as there are proxies of ours. What stands before them is whatever the client chose to say.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName};

/// Where proxies add whom they heard.
pub const HEADER: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address at the other end of a request's connection, among the request's extensions; behind a proxy it is the proxy's.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The address of the client, behind whatever proxies are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self(address)
    }
}

impl ClientAddress {
    /// Of a request that came through so many proxies.
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions, proxies: usize) -> Self {
        // Only tests ask without a connection.
        let peer = extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        if proxies == 0 {
            return Self(peer);
        }
        let lines = headers.get_all(HEADER).into_iter().filter_map(|value| value.to_str().ok());
        let heard = lines.flat_map(|line| line.split(',')).map(|entry| address(entry.trim()));
        let heard: Vec<Option<IpAddr>> = heard.collect();
        // The last one is by the proxy that is our peer; what cannot be read ends what can be believed.
        let believed = heard.into_iter().rev().take(proxies).map_while(|it| it);
        Self(believed.last().unwrap_or(peer))
    }

    /// Whoever is counted as one: an IPv4 address, or the /64 that an IPv6 network gives to one household (RFC 6177).
    pub fn household(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|it| it.ip());
    text.trim_matches(['[', ']']).parse().ok().or_else(with_port)
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().copied();
        Ok(known.unwrap_or_else(|| Self::of(&parts.headers, &parts.extensions, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarded: &[&str], proxies: usize) -> String {
        let headers = forwarded.iter().map(|value| (HEADER, value.parse().unwrap())).collect();
        let mut extensions = Extensions::new();
        extensions.insert(Peer("10.0.0.9".parse().unwrap()));
        ClientAddress::of(&headers, &extensions, proxies).household().to_string()
    }

    #[test]
    fn only_what_our_own_proxies_say_is_believed() {
        assert_eq!(client(&["1.1.1.1"], 0), "10.0.0.9");
        assert_eq!(client(&[], 1), "10.0.0.9");
        assert_eq!(client(&["2.2.2.2"], 1), "2.2.2.2");
        assert_eq!(client(&["6.6.6.6, 2.2.2.2"], 1), "2.2.2.2");
        assert_eq!(client(&["6.6.6.6", "2.2.2.2 , 3.3.3.3"], 2), "2.2.2.2");
        assert_eq!(client(&["2.2.2.2"], 2), "2.2.2.2", "one of the proxies was passed by");
        assert_eq!(client(&["2.2.2.2:4711"], 1), "2.2.2.2");
        assert_eq!(client(&["6.6.6.6, what?"], 1), "10.0.0.9");
        assert_eq!(client(&["6.6.6.6, what?, 3.3.3.3"], 3), "3.3.3.3");
    }

    #[test]
    fn a_household_is_one_address_or_one_network() {
        assert_eq!(client(&["2001:db8:1:2:3:4:5:6"], 1), "2001:db8:1:2::");
        assert_eq!(client(&["[2001:db8:1:2::6]:443"], 1), "2001:db8:1:2::");
        assert_eq!(client(&["::ffff:2.2.2.2"], 1), "2.2.2.2");
    }
}
