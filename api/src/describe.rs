//! What a route takes and answers, told by the types of its handler. The OpenAPI document is made from nothing else, so it
//! cannot say something that the code does not do.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, web};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response};

use crate::app::App;
use crate::auth::caller::{InSession, SignedIn};
use crate::error::ApiError;

/// Whether a route takes a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameters {
    /// No: every parameter is unknown.
    None,
    /// Yes, and its handler knows which.
    Read,
}

/// What an extractor takes of a request.
pub(crate) trait Takes {
    /// Whether it reads the query.
    const PARAMETERS: Parameters = Parameters::None;

    /// Adds what it takes, and the statuses with which it refuses.
    fn describe(_: &mut Description) {}
}

/// What a reply looks like.
pub(crate) trait Answers {
    /// Adds the answers.
    fn describe(description: &mut Description);
}

/// One operation, as the types of its handler tell it.
#[derive(Default)]
pub(crate) struct Description {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<RequestBody>,
    pub(crate) answers: BTreeMap<u16, Response>,
    pub(crate) refusals: BTreeSet<u16>,
    pub(crate) schemas: BTreeMap<String, RefOr<Schema>>,
}

/// Describes a handler that takes `Args` and answers `Output`.
pub(crate) fn describe<Args: Takes, Output: Answers>(description: &mut Description) {
    Args::describe(description);
    Output::describe(description);
}

impl Description {
    /// A reference to the schema of `T`, which is kept with all that it refers to.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        self.schemas.extend(nested);
        let name = T::name().into_owned();
        let reference = Ref::from_schema_name(&name);
        self.schemas.insert(name, T::schema());
        reference.into()
    }

    /// A parameter of the path.
    pub(crate) fn path_parameter(&mut self, name: &str, schema: RefOr<Schema>) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        self.parameters.push(parameter.schema(Some(schema)).build());
        self.refuses(&[404]);
    }

    /// A header that may be sent, or must be.
    pub(crate) fn header(&mut self, name: &str, says: &str, required: Required, schema: Schema) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(required);
        self.parameters.push(parameter.description(Some(says)).schema(Some(schema)).build());
    }

    /// A body of `content_type`.
    pub(crate) fn takes(&mut self, content_type: &str, schema: RefOr<Schema>) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.body =
            Some(RequestBodyBuilder::new().content(content_type, content).required(Some(Required::True)).build());
        self.refuses(&[400, 413, 415, 422]);
    }

    /// An answer without a body.
    pub(crate) fn answers_empty(&mut self, status: u16, says: &str) {
        self.answers.insert(status, Response::new(says));
    }

    /// An answer with a body of `content_type`; one status may have several.
    pub(crate) fn answers(&mut self, status: u16, says: &str, content_type: &str, schema: RefOr<Schema>) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let answer = self.answers.entry(status).or_insert_with(|| Response::new(says));
        answer.content.insert(content_type.to_owned(), content.into());
    }

    /// Another body of the answer `status`, of `content_type`.
    pub(crate) fn answers_also(&mut self, status: u16, content_type: &str, schema: RefOr<Schema>) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        if let Some(answer) = self.answers.get_mut(&status) {
            answer.content.insert(content_type.to_owned(), RefOr::T(content));
        }
    }

    /// A header of the answer `status`.
    pub(crate) fn answers_with_header(&mut self, status: u16, name: &str, says: &str) {
        let text: RefOr<Schema> = Object::with_type(Type::String).into();
        let header = HeaderBuilder::new().description(Some(says)).schema(Some(text)).build();
        if let Some(answer) = self.answers.get_mut(&status) {
            answer.headers.insert(name.to_owned(), header.into());
        }
    }

    /// Statuses that are problems.
    pub(crate) fn refuses(&mut self, statuses: &[u16]) {
        self.refusals.extend(statuses);
    }
}

impl Takes for HttpRequest {}
impl Takes for InSession {}
impl Takes for SignedIn {}
impl Takes for web::Data<App> {}

impl<A: Answers> Answers for Result<A, ApiError> {
    fn describe(description: &mut Description) {
        A::describe(description);
    }
}

macro_rules! takes_all_of {
    ($($part:ident)*) => {
        impl<$($part: Takes),*> Takes for ($($part,)*) {
            const PARAMETERS: Parameters = {
                #[allow(unused_mut, reason = "the empty tuple reads nothing")]
                let mut parameters = Parameters::None;
                $(if matches!($part::PARAMETERS, Parameters::Read) { parameters = Parameters::Read; })*
                parameters
            };

            fn describe(_description: &mut Description) {
                $($part::describe(_description);)*
            }
        }
    };
}

takes_all_of!();
takes_all_of!(A);
takes_all_of!(A B);
takes_all_of!(A B C);
takes_all_of!(A B C D);
takes_all_of!(A B C D E);
takes_all_of!(A B C D E F);
takes_all_of!(A B C D E F G);
