//! `windlass init`: a project that works at once.

use super::args::{Common, InitArgs};
use super::error::{CliError, shown};
use super::printer::Printer;
use super::run::program_name;

/// The files of the templates, by their path within the project.
const QUICKSTART: &[(&str, &str)] = &[
    ("windlass.toml", include_str!("../../examples/quickstart/windlass.toml")),
    ("deploy.rhai", include_str!("../../examples/quickstart/deploy.rhai")),
    ("environments/lab.toml", include_str!("../../examples/quickstart/environments/lab.toml")),
    ("templates/hello.conf", include_str!("../../examples/quickstart/templates/hello.conf")),
    ("templates/hello.service", include_str!("../../examples/quickstart/templates/hello.service")),
    ("src/hello.pl", include_str!("../../examples/quickstart/src/hello.pl")),
    ("build.sh", include_str!("../../examples/quickstart/build.sh")),
    ("README.md", include_str!("../../examples/quickstart/README.md")),
    (".gitignore", "/.windlass/\n/files/\n"),
];

pub(super) fn init(_common: &Common, args: &InitArgs, printer: &Printer) -> Result<u8, CliError> {
    if args.template != "quickstart" {
        return Err(CliError::usage(format!("there is no template `{}`", args.template)).with_help("there is: quickstart"));
    }
    // All of them are looked at before the first is written.
    if let Some((name, _)) = QUICKSTART.iter().find(|(name, _)| args.dir.join(name).exists()) {
        return Err(CliError::input(format!("{} is there already; nothing was written", shown(&args.dir.join(name))))
            .with_help("give an empty directory"));
    }
    for (name, text) in QUICKSTART {
        let path = args.dir.join(name);
        let parent = path.parent().unwrap_or(&args.dir);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| CliError::input(format!("{} cannot be written: {error}", shown(&path))))?;
    }
    printer.say(&format!("made a project in {}", shown(&args.dir)));
    let program = program_name();
    let directory = shown(&args.dir);
    let enter = if directory.is_empty() || directory == "." { String::new() } else { format!("cd {directory} && ") };
    printer.next(&[
        ("build the example's releases", format!("{enter}sh build.sh")),
        ("deploy 1.0 to three hosts", format!("{enter}{program} run --set version=1.0")),
        ("throw the hosts away", format!("{enter}{program} lab down")),
    ]);
    Ok(0)
}
