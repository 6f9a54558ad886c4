//! The cases and the pages' examples that need systemd, one after the other on one host: each does what it says, is
//! unchanged when repeated, and is undone with all units as they were.

use super::case::{Case, Ending, all};
use super::host::{Host, list};
use super::lab::{asked, lab, lab_command};
use super::page::{Block, examples};
use super::project::{Ended, Project};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

type Checked = Result<(), String>;

const NEEDS: Option<&str> = Some("systemd");
/// Ends and forgets all units of cases and examples, and empties their directories.
const CLEAN: &str = "rm -rf /srv/*; cd /etc/systemd/system
if [ -n \"$(ls -d case-*.service doc-*.service 2>/dev/null)\" ]; then
systemctl stop 'case-*' 'doc-*'; rm -rf case-* doc-* *.wants/case-* *.wants/doc-*; rmdir sockets.target.wants 2>/dev/null; systemctl daemon-reload; systemctl reset-failed; fi
for user in $(grep -Eo '^(case|doc)-[^:]*' /etc/passwd); do userdel $user; done
for group in $(grep -Eo '^(case|doc)-[^:]*' /etc/group); do groupdel $group; done
packages=$(dpkg-query -W -f '${Package}\n' 'case-*' 2>/dev/null) && dpkg --purge --force-all $packages
rm -f /etc/apt/apt.conf.d/zz-case";
/// How all units, users, groups and packages of cases and examples are: of units, those that have a file, and those that run.
const STATE: &str = "cd /etc/systemd/system; for unit in $(ls -d case-*.service case-*.socket doc-*.service 2>/dev/null); do
systemctl show -p Id -p ActiveState -p UnitFileState -p NeedDaemonReload \"$unit\" | paste -sd ' '; done
systemctl list-units --plain --no-legend --full --state=active,activating,deactivating 'case-*' 'doc-*' | cut -d ' ' -f 1 | sort
for file in passwd shadow group gshadow; do grep -E '(case|doc)-' /etc/$file | sort; done
dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' 'case-*' 2>/dev/null && apt-mark showauto | grep '^case-' || true";
/// The primitives whose cases are tried on a host of their own, beside the services.
const OTHERS: [&str; 5] = ["group", "packages", "reboot", "unit", "user"];

/// Cases about which a dry run is not right, and why. One that is predicted right by now is a failure.
const MISPREDICTED: &[(&str, &str)] =
    &[("service.start/start.toml: one that ends at once", "what a program does is seen only when it runs")];

#[test]
fn cases_and_examples_with_services_hold() {
    hold(|primitive| !OTHERS.contains(&primitive));
}

#[test]
fn cases_and_examples_with_units_accounts_and_packages_hold() {
    hold(|primitive| OTHERS.contains(&primitive));
}

fn hold(mine: impl Fn(&str) -> bool) {
    let lease = lab().lease(1);
    let bench = Bench { host: &lease.hosts[0], project: Project::new(&lease.hosts, |_| "") };
    let mut failures = Vec::new();
    let mut note = |title: String, checked: Checked| failures.extend(checked.err().map(|why| format!("{title}: {why}")));
    // Who works on one primitive wants its cases only.
    let names = asked("WINDLASS_CASES", String::new());
    let wanted = |name: &str| names.is_empty() || names.split(',').any(|begin| name.starts_with(begin));
    let ours = |case: &Case| case.needs.as_deref() == NEEDS && mine(case.primitive()) && wanted(&case.file);
    let cases: Vec<Case> = all().into_iter().filter(ours).collect();
    let shown = |block: &Block| block.needs() == NEEDS && mine(&block.page) && wanted(&block.page);
    let blocks: Vec<Block> = examples().into_iter().filter(shown).collect();
    assert!(!cases.is_empty() && !blocks.is_empty(), "nothing to try");
    for (n, case) in cases.iter().enumerate() {
        note(case.title(), bench.as_said(case, n).and_then(|()| bench.undone(case, n)));
    }
    for (n, block) in blocks.iter().enumerate() {
        note(block.title(), bench.example(block, n));
    }
    let _ = bench.shell(CLEAN, "/");
    let tried = cases.len() + blocks.len();
    assert!(failures.is_empty(), "{} of {tried} failed:\n\n{}\n", failures.len(), failures.join("\n\n"));
}

/// The host, and who works on it.
struct Bench<'a> {
    host: &'a Host,
    project: Project,
}

/// All that a case may touch.
#[derive(PartialEq)]
struct Seen {
    files: BTreeMap<String, String>,
    state: String,
}

impl Bench<'_> {
    fn as_said(&self, case: &Case, n: usize) -> Checked {
        let dir = self.start(&case.before, n)?;
        let before = self.look()?;
        // What changes by itself is no start for both.
        let predicted = if case.restored { self.predicted(case, &dir) } else { Vec::new() };
        if case.restored {
            same(&before, &self.look()?, "after a prediction")?;
        }
        let ran = self.run(case, &dir, "");
        ran.as_predicted(case, &predicted)?;
        ran.ended(case.outcome)?;
        ran.explained(case)?;
        ran.gave(case)?;
        let after = self.look()?;
        if matches!(case.outcome, Ending::Failed | Ending::Unchanged) && case.restored {
            same(&before, &after, "after the call")?;
        }
        nothing_left(&before, &after)?;
        if let Some(check) = &case.check {
            self.shell(check, &dir).map_err(|why| format!("the check does not hold: {why}"))?;
        }
        let again = self.run(case, &dir, "");
        again.ended(case.again()).map_err(|why| format!("made again: {why}"))?;
        let last = self.look()?;
        if matches!(case.again(), Ending::Unchanged | Ending::Skipped) && case.restored {
            same(&after, &last, "after it was made again")?;
        }
        nothing_left(&before, &last)
    }

    /// What was seen to change nothing has nothing to undo.
    fn undone(&self, case: &Case, n: usize) -> Checked {
        if case.outcome != Ending::Changed || !case.restored {
            return Ok(());
        }
        let dir = self.start(&case.before, n)?;
        let mut before = self.look()?;
        // What had failed and was started is stopped again, which is not to fail.
        before.state = before.state.replace("ActiveState=failed", "ActiveState=inactive");
        self.run(case, &dir, "fail(\"x\");").ended(Ending::Failed)?;
        same(&before, &self.look()?, "unwound")
    }

    fn example(&self, block: &Block, n: usize) -> Checked {
        let dir = self.start("", n)?;
        let before = self.look()?;
        let ran = self.script(&dir, &block.text);
        if ran.state() != "succeeded" {
            return Err(format!("{}\n{}", ran.0, block.text));
        }
        nothing_left(&before, &self.look()?)?;
        let dir = self.start("", n)?;
        let before = self.look()?;
        self.script(&dir, &format!("{}\nfail(\"x\");", block.text)).ended(Ending::Failed)?;
        same(&before, &self.look()?, "unwound")
    }

    /// A host as new, with a directory, in the start state of a case.
    fn start(&self, before: &str, n: usize) -> Result<String, String> {
        let dir = format!("/srv/{n}");
        self.shell(&format!("({CLEAN}) || true; mkdir -p {dir}"), "/")?;
        self.shell(before, &dir).map_err(|why| format!("its start state cannot be made: {why}"))?;
        Ok(dir)
    }

    /// Runs a text of `sh` on the host, in a directory that it knows as `D`.
    fn shell(&self, text: &str, dir: &str) -> Result<String, String> {
        let text = format!("D={dir}; cd $D\n{text}");
        let output = lab_command(&["in", &self.host.name, "sh", "-euc", &text]).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(format!("`{}` {said}", text.trim())) }
    }

    fn look(&self) -> Result<Seen, String> {
        Ok(Seen { files: files(self.host), state: self.shell(STATE, "/")? })
    }

    fn run(&self, case: &Case, dir: &str, rest: &str) -> Ran {
        // A list, so that a text is told with its quotes.
        self.script(dir, &format!("let value = {{ {} }};\nlog([value]);\n{rest}", case.call.trim()))
    }

    /// What a dry run says of the same script.
    fn predicted(&self, case: &Case, dir: &str) -> Vec<Value> {
        self.write(dir, &format!("let value = {{ {} }};\nlog([value]);\n", case.call.trim()));
        self.project.windlass(&["dry-run", "--format", "json", "case.rhai"]).events()
    }

    fn write(&self, dir: &str, text: &str) {
        let head = format!("let h = host(\"{}\"); let D = \"{dir}\";\n", self.host.name);
        std::fs::write(self.project.dir().join("case.rhai"), head + text).unwrap();
    }

    fn script(&self, dir: &str, text: &str) -> Ran {
        self.write(dir, text);
        let ended = self.project.windlass(&["run", "--format", "json", "case.rhai"]);
        let events = ended.events();
        Ran(ended, events)
    }
}

/// One run of the tool, and what it told.
struct Ran(Ended, Vec<Value>);

impl Ran {
    /// How it ended; nothing when the script was refused before it ran.
    fn state(&self) -> &str {
        self.1.last().and_then(|last| last["state"].as_str()).unwrap_or_default()
    }

    /// The steps that the script made itself and that succeeded.
    fn steps(&self, logs: bool) -> impl Iterator<Item = &Value> {
        let own = self.1.iter().rev().filter(|event| event["event"] == "step_succeeded" && event["task"] == "main");
        own.filter(move |event| (event["op"] == "log") == logs)
    }

    /// Whether each step ended as was predicted, for as long as nothing had to be assumed.
    fn as_predicted(&self, case: &Case, predicted: &[Value]) -> Checked {
        let steps = predicted.iter().filter(|event| event["event"] == "step_predicted" && event["op"] != "log");
        let sure = steps.take_while(|step| !matches!(step["prediction"].as_str(), Some("assumed" | "unknown")));
        let wrong = sure.filter_map(|step| self.otherwise(step)).next();
        let known = MISPREDICTED.iter().find(|(title, _)| *title == case.title());
        match (wrong, known) {
            (Some(wrong), None) => Err(wrong),
            (None, Some(_)) => Err("it is predicted right; take it out of MISPREDICTED".to_owned()),
            _ => Ok(()),
        }
    }

    /// What became of a step that was predicted otherwise.
    fn otherwise(&self, step: &Value) -> Option<String> {
        let own =
            |event: &&Value| (&event["task"], &event["n"]) == (&step["task"], &step["n"]) && event["event"] != "step_started";
        let ended =
            self.1.iter().find(|event| own(event) && matches!(event["event"].as_str(), Some("step_succeeded" | "step_failed")));
        let found = ended.map_or("not taken", |event| event["outcome"].as_str().unwrap_or("failed"));
        let right = match step["prediction"].as_str() {
            Some("would") => found == "changed",
            Some("no_change") => matches!(found, "unchanged" | "skipped"),
            Some("fails") => found == "failed",
            _ => false,
        };
        (!right).then(|| {
            format!("{} {} was predicted as {}, and is {found}: {}", step["op"], step["summary"], step["prediction"], self.0)
        })
    }

    fn ended(&self, wanted: Ending) -> Checked {
        let outcome = self.steps(false).next().and_then(|event| event["outcome"].as_str());
        let found = match (self.state(), self.0.code, outcome) {
            ("succeeded", Some(0), Some("changed")) => Ending::Changed,
            ("succeeded", Some(0), Some("unchanged")) => Ending::Unchanged,
            ("succeeded", Some(0), Some("skipped")) => Ending::Skipped,
            ("unwound", Some(1 | 3), _) | ("refused", Some(6), _) | ("", Some(1 | 2), _) => Ending::Failed,
            _ => return Err(self.0.to_string()),
        };
        if found == wanted { Ok(()) } else { Err(format!("it is {found:?}, not {wanted:?}: {}", self.0)) }
    }

    fn explained(&self, case: &Case) -> Checked {
        let last = self.1.last().cloned().unwrap_or_default();
        // Without the escapes of JSON.
        let error =
            ["message", "stderr", "help"].map(|part| last["error"][part].as_str().unwrap_or_default().to_owned()).join(" ");
        let error = if self.state().is_empty() { last.to_string() } else { error };
        match case.error.as_ref().filter(|part| !part.is_in(&error)) {
            Some(part) => Err(format!("the error does not say `{part}`: {}", self.0)),
            None => Ok(()),
        }
    }

    fn gave(&self, case: &Case) -> Checked {
        let Some(text) = &case.gives else { return Ok(()) };
        let wanted: Value = serde_json::from_str(text).map_err(|error| format!("`gives` is no JSON: {error}"))?;
        let said = self.steps(true).next().and_then(|event| event["summary"].as_str()).unwrap_or_default();
        let gave: Value = serde_json::from_str(said).map_err(|error| format!("it logs `{said}`: {error}"))?;
        if gave[0] == wanted { Ok(()) } else { Err(format!("it gives {}, not {wanted}", gave[0])) }
    }
}

fn files(host: &Host) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for tree in ["srv", "etc/systemd/system", "root"] {
        list(&host.path(tree), tree, &mut files);
    }
    files
}

fn same(before: &Seen, after: &Seen, when: &str) -> Checked {
    if before == after {
        return Ok(());
    }
    let mut differs = format!("{when} the host is not as before:");
    for path in before.files.keys().chain(after.files.keys().filter(|path| !before.files.contains_key(*path))) {
        let (was, is) = (before.files.get(path), after.files.get(path));
        if was != is {
            write!(differs, "\n{path}: was {was:?}, is {is:?}").unwrap();
        }
    }
    if before.state != after.state {
        write!(differs, "\nunits, users, packages: were\n{}are\n{}", before.state, after.state).unwrap();
    }
    Err(differs)
}

/// Nothing of the run is left: neither beside what it changed nor in the login user's home.
fn nothing_left(before: &Seen, after: &Seen) -> Checked {
    let new = |path: &&String| path.contains(".wl-") || path.starts_with("root/") && !before.files.contains_key(*path);
    after.files.keys().find(new).map_or(Ok(()), |path| Err(format!("something is left: {path}")))
}
