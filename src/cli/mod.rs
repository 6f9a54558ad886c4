//! The command line: arguments to settings, settings to one function a command, and what it returns to an exit code.
//! The only room that prints.

mod args;
mod artifact;
mod change_control;
mod check;
mod components;
mod confirm;
mod ending;
mod error;
mod held;
mod history;
mod init;
mod lab;
mod lease;
mod left;
mod lock_file;
mod parse;
mod people;
mod pins;
mod predict;
mod printer;
mod reader;
mod rollback;
mod run;
mod settings;
mod show;
mod signals;
mod simulated;
mod status;
mod table;
mod take_up;
mod templates;
mod test;
mod verify;

pub use args::Cli;
pub use error::CliError;

use crate::transport::embedded;
use args::{Command, LabCommand};
use clap::{CommandFactory, Parser};
use printer::Printer;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command that these words ask for.
#[must_use]
pub fn main(argv: Vec<OsString>) -> ExitCode {
    // In a lab host this executable stands in for systemctl and journalctl.
    if argv.first().is_some_and(|name| embedded::is_stand_in(name)) {
        return lab::stand_in(&argv);
    }
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let printer = Printer::new(&cli.common);
    printer.start_tracing();
    let result = match &cli.command {
        Command::Run(args) => run::run(&cli.common, args, &printer),
        Command::Plan(args) => predict::plan(&cli.common, args, &printer),
        Command::DryRun(args) => predict::dry_run(&cli.common, args, &printer),
        Command::Test(args) => test::test(&cli.common, args, &printer),
        Command::Check(args) => check::check(&cli.common, args, &printer),
        Command::Resume(args) => take_up::resume(&cli.common, args, &printer),
        Command::Unwind(args) => take_up::unwind(&cli.common, args, &printer),
        Command::Settle(args) => take_up::settle(&cli.common, args, &printer),
        Command::Lock(args) => change_control::lock(&cli.common, args, &printer),
        Command::Unlock(args) => change_control::unlock(&cli.common, args, &printer),
        Command::Freeze(args) => change_control::freeze(&cli.common, args, &printer),
        Command::Thaw(args) => change_control::thaw(&cli.common, args, &printer),
        Command::Rollback(args) => rollback::rollback(&cli.common, args, &printer),
        Command::Status(args) => status::status(&cli.common, args, &printer),
        Command::History(args) => history::history(&cli.common, args, &printer),
        Command::Show(args) => show::show(&cli.common, args, &printer),
        Command::Init(args) => init::init(&cli.common, args, &printer),
        Command::Artifact(command) => artifact::artifact(&cli.common, command, &printer),
        Command::Lab(LabCommand::Init { spec }) => lab::init(spec),
        Command::Lab(command) => lab::lab(&cli.common, command, &printer),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "windlass", &mut std::io::stdout());
            Ok(0)
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.code)
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help and version are no errors, and go to standard output.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
