//! Points in hundredths, so that partial credit adds up exactly and a score is an integer key of a histogram.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of points; 1,250 is 12.5 points. In JSON a number of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct Points(pub i32);

impl Points {
    /// No points.
    pub const ZERO: Self = Self(0);

    /// This share of the points, rounded to the nearest hundredth; `share` is clamped to 0..=1.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a clamped share of an i32 fits an i32")]
    pub fn share(self, share: f64) -> Self {
        Self((f64::from(self.0) * share.clamp(0.0, 1.0)).round() as i32)
    }

    /// As a number of points.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Add for Points {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Points {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl utoipa::PartialSchema for Points {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::Number).into()
    }
}

impl utoipa::ToSchema for Points {}

/// Without needless zeros: `12.5`, `3`.
impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 { serializer.serialize_i32(self.0 / 100) } else { serializer.serialize_f64(self.as_f64()) }
    }
}

impl<'de> Deserialize<'de> for Points {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range of i32 first")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hundredths = (f64::deserialize(deserializer)? * 100.0).round();
        if hundredths.abs() > f64::from(i32::MAX) {
            return Err(serde::de::Error::custom("more points than can be counted"));
        }
        Ok(Self(hundredths as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_add_up_and_print_without_needless_zeros() {
        let third = Points(100).share(1.0 / 3.0);
        assert_eq!(third, Points(33));
        assert_eq!((third + Points(1217)).to_string(), "12.5");
        assert_eq!(serde_json::to_string(&[Points(300), Points(1250)]).unwrap(), "[3,12.5]");
        assert_eq!(serde_json::from_str::<Points>("12.5").unwrap(), Points(1250));
    }

    #[test]
    fn a_share_outside_its_range_is_clamped() {
        assert_eq!(Points(200).share(1.7), Points(200));
        assert_eq!(Points(200).share(f64::NAN), Points(0));
    }
}
