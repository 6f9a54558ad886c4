//! What another run left beside a path, at the very same step: it is not taken for this run's own, and it stays as it is. And what
//! cannot be put back keeps nothing else from being put back.

use crate::effects::never_forgetting;
use crate::tree::{differs, tree};
use crate::world::{World, bare};
use windlass::journal::RunPhase;

/// A call, what is there before each of its two runs, and whether the first one leaves something beside the path.
const CALLS: [(&str, &str, &str); 5] = [
    ("h.remove(D + \"/a\")", "mkdir a; echo older >a/f", "mkdir a; echo today >a/f"),
    ("h.unpack(D + \"/new.tar\", D + \"/a\")", OLD_RELEASE, NEW_RELEASE),
    ("h.upload(\"files\", D + \"/a\")", "mkdir a; echo older >a/hello.txt", "echo today >a/hello.txt; echo more >a/more"),
    ("h.upload(\"files\", D + \"/a\", #{ delete: true })", "mkdir a; echo older >a/x", "echo today >a/x; rm a/hello.txt"),
    ("h.write(D + \"/a\", \"new\", #{ validate: \"grep -q new %s\" })", "echo older >a", "echo today >a"),
];

const OLD_RELEASE: &str = "mkdir x a; echo 1 >x/f; tar -cf old.tar x; echo 2 >x/f; tar -cf new.tar x; rm -r x; \
    echo older >a/f; echo 'none 0 none' >a/.windlass-unpacked";
const NEW_RELEASE: &str = "rm -r a; mkdir a; echo today >a/f; echo 'other 0 other' >a/.windlass-unpacked";

fn left(tree: &str) -> Vec<&str> {
    tree.lines().filter(|line| line.contains("/.wl-")).collect()
}

#[test]
fn leave_what_another_run_left_alone() {
    for (call, older, today) in CALLS {
        let world = World::new();
        let script = |rest: &str| format!("{}{call};\n{rest}", world.head());
        world.shell(older);
        let first = world.run(&script(""), &never_forgetting()).unwrap();
        assert_eq!(first.finish.state, RunPhase::Succeeded, "{call}: {}", first.error());
        world.shell(today);
        let before = tree(&world.dir);
        let second = world.run(&script("fail(\"x\");"), &bare()).unwrap();
        assert_eq!(second.finish.state, RunPhase::Unwound, "{call}: {}", second.error());
        assert_eq!(differs(&before, &tree(&world.dir)), None, "{call}");
        let third = world.run(&script(""), &bare()).unwrap();
        assert_eq!(third.finish.state, RunPhase::Succeeded, "{call}: {}", third.error());
        assert_eq!(left(&before), left(&tree(&world.dir)), "{call}");
    }
}

#[test]
fn files_behind_one_that_cannot_be_put_back_are_put_back() {
    let world = World::new();
    world.shell("echo old >a; echo old >b; ln -s old l; mkdir d; echo old >d/f");
    let script = format!(
        "{}h.write(D + \"/d/f\", \"new\"); h.symlink(\"new\", D + \"/l\"); h.write(D + \"/a\", \"new\"); h.write(D + \"/b\", \"new\");
         h.run(`rm ${{D}}/b && mkdir ${{D}}/b`); fail(\"x\");",
        world.head()
    );
    let ran = world.run(&script, &bare()).unwrap();
    assert_eq!((ran.finish.state, ran.finish.exit, ran.finish.stuck.len()), (RunPhase::Stuck, 4, 1), "{}", ran.error());
    world.shell("test \"$(cat a d/f)\" = \"$(printf 'old\\nold')\" && test \"$(readlink l)\" = old && test -d b");
}
