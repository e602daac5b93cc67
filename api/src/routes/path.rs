//! One line of the table of routes.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::rate_limit::policies::Policy;

use crate::auth::{self, Access, Gate};
use crate::describe::{Answers, Description, Parameters, Takes, describe};
use crate::error::ApiError;
use crate::limits::Limit;
use crate::observe::RoutePattern;
use crate::overload::{self, Worth};

/// A path with the methods it takes. To other methods it answers 405.
pub(crate) struct Path {
    pattern: &'static str,
    operations: Vec<Operation>,
}

/// A method of a path: who may use it, what answers, and what the documents say of it.
pub(crate) struct Operation {
    /// The method, as the documents name it.
    pub(crate) method: Method,
    /// Who may use it.
    pub(crate) access: Access,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// The path of the function that answers, such as `bellwork_api::routes::attempts::list`.
    pub(crate) handler: &'static str,
    /// Statuses of problems that its types do not tell.
    pub(crate) also: &'static [u16],
    /// What its types tell.
    pub(crate) describe: fn(&mut Description),
    /// How often it may be asked.
    pub(crate) limit: Limit,
    worth: Worth,
    parameters: Parameters,
    tokens: Tokens,
    answer: Answer,
    route: Route,
}

/// What API tokens may do with a route.
#[derive(Clone, Copy, Debug)]
enum Tokens {
    /// What follows from its access and its method.
    ByRule,
    /// Use it with this scope.
    With(Scope),
    /// Nothing: it is about the account itself.
    Never,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// At once.
    Whole,
    /// As a stream, to a client that comes back only after a 200.
    Stream,
}

impl Operation {
    /// What an API token needs here; none: no token may. What changes something for the caller is closed to tokens unless
    /// the table names a scope.
    pub(crate) fn scope(&self) -> Option<Scope> {
        match (self.tokens, self.access, self.method) {
            (Tokens::With(scope), ..) => Some(scope),
            (Tokens::ByRule, Access::SignedIn, Method::Get) => Some(Scope::Read),
            (Tokens::ByRule, Access::Admins, Method::Get) => Some(Scope::AdminRead),
            (Tokens::ByRule, Access::Admins, _) => Some(Scope::AdminWrite),
            (Tokens::ByRule, Access::SignedIn | Access::Anyone, _) | (Tokens::Never, ..) => None,
        }
    }

    /// With all that stands before its handler: in one layer, since each costs a request an allocation.
    fn into_route(self) -> Route {
        let gate = Gate { access: self.access, parameters: self.parameters, scope: self.scope(), limit: self.limit };
        let worth = self.worth;
        let gated = self.route.wrap(from_fn(move |request, next| {
            overload::weigh(worth, request, move |request| auth::admit(gate, request, next))
        }));
        match self.answer {
            Answer::Whole => gated,
            Answer::Stream => gated.wrap(from_fn(super::stream::shed)),
        }
    }
}

/// A method that some route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// GET, and HEAD by the same without its body.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
            Self::Patch => &["PATCH"],
            Self::Delete => &["DELETE"],
        }
    }

    /// For this method. Our own guard: actix's notes each method that it looks for in the request, for answers that ours
    /// make by themselves.
    fn route(self) -> Route {
        web::route().guard(guard::fn_guard(move |asked| self.names().contains(&asked.head().method.as_str())))
    }
}

/// A path that takes no method yet.
pub(super) fn at(pattern: &'static str) -> Path {
    Path { pattern, operations: Vec::new() }
}

/// What can answer: its types tell what it takes and what it answers.
pub(super) trait Answering<Args>: Handler<Args, Output = Self::Reply> {
    /// What it answers.
    type Reply: Responder + Answers + 'static;
}

impl<F, Args> Answering<Args> for F
where
    F: Handler<Args>,
    F::Output: Responder + Answers + 'static,
{
    type Reply = F::Output;
}

impl Path {
    /// Answers GET, and HEAD by the same without its body.
    pub(super) fn get<F, Args>(self, access: Access, handler: F, summary: &'static str) -> Self
    where
        F: Answering<Args>,
        Args: FromRequest + Takes + 'static,
    {
        self.with(Method::Get, access, handler, summary)
    }

    /// Answers POST.
    pub(super) fn post<F, Args>(self, access: Access, handler: F, summary: &'static str) -> Self
    where
        F: Answering<Args>,
        Args: FromRequest + Takes + 'static,
    {
        self.with(Method::Post, access, handler, summary)
    }

    /// Answers PUT.
    pub(super) fn put<F, Args>(self, access: Access, handler: F, summary: &'static str) -> Self
    where
        F: Answering<Args>,
        Args: FromRequest + Takes + 'static,
    {
        self.with(Method::Put, access, handler, summary)
    }

    /// Answers PATCH.
    pub(super) fn patch<F, Args>(self, access: Access, handler: F, summary: &'static str) -> Self
    where
        F: Answering<Args>,
        Args: FromRequest + Takes + 'static,
    {
        self.with(Method::Patch, access, handler, summary)
    }

    /// Answers DELETE.
    pub(super) fn delete<F, Args>(self, access: Access, handler: F, summary: &'static str) -> Self
    where
        F: Answering<Args>,
        Args: FromRequest + Takes + 'static,
    {
        self.with(Method::Delete, access, handler, summary)
    }

    /// Statuses with which the last method refuses beside those that its types tell.
    pub(super) fn also(mut self, statuses: &'static [u16]) -> Self {
        self.last().also = statuses;
        self
    }

    /// Puts a limit of its own on the last method, beside the one on everything.
    pub(super) fn limited(mut self, policy: &'static Policy) -> Self {
        self.last().limit = Limit::Also(policy);
        self
    }

    /// Answers the last method however often it is asked.
    pub(super) fn exempt(mut self) -> Self {
        self.last().limit = Limit::Exempt;
        self
    }

    /// Says what the last method is worth when not all can be answered; otherwise reading is [`Worth::Read`] and the rest
    /// [`Worth::Submit`].
    pub(super) fn worth(mut self, worth: Worth) -> Self {
        self.last().worth = worth;
        self
    }

    /// Turns what the last method answers with 429 or 5xx into a stream that ends at once.
    pub(super) fn streaming(mut self) -> Self {
        self.last().answer = Answer::Stream;
        self
    }

    /// API tokens may use the last method with `scope`.
    pub(super) fn scope(mut self, scope: Scope) -> Self {
        self.last().tokens = Tokens::With(scope);
        self
    }

    /// API tokens may not even look at what the last method shows.
    pub(super) fn session_only(mut self) -> Self {
        self.last().tokens = Tokens::Never;
        self
    }

    /// Its pattern, such as `/api/attempts/{id}`.
    pub(crate) fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// True if it is one path, without parameters.
    pub(super) fn is_literal(&self) -> bool {
        !self.pattern.contains('{')
    }

    /// Its first two segments, such as `/api/attempts`.
    pub(super) fn beginning(&self) -> &'static str {
        let end = self.pattern.match_indices('/').nth(2).map_or(self.pattern.len(), |(end, _)| end);
        &self.pattern[..end]
    }

    /// What it answers.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// For a scope that begins with the first `beginning` bytes of the pattern.
    pub(super) fn into_resource(self, beginning: usize) -> impl HttpServiceFactory {
        let methods: Vec<_> = self.operations.iter().flat_map(|operation| operation.method.names()).copied().collect();
        let allow = HeaderValue::from_str(&methods.join(", ")).expect("names of methods are valid header values");
        let resource = web::resource(&self.pattern[beginning..]).app_data(RoutePattern(self.pattern));
        let routes = self.operations.into_iter().map(Operation::into_route);
        routes.fold(resource, actix_web::Resource::route).default_service(web::to(move || {
            let refused: Result<String, _> = Err(ApiError::MethodNotAllowed(allow.clone()));
            std::future::ready(refused)
        }))
    }

    fn with<F, Args>(mut self, method: Method, access: Access, handler: F, summary: &'static str) -> Self
    where
        F: Answering<Args>,
        Args: FromRequest + Takes + 'static,
    {
        self.operations.push(Operation {
            method,
            access,
            summary,
            handler: std::any::type_name::<F>(),
            also: &[],
            describe: describe::<Args, F::Reply>,
            limit: Limit::Usual,
            worth: if method == Method::Get { Worth::Read } else { Worth::Submit },
            parameters: Args::PARAMETERS,
            tokens: Tokens::ByRule,
            answer: Answer::Whole,
            route: method.route().to(handler),
        });
        self
    }

    fn last(&mut self) -> &mut Operation {
        self.operations.last_mut().expect("a path names a method before it says more of it")
    }
}
