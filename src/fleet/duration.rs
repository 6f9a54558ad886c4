//! Durations as people write them: `500ms`, `10s`, `1m30s`, `2h`.

use std::time::Duration;

/// Parses one or more numbers, each with its unit; `bare` is the unit of a number without one, where that is allowed.
pub(super) fn parse(text: &str, bare: Option<Duration>) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let unit = if unit.is_empty() { bare? } else { self::unit(unit)? };
        sum = sum.checked_add(unit.checked_mul(number.parse().ok()?)?)?;
        rest = after;
    }
    Some(sum)
}

fn split(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !wanted(c)).unwrap_or(text.len()))
}

fn unit(name: &str) -> Option<Duration> {
    match name.to_ascii_lowercase().as_str() {
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_secs(60)),
        "h" => Some(Duration::from_secs(3_600)),
        "d" => Some(Duration::from_secs(86_400)),
        "w" => Some(Duration::from_secs(604_800)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let second = Some(Duration::from_secs(1));
        for (text, bare, wanted) in [
            ("10s", None, Some(10_000)),
            ("500ms", None, Some(500)),
            ("1m30s", None, Some(90_000)),
            ("15", second, Some(15_000)),
            ("15", None, None),
            ("", second, None),
            ("ten", second, None),
            ("-1s", None, None),
            ("1y", None, None),
            ("1.5s", None, None),
            ("99999999999s", None, None),
        ] {
            assert_eq!(parse(text, bare).map(|d| d.as_millis()), wanted, "{text}");
        }
    }
}
