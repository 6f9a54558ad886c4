//! Whatever an effect holds, a shell on a host reads it as words: nothing in it is taken for a command.

use super::errand::Errand;
use super::{Become, Known, Password, ask_http, ask_tcp, call, confirm, line, look, measure, peek, piece, reboot};
use crate::effect::{Content, Effect, HttpRequest};
use crate::id::{RemotePath, RunId, StepKey, TaskPath};
use crate::transport::Call;
use crate::transport::http::Place;
use serde_json::{Value, json};
use std::process::Command;

const HOSTILE: [&str; 12] = [
    "x\ntouch pwned\n",
    "$(touch pwned)",
    "`touch pwned`",
    "';touch pwned;'",
    "\";touch pwned;\"",
    "x;touch pwned",
    "x|touch pwned",
    "x&&touch pwned",
    "x>pwned",
    "\\",
    "-rf",
    "*",
];

/// What `sh` makes of a text that ends in a call: the words that it is called with.
fn words(text: &str) -> Vec<String> {
    let temp = tempfile::tempdir().unwrap();
    let script = format!("wl() {{ printf '%s\\0' \"$@\"; }}\n{text}");
    let output = Command::new("/bin/sh").args(["-c", &script]).current_dir(temp.path()).output().unwrap();
    assert!(std::fs::read_dir(temp.path()).unwrap().next().is_none(), "something was run: {text}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_terminator('\0').map(ToOwned::to_owned).collect()
}

fn assert_words(call: &Call) {
    let mut wanted = vec!["7".to_owned()];
    wanted.extend(call.fenced.then(|| "wl_fenced".to_owned()));
    wanted.push(call.function.to_owned());
    wanted.extend(call.args.clone());
    assert_eq!(words(&String::from_utf8(line(call, 7)).unwrap()), wanted);
}

/// The same value with this in place of every `?`.
fn filled(value: &Value, text: &str) -> Value {
    match value {
        Value::String(old) => json!(old.replace('?', text)),
        Value::Array(values) => values.iter().map(|value| filled(value, text)).collect(),
        Value::Object(fields) => Value::Object(fields.iter().map(|(name, value)| (name.clone(), filled(value, text))).collect()),
        other => other.clone(),
    }
}

fn templates() -> Vec<Value> {
    let save = StepKey { task: TaskPath::main(), n: 1 }.save(1).to_string();
    let digest = "0".repeat(64);
    let attributes = json!({ "mode": 420, "owner": "?", "group": "?" });
    let unit = json!({ "name": "?", "scope": "user" });
    let command = json!({ "words": ["?", "?"], "directory": "/?", "environment": { "A": "?", "?": "?" }, "timeout_seconds": 1 });
    let text = json!({ "words": "true", "directory": "/?", "environment": { "A": "?" } });
    let user = json!({ "kind": "user", "name": "?", "presence": "present", "uid": 1, "group": "?", "groups": ["?"], "groups_only": false,
        "shell": "?", "home": "?", "create_home": false, "comment": "?", "system": false });
    let group = json!({ "kind": "group", "name": "?", "presence": "absent", "gid": null, "system": false });
    let packages = json!({ "names": ["?", "?"], "state": "latest", "update": true, "recommends": true, "allow_removals": false, "lock_seconds": 1 });
    vec![
        json!({ "effect": "stat", "path": "/?" }),
        json!({ "effect": "read", "path": "~/?", "limit": 1 }),
        json!({ "effect": "digest", "path": "/?" }),
        json!({ "effect": "list", "pattern": "?" }),
        json!({ "effect": "service_status", "unit": unit }),
        json!({ "effect": "service_log", "unit": unit, "lines": 1 }),
        json!({ "effect": "probe", "command": command }),
        json!({ "effect": "exec", "command": command, "receipt": save, "after": save, "keeps": [[save, "/?"]] }),
        json!({ "effect": "exec", "command": text, "receipt": save, "after": null }),
        json!({ "effect": "upload", "path": "/?", "source": "?", "digest": digest, "size": 1, "attributes": attributes, "save": save }),
        json!({ "effect": "copy", "from": "/?", "to": "/?", "attributes": attributes, "save": save }),
        json!({ "effect": "account", "account": user, "save": save }),
        json!({ "effect": "account", "account": group, "save": save }),
        json!({ "effect": "packages", "packages": packages, "save": save }),
        json!({ "effect": "unpack", "archive": "/?", "directory": "/?", "strip": 1, "digest": digest, "save": save }),
        json!({ "effect": "mkdir", "path": "/?", "attributes": attributes, "save": save }),
        json!({ "effect": "link", "path": "/?", "target": "?", "save": save }),
        json!({ "effect": "rename", "from": "/?", "to": "/?", "save": save }),
        json!({ "effect": "remove", "path": "/?", "save": save }),
        json!({ "effect": "set_attributes", "path": "/?", "attributes": attributes, "save": save }),
        json!({ "effect": "service", "unit": unit, "verb": "restart", "save": save }),
        json!({ "effect": "restore", "save": save, "surely": true, "overwrite": "nothing" }),
        json!({ "effect": "end", "receipt": save }),
        json!({ "effect": "resume", "save": save }),
        json!({ "effect": "guard", "act": { "act": "undo", "receipt": save, "command": command } }),
        json!({ "effect": "guard", "act": { "act": "again", "receipt": save, "command": text } }),
        json!({ "effect": "guard", "act": { "act": "arm", "save": save, "seconds": 1 } }),
        json!({ "effect": "forget", "anchor": { "records": 1, "head": digest } }),
        json!({ "effect": "anchors", "lock": "x.y" }),
        json!({ "effect": "fence" }),
        json!({ "effect": "facts" }),
    ]
}

#[test]
fn every_call_is_read_as_the_words_that_it_is() {
    for text in HOSTILE {
        for template in templates() {
            let effect: Effect = match serde_json::from_value(filled(&template, text)) {
                Ok(effect) => effect,
                Err(error) => panic!("{template}: {error}"),
            };
            assert_words(&call(&effect).unwrap());
            look(&effect).iter().for_each(assert_words);
        }
        let content = Content::new(text.as_bytes());
        let (path, save) = (RemotePath::parse(&format!("/{text}")).unwrap(), StepKey { task: TaskPath::main(), n: 1 }.save(1));
        let (attributes, validate) = (crate::effect::Attributes::default(), Some(text.to_owned()));
        let unit = crate::effect::ServiceUnit { name: text.to_owned(), scope: crate::effect::UnitScope::System };
        let written = Effect::Write {
            path: path.clone(),
            content: content.clone(),
            attributes: attributes.clone(),
            validate: validate.clone(),
            save: save.clone(),
            basis: None,
        };
        assert_words(&call(&written).unwrap());
        assert_words(
            &call(&Effect::Unit { unit, path: path.clone(), content, attributes, validate, save: save.clone() }).unwrap(),
        );
        for other in
            [peek(&save, 1, 1), measure(&path), piece(&path, 1, 1), confirm(&save), reboot(&save, None, Some(text), Some(text))]
        {
            assert_words(&other);
        }
    }
}

#[test]
fn an_identity_that_is_no_name_does_not_come_so_far() {
    for template in templates() {
        let ids = ["save", "receipt", "after", "digest", "lock", "head"];
        for id in ids.iter().filter(|id| template.get(**id).is_some_and(Value::is_string)) {
            let mut hostile = filled(&template, "x");
            hostile[*id] = json!("x\ntouch pwned");
            assert!(serde_json::from_value::<Effect>(hostile).is_err(), "{id} of {template}");
        }
    }
}

#[test]
fn what_a_shell_is_told_first_is_read_as_values() {
    for text in HOSTILE {
        let errand = Errand::new(&RunId::new(text, text), text, text);
        let start = errand.start(text, &mut Known::default());
        let head: String =
            start.lines().take_while(|line| !line.starts_with("wl_home=")).map(|line| format!("{line}\n")).collect();
        let said = words(&format!("{head}wl \"$wl_k\" \"${{wl_c%/*}}\" \"$wl_run\""));
        assert_eq!(said[0], text);
        assert_eq!(said[1], format!("{text}/{text}"));
        assert!(RunId::parse(&format!("r{}", said[2])).is_ok(), "{}", said[2]);
    }
}

#[test]
fn who_is_become_and_what_is_asked_are_words() {
    for text in HOSTILE {
        let command = Become::new(text, &Password::default()).command().replacen("exec sudo", "wl", 1);
        assert_eq!(words(&command)[3], text);
        let request = HttpRequest {
            url: "http://h/".to_owned(),
            method: text.to_owned(),
            headers: [("X".to_owned(), text.to_owned())].into(),
            timeout_millis: 1000,
            hoped: None,
        };
        let place = Place::parse("http://h/").unwrap();
        for call in [ask_http(&place, &request), ask_tcp(text, 1)] {
            assert_words(&call);
            let asked = call.args.iter().find(|arg| arg.starts_with("set -- ")).unwrap();
            let first: String = asked.split("\n#").next().unwrap().to_owned();
            let end = first.find(super::ask::ASK).unwrap_or(first.len());
            let said = words(&format!("{}\nwl \"$@\"", &first[..end]));
            assert!(said.iter().any(|word| word.contains(text)), "{said:?}");
        }
    }
}

#[test]
fn a_variable_whose_name_is_none_runs_nothing() {
    for text in HOSTILE {
        let temp = tempfile::tempdir().unwrap();
        let effect = json!({ "effect": "probe", "command": { "words": ["true"], "environment": { text: "x", "B": text } } });
        let call = call(&serde_json::from_value::<Effect>(effect).unwrap()).unwrap();
        let body = call.args.iter().find(|arg| arg.contains("export")).unwrap();
        drop(Command::new("/bin/sh").args(["-c", body]).current_dir(temp.path()).output().unwrap());
        assert!(std::fs::read_dir(temp.path()).unwrap().next().is_none(), "{body}");
    }
}
