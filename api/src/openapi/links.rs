//! Where an answer leads: with an id that it holds, another operation can be asked.

use std::collections::BTreeMap;

use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::{RefOr, Response, Schema};

use super::operation_id;
use crate::auth::Access;
use crate::describe::Description;
use crate::routes::path::{Method, Operation, Path};

/// Where jobs are found.
const JOB: &str = "/api/jobs/{id}";
/// The field of an answer that names the job which does the rest.
const JOB_ID: &str = "job_id";

/// The operations that find one thing by its id, by their paths.
pub(super) struct Finders(BTreeMap<&'static str, String>);

impl Finders {
    /// Those among `paths`.
    pub(super) fn of(paths: &[Path]) -> Self {
        let finder = |path: &Path| {
            let get = path.operations().iter().find(|operation| operation.method == Method::Get)?;
            Some((path.pattern(), operation_id(get)))
        };
        Self(paths.iter().filter(|path| path.pattern().ends_with("/{id}")).filter_map(finder).collect())
    }

    /// Adds to the answers of an operation of `pattern` where they lead: what it has made is found below its path, and its
    /// job among the jobs, by somebody who is signed in.
    pub(super) fn link(&self, pattern: &str, operation: &Operation, description: &mut Description) {
        let below = format!("{pattern}/{{id}}");
        let made = (operation.method == Method::Post).then_some(("id", below.as_str()));
        let job = (operation.access != Access::Anyone).then_some((JOB_ID, JOB));
        for answer in description.answers.values_mut() {
            for (field, path) in made.into_iter().chain(job) {
                if let Some(finder) = self.0.get(path).filter(|_| holds(answer, &description.schemas, field)) {
                    answer.links.insert(finder.clone(), link(finder, field).into());
                }
            }
        }
    }
}

fn link(finder: &str, field: &str) -> Link {
    LinkBuilder::new().operation_id(finder).parameter("id", format!("$response.body#/{field}")).build()
}

/// True if the answer's body has the field.
fn holds(answer: &Response, schemas: &BTreeMap<String, RefOr<Schema>>, field: &str) -> bool {
    let Some(RefOr::T(content)) = answer.content.get("application/json") else { return false };
    content.schema.as_ref().is_some_and(|schema| has(schema, schemas, field))
}

/// True if what the schema describes has the field, by itself or by what it is composed of.
fn has(schema: &RefOr<Schema>, schemas: &BTreeMap<String, RefOr<Schema>>, field: &str) -> bool {
    match schema {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            schemas.get(name).is_some_and(|schema| has(schema, schemas, field))
        }
        RefOr::T(Schema::Object(object)) => object.properties.contains_key(field),
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter().any(|part| has(part, schemas, field)),
        RefOr::T(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::openapi::document;
    use crate::routes;

    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

    fn written() -> Value {
        serde_json::to_value(document(&routes::all(), "bellwork_session")).unwrap()
    }

    fn operations(document: &Value) -> impl Iterator<Item = &Value> {
        let paths = document["paths"].as_object().unwrap().values();
        paths.flat_map(|path| METHODS.iter().filter_map(|method| path.get(method)))
    }

    fn find<'a>(document: &'a Value, id: &str) -> &'a Value {
        operations(document).find(|operation| operation["operationId"] == id).unwrap_or_else(|| panic!("no {id}"))
    }

    /// Each link with the status and the operation of its answer.
    fn links(document: &Value) -> impl Iterator<Item = (&Value, &String, &Value)> {
        operations(document).flat_map(|operation| {
            let answers = operation["responses"].as_object().unwrap().iter();
            answers.flat_map(move |(status, answer)| {
                let links = answer.get("links").and_then(Value::as_object).into_iter().flat_map(|links| links.values());
                links.map(move |link| (operation, status, link))
            })
        })
    }

    fn has(document: &Value, schema: &Value, field: &str) -> bool {
        let referred = schema["$ref"].as_str().and_then(|place| document.pointer(&place[1..]));
        let parts = schema["allOf"].as_array().into_iter().flatten().chain(referred);
        schema["properties"].get(field).is_some() || parts.into_iter().any(|part| has(document, part, field))
    }

    #[test]
    fn what_was_made_or_accepted_can_be_followed() {
        let document = written();
        let way = |(from, status, link): (&Value, &String, &Value)| {
            format!("{} {status} {}", from["operationId"].as_str().unwrap(), link["operationId"].as_str().unwrap())
        };
        let ways: Vec<_> = links(&document).map(way).collect();
        let expected = [
            "admin_imports.hand_in 202 admin_imports.show",
            "admin_imports.hand_in 202 jobs.show",
            "admin_imports.show 200 jobs.show",
            "admin_schedules.run 202 jobs.show",
            "admin_tests.create 201 admin_tests.show",
            "explanations.ask 202 explanations.show",
            "explanations.ask 202 jobs.show",
            "explanations.show 200 jobs.show",
            "flashcards.ask 202 flashcards.show",
            "flashcards.ask 202 jobs.show",
            "flashcards.show 200 jobs.show",
            "study_plans.ask 202 jobs.show",
            "study_plans.ask 202 study_plans.show",
            "study_plans.show 200 jobs.show",
            "attempts.submit 202 attempts.show",
            "attempts.submit 202 jobs.show",
            "personal_data.request 202 jobs.show",
            "links.send_verification 202 jobs.show",
        ];
        assert_eq!(ways, expected);
    }

    #[test]
    fn a_link_passes_what_the_answer_holds_as_what_its_operation_takes() {
        let document = written();
        for (from, status, link) in links(&document) {
            let to = find(&document, link["operationId"].as_str().unwrap());
            let schema = &from["responses"][status]["content"]["application/json"]["schema"];
            for (name, value) in link["parameters"].as_object().unwrap() {
                let taken = to["parameters"].as_array().unwrap();
                assert!(taken.iter().any(|one| one["name"] == *name && one["in"] == "path"), "{name} of {to}");
                let field = value.as_str().unwrap().strip_prefix("$response.body#/").unwrap();
                assert!(has(&document, schema, field), "{field} of {schema}");
            }
        }
    }
}
