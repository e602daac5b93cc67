//! How a study aid is described to clients: one schema for each kind, which a derived one for all would not be.

use std::borrow::Cow;

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::aids::{AidMaker, AidStatus, StudyAid};
use crate::ids::{AidId, JobId};

impl<A: ToSchema, R: ToSchema> PartialSchema for StudyAid<A, R> {
    fn schema() -> RefOr<Schema> {
        let aid = ObjectBuilder::new()
            .property("id", reference::<AidId>())
            .property("job_id", reference::<JobId>())
            .property("status", reference::<AidStatus>())
            .property("asked", reference::<A>())
            .property("made_by", or_null::<AidMaker>())
            .property("model", ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])))
            .property("result", or_null::<R>())
            .property("created_at", instant(SchemaType::Type(Type::String)))
            .property("finished_at", instant(SchemaType::from_iter([Type::String, Type::Null])));
        let fields = ["id", "job_id", "status", "asked", "made_by", "model", "result", "created_at", "finished_at"];
        fields.into_iter().fold(aid, ObjectBuilder::required).into()
    }
}

impl<A: ToSchema, R: ToSchema> ToSchema for StudyAid<A, R> {
    fn name() -> Cow<'static, str> {
        format!("{}Aid", R::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        add::<AidId>(schemas);
        add::<JobId>(schemas);
        add::<AidStatus>(schemas);
        add::<AidMaker>(schemas);
        add::<A>(schemas);
        add::<R>(schemas);
    }
}

fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn or_null<T: ToSchema>() -> OneOfBuilder {
    OneOfBuilder::new().item(reference::<T>()).item(ObjectBuilder::new().schema_type(Type::Null))
}

fn instant(schema_type: SchemaType) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(schema_type).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}
