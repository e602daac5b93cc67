//! One line of the table of routes.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};

use crate::auth::{self, Access, Query};
use crate::error::ApiError;
use crate::observe::RoutePattern;

/// A path with the methods it takes. To other methods it answers 405.
pub(super) struct Path {
    pattern: &'static str,
    methods: Vec<&'static str>,
    routes: Vec<Route>,
}

/// A path that takes no method yet.
pub(super) fn at(pattern: &'static str) -> Path {
    Path { pattern, methods: Vec::new(), routes: Vec::new() }
}

impl Path {
    /// Answers GET, and HEAD by the same without its body. It takes no query.
    pub(super) fn get<F, Args>(self, access: Access, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["GET", "HEAD"], gated(reading().to(handler), access, Query::None))
    }

    /// Answers GET, and HEAD by the same without its body, with a query that the handler reads.
    pub(super) fn query<F, Args>(self, access: Access, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["GET", "HEAD"], gated(reading().to(handler), access, Query::Read))
    }

    /// Answers POST.
    pub(super) fn post<F, Args>(self, access: Access, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["POST"], gated(web::post().to(handler), access, Query::None))
    }

    /// Answers DELETE.
    pub(super) fn delete<F, Args>(self, access: Access, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.with(&["DELETE"], gated(web::delete().to(handler), access, Query::None))
    }

    /// Answers GET of who is signed in with a live stream.
    pub(super) fn stream<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = gated(web::get().to(handler), Access::SignedIn, Query::Read);
        self.with(&["GET"], route.wrap(from_fn(super::stream::shed)))
    }

    /// For the application.
    pub(super) fn into_resource(self) -> impl HttpServiceFactory {
        let allow = HeaderValue::from_str(&self.methods.join(", ")).expect("names of methods are valid header values");
        let resource = web::resource(self.pattern).app_data(RoutePattern(self.pattern));
        let resource = self.routes.into_iter().fold(resource, actix_web::Resource::route);
        resource.default_service(web::to(move || {
            let refused: Result<String, _> = Err(ApiError::MethodNotAllowed(allow.clone()));
            std::future::ready(refused)
        }))
    }

    fn with(mut self, methods: &[&'static str], route: Route) -> Self {
        self.methods.extend(methods);
        self.routes.push(route);
        self
    }
}

fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn gated(route: Route, access: Access, query: Query) -> Route {
    route.wrap(from_fn(move |request, next| auth::admit(access, query, request, next)))
}
