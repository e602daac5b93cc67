//! The AI models whose help students rate.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::ModelId;
use crate::slugs::{MAX_SLUG, is_slug};

/// The longest name, in characters.
pub const MAX_NAME: usize = 80;
/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 1000;

/// A model's name in paths: lower-case letters, digits, and single hyphens between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Slug(String);

/// What people read as a model's name: trimmed, not empty, printable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct ModelName(String);

/// What a model is good for: printable, with line breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Description(String);

/// Why a part of a model cannot be used. Its message is a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Empty, too long, or with other characters.
    #[error("a slug has 1 to {MAX_SLUG} characters: lower-case letters, digits, and single hyphens between them")]
    Slug,
    /// Empty, too long, or with control characters.
    #[error("a name has 1 to {MAX_NAME} printable characters")]
    Name,
    /// Too long, or with control characters.
    #[error("a description has at most {MAX_DESCRIPTION} printable characters")]
    Description,
}

impl Slug {
    /// Reads a slug.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        is_slug(text).then(|| Self(text.to_owned())).ok_or(Unusable::Slug)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Slug {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Slug {
    type Error = Unusable;

    fn try_from(text: String) -> Result<Self, Unusable> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for ModelName {
    type Error = Unusable;

    fn try_from(text: String) -> Result<Self, Unusable> {
        let name = text.trim();
        let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        fits.then(|| Self(name.to_owned())).ok_or(Unusable::Name)
    }
}

impl TryFrom<String> for Description {
    type Error = Unusable;

    fn try_from(text: String) -> Result<Self, Unusable> {
        let is_printable = |character: char| character == '\n' || !character.is_control();
        let fits = text.chars().count() <= MAX_DESCRIPTION && text.chars().all(is_printable);
        fits.then_some(Self(text)).ok_or(Unusable::Description)
    }
}

fn text(longest: usize, pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(longest)).pattern(Some(pattern))
}

impl PartialSchema for Slug {
    fn schema() -> RefOr<Schema> {
        text(MAX_SLUG, "^[a-z0-9]+(-[a-z0-9]+)*$").min_length(Some(1)).into()
    }
}

impl PartialSchema for ModelName {
    fn schema() -> RefOr<Schema> {
        let printable = r"^[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
        text(MAX_NAME, printable).min_length(Some(1)).into()
    }
}

impl PartialSchema for Description {
    fn schema() -> RefOr<Schema> {
        text(MAX_DESCRIPTION, r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*$").into()
    }
}

impl ToSchema for Slug {}
impl ToSchema for ModelName {}
impl ToSchema for Description {}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// Its name in paths.
    pub slug: Slug,
    /// Its name for people.
    pub name: ModelName,
    /// What it is good for.
    pub description: Description,
    /// Whether it takes votes and is ranked.
    pub active: bool,
}

/// A model to be stored, as it comes over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// Its name in paths; never changed.
    pub slug: Slug,
    /// Its name for people.
    pub name: ModelName,
    /// What it is good for.
    #[serde(default)]
    pub description: Description,
    /// Whether it takes votes and is ranked; if not said, it does.
    #[serde(default = "active")]
    pub active: bool,
}

fn active() -> bool {
    true
}

/// What is to be changed of a model; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelChange {
    /// Another name.
    pub name: Option<ModelName>,
    /// Another description.
    pub description: Option<Description>,
    /// Whether it takes votes and is ranked.
    pub active: Option<bool>,
}

/// What became of a new model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    New(Model),
    /// Another model has that slug; nothing was stored.
    SlugTaken,
}

/// Stores a model, unless its slug is taken.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, new: &NewModel) -> sqlx::Result<Stored> {
    let stored = sqlx::query_as!(
        Model,
        r#"
        insert into models (id, slug, name, description, active) values ($1, $2, $3, $4, $5)
        on conflict (slug) do nothing
        returning id as "id: ModelId", slug as "slug: Slug", name as "name: ModelName",
                  description as "description: Description", active
        "#,
        ModelId::new() as ModelId,
        new.slug.as_str(),
        new.name.0,
        new.description.0,
        new.active,
    )
    .fetch_optional(conn)
    .await?;
    Ok(stored.map_or(Stored::SlugTaken, Stored::New))
}

/// Changes a model; none if there is no such model.
///
/// # Errors
/// If the database fails.
pub async fn change(conn: &mut PgConnection, slug: &Slug, change: &ModelChange) -> sqlx::Result<Option<Model>> {
    sqlx::query_as!(
        Model,
        r#"
        update models
        set name = coalesce($2, name), description = coalesce($3, description), active = coalesce($4, active)
        where slug = $1
        returning id as "id: ModelId", slug as "slug: Slug", name as "name: ModelName",
                  description as "description: Description", active
        "#,
        slug.as_str(),
        change.name.as_ref().map(|name| &name.0),
        change.description.as_ref().map(|description| &description.0),
        change.active,
    )
    .fetch_optional(conn)
    .await
}

/// The active models by slug, from the first after `after`, at most `limit`.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, after: Option<&Slug>, limit: i64) -> sqlx::Result<Vec<Model>> {
    sqlx::query_as!(
        Model,
        r#"
        select id as "id: ModelId", slug as "slug: Slug", name as "name: ModelName",
               description as "description: Description", active
        from models where active and slug > $1 order by slug limit $2
        "#,
        after.map_or("", Slug::as_str),
        limit,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_good_in_a_path() {
        for text in ["a", "gpt-5", "llama-3-70b", &"x".repeat(64)] {
            assert_eq!(Slug::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "-", "a-", "-a", "a--b", "A", "a b", "a/b", "a\0", "ä", &"x".repeat(65)] {
            assert_eq!(Slug::parse(text), Err(Unusable::Slug), "{text:?}");
        }
    }

    #[test]
    fn names_and_descriptions_are_printable_and_not_endless() {
        assert_eq!(ModelName::try_from(" Ada ".to_owned()).unwrap().0, "Ada");
        for text in ["", "  ", "a\0", "a\nb", &"x".repeat(81)] {
            assert_eq!(ModelName::try_from(text.to_owned()), Err(Unusable::Name), "{text:?}");
        }
        assert!(Description::try_from("two\nlines".to_owned()).is_ok());
        for text in ["a\0", &"x".repeat(1001)] {
            assert_eq!(Description::try_from(text.to_owned()), Err(Unusable::Description), "{text:?}");
        }
    }
}
