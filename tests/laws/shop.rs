//! A project with builds that work and one that does not, deployed to directories which stand for hosts.

use crate::world::World;
use serde_json::Value;
use std::process::{Command, Output, Stdio};

/// Each host is a directory. The file `ok` of a build says that it works.
pub(crate) const SCRIPT: &str = r#"
let app = artifact("web");
const DIR = param("dir");
let greeting = param("greeting", "hello");
let checks = param("checks", true);
component("web", #{ hosts: hosts("web"), version: app.version, artifact: app });
rolling(hosts("web"), #{ batch: 1, max_failures: 1 }, |h| {
    let d = `${global::DIR}/${h.name}`;
    h.mkdir(d);
    h.upload(app, d + "/build");
    h.template("app.conf", d + "/conf", #{ greeting: greeting, color: vars::color });
    h.upload("files/motd", d + "/motd");
    h.upload("files/tree", d + "/tree", #{ delete: true });
    if checks {
        h.expect_exec(["grep", "-q", "ok", d + "/build"], #{ within: "0s" });
        h.expect_exec(["test", "!", "-e", d + "/sick"], #{ within: "0s" });
    }
});
"#;

/// A project, its builds, and its hosts.
pub(crate) struct Shop {
    pub(crate) world: World,
}

impl Shop {
    /// A project with builds 1.0, 1.1, 1.3 that work, and 1.2 that does not.
    pub(crate) fn new() -> Self {
        let world = World::new();
        let root = world.root();
        std::fs::create_dir_all(root.join("environments")).unwrap();
        std::fs::create_dir_all(root.join("files/tree")).unwrap();
        std::fs::write(root.join("deploy.rhai"), SCRIPT).unwrap();
        let shop = Self { world };
        shop.fleet(&["h1", "h2", "h3"], "");
        for (version, text) in [("0.9", "ok 0.9"), ("1.0", "ok 1.0"), ("1.1", "ok 1.1"), ("1.2", "bad"), ("1.3", "ok 1.3")] {
            shop.file("build", text);
            shop.says(0, &["artifact", "add", "web", version, "build"]);
        }
        shop
    }

    pub(crate) fn file(&self, path: &str, text: &str) {
        std::fs::write(self.world.root().join(path), text).unwrap();
    }

    /// The project's files are those of a version.
    pub(crate) fn checkout(&self, version: &str) {
        self.file("templates/app.conf", &format!("{version} {{{{ greeting }}}} {{{{ color }}}}\n"));
        self.file("files/motd", version);
        self.file("files/tree/leaf", version);
    }

    /// Hosts that are there, and one more that nobody answers for when it is named.
    pub(crate) fn fleet(&self, up: &[&str], down: &str) {
        self.environment("class = \"lab\"", up, down, "red");
    }

    pub(crate) fn environment(&self, head: &str, up: &[&str], down: &str, color: &str) {
        let mut text = format!("{head}\n[vars]\ncolor = \"{color}\"\n");
        for host in up {
            text += &format!("[hosts.{host}]\ntransport = \"local\"\nroles = [\"web\"]\n");
        }
        if !down.is_empty() {
            text += &format!("[hosts.{down}]\naddress = \"127.0.0.1\"\nport = 1\nroles = [\"web\"]\n");
        }
        self.file("environments/box.toml", &text);
    }

    pub(crate) fn windlass(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).args(["--color", "never"]).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.world.home()).env("USER", "laws").current_dir(self.world.root());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What it prints, on both streams; it must end with this code.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, args: &[&str]) -> String {
        let output = self.windlass(args);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "windlass {}: {text}", args.join(" "));
        text
    }

    #[track_caller]
    pub(crate) fn json(&self, code: i32, args: &[&str]) -> Vec<Value> {
        let output = self.windlass(&[args, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn run_with<'a>(&'a self, version: &str, more: &[&'a str]) -> Vec<String> {
        let words = ["run", "-e", "box", "--set"].map(ToOwned::to_owned);
        let given = [format!("dir={}", self.world.dir.display()), "--artifact".to_owned(), format!("web={version}")];
        words.into_iter().chain(given).chain(more.iter().map(ToString::to_string)).collect()
    }

    /// Deploys a version with the files of that version.
    #[track_caller]
    pub(crate) fn deploy(&self, version: &str, code: i32, more: &[&str]) -> String {
        self.checkout(version);
        let words = self.run_with(version, more);
        self.says(code, &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    pub(crate) fn back(&self, code: i32, more: &[&str]) -> String {
        self.says(code, &[&["rollback", "-e", "box"], more].concat())
    }

    /// Everything on a host is of this version.
    #[track_caller]
    pub(crate) fn has(&self, host: &str, version: &str) {
        let read = |name: &str| std::fs::read_to_string(self.world.dir.join(host).join(name)).unwrap();
        let found = [read("build"), read("conf"), read("motd"), read("tree/leaf")];
        let conf = format!("{version} hello red\n");
        assert_eq!(found, [format!("ok {version}"), conf, version.to_owned(), version.to_owned()], "on {host}");
    }

    /// What `status` says of a host: live, known-good, missed.
    pub(crate) fn known(&self, host: &str) -> [String; 3] {
        let status = self.json(0, &["status", "-e", "box"]);
        let hosts = status[0]["components"][0]["hosts"].as_array().unwrap();
        let row = hosts.iter().find(|row| row["host"] == host).unwrap_or_else(|| panic!("{host} is not in {status:?}"));
        ["live", "known_good", "missed"].map(|what| row[what]["version"].as_str().unwrap_or("-").to_owned())
    }
}
