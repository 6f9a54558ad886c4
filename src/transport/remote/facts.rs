//! From what a host says of itself to facts: typed here, so that a script can compare numbers and walk lists.

use serde_json::{Value, json};
use std::collections::BTreeMap;

const NUMBERS: [&str; 4] = ["cpus", "memory_bytes", "swap_bytes", "uid"];
const LISTS: [&str; 2] = ["os_like", "addresses"];

/// Reads lines of a name and its value; one without a value is not known there.
pub(super) fn facts(text: &str) -> BTreeMap<String, Value> {
    let fact = |line: &str| {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), typed(name, value.trim()))
    };
    text.lines().filter(|line| !line.is_empty()).map(fact).collect()
}

fn typed(name: &str, value: &str) -> Value {
    if LISTS.contains(&name) {
        return value.split_whitespace().collect();
    }
    if value.is_empty() {
        return Value::Null;
    }
    if NUMBERS.contains(&name) {
        return value.parse::<i64>().map_or(Value::Null, |number| json!(number));
    }
    json!(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_type_of_their_name() {
        let facts = facts("os debian\nos_like \naddresses 10.0.0.1 fe80::1\ncpus 4\nos_version 12\nos_codename \n");
        assert_eq!(facts["os"], json!("debian"));
        assert_eq!(facts["os_like"], json!([]));
        assert_eq!(facts["addresses"], json!(["10.0.0.1", "fe80::1"]));
        assert_eq!(facts["cpus"], json!(4));
        assert_eq!(facts["os_version"], json!("12"));
        assert_eq!(facts["os_codename"], Value::Null);
    }
}
