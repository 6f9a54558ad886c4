//! The projects that `windlass init` hands out: the files of `scripts/` and of the quickstart, embedded.

/// A project to start from.
pub(super) struct Template {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is, in a line.
    pub(super) what: &'static str,
    /// Its files, by their path within the project.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// What to type once it is there, and what that does; `windlass` stands for this program.
    pub(super) next: &'static [(&'static str, &'static str)],
}

/// The files of a directory of this repository.
macro_rules! files {
    ($root:literal: $($name:literal)+; $($own:literal = $text:literal)*) => {
        &[$(($name, include_str!(concat!("../../", $root, "/", $name))),)+ $(($own, $text),)*]
    };
}

const DEPLOY: &[(&str, &str)] = &[
    ("build the example's releases", "sh build.sh"),
    ("keep one of them", "windlass artifact add hello 1.0 build/1.0"),
    ("deploy it", "windlass run --artifact hello=1.0"),
    ("throw the hosts away", "windlass lab down"),
];

/// All of them, the usual one first.
pub(super) const TEMPLATES: &[Template] = &[
    Template {
        name: "quickstart",
        what: "a small service on three throwaway hosts, in one page of script",
        files: files!("examples/quickstart":
            "windlass.toml" "deploy.rhai" "environments/lab.toml" "templates/hello.conf" "templates/hello.service" "src/hello.pl"
            "build.sh" "README.md"; ".gitignore" = "/.windlass/\n/files/\n"),
        next: &[
            ("build the example's releases", "sh build.sh"),
            ("deploy 1.0 to three hosts", "windlass run --set version=1.0"),
            ("throw the hosts away", "windlass lab down"),
        ],
    },
    Template {
        name: "single",
        what: "one host: artifacts, releases side by side, a health check",
        files: files!("scripts/single":
            "windlass.toml" "deploy.rhai" "environments/lab.toml" "environments/single-box.toml" "environments/production.toml"
            "templates/hello.conf" "templates/hello.service" "src/hello.pl" "build.sh" "README.md";
            ".gitignore" = "/.windlass/\n/build/\n"),
        next: DEPLOY,
    },
    Template {
        name: "rolling",
        what: "web hosts in batches: artifacts, releases side by side, health checks, pruning",
        files: files!("scripts/rolling":
            "windlass.toml" "deploy.rhai" "environments/lab.toml" "environments/single-box.toml" "environments/production.toml"
            "templates/hello.conf" "templates/hello.service" "src/hello.pl" "build.sh" "README.md";
            ".gitignore" = "/.windlass/\n/build/\n"),
        next: DEPLOY,
    },
];
