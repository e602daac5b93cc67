//! By which address a client is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use crate::app::App;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// The part of an IPv6 address that names a site; the rest its hosts choose themselves, as often as they like.
const SITE: u128 = !0 << 64;

/// The address of the client: the peer's, or if the peer is a trusted proxy, what the proxies say. They append to
/// `X-Forwarded-For`, so that what a client invents stands on the left: the rightmost address that is no trusted proxy's
/// counts.
#[must_use]
pub(crate) fn client_address(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    match request.app_data::<web::Data<App>>() {
        Some(app) => forwarded(peer, request.headers(), &app.limits.trusted_proxies),
        None => peer,
    }
}

/// What is counted as one client: an IPv4 address, or the site of an IPv6 address (its first 64 bits).
#[must_use]
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SITE)),
        address => address,
    }
}

fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut client = peer;
    // Several headers are one list; a proxy may begin its own instead of appending.
    for value in headers.get_all(X_FORWARDED_FOR).collect::<Vec<_>>().into_iter().rev() {
        let Ok(list) = value.to_str() else { return peer };
        for hop in list.rsplit(',') {
            let Some(address) = parse(hop.trim()) else { return peer };
            client = address;
            if !is_trusted(&client) {
                return client;
            }
        }
    }
    client
}

/// An address, perhaps with a port, as some proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = hop.parse::<IpAddr>().ok().or_else(with_port).or_else(bracketed)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    /// The address of a client whose request came from `peer` with these headers, with 10.0.0.0/8 and ::1 trusted.
    fn known_as(peer: &str, lists: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(HeaderName::from_static(X_FORWARDED_FOR), HeaderValue::from_static(list));
        }
        forwarded(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn what_a_stranger_says_of_itself_changes_nothing() {
        assert_eq!(known_as("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(known_as("203.0.113.9", &["10.0.0.1", "::1"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxys_counts() {
        assert_eq!(known_as("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(known_as("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(known_as("10.0.0.1", &["1.2.3.4", "198.51.100.1,10.2.2.2"]), "198.51.100.1");
        assert_eq!(known_as("::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(known_as("::1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(known_as("10.0.0.1", &["198.51.100.1:5000"]), "198.51.100.1");
        assert_eq!(known_as("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "a request from inside");
        assert_eq!(known_as("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn with_garbage_the_peer_counts() {
        for list in ["", "unknown", "198.51.100.1, ", "1.2.3.4, _hidden, 10.0.0.2", "198.51.100.1; 10.0.0.2"] {
            let peer = known_as("10.0.0.1", &[Box::leak(list.to_owned().into_boxed_str())]);
            assert_eq!(peer, "10.0.0.1", "{list}");
        }
        assert_eq!(known_as("10.0.0.1", &["garbage, 198.51.100.1"]), "198.51.100.1", "nobody reads so far");
    }

    #[test]
    fn a_site_is_one_client() {
        let site = |address: &str| site(address.parse().unwrap()).to_string();
        assert_eq!(site("2001:db8:1:2:aaaa:bbbb:cccc:dddd"), "2001:db8:1:2::");
        assert_eq!(site("::ffff:198.51.100.1"), "198.51.100.1");
        assert_eq!(site("198.51.100.1"), "198.51.100.1");
    }
}
