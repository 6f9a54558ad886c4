//! `std/release`: releases side by side, one link, and an old release that stays as long as anything needs it.

use crate::tree::{differs, tree};
use crate::world::{Ran, World};
use windlass::journal::RunPhase;

/// Deploys `app` to `ROOT`, then does the rest.
fn script(world: &World, options: &str, rest: &str) -> String {
    format!(
        "import \"std/release\" as release;\n{}let app = artifact(\"app\");\nlet root = D + \"/root\";\n\
         let r = release::stage(h, app, #{{ root: root, {options} }});\n\
         gave(#{{ name: r.name, staged: r.staged, activated: r.activate(), current: release::current(h, root) }});\n{rest}",
        world.head()
    )
}

#[track_caller]
fn deploy(world: &World, version: &str, options: &str) -> Ran {
    let ran = world.run_pinned(&script(world, options, ""), version).unwrap();
    assert_eq!(ran.finish.state, RunPhase::Succeeded, "{}", ran.error());
    ran
}

/// What `current` serves.
fn live(world: &World) -> String {
    std::fs::read_to_string(world.dir.join("root/current/VERSION")).unwrap_or_default()
}

fn releases(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.dir.join("root/releases")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// How many steps changed something.
fn changes(ran: &Ran) -> usize {
    let changed = |record: &&windlass::journal::Record| {
        matches!(&record.entry, windlass::journal::Entry::Succeeded { outcome: windlass::step::Outcome::Changed, .. })
    };
    ran.records.iter().filter(changed).count()
}

#[test]
fn versions_come_a_rerun_changes_nothing_and_a_failure_leaves_nothing() {
    let world = World::new();
    let before = tree(&world.dir);
    let failed = world.run_pinned(&script(&world, "links: [\"log\", \"public/uploads\"]", "fail(\"x\");"), "1.0").unwrap();
    assert_eq!(failed.finish.exit, 3, "{}", failed.error());
    assert_eq!(differs(&before, &tree(&world.dir)), None);

    let ran = deploy(&world, "1.0", "");
    let gave = ran.gave().unwrap();
    assert_eq!((&gave["staged"], &gave["activated"], &gave["current"]), (&true.into(), &true.into(), &gave["name"]));
    assert!(gave["name"].as_str().unwrap().starts_with("1.0-"), "{gave}");
    assert_eq!((live(&world).as_str(), releases(&world).len()), ("1.0\n", 1));

    let after = tree(&world.dir);
    assert_eq!(changes(&deploy(&world, "1.0", "")), 0);
    assert_eq!(differs(&after, &tree(&world.dir)), None);

    let failed = world.run_pinned(&script(&world, "keep: 1", "fail(\"x\");"), "1.1").unwrap();
    assert_eq!(failed.finish.exit, 3, "{}", failed.error());
    assert_eq!(differs(&after, &tree(&world.dir)), None);

    deploy(&world, "1.1", "");
    assert_eq!((live(&world).as_str(), releases(&world).len()), ("1.1\n", 2));
    // Back to what is there: nothing is sent, the link is switched.
    assert_eq!(changes(&deploy(&world, "1.0", "")), 1);
    assert_eq!(live(&world), "1.0\n");
}

#[test]
fn pruning_leaves_the_newest_what_runs_and_what_ran() {
    let world = World::new();
    let old = |names: &[(&str, u32)]| {
        for (name, day) in names {
            world.shell(&format!("mkdir -p root/releases/{name}; echo {name} >root/releases/{name}/VERSION; touch -d 2020-01-0{day} root/releases/{name}"));
        }
    };
    old(&[("0.1", 5), ("0.2", 4), ("0.3", 3), ("0.4", 2), ("0.5", 1)]);
    // The oldest runs; it counts as one of those that stay.
    world.shell("ln -s releases/0.5 root/current");
    let before = tree(&world.dir);
    let failed = world.run_pinned(&script(&world, "keep: 3", "fail(\"x\");"), "1.0").unwrap();
    assert_eq!(failed.finish.exit, 3, "{}", failed.error());
    assert_eq!(differs(&before, &tree(&world.dir)), None);

    let name = deploy(&world, "1.0", "keep: 3").gave().unwrap()["name"].as_str().unwrap().to_owned();
    assert_eq!(releases(&world), ["0.1", "0.5", &name]);
    assert_eq!(changes(&deploy(&world, "1.0", "keep: 3")), 0);
    // What ran when the run began stays even when only one is to be kept; the next run takes it.
    world.shell("ln -sfn releases/0.5 root/current");
    deploy(&world, "1.0", "keep: 1");
    assert_eq!(releases(&world), ["0.5", &name]);
    deploy(&world, "1.0", "keep: 1");
    assert_eq!(releases(&world), [name.as_str()]);
    old(&[("0.7", 1), ("0.8", 2)]);
    let prune = format!("import \"std/release\" as release;\n{}gave(release::prune(h, D + \"/root\", 2));", world.head());
    let ran = world.run_pinned(&prune, "1.0").unwrap();
    assert_eq!(ran.gave().unwrap(), serde_json::json!(["0.7"]), "{}", ran.error());
}

#[test]
fn shared_paths_are_one_for_all_releases() {
    let world = World::new();
    world.shell("mkdir -p root/shared; echo secret >root/shared/settings");
    let options = "links: [\"log\", \"public/uploads\", \"VERSION\", \"settings\"]";
    world.shell("echo all >root/shared/VERSION");
    deploy(&world, "1.0", options);
    world.shell(
        "echo line >root/current/log/app.log; echo cat >root/current/public/uploads/cat; grep -qx secret root/current/settings",
    );
    assert_eq!(live(&world), "all\n", "a file of the release gives way");
    deploy(&world, "1.1", options);
    world.shell("grep -qx line root/current/log/app.log; grep -qx cat root/current/public/uploads/cat");
    assert_eq!(changes(&deploy(&world, "1.1", options)), 0);
    let home = format!(
        "import \"std/release\" as release;\n{}release::stage(h, artifact(\"app\"), #{{ root: \"~/app\", links: [\"log\"] }}).activate();",
        world.head()
    );
    let ran = world.run_pinned(&home, "1.0").unwrap();
    assert_eq!(ran.finish.exit, 0, "{}", ran.error());
    assert!(world.home().join("app/current/log").canonicalize().unwrap().ends_with("app/shared/log"));
}

#[test]
fn mistakes_are_told_before_anything_is_changed() {
    let world = World::new();
    for (options, said) in [
        ("kep: 3", "unknown option \"kep\""),
        ("keep: 0", "keep is 0"),
        ("links: [\"/var/log\"]", "no path within a release"),
        ("links: [\"../log\"]", "no path within a release"),
    ] {
        let ran = world.run_pinned(&script(&world, options, ""), "1.0").unwrap();
        assert!(ran.error().contains(said), "{options}: {}", ran.error());
    }
    world.shell("rm -rf root; mkdir -p root/current");
    let ran = world.run_pinned(&script(&world, "", ""), "1.0").unwrap();
    assert!(ran.error().contains("is no link"), "{}", ran.error());
}
