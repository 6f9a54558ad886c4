//! The small languages inside unit files: quoted words, specifiers, variables and times. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

/// Splits a line into words as systemd.syntax(7) and systemd.service(5) say. None when a quote is left open.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (_, '\\') => word.get_or_insert_default().push_str(&unescape(chars.next()?)),
            (None, char) if char.is_whitespace() => words.extend(word.take()),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn unescape(char: char) -> String {
    match char {
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        's' => " ".to_owned(),
        '\\' | '"' | '\'' => char.to_string(),
        other => format!("\\{other}"),
    }
}

/// What `%n`, `%i`, `%h` and so on stand for.
#[derive(Debug, Clone)]
pub(super) struct Specifiers<'a> {
    pub(super) unit: &'a str,
    pub(super) home: &'a str,
    pub(super) host: &'a str,
}

impl Specifiers<'_> {
    pub(super) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match (char, if char == '%' { chars.next() } else { None }) {
                ('%', Some(specifier)) => self.push(specifier, &mut out),
                (char, _) => out.push(char),
            }
        }
        out
    }

    fn push(&self, specifier: char, out: &mut String) {
        let stem = self.unit.trim_end_matches(".service");
        match specifier {
            'n' => out.push_str(self.unit),
            'N' => out.push_str(stem),
            'p' => out.push_str(stem.split('@').next().unwrap_or(stem)),
            'i' | 'I' => out.push_str(stem.split_once('@').map_or("", |(_, instance)| instance)),
            'h' => out.push_str(self.home),
            'H' => out.push_str(self.host),
            't' => out.push_str("/run"),
            'u' => out.push_str("root"),
            'U' => out.push('0'),
            '%' => out.push('%'),
            other => out.extend(['%', other]),
        }
    }
}

/// Replaces `${NAME}` inside words and splits a `$NAME` that is a word of its own, as systemd does. `$$` is a `$`.
pub(super) fn substitute(words: &[String], env: &BTreeMap<String, String>) -> Vec<String> {
    let value = |name: &str| env.get(name).map_or("", String::as_str);
    let mut out = Vec::new();
    for word in words {
        match word.strip_prefix('$') {
            Some(name) if is_name(name) => out.extend(value(name).split_whitespace().map(str::to_owned)),
            _ => out.push(substitute_within(word, value)),
        }
    }
    out
}

fn substitute_within<'a>(word: &str, value: impl Fn(&str) -> &'a str) -> String {
    let (mut out, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        rest = match (after.strip_prefix('$'), braced) {
            (Some(after), _) => {
                out.push('$');
                after
            }
            (None, Some((name, after))) => {
                out.push_str(value(name));
                after
            }
            (None, None) => {
                out.push('$');
                after
            }
        };
    }
    out + rest
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// A time as in `RestartSec=`: seconds, or numbers with units. `infinity` is none.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(rest.len()));
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(after.len()));
        total += number.parse::<f64>().ok()? * seconds(unit)?;
        rest = after.trim_start();
    }
    Duration::try_from_secs_f64(total).ok()
}

fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" | "usec" => 1e-6,
        "ms" | "msec" => 1e-3,
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_spaces_and_may_be_empty() {
        assert_eq!(split(r#"sh -c 'a b' "" "c\"d" e\sf"#).unwrap(), ["sh", "-c", "a b", "", "c\"d", "e f"]);
        assert_eq!(split("'open"), None);
    }

    #[test]
    fn a_lone_variable_is_split_and_a_braced_one_is_not() {
        let env = BTreeMap::from([("A".to_owned(), "x y".to_owned())]);
        let words = ["$A", "${A}", "p=${A}", "$$A", "$NONE", "cost$"].map(str::to_owned);
        assert_eq!(substitute(&words, &env), ["x", "y", "x y", "p=x y", "$A", "cost$"]);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(duration("1min 5s"), Some(Duration::from_secs(65)));
        assert_eq!(duration("2.5"), Some(Duration::from_millis(2500)));
        assert_eq!(duration("soon"), None);
    }

    #[test]
    fn specifiers_know_instances() {
        let specifiers = Specifiers { unit: "web@blue.service", home: "/root", host: "h1" };
        assert_eq!(specifiers.expand("%n %N %p %i %h %%"), "web@blue.service web@blue web blue /root %");
    }
}
