//! By which address a client is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::HttpRequest;

/// The part of an IPv6 address that names a site; the rest its hosts choose themselves, as often as they like.
const SITE: u128 = !0 << 64;

/// The address of the client: the peer's.
#[must_use]
pub(crate) fn client_address(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

/// What is counted as one client: an IPv4 address, or the site of an IPv6 address (its first 64 bits).
#[must_use]
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SITE)),
        address => address,
    }
}
