//! The hash chain: whatever is done to a journal behind the ledger's back shows, by the chain itself or by what a host kept of it.

use crate::crash::{windlass, world};
use crate::lease::{begun, old, open};
use crate::world::World;
use std::path::Path;
use windlass::effect::Anchor;
use windlass::id::{Digest, RunId};
use windlass::ledger::{Against, Altered, Chain, Ledger, Link, SqliteLedger};

/// The longest run of the old ledger.
fn links() -> (RunId, Vec<Link>) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = old(directory.path());
    let row = ledger.runs(None, 9).unwrap().into_iter().max_by_key(|row| row.records).unwrap();
    let links = ledger.links(&row.id).unwrap();
    (row.id, links)
}

/// The chain computed anew over other bodies, as somebody does who knows how.
fn forged(run: &RunId, bodies: &[String]) -> Vec<Link> {
    let mut head = Digest::of(run.as_str().as_bytes());
    let link = |(seq, body): (u64, &String)| {
        head = Digest::of(format!("{head}\n{body}").as_bytes());
        Link { seq, body: body.clone(), hash: head.to_string() }
    };
    (1..).zip(bodies).map(link).collect()
}

#[test]
fn a_record_that_is_altered_left_out_or_moved_is_named() {
    let (run, links) = links();
    assert!(Chain::verify(&run, &links).is_ok());
    assert_eq!(Chain::verify(&RunId::parse("another").unwrap(), &links).unwrap_err(), Altered { record: 1 });
    for at in 0..links.len() {
        let record = at as u64 + 1;
        let verdict = |change: &dyn Fn(&mut Vec<Link>)| {
            let mut changed = links.clone();
            change(&mut changed);
            Chain::verify(&run, &changed).err()
        };
        assert_eq!(verdict(&|links| links[at].body.push(' ')), Some(Altered { record }));
        assert_eq!(verdict(&|links| links[at].hash = Digest::of(b"x").to_string()), Some(Altered { record }));
        assert_eq!(verdict(&|links| links[at].seq += 1), Some(Altered { record }));
        // Without its last record it is a shorter chain that holds: that is what anchors are for.
        let left_out = (at + 1 < links.len()).then_some(Altered { record });
        assert_eq!(verdict(&|links| drop(links.remove(at))), left_out);
        if at + 1 < links.len() {
            assert_eq!(verdict(&|links| links.swap(at, at + 1)), Some(Altered { record }));
        }
    }
}

#[test]
fn an_anchor_tells_a_shorter_a_longer_and_a_rewritten_chain() {
    let (run, links) = links();
    let whole = Chain::verify(&run, &links).unwrap();
    let anchor = Anchor { records: whole.records(), head: whole.head().unwrap().clone() };
    assert_eq!(whole.against(&anchor), Against::Same);
    for kept in 0..links.len() {
        let short = Chain::verify(&run, &links[..kept]).unwrap();
        assert_eq!(short.against(&anchor), Against::Truncated);
        let earlier = Anchor { records: kept as u64, head: short.head().unwrap().clone() };
        assert_eq!(whole.against(&earlier), Against::Longer((links.len() - kept) as u64));
        let mut bodies: Vec<String> = links.iter().map(|link| link.body.clone()).collect();
        bodies[kept].push(' ');
        let rewritten = Chain::verify(&run, &forged(&run, &bodies)).unwrap();
        assert_eq!(rewritten.against(&anchor), Against::Rewritten, "from record {}", kept + 1);
    }
}

#[test]
fn what_a_ledger_writes_is_a_chain() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let stored = World::new().stored("log(\"x\");").unwrap();
    let run = begun(&ledger, &stored);
    let chain = Chain::verify(&run, &ledger.links(&run).unwrap()).unwrap();
    assert_eq!((chain.records(), ledger.runs(None, 1).unwrap()[0].records), (4, 4));
}

fn tamper(world: &World, sql: &str) {
    let ledger = rusqlite::Connection::open(world.root().join(".windlass/ledger.db")).unwrap();
    ledger.execute_batch(sql).unwrap();
}

/// What `show --verify` says, and its exit code.
fn verified(world: &World) -> (Option<i32>, String) {
    let output = windlass(world, &["show", "--verify"]);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn anchors(home: &Path) -> std::path::PathBuf {
    let kept: Vec<_> = std::fs::read_dir(home.join(".windlass/ledgers")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    kept[0].join("anchors")
}

#[test]
fn show_verify_tells_what_was_done_to_a_journal() {
    let world = world();
    let dir = format!("dir={}", world.dir.display());
    let output = windlass(&world, &["run", "-e", "box", "--set", &dir]);
    assert!(output.status.success(), "{output:?}");
    let ledger = SqliteLedger::open(&world.root().join(".windlass/ledger.db")).unwrap();
    let row = ledger.runs(None, 1).unwrap().remove(0);
    let links = ledger.links(&row.id).unwrap();
    let (records, head) = (row.records, &links.last().unwrap().hash);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("journal head {head}")), "the head is printed at the end: {said}");
    drop(ledger);

    let (code, said) = verified(&world);
    assert!(code == Some(0) && said.contains("intact") && said.contains("3 anchors agree"), "{code:?} {said}");

    let db = world.root().join(".windlass/ledger.db");
    tamper(&world, "pragma wal_checkpoint(truncate)");
    let good = std::fs::read(&db).unwrap();
    let cases = [
        ("update journal set body = body || ' ' where seq = 7".to_owned(), "altered at record 7".to_owned()),
        (format!("delete from journal where seq = {records}"), format!("truncated: the ledger's list of runs says {records}")),
        (
            format!("delete from journal where seq = {records}; update runs set records = {}", records - 1),
            format!("truncated: the anchor on h1 says {records} records, the ledger has {}", records - 1),
        ),
    ];
    for (sql, wanted) in cases {
        tamper(&world, &sql);
        tamper(&world, "pragma wal_checkpoint(truncate)");
        let (code, said) = verified(&world);
        assert!(code == Some(1) && said.contains(&wanted), "{sql}: {code:?} {said}");
        std::fs::write(&db, &good).unwrap();
    }

    // Rewritten with a chain that holds: only the hosts know.
    let mut bodies: Vec<String> = links.iter().map(|link| link.body.clone()).collect();
    *bodies.last_mut().unwrap() += " ";
    for link in forged(&row.id, &bodies) {
        let body = link.body.replace('\'', "''");
        tamper(&world, &format!("update journal set body = '{body}', hash = '{}' where seq = {}", link.hash, link.seq));
    }
    let (code, said) = verified(&world);
    let wanted = format!("altered at or before record {records}: the anchor on h1 has the head {head} there");
    assert!(code == Some(1) && said.contains(&wanted), "{code:?} {said}");
    tamper(&world, "pragma wal_checkpoint(truncate)");
    std::fs::write(&db, &good).unwrap();

    // The hosts kept nothing: what that leaves open is said.
    std::fs::remove_file(anchors(&world.home())).unwrap();
    let (code, said) = verified(&world);
    assert!(code == Some(0) && said.contains("no host's anchor could be held against it"), "{code:?} {said}");
}
