//! What only its owner may read is in no journal, and so in no report that is made of one.

use crate::world::{World, bare};

#[test]
fn what_only_its_owner_may_read_is_in_no_record() {
    let calls = [
        "h.write(D + \"/key\", \"hidden new\\n\", #{ mode: \"0600\" });",
        "h.write(D + \"/old\", \"hidden new\\n\");",
        "h.line(D + \"/old\", #{ line: \"hidden line\" });",
        "h.template(\"app.conf\", D + \"/old\", #{ port: \"hidden\" });",
    ];
    for world in [World::new(), World::in_memory()] {
        for call in calls {
            world.shell("umask 077; echo hidden old >old; rm -f key");
            let ran = world.run(&format!("{}{call}", world.head()), &bare()).unwrap();
            assert_eq!(ran.finish.exit, 0, "{call}: {}", ran.error());
            let shown = ran.records.iter().find(|record| {
                let text = serde_json::to_string(record).unwrap();
                text.contains("\"diff\"") || text.contains("hidden old") || text.contains("hidden new")
            });
            assert!(shown.is_none(), "{call}: {shown:?}");
        }
        world.shell("umask 022; rm -f old; echo plain >old");
        let ran = world.run(&format!("{}h.write(D + \"/old\", \"other\\n\");", world.head()), &bare()).unwrap();
        assert!(
            ran.records.iter().any(|record| serde_json::to_string(record).unwrap().contains("+other")),
            "what all may read is shown"
        );
    }
}
