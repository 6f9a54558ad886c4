//! Times for people.

/// A number of milliseconds: `87ms`, `1.2s`, `3m 20s`.
#[must_use]
pub fn millis(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis}ms"),
        1_000..=59_949 => format!("{:.1}s", millis as f64 / 1000.0),
        _ => {
            let seconds = (millis + 500) / 1000;
            match seconds {
                0..=3599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
                _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
            }
        }
    }
}

/// How long ago something was, both in milliseconds since 1970.
#[must_use]
pub fn ago(then: i64, now: i64) -> String {
    let seconds = (now - then).max(0) / 1000;
    match seconds {
        0..=59 => format!("{seconds} s ago"),
        60..=3599 => format!("{} min ago", seconds / 60),
        3600..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86400),
    }
}

/// A time of day in UTC, as in `2026-11-23 15:12:07`.
#[must_use]
pub fn clock(at: i64) -> String {
    match jiff::Timestamp::from_millisecond(at) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_read_well() {
        assert_eq!(super::millis(87), "87ms");
        assert_eq!(super::millis(1234), "1.2s");
        assert_eq!(super::millis(59_960), "1m 00s");
        assert_eq!(super::millis(3_700_000), "1h 01m");
        assert_eq!(super::clock(0), "1970-01-01 00:00:00");
    }
}
