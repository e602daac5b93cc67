//! Content codings: which one a client wants, and how a body is put into it.

use std::io::Write;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use flate2::write::GzEncoder;

/// A smaller body gains less than its headers cost.
pub(crate) const SMALLEST: usize = 1024;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
    /// `gzip`
    Gzip,
}

/// How much time a body is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// It is sent once.
    Fast,
    /// It is sent many times.
    Thorough,
}

impl Coding {
    /// All.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// As it stands in headers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// For `Content-Encoding`.
    pub(crate) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// The coding that `accepted`, an `Accept-Encoding`, prefers; none: as it is. Of those it likes as much, the smallest
    /// for what is sent many times, the quickest for what is sent once.
    pub(crate) fn preferred(accepted: &HeaderValue, effort: Effort) -> Option<Self> {
        let accepted = accepted.to_str().ok()?;
        let order = match effort {
            Effort::Thorough => [Self::Brotli, Self::Zstd, Self::Gzip],
            Effort::Fast => [Self::Zstd, Self::Brotli, Self::Gzip],
        };
        let identity = weight(accepted, "identity").unwrap_or(0);
        let weighed = order.into_iter().filter_map(|coding| Some((coding, coding.weight(accepted)?)));
        let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.filter(|(_, weight)| *weight > 0 && *weight >= identity).map(|(coding, _)| coding)
    }

    fn weight(self, accepted: &str) -> Option<u16> {
        let named = weight(accepted, self.name());
        named.or_else(|| (self == Self::Gzip).then(|| weight(accepted, "x-gzip"))?).or_else(|| weight(accepted, "*"))
    }

    /// `body` in this coding; nothing if it is no smaller for it.
    pub(crate) fn encode(self, body: &[u8], effort: Effort) -> Option<Bytes> {
        let encoded = match self {
            Self::Brotli => brotli(body, if effort == Effort::Fast { 1 } else { 6 }),
            Self::Zstd => zstd::bulk::compress(body, if effort == Effort::Fast { 1 } else { 9 }),
            Self::Gzip => gzip(body, if effort == Effort::Fast { 1 } else { 6 }),
        };
        encoded.ok().filter(|encoded| encoded.len() < body.len()).map(Bytes::from)
    }
}

/// The q-value of `name` in thousandths, if it is named.
fn weight(accepted: &str, name: &str) -> Option<u16> {
    accepted.split(',').find_map(|item| {
        let mut parts = item.split(';');
        if !parts.next()?.trim().eq_ignore_ascii_case(name) {
            return None;
        }
        let q = parts.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
        });
        Some((q.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16)
    })
}

fn brotli(body: &[u8], quality: i32) -> std::io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams { quality, size_hint: body.len(), ..Default::default() };
    let mut encoded = Vec::with_capacity(body.len() / 2);
    brotli::BrotliCompress(&mut &*body, &mut encoded, &parameters)?;
    Ok(encoded)
}

fn gzip(body: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), flate2::Compression::new(level));
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_which_coding() {
        for (accepted, fast, thorough) in [
            ("", None, None),
            ("gzip", Some(Coding::Gzip), Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip), Some(Coding::Gzip)),
            ("deflate", None, None),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd), Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.9", Some(Coding::Gzip), Some(Coding::Gzip)),
            ("GZIP; Q=0.5, br;q=0", Some(Coding::Gzip), Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd), Some(Coding::Brotli)),
            ("*;q=0.3, br;q=0, zstd;q=0.0", Some(Coding::Gzip), Some(Coding::Gzip)),
            ("*;q=0", None, None),
            ("identity, gzip;q=0.5", None, None),
            ("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip), Some(Coding::Gzip)),
            ("gzip;q=nonsense", None, None),
        ] {
            let value = HeaderValue::from_static(accepted);
            assert_eq!(Coding::preferred(&value, Effort::Fast), fast, "{accepted}");
            assert_eq!(Coding::preferred(&value, Effort::Thorough), thorough, "{accepted}");
        }
    }

    #[test]
    fn what_does_not_shrink_is_left_as_it_is() {
        let noise: Vec<u8> = (0..2048).map(|_| rand::random()).collect();
        let text = "the same again ".repeat(200);
        for coding in Coding::ALL {
            for effort in [Effort::Fast, Effort::Thorough] {
                assert_eq!(coding.encode(&noise, effort), None);
                assert!(coding.encode(text.as_bytes(), effort).unwrap().len() < text.len() / 10);
            }
        }
    }
}
