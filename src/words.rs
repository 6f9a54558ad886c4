//! What a library says of a value that it cannot read, in words for whoever wrote the value: what was expected, then what was found.

use serde_json::Value;

/// Says of a value in a script what serde's sentence says of it. `given` is the value, where it is known.
///
/// # Examples
/// ```
/// use windlass::words::explain;
/// assert_eq!(explain("invalid type: sequence, expected a string", None), "expected a text, found a list");
/// let given = serde_json::json!(-1);
/// assert_eq!(explain("a mode such as \"0644\"", Some(&given)), "expected a mode such as \"0644\", found -1");
/// ```
#[must_use]
pub fn explain(message: &str, given: Option<&Value>) -> String {
    let message = message.trim();
    let of_given = || given.map(|value| format!(", found {}", shown(value))).unwrap_or_default();
    if let Some((found, wanted)) = mismatch(message) {
        // What does not fit may stand within the value that is known.
        let found = given.filter(|value| is_of(value, found)).map_or_else(|| told(found), shown);
        return format!("expected {}, found {found}", meant(wanted));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut words = rest.split('`').skip(1).step_by(2);
        let found = words.next().unwrap_or_default();
        let known: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
        return match known.as_slice() {
            [] => format!("\"{found}\" is none of what it may be"),
            [one] => format!("expected {one}, found \"{found}\""),
            [rest @ .., last] => format!("expected {} or {last}, found \"{found}\"", rest.join(", ")),
        };
    }
    if let Some(wanted) = message.strip_prefix("expected ") {
        return if wanted.contains(", found ") { message.to_owned() } else { format!("expected {wanted}{}", of_given()) };
    }
    // What a type says of itself where none of its forms fits.
    let names_a_form = ["a ", "an ", "the ", "true, "].iter().any(|begin| message.starts_with(begin));
    if names_a_form { format!("expected {message}{}", of_given()) } else { message.to_owned() }
}

/// What an operating system said, without its number, and without words of Rust's library.
///
/// # Examples
/// ```
/// assert_eq!(windlass::words::of_system("x: No such file or directory (os error 2)"), "x: No such file or directory");
/// ```
#[must_use]
pub fn of_system(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        told.push_str(before);
        rest = match after.split_once(')') {
            Some((number, behind)) if number.bytes().all(|byte| byte.is_ascii_digit()) => behind,
            _ => {
                told.push_str(" (os error ");
                after
            }
        };
    }
    told.push_str(rest);
    told.replace("stream did not contain valid UTF-8", "it is not text (UTF-8)")
}

/// Where and why a text is no JSON.
#[must_use]
pub fn of_json(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("it ends in the middle, at {place}"),
        Category::Syntax => format!("it is not JSON, at {place}"),
        Category::Io => of_system(&error.to_string()),
        Category::Data => {
            let text = error.to_string();
            let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
            if error.line() == 0 { explain(message, None) } else { format!("{}, at {place}", explain(message, None)) }
        }
    }
}

/// The value at such a path as `vars.port` or `batch[1]`.
#[must_use]
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        at = match part.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()) {
            Some(index) => at.get(index)?,
            None => at.get(part)?,
        };
    }
    Some(at)
}

/// What was found and what was expected, as serde says it.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let begins = ["invalid type: ", "invalid value: "];
    let body = begins.iter().find_map(|begin| message.strip_prefix(begin))?;
    body.rsplit_once(", expected ")
}

/// Whether a value is of the kind that serde found.
fn is_of(value: &Value, found: &str) -> bool {
    match value {
        Value::Array(_) => found == "sequence",
        Value::Object(_) => found == "map",
        Value::String(_) => found.starts_with("string"),
        Value::Number(_) => found.starts_with("integer") || found.starts_with("floating point"),
        Value::Bool(_) => found.starts_with("boolean"),
        Value::Null => matches!(found, "unit value" | "null"),
    }
}

/// What Rust's names of types mean to who writes a script.
fn meant(wanted: &str) -> &str {
    match wanted {
        "a string" | "string" | "str" | "path string" | "a borrowed string" => "a text",
        "a sequence" => "a list",
        "a boolean" | "bool" => "true or false",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a nonzero u16" => "a port from 1 to 65535",
        "a nonzero u8" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "f32" | "f64" => "a number",
        "unit" => "nothing",
        other if other.starts_with("struct ") => "a map",
        other => other,
    }
}

/// What serde calls a value that it found.
fn told(found: &str) -> String {
    let quoted = |begin: &str| found.strip_prefix(begin).map(|rest| rest.trim_matches('`').to_owned());
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "unit value" | "null" | "Option value" => "nothing".to_owned(),
        _ => quoted("integer ")
            .or_else(|| quoted("floating point "))
            .or_else(|| quoted("boolean "))
            .or_else(|| found.strip_prefix("string ").map(ToOwned::to_owned))
            .unwrap_or_else(|| found.to_owned()),
    }
}

/// A value, briefly.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::String(text) if text.chars().count() > 40 => format!("\"{}…\"", text.chars().take(39).collect::<String>()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sentences_of_serde_are_told_in_words_of_scripts() {
        for (message, wanted) in [
            ("invalid type: integer `30`, expected a string", "expected a text, found 30"),
            (
                "invalid type: string \"x, expected y\", expected u32",
                "expected a whole number, 0 or more, found \"x, expected y\"",
            ),
            ("invalid type: map, expected a boolean", "expected true or false, found a map"),
            ("invalid value: integer `-1`, expected u64", "expected a whole number, 0 or more, found -1"),
            ("unknown variant `stop`, expected one of `leave`, `keep`", "expected \"leave\" or \"keep\", found \"stop\""),
            ("unknown variant `x`, expected `safe`", "expected \"safe\", found \"x\""),
            ("`30` is no duration", "`30` is no duration"),
        ] {
            assert_eq!(explain(message, None), wanted);
        }
        assert_eq!(explain("a mode such as \"0644\"", Some(&json!({ "a": 1 }))), "expected a mode such as \"0644\", found a map");
        let given = json!({ "A": 5 });
        assert_eq!(explain("invalid type: integer `5`, expected a string", Some(&given)), "expected a text, found 5");
        assert_eq!(explain("expected a size from 1", Some(&json!([0]))), "expected a size from 1, found a list");
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let value = json!({ "vars": { "ports": [80, 81] } });
        assert_eq!(at(&value, "vars.ports[1]"), Some(&json!(81)));
        assert_eq!(at(&value, "."), Some(&value));
        assert_eq!(at(&value, "vars.x"), None);
    }
}
