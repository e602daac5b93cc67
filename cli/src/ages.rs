//! Spans of time as people write and read them.

use std::time::Duration;

/// Roughly, in one unit: `0.4 s`, `12 s`, `5 min`, `3 h`, `2 d`.
pub(crate) fn roughly(span: Duration) -> String {
    match span.as_secs() {
        0 if span.is_zero() => "0 s".to_owned(),
        0..10 => format!("{:.1} s", span.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Reads `90`, `90s`, `5m`, `2h` or `1d`.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "write seconds, or a number with s, m, h or d, such as 90s or 2h";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_each = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(FORM),
    };
    let number: u32 = digits.parse().map_err(|_| FORM)?;
    Ok(Duration::from_secs(u64::from(number) * seconds_each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        let cases =
            [("0", 0, "0 s"), ("7s", 7, "7.0 s"), ("90", 90, "90 s"), ("5m", 300, "5 min"), ("2h", 7200, "2 h")];
        for (text, seconds, written) in cases {
            let span = parse(text).unwrap();
            assert_eq!((span.as_secs(), roughly(span).as_str()), (seconds, written), "{text}");
        }
        assert_eq!(parse("3d").map(roughly).unwrap(), "3 d");
        assert_eq!(roughly(Duration::from_millis(412)), "0.4 s");
        for wrong in ["", "s", "5w", "-1", "1.5h", "m5"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
