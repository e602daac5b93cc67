//! Cookies: of a session, and of a device that has signed in before.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use bellwork_shared::config::http::HttpConfig;
use bellwork_shared::tokens::Token;

use crate::throttle::Device;

/// How long a device stays known; each sign-in starts it anew.
const DEVICE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the cookie of a session is called.
#[must_use]
pub(crate) fn cookie_name(config: &HttpConfig) -> &'static str {
    if is_https(config) { "__Host-bellwork_session" } else { "bellwork_session" }
}

fn is_https(config: &HttpConfig) -> bool {
    config.public_url.scheme() == "https"
}

/// The cookie of a session just opened.
#[must_use]
pub(crate) fn cookie(config: &HttpConfig, token: Token) -> Cookie<'static> {
    bare_cookie(config, cookie_name(config), token.reveal(), config.session_lifetime.absolute)
}

/// The cookie that makes a browser forget its session.
#[must_use]
pub(crate) fn expired_cookie(config: &HttpConfig) -> Cookie<'static> {
    bare_cookie(config, cookie_name(config), String::new(), Duration::ZERO)
}

fn device_cookie_name(config: &HttpConfig) -> &'static str {
    if is_https(config) { "__Host-bellwork_known" } else { "bellwork_known" }
}

/// The device of `account` that the request comes from, if it has signed in to it before.
#[must_use]
pub(crate) fn device(request: &HttpRequest, config: &HttpConfig, key: &str, account: &str) -> Option<Device> {
    Device::open(request.cookie(device_cookie_name(config))?.value(), key, account)
}

/// The cookie by which a device of `account` is known again.
#[must_use]
pub(crate) fn device_cookie(config: &HttpConfig, device: Device, key: &str, account: &str) -> Cookie<'static> {
    bare_cookie(config, device_cookie_name(config), device.seal(key, account), DEVICE_LIFETIME)
}

fn bare_cookie(config: &HttpConfig, name: &'static str, value: String, max_age: Duration) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_https(config))
        .max_age(time::Duration::try_from(max_age).unwrap_or(time::Duration::MAX))
        .finish()
}
