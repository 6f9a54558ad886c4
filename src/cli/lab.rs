//! `windlass lab`: throwaway hosts on this machine.

use super::args::{Common, Format, LabCommand, ServeArgs};
use super::error::{CliError, shown};
use super::lease::refuse_busy;
use super::printer::Printer;
use super::settings::{Labs, environment, executable, lab_directory, lab_error, ledger, project};
use crate::fleet::{Project, environments};
use crate::report::Tone;
use crate::transport::embedded::{self, LabMode, LabOptions, LabReady, LabSession, LabStart, LabStatus, SharedRoot};
use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn lab(common: &Common, command: &LabCommand, printer: &Printer) -> Result<u8, CliError> {
    match command {
        LabCommand::Serve(args) => serve(args),
        LabCommand::Init { spec } => init(spec),
        LabCommand::Up { count, env } => up(&project(common)?, *count, env, printer),
        LabCommand::Down => down(&project(common)?, printer),
        LabCommand::Status => status(&project(common)?, printer),
    }
}

fn up(project: &Project, count: u16, environment: &str, printer: &Printer) -> Result<u8, CliError> {
    if count == 0 {
        return Err(CliError::usage("a lab has at least one host"));
    }
    let directory = lab_directory(project);
    let start =
        embedded::start_detached(&LabOptions::new(executable()?, &directory, count)).map_err(|error| lab_error(&error))?;
    let word = match &start {
        LabStart::Started(_) => "up",
        LabStart::AlreadyUp(_) => "already up",
        LabStart::Grown(_) => "grown",
    };
    printer.say(&format!("lab {word}: {} hosts", start.lab().hosts.len()));
    let file = project.root.join("environments").join(format!("{environment}.toml"));
    if !file.exists() {
        let text = format!(
            "# Throwaway hosts on this machine; they are started when they are needed.\nclass = \"lab\"\nlab = {count}\n\n[hosts.\"h[1:{count}]\"]\nroles = [\"web\"]\n"
        );
        let written = std::fs::create_dir_all(project.root.join("environments")).and_then(|()| std::fs::write(&file, text));
        written.map_err(|error| CliError::input(format!("{} cannot be written: {error}", shown(&file))))?;
        printer.say(&format!("wrote {}", shown(&file)));
    }
    hosts(start.lab(), printer);
    Ok(0)
}

fn down(project: &Project, printer: &Printer) -> Result<u8, CliError> {
    refuse_in_use(project)?;
    let was = embedded::down(&lab_directory(project)).map_err(|error| lab_error(&error))?;
    printer.say(if was { "lab down; its hosts are gone" } else { "no lab was up" });
    Ok(0)
}

/// Refuses while a run is changing an environment that has the lab's hosts.
fn refuse_in_use(project: &Project) -> Result<(), CliError> {
    for name in environments(project)? {
        // One that cannot be read is not run either.
        if !environment(project, &name, Labs::Leave).is_ok_and(|environment| environment.lab.is_some()) {
            continue;
        }
        let ledger = ledger(project)?;
        refuse_busy(project, ledger.as_ref(), &name).map_err(|error| {
            let help = "wait for its end, or stop it (Ctrl-C there): without its hosts it could neither go on nor be undone";
            error.with_help(help)
        })?;
    }
    Ok(())
}

fn status(project: &Project, printer: &Printer) -> Result<u8, CliError> {
    match embedded::status(&lab_directory(project)).map_err(|error| lab_error(&error))? {
        LabStatus::Up(lab) => hosts(&lab, printer),
        LabStatus::Down => printer.say("no lab is up; `windlass lab up 3` starts one"),
        LabStatus::Stale(_) => {
            printer.say("the lab's process has ended; `windlass lab up N` starts it again with its hosts' state");
        }
    }
    Ok(0)
}

fn hosts(lab: &LabReady, printer: &Printer) {
    if printer.format == Format::Json {
        for host in &lab.hosts {
            printer.json(&json!({"host": host.name, "address": host.address.to_string(), "port": host.port, "user": host.user, "identity_file": lab.key, "known_hosts": lab.known_hosts}));
        }
        return;
    }
    printer.data(
        &printer.out_paint.tone(Tone::Strong, &format!("{:<6}  {:<15}  {:>5}  {:<8}  LOG IN", "HOST", "ADDRESS", "PORT", "USER")),
    );
    for host in &lab.hosts {
        let login = format!(
            "ssh -i {} -o UserKnownHostsFile={} -p {} {}@{}",
            shown(&lab.key),
            shown(&lab.known_hosts),
            host.port,
            host.user,
            host.address
        );
        printer.data(&format!("{:<6}  {:<15}  {:>5}  {:<8}  {login}", host.name, host.address.to_string(), host.port, host.user));
    }
}

fn serve(args: &ServeArgs) -> Result<u8, CliError> {
    let mut options = LabOptions::new(executable()?, &args.dir, args.count);
    options.mode = match args.mode.as_deref() {
        None => None,
        Some("namespaces") => Some(LabMode::Namespaces),
        Some("directories") => Some(LabMode::Directories),
        Some(other) => return Err(CliError::usage(format!("`{other}` is no kind of lab"))),
    };
    if args.allow_root {
        options.shared_root = SharedRoot::Allow;
    }
    if args.detached {
        options.session = LabSession::Detached;
    }
    embedded::serve(&options, |_| {}).map_err(|error| lab_error(&error))?;
    Ok(0)
}

pub(super) fn init(spec: &str) -> Result<u8, CliError> {
    embedded::init(spec).map_err(|error| lab_error(&error))?;
    Ok(0)
}

/// In a lab host: `systemctl` and `journalctl`.
pub(super) fn stand_in(argv: &[OsString]) -> ExitCode {
    let run = std::env::var_os("LAB_RUN");
    let output = embedded::stand_in(argv, run.as_deref());
    // Whoever does not read the answer does not need it.
    let _ = std::io::stdout().write_all(output.stdout.as_bytes());
    let _ = std::io::stderr().write_all(output.stderr.as_bytes());
    ExitCode::from(u8::try_from(output.code).unwrap_or(1))
}
