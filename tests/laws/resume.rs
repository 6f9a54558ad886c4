//! A run that is taken up: hosts that somebody has changed meanwhile, a mended script, and steps that only a person can settle.

use crate::tree::{differs, tree};
use crate::world::{Ran, World, bare};
use std::sync::Arc;
use windlass::effect::{Effect, EffectError, Effects, Login, Reply};
use windlass::id::StepKey;
use windlass::journal::{Decision, Entry, RunPhase};
use windlass::ledger::Ledger as _;
use windlass::run::{Finish, Job, OnDrift, TakeUp};
use windlass::step::ErrorKind;
use windlass::stop::Stop;

use crate::ledger::MemoryLedger;

/// A run of this script that was killed once this many records were on disk.
fn killed_after(world: &World, script: &str, kept: impl Fn(&Entry) -> bool) -> Ran {
    let mut ran = world.run(&format!("{}{script}", world.head()), &bare()).unwrap();
    let records: Vec<_> = ran.records.iter().take_while(|record| kept(&record.entry)).cloned().collect();
    assert!(records.len() < ran.records.len(), "it has ended");
    ran.ledger = Arc::new(MemoryLedger::holding(&ran.id, ran.ledger.stored(&ran.id).unwrap(), &records));
    ran.records = records;
    ran
}

/// Whether a record stands before the step with this note.
fn before_note(note: &'static str) -> impl Fn(&Entry) -> bool {
    move |entry| !matches!(entry, Entry::Started { command, .. } if command.op == "log" && command.args.to_string().contains(note))
}

fn resume(world: &World, ran: &Ran, how: TakeUp) -> Finish {
    world.runner(&ran.ledger, &bare(), Stop::default()).take_up(&ran.id, how).unwrap()
}

fn told(finish: &Finish) -> String {
    let error = finish.error.as_ref();
    format!("{:?} {} {}", finish.state, finish.exit, error.map(|error| format!("{:?} {error}", error.kind)).unwrap_or_default())
}

const STEPS: &str = r#"
h.write(D + "/conf", "port = 1\nname = a\n", #{ mode: "640" });
h.symlink("conf", D + "/link");
h.mkdir(D + "/dir");
h.write(D + "/gone", "x");
h.remove(D + "/gone");
h.write(D + "/again", "old");
h.write(D + "/again", "new");
log("killed here");
h.write(D + "/last", "y");
"#;

#[test]
fn a_host_that_is_as_it_was_left_is_no_drift() {
    let world = World::new();
    let ran = killed_after(&world, STEPS, before_note("killed here"));
    let finish = resume(&world, &ran, Job::Resume.into());
    assert_eq!((finish.state, finish.exit), (RunPhase::Succeeded, 0), "{}", told(&finish));
}

#[test]
fn what_somebody_has_changed_stops_a_resume_and_is_shown() {
    for (change, what, diff) in [
        ("printf 'port = 2\\nname = a\\n' >conf", "/conf has other content", "-port = 1\n+port = 2\n"),
        ("chmod 600 conf", "/conf has mode 0600, had 0640", ""),
        ("rm conf", "/conf is gone", ""),
        ("ln -sfn other link", "/link points to other, pointed to conf", ""),
        ("rm link; echo x >link", "/link is no link any more", ""),
        ("rmdir dir", "/dir is gone", ""),
        ("echo x >gone", "/gone is there, and was not", ""),
        ("echo x >again", "/again has other content", "-new"),
    ] {
        let world = World::new();
        let ran = killed_after(&world, STEPS, before_note("killed here"));
        world.shell(change);
        world.shell("rm -f last");
        let before = tree(&world.dir);
        let finish = resume(&world, &ran, Job::Resume.into());
        assert_eq!((finish.state, finish.exit), (RunPhase::Interrupted, 6), "{change}: {}", told(&finish));
        assert!(told(&finish).contains(what), "{change}: {}", told(&finish));
        let shown = finish.drift.unwrap().drifted.remove(0).diff.unwrap_or_default();
        assert!(shown.contains(diff), "{change}: {shown}");
        assert_eq!(differs(&before, &tree(&world.dir)), None, "nothing is touched");
        // Nothing was written down, either: it is resumed all the same once somebody says so.
        let how = TakeUp { drift: OnDrift::Accept, ..Job::Resume.into() };
        let finish = resume(&world, &ran, how);
        assert_eq!((finish.state, finish.exit), (RunPhase::Succeeded, 0), "{change}: {}", told(&finish));
        world.shell("test -e last");
    }
}

#[test]
fn what_was_changed_since_the_last_command_had_ended_stops_a_resume() {
    // A minute later, whatever it takes to ask what time it is there.
    let later = "date -d @$(($(date +%s) + 60)) '+%F %T'";
    for change in [format!("echo 3 >>conf; touch -d \"$({later})\" conf"), format!("rm conf; touch -d \"$({later})\" .")] {
        let world = World::new();
        let script =
            "h.write(D + \"/conf\", \"1\"); h.run(\"true\", #{ undo: \"true\" }); log(\"killed here\"); h.mkdir(D + \"/x\");";
        let ran = killed_after(&world, script, before_note("killed here"));
        world.shell(&change);
        let finish = resume(&world, &ran, Job::Resume.into());
        assert_eq!((finish.state, finish.exit), (RunPhase::Interrupted, 6), "{change}: {}", told(&finish));
    }
}

/// A command whose end is not on record may have changed anything; that is for a person to say.
#[test]
fn what_differs_while_a_command_is_open_stops_a_resume_and_names_it() {
    let world = World::new();
    let script = "h.write(D + \"/conf\", \"1\"); h.run(`echo 2 >>${D}/conf`, #{ undo: \"true\" });";
    let ran = killed_after(&world, script, |entry| !matches!(entry, Entry::Succeeded { key, .. } if key.n == 2));
    let finish = resume(&world, &ran, Job::Resume.into());
    assert_eq!((finish.state, finish.exit), (RunPhase::Interrupted, 6), "{}", told(&finish));
    assert!(
        told(&finish).contains("perhaps by `echo 2") && told(&finish).contains("whose end is not on record"),
        "{}",
        told(&finish)
    );
}

#[test]
fn what_a_command_of_the_run_may_have_changed_stops_nothing() {
    let world = World::new();
    let script = "h.write(D + \"/conf\", \"1\"); h.run(`echo 2 >>${D}/conf`, #{ undo: \"true\" }); log(\"killed here\"); h.mkdir(D + \"/x\");";
    let ran = killed_after(&world, script, before_note("killed here"));
    let finish = resume(&world, &ran, Job::Resume.into());
    assert_eq!((finish.state, finish.exit), (RunPhase::Succeeded, 0), "{}", told(&finish));
    let drift = finish.drift.unwrap();
    assert!(drift.drifted.is_empty() && drift.explained[0].perhaps.as_ref().unwrap().contains("echo 2"), "{drift:?}");
}

fn mended(ran: &Ran, change: impl Fn(&str) -> String) -> TakeUp {
    let stored = ran.ledger.stored(&ran.id).unwrap();
    let bundle =
        stored.bundle.iter().map(|(name, text)| (name.clone(), if *name == stored.script { change(text) } else { text.clone() }));
    TakeUp { script: Some((stored.script.clone(), bundle.collect())), by: "me".into(), ..Job::Resume.into() }
}

#[test]
fn a_mended_script_goes_on_where_the_old_one_failed() {
    let world = World::new();
    let ran = killed_after(&world, STEPS, before_note("killed here"));
    world.shell("rm last");
    let finish = resume(&world, &ran, mended(&ran, |text| text.replace("\"/last\", \"y\"", "\"/last\", \"mended\"")));
    assert_eq!((finish.state, finish.exit), (RunPhase::Succeeded, 0), "{}", told(&finish));
    world.shell("test \"$(cat last)\" = mended");
    let replaced = ran.ledger.records(&ran.id).unwrap().iter().any(|record| matches!(record.entry, Entry::ScriptReplaced { .. }));
    assert!(replaced && ran.ledger.stored(&ran.id).unwrap().bundle[0].1.contains("mended"));
}

#[test]
fn a_mended_script_that_differs_before_that_place_is_refused() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str, &str); 5] = [
        (|text| text.replace("h.mkdir(D + \"/dir\");", "h.mkdir(D + \"/dir\", #{ user: \"nobody\" });"), "(as nobody)", "main#3"),
        (|text| text.replace("name = a", "name = b"), "write", "main#1"),
        (|text| text.replace("h.mkdir(D + \"/dir\");\n", ""), "mkdir", "main#3"),
        (|text| text[..text.find("h.write(D + \"/again\"").unwrap()].to_owned(), "nothing", "main#6"),
        (|text| text.replace("h.mkdir(D + \"/dir\");", "step \"dir\" { h.mkdir(D + \"/dir\"); }"), "step \"dir\"", "main#3"),
    ];
    for (change, asked, key) in changes {
        let world = World::new();
        let ran = killed_after(&world, STEPS, before_note("killed here"));
        let before = tree(&world.dir);
        let finish = resume(&world, &ran, mended(&ran, change));
        assert_eq!((finish.state, finish.exit), (RunPhase::Interrupted, 6), "{}", told(&finish));
        let said = told(&finish);
        assert!(said.contains("Divergence") && said.contains(key) && said.contains(asked), "{said}");
        assert_eq!(differs(&before, &tree(&world.dir)), None);
        assert_eq!(ran.ledger.records(&ran.id).unwrap(), ran.records, "nothing is written down");
    }
}

/// Does not know how commands ended, as a host that was started anew.
struct Forgetful(Arc<dyn Effects>);

impl Effects for Forgetful {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let Effect::Exec { receipt, .. } = effect else { return self.0.perform(at, effect) };
        let reply = self.0.perform(at, effect);
        // Its first time only: what is done again has a name of its own.
        if receipt.as_str().ends_with("-1") && reply.is_ok() {
            return Err(EffectError::InDoubt { host: at.host.clone(), reason: "the host was started anew".to_owned() });
        }
        reply
    }
}

#[test]
fn a_step_in_doubt_is_settled_by_a_person() {
    let script = "h.write(D + \"/a\", \"1\");\nlet out = h.run(`echo ran >>${D}/ran`, #{ undo: `echo undone >>${D}/ran` });\nh.write(D + \"/code\", `${out.code}`);";
    let layer: crate::world::Layer = Arc::new(|inner| Arc::new(Forgetful(inner)));
    let key = StepKey::parse("main#2").unwrap();
    for (decision, ran_times) in [(Some(Decision::AssumeDone), 1), (Some(Decision::Again), 2), (None, 1)] {
        let world = World::new();
        let stopped = world.run(&format!("{}{script}", world.head()), &layer).unwrap();
        assert_eq!((stopped.finish.state, stopped.finish.exit), (RunPhase::Interrupted, 7), "{}", stopped.error());
        assert_eq!(stopped.finish.doubts, std::slice::from_ref(&key));
        assert!(stopped.error().contains("--assume-done 'main#2'"), "{}", stopped.error());
        let runner = || world.runner(&stopped.ledger, &layer, Stop::default());
        // Asked again, it is in doubt again.
        let again = runner().take_up(&stopped.id, Job::Resume).unwrap();
        assert_eq!((again.exit, again.doubts.as_slice()), (7, std::slice::from_ref(&key)));
        let other = StepKey::parse("main#1").unwrap();
        assert!(runner().decide(&stopped.id, &[(other, Decision::Again)], "", "me").is_err());
        let Some(decision) = decision else {
            let finish = runner().take_up(&stopped.id, Job::Unwind).unwrap();
            assert_eq!((finish.state, finish.exit), (RunPhase::Unwound, 3), "{}", told(&finish));
            world.shell("test \"$(cat ran | tr -d '\\n')\" = ranundone");
            continue;
        };
        runner().decide(&stopped.id, &[(key.clone(), decision)], "looked", "me").unwrap();
        let finish = runner().take_up(&stopped.id, Job::Resume).unwrap();
        assert_eq!((finish.state, finish.exit), (RunPhase::Succeeded, 0), "{}", told(&finish));
        world.shell(&format!("test $(wc -l <ran) = {ran_times} && test \"$(cat code)\" = 0"));
    }
}

#[test]
fn what_was_undone_by_hand_counts_as_restored_and_what_is_left_does_not() {
    for (mark, exit) in [(true, 3), (false, 4)] {
        let world = World::new();
        let steps = "h.write(D + \"/a\", \"x\"); h.run(\"true\", #{ undo: \"false\" }); fail(\"late\");";
        let stuck = world.run(&format!("{}{steps}", world.head()), &bare()).unwrap();
        assert_eq!((stuck.finish.state, stuck.finish.exit), (RunPhase::Stuck, 4), "{}", stuck.error());
        let runner = || world.runner(&stuck.ledger, &bare(), Stop::default());
        let key = StepKey::parse("main#2").unwrap();
        let wrong = StepKey::parse("main#1").unwrap();
        assert!(runner().give_up(&stuck.id, &[wrong], "no").is_err());
        if mark {
            runner().decide(&stuck.id, &[(key, Decision::MarkDone)], "by hand", "me").unwrap();
        } else {
            assert_eq!(runner().give_up(&stuck.id, &[], "stays").unwrap(), [key]);
        }
        let finish = runner().take_up(&stuck.id, Job::Unwind).unwrap();
        assert_eq!((finish.state, finish.exit), (RunPhase::Unwound, exit), "{}", told(&finish));
        world.shell("test ! -e a");
    }
}

#[test]
fn brackets_are_closed_on_every_way_out() {
    let open = "let m = |body| maintenance(h, #{ path: D + \"/page\", when_halted: WHEN }, body);";
    for (body, phase, exit, stays) in [
        ("m.call(|| h.write(D + \"/a\", \"x\"));", RunPhase::Succeeded, 0, false),
        ("m.call(|| { h.write(D + \"/a\", \"x\"); fail(\"no\"); });", RunPhase::Unwound, 3, false),
        ("try { m.call(|| fail(\"no\")); } catch {} h.write(D + \"/b\", \"x\");", RunPhase::Succeeded, 0, false),
        ("m.call(|| h.write(D + \"/a\", \"x\")); fail(\"no\");", RunPhase::Unwound, 3, false),
        ("m.call(|| { point_of_no_return(\"gone\"); fail(\"no\"); });", RunPhase::Halted, 4, false),
        ("m.call(|| { point_of_no_return(\"gone\"); fail(\"no\"); });", RunPhase::Halted, 4, true),
        (
            "let t = attempt(|| m.call(|| { h.write(D + \"/a\", \"x\"); fail(\"no\"); })); if h.exists(D + \"/page\") { throw \"open\"; }",
            RunPhase::Succeeded,
            0,
            false,
        ),
    ] {
        let world = World::new();
        let when = if stays { "\"keep\"" } else { "\"leave\"" };
        let script = format!("{}{}\n{body}", world.head(), open.replace("WHEN", when));
        let ran = world.run(&script, &bare()).unwrap();
        assert_eq!((ran.finish.state, ran.finish.exit), (phase, exit), "{body}: {}", ran.error());
        assert_eq!(world.try_shell("test -e page").0, stays, "{body}");
        assert_eq!(ran.finish.open.len(), usize::from(stays), "{body}");
        if stays {
            let finish = world.runner(&ran.ledger, &bare(), Stop::default()).take_up(&ran.id, Job::Unwind).unwrap();
            assert_eq!((finish.state, finish.exit, finish.open.len()), (RunPhase::Halted, 4, 0), "{}", told(&finish));
            world.shell("test ! -e page");
        }
    }
}

#[test]
fn somebody_elses_page_is_left_alone() {
    let world = World::new();
    world.shell("echo theirs >page");
    let ran = world
        .run(&format!("{}maintenance(h, #{{ path: D + \"/page\" }}, || h.mkdir(D + \"/x\"));", world.head()), &bare())
        .unwrap();
    assert_eq!(ran.finish.exit, 1, "{}", ran.error());
    assert!(ran.error().contains("somebody else"), "{}", ran.error());
    world.shell("test \"$(cat page)\" = theirs && test ! -e x");
}

#[test]
fn a_bracket_that_cannot_be_closed_is_owed_until_it_is() {
    let world = World::new();
    let script = format!(
        "{}bracket(\"b\", #{{ enter: || h.run(`touch ${{D}}/open`), leave: || h.run(`test -e ${{D}}/may && rm -f ${{D}}/open`) }}, || h.write(D + \"/a\", \"x\"));",
        world.head()
    );
    let ran = world.run(&script, &bare()).unwrap();
    assert_eq!((ran.finish.state, ran.finish.exit), (RunPhase::Stuck, 4), "{}", ran.error());
    assert!(ran.error().contains("\"b\" could not be closed"), "{}", ran.error());
    assert_eq!(ran.finish.error.as_ref().map(|error| error.kind), Some(ErrorKind::Failed));
    world.shell("touch may");
    let finish = world.runner(&ran.ledger, &bare(), Stop::default()).take_up(&ran.id, Job::Unwind).unwrap();
    assert_eq!((finish.state, finish.exit, finish.open.len()), (RunPhase::Unwound, 3, 0), "{}", told(&finish));
    world.shell("test ! -e open && test ! -e a");
}

/// The schema is migrated, and the run is killed before the switch: the old code stays live, and it is said that the schema is ahead.
#[test]
fn unwinding_says_what_stays_changed() {
    let world = World::new();
    world.shell("ln -s old current; echo 1 >schema");
    let script = r#"
step "migrate" { h.run(`echo 2 >${D}/schema`, #{ irreversible: "the schema is ahead of the code by version 2, which old code can read" }); }
log("killed here");
h.symlink("new", D + "/current");
"#;
    let ran = killed_after(&world, script, before_note("killed here"));
    world.shell("ln -sfn old current");
    let finish = world.runner(&ran.ledger, &bare(), Stop::default()).take_up(&ran.id, Job::Unwind).unwrap();
    assert_eq!((finish.state, finish.exit), (RunPhase::Unwound, 3), "{}", told(&finish));
    let [left] = finish.not_undone.as_slice() else { panic!("{:?}", finish.not_undone) };
    assert!(left.command.contains("schema") && left.irreversible.as_ref().unwrap().contains("schema is ahead"), "{left:?}");
    world.shell("test \"$(readlink current)\" = old && test \"$(cat schema)\" = 2");
}

/// One run that has records of every kind that format 2 has. With `WINDLASS_FIXTURE`, they are written there: that is how the
/// fixture was made.
#[test]
fn a_run_has_every_kind_of_record() {
    let script = r#"
h.write(D + "/conf", "1");
bracket("b", #{ enter: || h.run(`touch ${D}/open`), leave: || h.run(`test -e ${D}/may && rm -f ${D}/open`) }, || {
    let out = h.run(`echo ran >>${D}/ran`, #{ undo: `rm -f ${D}/ran` });
    fail("late");
});
"#;
    let layer: crate::world::Layer = Arc::new(|inner| Arc::new(DoubtsOnce { inner }));
    let world = World::new();
    let stopped = world.run(&format!("{}{script}", world.head()), &layer).unwrap();
    let key = stopped.finish.doubts.first().expect("a step is in doubt").clone();
    let runner = || world.runner(&stopped.ledger, &layer, Stop::default());
    runner().decide(&stopped.id, &[(key, Decision::Again)], "looked", "me").unwrap();
    let finish = runner().take_up(&stopped.id, mended(&stopped, |text| format!("{text}\n// mended\n"))).unwrap();
    assert_eq!((finish.state, finish.exit), (RunPhase::Stuck, 4), "{}", told(&finish));
    world.shell("touch may");
    let finish = runner().take_up(&stopped.id, Job::Unwind).unwrap();
    assert_eq!((finish.state, finish.exit), (RunPhase::Unwound, 3), "{}", told(&finish));
    world.shell("test ! -e open && test ! -e ran && test ! -e conf");
    let records = stopped.ledger.records(&stopped.id).unwrap();
    let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    for kind in
        ["decided", "obligation_opened", "obligation_held", "obligation_discharged", "obligation_failed", "script_replaced"]
    {
        assert!(lines.iter().any(|line| line.contains(&format!("\"kind\":\"{kind}\""))), "{kind} is missing");
    }
    #[expect(clippy::disallowed_methods, reason = "who runs the test says where the fixture is to go")]
    if let Ok(path) = std::env::var("WINDLASS_FIXTURE") {
        let text = lines.join("\n").replace(&world.dir.display().to_string(), "/srv/d") + "\n";
        std::fs::write(path, text).unwrap();
    }
}

/// Does not know how a command with an undo ended, until it is asked under another name.
struct DoubtsOnce {
    inner: Arc<dyn Effects>,
}

impl Effects for DoubtsOnce {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        let reply = self.inner.perform(at, effect);
        let Effect::Exec { command, receipt, .. } = effect else { return reply };
        let in_doubt = format!("{:?}", command.words).contains("echo ran") && receipt.as_str().ends_with("-1");
        if !in_doubt {
            return reply;
        }
        Err(EffectError::InDoubt { host: at.host.clone(), reason: "the host was started anew".to_owned() })
    }
}

/// Format 2 of the journal: what it has beyond format 1 is in a fixture, too, which later formats must be able to read.
#[test]
fn journals_of_format_2_read() {
    const FIXTURE: &str = include_str!("../fixtures/journal-v2.jsonl");
    let records: Vec<windlass::journal::Record> = FIXTURE.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let state = windlass::journal::RunState::read(&records).unwrap();
    assert_eq!((state.phase, state.exit), (Some(RunPhase::Unwound), Some(3)));
    for kind in
        ["decided", "obligation_opened", "obligation_held", "obligation_discharged", "obligation_failed", "script_replaced"]
    {
        assert!(FIXTURE.contains(&format!("\"kind\":\"{kind}\"")), "{kind} is missing");
    }
    assert!(
        FIXTURE.contains("\"makes\":[{\"holds\":\"file\"") && FIXTURE.contains("\"doubts\":["),
        "what records of old kinds have more"
    );
    for (record, line) in records.iter().zip(FIXTURE.lines()) {
        assert_eq!(serde_json::to_value(record).unwrap(), serde_json::from_str::<serde_json::Value>(line).unwrap());
    }
}
