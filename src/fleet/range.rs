//! Ranges of hosts: `web[2:4]` is web2, web3 and web4; `web[01:12]` keeps the zeros.

/// More hosts than this in one range is taken for a slip of the finger.
const MOST: u32 = 1000;

/// One host of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name.
    pub name: String,
    /// The number as it stands in the name: what `{}` in an address stands for.
    pub number: String,
}

/// Expands a range; `None` when the text has no brackets, and so is a plain name.
///
/// # Errors
/// What is wrong with the range, as a fragment.
pub(super) fn expand(text: &str) -> Result<Option<Vec<Member>>, String> {
    if !text.contains(['[', ']']) {
        return Ok(None);
    }
    let shape = || format!("range `{text}` is not of the form NAME[FIRST:LAST], as in web[1:3]");
    let (head, rest) = text.split_once('[').ok_or_else(shape)?;
    let (inside, tail) = rest.split_once(']').ok_or_else(shape)?;
    let (first, last) = inside.split_once(':').ok_or_else(shape)?;
    if tail.contains(['[', ']']) {
        return Err(format!("range `{text}` has brackets twice; a name has one range"));
    }
    members(text, head, (first, last), tail).map(Some)
}

fn members(text: &str, head: &str, (first, last): (&str, &str), tail: &str) -> Result<Vec<Member>, String> {
    let (from, to) = (number(text, first)?, number(text, last)?);
    if to < from {
        return Err(format!("range `{text}` ends before it begins: {last} is less than {first}"));
    }
    if to - from >= MOST {
        return Err(format!("range `{text}` has {} hosts; at most {MOST} are allowed", u64::from(to - from) + 1));
    }
    let width = if first.starts_with('0') && first.len() > 1 { first.len() } else { 1 };
    if width > 1 && last.len() < width {
        return Err(format!("range `{text}` has leading zeros in {first} and fewer digits in {last}"));
    }
    Ok((from..=to)
        .map(|n| format!("{n:0width$}"))
        .map(|number| Member { name: format!("{head}{number}{tail}"), number })
        .collect())
}

fn number(text: &str, digits: &str) -> Result<u32, String> {
    let plain = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    let bad = || format!("range `{text}`: expected a number of at most nine digits, found `{digits}`");
    if plain { digits.parse().map_err(|_| bad()) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_expand() {
        for (text, wanted) in [
            ("web[2:4]", "web2=2 web3=3 web4=4"),
            ("web[1:1]", "web1=1"),
            ("web[08:11]", "web08=08 web09=09 web10=10 web11=11"),
            ("web[0:2]", "web0=0 web1=1 web2=2"),
            ("db[9:10].example", "db9.example=9 db10.example=10"),
        ] {
            let found = expand(text).unwrap().unwrap();
            let found: Vec<_> = found.iter().map(|m| format!("{}={}", m.name, m.number)).collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
        assert_eq!(expand("web1"), Ok(None));
        assert_eq!(expand("w[1:1000]").unwrap().unwrap().len(), 1000);
    }

    #[test]
    fn bad_ranges_say_why() {
        for (text, why) in [
            ("web[4:2]", "ends before it begins"),
            ("web[a:b]", "found `a`"),
            ("web[1:]", "found ``"),
            ("web[-1:2]", "found `-1`"),
            ("web[1:1001]", "has 1001 hosts"),
            ("web[1:99999999999]", "at most nine digits"),
            ("web[1-3]", "NAME[FIRST:LAST]"),
            ("web[1:3", "NAME[FIRST:LAST]"),
            ("web]1:3[", "NAME[FIRST:LAST]"),
            ("web[1:2][1:2]", "brackets twice"),
            ("web[001:12]", "leading zeros"),
        ] {
            let error = expand(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
