//! Selectors: which hosts are meant. `web`, `web1`, `web*`, `web[1:3]`, `all`, joined by `&`, `|` or `,`, `!` and
//! parentheses. A word that nothing has, and a selector that selects nothing, are errors.

use super::{
    document,
    error::FleetError,
    inventory::{Host, Inventory},
    range,
};

/// Deeper than this in parentheses is no selector that a person wrote.
const DEEPEST: usize = 32;

/// The hosts that a selector means, in the order of the inventory.
///
/// # Errors
/// When it cannot be read, names neither role nor host, or selects nothing.
pub fn select<'a>(inventory: &'a Inventory, text: &str) -> Result<Vec<&'a Host>, FleetError> {
    let mut parser = Parser { inventory, text, at: 0, depth: 0 };
    let chosen =
        parser.whole().map_err(|Bad { message, help }| FleetError::Selector { selector: text.to_owned(), message, help })?;
    let hosts: Vec<&Host> = inventory.hosts().iter().zip(chosen).filter_map(|(host, chosen)| chosen.then_some(host)).collect();
    if hosts.is_empty() {
        return Err(FleetError::NoMatch { selector: text.to_owned(), inventory: inventory.summary() });
    }
    Ok(hosts)
}

struct Bad {
    message: String,
    help: Option<String>,
}

fn bad<T>(message: impl Into<String>, help: Option<String>) -> Result<T, Bad> {
    Err(Bad { message: message.into(), help })
}

/// For each host of the inventory, whether it is meant.
type Chosen = Vec<bool>;

/// Reads and judges in one go: either by `or`, `and`, `not`, tightest last.
struct Parser<'a> {
    inventory: &'a Inventory,
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Chosen, Bad> {
        if self.text.trim().is_empty() {
            return bad("is empty", Some(format!("`all` means every host; {}", self.inventory.summary())));
        }
        let chosen = self.or()?;
        match self.peek() {
            None => Ok(chosen),
            Some(')') => bad(format!("`)` at character {} closes nothing", self.column()), None),
            Some(_) => bad(format!("expected `&`, `|` or `,` at character {}", self.column()), None),
        }
    }

    fn or(&mut self) -> Result<Chosen, Bad> {
        let mut negated = self.peek() == Some('!');
        let mut chosen = self.and()?;
        while let Some(sign @ ('|' | ',')) = self.peek() {
            self.at += 1;
            negated |= self.peek() == Some('!');
            let other = self.and()?;
            // Others read `web,!web1` as "web without web1"; as "or" it would be nearly every host there is.
            if sign == ',' && negated {
                return bad(
                    "`!` beside `,` can be read in two ways",
                    Some("write `a & !b` for a without b, or `a | !b`".to_owned()),
                );
            }
            chosen = chosen.iter().zip(other).map(|(one, other)| *one || other).collect();
        }
        Ok(chosen)
    }

    fn and(&mut self) -> Result<Chosen, Bad> {
        let mut chosen = self.not()?;
        while self.peek() == Some('&') {
            self.at += 1;
            let other = self.not()?;
            chosen = chosen.iter().zip(other).map(|(one, other)| *one && other).collect();
        }
        Ok(chosen)
    }

    fn not(&mut self) -> Result<Chosen, Bad> {
        let mut negated = false;
        while self.peek() == Some('!') {
            self.at += 1;
            negated = !negated;
        }
        let chosen = if self.peek() == Some('(') { self.group()? } else { self.word()? };
        Ok(chosen.into_iter().map(|chosen| chosen != negated).collect())
    }

    fn group(&mut self) -> Result<Chosen, Bad> {
        let opened = self.column();
        if self.depth == DEEPEST {
            return bad(format!("has more than {DEEPEST} parentheses in each other"), None);
        }
        self.at += 1;
        self.depth += 1;
        let chosen = self.or()?;
        self.depth -= 1;
        if self.peek() != Some(')') {
            return bad(format!("`(` at character {opened} is not closed"), None);
        }
        self.at += 1;
        Ok(chosen)
    }

    fn word(&mut self) -> Result<Chosen, Bad> {
        let column = if self.peek().is_some() { format!("at character {}", self.column()) } else { "at the end".to_owned() };
        let word = self.take_word();
        if word.is_empty() {
            return bad(format!("expected a role, a host or a glob {column}"), None);
        }
        if word == "all" {
            return Ok(vec![true; self.inventory.hosts().len()]);
        }
        if word.contains('[') && word.contains(':') {
            return self.range(word);
        }
        if word.contains(['*', '?', '[']) { self.glob(word) } else { self.name(word) }
    }

    fn name(&self, word: &str) -> Result<Chosen, Bad> {
        let means = |host: &Host| host.name.as_str() == word || host.roles.contains(word);
        let chosen: Chosen = self.inventory.hosts().iter().map(means).collect();
        if chosen.contains(&true) {
            return Ok(chosen);
        }
        let hosts = self.inventory.hosts().iter().map(|host| host.name.as_str());
        let nearest = document::nearest(word, self.inventory.roles().into_iter().chain(hosts));
        let asked = nearest.map(|nearest| format!("did you mean `{nearest}`? ")).unwrap_or_default();
        bad(format!("`{word}` is neither a role nor a host"), Some(format!("{asked}{}", self.inventory.summary())))
    }

    fn glob(&self, word: &str) -> Result<Chosen, Bad> {
        match glob::Pattern::new(word) {
            Ok(pattern) => Ok(self.inventory.hosts().iter().map(|host| pattern.matches(host.name.as_str())).collect()),
            Err(error) => bad(format!("`{word}` is no glob: {} at its character {}", error.msg, error.pos + 1), None),
        }
    }

    /// As a glob, `web[2:4]` would quietly leave web3 out.
    fn range(&self, word: &str) -> Result<Chosen, Bad> {
        let members = range::expand(word).map_err(|message| Bad { message, help: None })?.unwrap_or_default();
        let mut chosen = vec![false; self.inventory.hosts().len()];
        for member in members {
            for (one, other) in chosen.iter_mut().zip(self.name(&member.name)?) {
                *one |= other;
            }
        }
        Ok(chosen)
    }

    fn take_word(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut bracket = false;
        let ends = |c: char| {
            bracket = (bracket || c == '[') && c != ']';
            !bracket && (c.is_whitespace() || matches!(c, '&' | '|' | ',' | '!' | '(' | ')'))
        };
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// The next character that is no blank; the position is then before it.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn column(&self) -> usize {
        self.text.get(..self.at).unwrap_or_default().chars().count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fleet::Transport, id::HostName};
    use std::time::Duration;

    fn inventory(count: usize) -> Inventory {
        let hosts = (1..=count).map(|n| host(&format!("web{n}"), if n == 1 { "web canary" } else { "web" }));
        Inventory::new(hosts.chain([host("lb1", "edge"), host("db1", "db"), host("db2", "db")]).collect()).unwrap()
    }

    fn host(name: &str, roles: &str) -> Host {
        Host {
            name: HostName::parse(name).unwrap(),
            address: name.to_owned(),
            port: 22,
            user: "op".to_owned(),
            identity_files: Vec::new(),
            known_hosts_files: Vec::new(),
            known_hosts_name: name.to_owned(),
            connect_timeout: Duration::from_secs(1),
            roles: roles.split(' ').map(str::to_owned).collect(),
            vars: serde_json::Map::new(),
            jumps: Vec::new(),
            ssh: crate::fleet::SshOptions::default(),
            transport: Transport::Ssh,
            sudo: None,
            unsupported: Vec::new(),
        }
    }

    #[test]
    fn selectors() {
        let inventory = inventory(3);
        for (text, wanted) in [
            ("web", "web1 web2 web3"),
            ("web2", "web2"),
            ("all", "web1 web2 web3 lb1 db1 db2"),
            ("*", "web1 web2 web3 lb1 db1 db2"),
            ("web*", "web1 web2 web3"),
            ("?b1", "lb1 db1"),
            ("web[12]", "web1 web2"),
            ("web[!1]", "web2 web3"),
            ("web[1-2]", "web1 web2"),
            ("web[1:3]", "web1 web2 web3"),
            ("db, web3", "web3 db1 db2"),
            ("db|web3", "web3 db1 db2"),
            ("web & !canary", "web2 web3"),
            ("web&!web1&!web2", "web3"),
            ("!web", "lb1 db1 db2"),
            ("!!web1", "web1"),
            ("!(web | edge)", "db1 db2"),
            ("edge | web & canary", "web1 lb1"),
            ("(edge | web) & canary", "web1"),
            ("  ( ( db1 ) ) ", "db1"),
            ("db2,db1,db2", "db1 db2"),
            ("canary | !web", "web1 lb1 db1 db2"),
        ] {
            let names: Vec<_> =
                select(&inventory, text).unwrap_or_else(|e| panic!("{e}")).iter().map(|host| host.name.as_str()).collect();
            assert_eq!(names.join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn bad_selectors_say_why() {
        let inventory = inventory(3);
        for (text, message, help) in [
            ("", "is empty", "`all` means every host"),
            ("  ", "is empty", "`all`"),
            ("wbe", "`wbe` is neither a role nor a host", "did you mean `web`? roles: canary, db, edge, web; hosts: web1, "),
            ("web | wep1", "`wep1` is neither", "did you mean `web1`?"),
            ("all & !cannary", "`cannary` is neither", "did you mean `canary`?"),
            ("zebra", "is neither", "roles: canary"),
            ("web[2:4]", "`web4` is neither", ""),
            ("web[4:2]", "ends before it begins", ""),
            ("web & ", "expected a role, a host or a glob at the end", ""),
            ("& web", "expected a role, a host or a glob at character 1", ""),
            ("web || db", "expected a role, a host or a glob at character 6", ""),
            ("web db", "expected `&`, `|` or `,` at character 5", ""),
            ("web !db", "expected `&`, `|` or `,` at character 5", ""),
            ("(web", "`(` at character 1 is not closed", ""),
            ("web)", "`)` at character 4 closes nothing", ""),
            ("()", "expected a role", ""),
            ("web[", "is no glob", ""),
            ("web,!web1", "can be read in two ways", "write `a & !b`"),
            ("!web1,web", "can be read in two ways", "write `a & !b`"),
            ("wéb ñ", "is neither", ""),
        ] {
            let error = select(&inventory, text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(error.help().unwrap_or_default().contains(help), "{text}: {:?}", error.help());
        }
        assert!(select(&inventory, &"(".repeat(100_000)).is_err());
    }

    #[test]
    fn no_match_is_an_error_with_a_bounded_list() {
        for text in ["api*", "web & db", "!all"] {
            let error = select(&inventory(30), text).unwrap_err();
            assert!(matches!(error, FleetError::NoMatch { .. }), "{text}");
            assert!(error.to_string().contains("web20 and 13 more"), "{error}");
        }
        let error = select(&Inventory::default(), "all").unwrap_err();
        assert!(error.to_string().ends_with("(the environment has no hosts)"), "{error}");
    }
}
