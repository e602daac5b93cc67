//! Where a list goes on: opaque to clients, signed, and good for one route only.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::app::App;
use crate::error::ApiError;

/// Items on a page if the client names no limit.
pub(crate) const DEFAULT_LIMIT: u32 = 20;
/// The most items on a page.
const MAX_LIMIT: u32 = 100;
/// Bytes kept of the signature: 128 bits, more than anybody can guess.
const SIGNATURE: usize = 16;

/// The part of a query that every list takes.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// How many items at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    pub(crate) limit: Option<u32>,
    /// Where the last answer said that the list goes on.
    #[param(format = "cursor")]
    pub(crate) cursor: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where it goes on; none at its end.
    pub(crate) next_cursor: Option<String>,
}

impl<T: ToSchema> PartialSchema for Listed<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        let cursor = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
        let list = ObjectBuilder::new().property("items", items).property("next_cursor", cursor);
        list.required("items").required("next_cursor").into()
    }
}

impl<T: ToSchema> ToSchema for Listed<T> {
    fn name() -> Cow<'static, str> {
        format!("Listed{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// The cursors of one route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursors<'a> {
    /// The installation's key.
    pub(crate) key: &'a str,
    /// What the cursors are good for.
    pub(crate) route: &'static str,
}

impl Page {
    /// That of a query that takes more.
    #[must_use]
    pub(crate) fn of(limit: Option<u32>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// How many items are asked for.
    ///
    /// # Errors
    /// 422 if it is none or more than 100.
    pub(crate) fn limit(&self) -> Result<i64, ApiError> {
        limit(self.limit)
    }

    /// How long a first page is, for the key of a cache.
    pub(crate) fn name(&self) -> Box<str> {
        itoa::Buffer::new().format(self.limit.unwrap_or(DEFAULT_LIMIT)).into()
    }
}

/// How many items `asked` means.
///
/// # Errors
/// 422 if it is none or more than 100.
pub(crate) fn limit(asked: Option<u32>) -> Result<i64, ApiError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit.into()),
        _ => Err(ApiError::invalid("/limit", format!("The limit is between 1 and {MAX_LIMIT}."))),
    }
}

impl<'a> Cursors<'a> {
    /// Those of `route`.
    ///
    /// # Errors
    /// If the installation has not been read yet and the database fails.
    pub(crate) async fn of(app: &'a App, route: &'static str) -> Result<Self, ApiError> {
        Ok(Self { key: &app.installation().await?.cursor_key, route })
    }
}

impl Cursors<'_> {
    /// The position that `page` starts after, if it is not the first.
    ///
    /// # Errors
    /// 404 if the cursor is not one of this list.
    pub(crate) fn position<T: DeserializeOwned>(self, page: &Page) -> Result<Option<T>, ApiError> {
        let Some(cursor) = &page.cursor else { return Ok(None) };
        match self.open(cursor) {
            Some(position) => Ok(Some(position)),
            None => Err(ApiError::missing("/cursor", "This list has no such place; start without a cursor.")),
        }
    }

    /// A part of a list of which one item more than `limit` was asked for, to learn whether it goes on.
    pub(crate) fn listed<T, P: Serialize>(
        self,
        mut items: Vec<T>,
        limit: i64,
        position: impl Fn(&T) -> P,
    ) -> Listed<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| self.seal(&position(last)));
        Listed { items, next_cursor }
    }

    /// A cursor to `position`.
    pub(crate) fn seal<P: Serialize>(self, position: &P) -> String {
        let position = serde_json::to_vec(position).expect("positions are ids and numbers");
        let signature = self.signer(&position).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&signature[..SIGNATURE], &position[..]].concat())
    }

    fn open<T: DeserializeOwned>(self, cursor: &str) -> Option<T> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (signature, position) = bytes.split_at_checked(SIGNATURE)?;
        self.signer(position).verify_truncated_left(signature).ok()?;
        serde_json::from_slice(position).ok()
    }

    fn signer(self, position: &[u8]) -> Hmac<Sha256> {
        let signer = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("HMAC takes keys of any length");
        signer.chain_update(self.route).chain_update([0]).chain_update(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSORS: Cursors<'_> = Cursors { key: "secret", route: "/api/attempts" };

    #[test]
    fn a_cursor_opens_where_it_was_made_and_nowhere_else() {
        let cursor = CURSORS.seal(&42);
        assert_eq!(CURSORS.open::<i64>(&cursor), Some(42));
        assert_eq!(Cursors { route: "/api/tests", ..CURSORS }.open::<i64>(&cursor), None);
        assert_eq!(Cursors { key: "other", ..CURSORS }.open::<i64>(&cursor), None);
        let mut tampered = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        *tampered.last_mut().unwrap() ^= 1;
        assert_eq!(CURSORS.open::<i64>(&URL_SAFE_NO_PAD.encode(tampered)), None);
        for text in ["", "AAAA", "not base64!"] {
            assert_eq!(CURSORS.open::<i64>(text), None);
        }
    }

    #[test]
    fn the_end_of_a_list_has_no_cursor() {
        assert_eq!(CURSORS.listed(vec![1, 2, 3], 3, |item| *item).next_cursor, None);
        let part = CURSORS.listed(vec![1, 2, 3], 2, |item| *item);
        assert_eq!((part.items, CURSORS.open::<i64>(&part.next_cursor.unwrap())), (vec![1, 2], Some(2)));
    }
}
