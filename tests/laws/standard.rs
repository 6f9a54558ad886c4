//! The standard library: what its modules do with real programs, twice, and undone.

use crate::tree::{differs, tree};
use crate::world::{Ran, World, bare};
use serde_json::{Value, json};
use windlass::journal::{Entry, RunPhase};

const HEAD: &str = "import \"std/git\" as git;\n";

/// A repository with two commits: the tag `v1` names the first, `main` the second.
fn world() -> World {
    let world = World::new();
    let commit = "git -c user.name=a -c user.email=a@b commit -q -m";
    world.shell(&format!(
        "git init -q -b main repo; cd repo; echo 1 >f; git add f; {commit} one; git -c user.name=a -c user.email=a@b tag -m t v1; echo 2 >f; {commit} two f"
    ));
    world
}

fn run(world: &World, script: &str) -> Ran {
    world.run(&format!("{HEAD}{}{script}", world.head()), &bare()).unwrap()
}

fn gave(ran: &Ran) -> Value {
    assert_eq!(ran.finish.state, RunPhase::Succeeded, "{}", ran.error());
    ran.gave().unwrap()
}

#[test]
fn a_checkout_follows_its_ref_and_is_unchanged_when_repeated() {
    let world = world();
    let at = |reference: &str| {
        let ran = run(&world, &format!("gave(git::checkout(h, D + \"/repo\", D + \"/a/tree\", #{{ ref: \"{reference}\" }}));"));
        let changed = gave(&ran)["changed"].clone();
        (changed, std::fs::read_to_string(world.dir.join("a/tree/f")).unwrap())
    };
    assert_eq!(at("v1"), (json!(true), "1\n".to_owned()));
    assert_eq!(at("v1"), (json!(false), "1\n".to_owned()));
    assert_eq!(at("main"), (json!(true), "2\n".to_owned()));
    // What is new on the server is fetched.
    world.shell("cd repo; echo 3 >f; git -c user.name=a -c user.email=a@b commit -q -m three f");
    let three = world.try_shell("git -C repo rev-parse HEAD").1.trim().to_owned();
    assert_eq!(at("main"), (json!(true), "3\n".to_owned()));
    assert_eq!(at("v1"), (json!(true), "1\n".to_owned()));
    assert_eq!(at(&three), (json!(true), "3\n".to_owned()));
}

#[test]
fn a_checkout_is_undone() {
    let world = world();
    let before = tree(&world.dir);
    let ran = run(&world, "git::checkout(h, D + \"/repo\", D + \"/a/tree\"); fail(\"late\");");
    assert_eq!((ran.finish.state, ran.finish.exit), (RunPhase::Unwound, 3), "{}", ran.error());
    assert_eq!(differs(&before, &tree(&world.dir)), None);
    gave(&run(&world, "gave(git::checkout(h, D + \"/repo\", D + \"/tree\", #{ ref: \"v1\" }));"));
    let ran = run(&world, "git::checkout(h, D + \"/repo\", D + \"/tree\", #{ ref: \"main\" }); fail(\"late\");");
    assert!(ran.finish.not_undone.is_empty() && ran.finish.exit == 3, "{}", ran.error());
    assert_eq!(std::fs::read_to_string(world.dir.join("tree/f")).unwrap(), "1\n");
    // On a branch of its own, it is on that branch again.
    world.shell("git -C tree checkout -q -b own");
    run(&world, "git::checkout(h, D + \"/repo\", D + \"/tree\", #{ ref: \"main\" }); fail(\"late\");");
    assert_eq!(world.try_shell("git -C tree symbolic-ref HEAD").1, "refs/heads/own\n");
}

#[test]
fn what_is_not_in_a_commit_is_not_lost() {
    let world = world();
    gave(&run(&world, "gave(git::checkout(h, D + \"/repo\", D + \"/tree\", #{ ref: \"v1\" }));"));
    world.shell("echo mine >tree/f; echo own >tree/untracked; mkdir full; echo x >full/x");
    let before = tree(&world.dir.join("tree"));
    let fails = |call: &str, says: &str| {
        let ran = run(&world, call);
        assert!(ran.finish.state == RunPhase::Unwound && ran.error().contains(says), "{says}: {}", ran.error());
    };
    fails("git::checkout(h, D + \"/repo\", D + \"/tree\");", "has changes of its own");
    fails("git::checkout(h, D + \"/repo\", D + \"/full\");", "is no git repository");
    fails("git::checkout(h, D + \"/repo\", D + \"/new\", #{ ref: \"nope\" });", "has no branch or tag nope");
    fails("git::checkout(h, D + \"/repo\", D + \"/new\", #{ reff: \"v1\" });", "has no option reff");
    fails("git::checkout(h, D + \"/it's $HOME\", D + \"/new\");", "it's $HOME");
    fails("git::checkout(h, D + \"/repo\", D + \"/tree\", #{ force: true }); fail(\"late\");", "late");
    assert_eq!(differs(&before, &tree(&world.dir.join("tree"))), None);
    gave(&run(&world, "gave(git::checkout(h, D + \"/repo\", D + \"/tree\", #{ force: true }));"));
    assert_eq!(std::fs::read_to_string(world.dir.join("tree/f")).unwrap(), "2\n");
    assert!(world.dir.join("tree/untracked").exists());
}

#[test]
fn slack_is_told_where_it_comes_from() {
    let world = World::new();
    let script = "import \"std/slack\" as slack;\nslack::deployed(#{ \"a<b\": 1.5 }, #{ to: \"log\" });\nslack::post(\"x\");";
    let ran = world.run(&format!("{}{script}", world.head()), &bare()).unwrap();
    assert_eq!(ran.finish.state, RunPhase::Succeeded, "{}", ran.error());
    let texts: Vec<&str> = ran
        .records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::Started { command, summary, .. } if command.op == "notify" => Some(summary.as_str()),
            _ => None,
        })
        .collect();
    let [deployed, posted] = texts[..] else { panic!("{texts:?}") };
    assert!(
        deployed.starts_with("*box*: :white_check_mark: deployed (run ") && deployed.ends_with("\n• a&lt;b 1.5"),
        "{deployed}"
    );
    assert!(posted.starts_with("*box*: x (run "), "{posted}");
}
