//! Schemas that no derive can write: what a form takes, said so exactly that the form takes all that fits and nothing else.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, Type,
};

/// The largest number, either way: more than anybody counts or measures, and far from where an f64 ends.
pub const MAX_NUMBER: f64 = 1e100;
/// What Unicode calls white space and `str::trim` drops, for a class of a pattern.
const SPACE: &str = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// What `char::is_control` finds, for a class of a pattern.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// An object with these fields and no others.
#[must_use]
pub fn closed(required: &[&str], fields: impl IntoIterator<Item = (&'static str, RefOr<Schema>)>) -> Object {
    let none_else = AdditionalProperties::FreeForm(false);
    let object = ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(none_else));
    let object = required.iter().fold(object, |object, name| object.required(*name));
    fields.into_iter().fold(object, |object, (name, schema)| object.property(name, schema)).build()
}

/// One of these.
#[must_use]
pub fn one_of(items: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    items.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item).into()
}

/// This, or null.
#[must_use]
pub fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    one_of([schema, null()])
}

/// Null alone.
#[must_use]
pub fn null() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Null).into()
}

/// An array whose number of items is in `count`.
#[must_use]
pub fn list(items: RefOr<Schema>, count: RangeInclusive<usize>) -> Array {
    ArrayBuilder::new().items(items).min_items(Some(*count.start())).max_items(Some(*count.end())).build()
}

/// An array whose number of items is in `count`, none twice.
#[must_use]
pub fn set(items: RefOr<Schema>, count: RangeInclusive<usize>) -> Array {
    let mut set = list(items, count);
    set.unique_items = true;
    set
}

/// Text whose number of characters is in `length`, without NUL, which PostgreSQL cannot keep.
#[must_use]
pub fn text(length: RangeInclusive<usize>) -> RefOr<Schema> {
    patterned(length, r"^[^\u0000]*$")
}

/// Text of at most `longest` characters that is not blank, without NUL.
#[must_use]
pub fn written(longest: usize) -> RefOr<Schema> {
    patterned(1..=longest, &format!(r"^[^\u0000]*[^\u0000{SPACE}][^\u0000]*$"))
}

/// A line of at most `longest` characters that is not blank, without control characters.
#[must_use]
pub fn line(longest: usize) -> RefOr<Schema> {
    patterned(1..=longest, &format!("^[^{CONTROL}]*[^{CONTROL}{SPACE}][^{CONTROL}]*$"))
}

/// Small letters, digits and single hyphens.
#[must_use]
pub fn slug(longest: usize) -> RefOr<Schema> {
    patterned(1..=longest, "^[a-z0-9]+(-[a-z0-9]+)*$")
}

/// Text whose number of characters is in `length`, and which a pattern describes.
#[must_use]
pub fn patterned(length: RangeInclusive<usize>, pattern: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    text.min_length(Some(*length.start())).max_length(Some(*length.end())).into()
}

/// A whole number.
#[must_use]
pub fn whole(range: RangeInclusive<i32>) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number.minimum(Some(*range.start())).maximum(Some(*range.end())).into()
}

/// A number.
#[must_use]
pub fn number(range: RangeInclusive<f64>) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Number);
    number.minimum(Some(*range.start())).maximum(Some(*range.end())).into()
}

/// A number that has no fraction, if it is so small that an f64 holds it exactly.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a number without fraction below 2^53 is an i64")]
pub fn as_whole(number: &serde_json::Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let rounded = || number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < EXACT);
    number.as_i64().or_else(|| rounded().map(|number| number as i64))
}

/// A text of `MIN` to `MAX` characters without NUL. Its `Debug` hides it; its `Serialize` does not: a form with a secret has none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// What it says.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, unless it is blank.
    #[must_use]
    pub fn written(self) -> Option<String> {
        Some(self.0).filter(|text| !text.trim().is_empty())
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<String> for Text<MIN, MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = (MIN..=MAX).contains(&text.chars().count()) && !text.contains('\0');
        if fits { Ok(Self(text)) } else { Err(format!("it has {MIN} to {MAX} characters, and no NUL")) }
    }
}

/// Without what it says: it may be a secret.
impl<const MIN: usize, const MAX: usize> std::fmt::Debug for Text<MIN, MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(…)")
    }
}

impl<const MIN: usize, const MAX: usize> utoipa::PartialSchema for Text<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        text(MIN..=MAX)
    }
}

impl<const MIN: usize, const MAX: usize> utoipa::ToSchema for Text<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }
}

/// A whole number from `MIN` to `MAX`, read from what JSON Schema calls an integer: `16.0` is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Whole<const MIN: u16, const MAX: u16>(u16);

impl<const MIN: u16, const MAX: u16> Whole<MIN, MAX> {
    /// How many.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl<'de, const MIN: u16, const MAX: u16> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let whole = as_whole(&number).and_then(|whole| u16::try_from(whole).ok());
        let whole = whole.filter(|whole| (MIN..=MAX).contains(whole)).map(Self);
        whole.ok_or_else(|| serde::de::Error::custom(format!("it is a whole number from {MIN} to {MAX}")))
    }
}

impl<const MIN: u16, const MAX: u16> utoipa::PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        whole(MIN.into()..=MAX.into())
    }
}

impl<const MIN: u16, const MAX: u16> utoipa::ToSchema for Whole<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let read = |json: &str| as_whole(&serde_json::from_str(json).unwrap());
        assert_eq!((read("16"), read("16.0"), read("-1e2")), (Some(16), Some(16), Some(-100)));
        assert_eq!((read("16.5"), read("1e300")), (None, None));
    }

    #[test]
    fn a_text_is_counted_in_characters() {
        let read = |text: &str| Text::<2, 3>::try_from(text.to_owned()).is_ok();
        assert!(read("ab") && read("äöü") && !read("a") && !read("äöüß") && !read("a\0"));
    }

    #[test]
    fn a_whole_number_keeps_to_its_bounds() {
        let read = |json: &str| serde_json::from_str::<Whole<2, 300>>(json).ok().map(Whole::get);
        assert_eq!((read("2"), read("300"), read("3.0")), (Some(2), Some(300), Some(3)));
        for json in ["1", "301", "2.5", "-2", "65538", "1e300", "\"2\"", "null"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
