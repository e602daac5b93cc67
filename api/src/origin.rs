//! Where a vote comes from: the device, as far as the request tells it, and the address.
//!
//! A browser that has seen the ranking sends the cookie that came with it; that is a device. Without the cookie, what a
//! browser says of itself together with its address is one. A request that says neither, as programs make, has none.

use std::net::IpAddr;

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use bellwork_shared::votes::traces::DayKeys;
use bellwork_shared::votes::traces::Trace;
use futures_util::future::{Ready, ready};
use uuid::Uuid;

use crate::app::App;
use crate::client::client_address;
use crate::describe::Takes;
use crate::error::ApiError;

/// How long a browser counts as the same device.
const REMEMBERED: time::Duration = time::Duration::days(365);
/// What all browsers send of themselves. One that is missing makes the request a program's.
const NAMING: [header::HeaderName; 2] = [header::USER_AGENT, header::ACCEPT_LANGUAGE];
/// What tells browsers of the same name apart, where it is sent.
const REFINING: [&str; 4] = ["accept-encoding", "sec-ch-ua", "sec-ch-ua-platform", "sec-ch-ua-mobile"];

/// Where a request comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    device: Option<String>,
    address: IpAddr,
    cookie: Cookie<'static>,
}

impl Origin {
    /// What may be kept of it.
    #[must_use]
    pub(crate) fn trace(&self, keys: &DayKeys) -> Trace {
        keys.trace(self.device.as_deref(), self.address)
    }

    /// The cookie by which the browser is the same device next time.
    #[must_use]
    pub(crate) fn into_cookie(self) -> Cookie<'static> {
        self.cookie
    }
}

impl Takes for Origin {}

impl FromRequest for Origin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>().expect("the application's state is registered at its start");
        let is_https = app.config.public_url.scheme() == "https";
        let name = if is_https { "__Host-bellwork_device" } else { "bellwork_device" };
        let known = request.cookie(name).and_then(|cookie| Uuid::try_parse(cookie.value()).ok());
        let address = client_address(request);
        let device = known.map(|id| format!("cookie {id}")).or_else(|| browser(request, address));
        let id = known.unwrap_or_else(Uuid::new_v4);
        let cookie = Cookie::build(name, id.simple().to_string())
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(is_https)
            .max_age(REMEMBERED)
            .finish();
        ready(Ok(Self { device, address, cookie }))
    }
}

/// A browser without the cookie, told by what it says of itself and its address; none if it does not name itself.
fn browser(request: &HttpRequest, address: IpAddr) -> Option<String> {
    let said = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let naming: Option<Vec<_>> = NAMING.iter().map(|name| said(name.as_str())).collect();
    let refining = REFINING.iter().map(|name| said(name).unwrap_or_default());
    let words: Vec<_> = naming?.into_iter().chain(refining).collect();
    Some(format!("browser {address}\n{}", words.join("\n")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn told(headers: &[(&str, &str)], address: &str) -> Option<String> {
        let request = headers.iter().fold(TestRequest::get(), |request, header| request.insert_header(*header));
        browser(&request.to_http_request(), address.parse().unwrap())
    }

    #[test]
    fn a_browser_is_told_by_what_it_says_and_where_and_a_program_is_not() {
        let firefox = [("user-agent", "Firefox"), ("accept-language", "de")];
        assert_eq!(told(&firefox, "192.0.2.1"), told(&firefox, "192.0.2.1"));
        assert_ne!(told(&firefox, "192.0.2.1"), told(&firefox, "192.0.2.2"));
        assert_ne!(told(&firefox, "192.0.2.1"), told(&[firefox[0], ("accept-language", "fr")], "192.0.2.1"));
        assert_eq!(told(&firefox[..1], "192.0.2.1"), None);
        assert_eq!(told(&[], "192.0.2.1"), None);
    }
}
