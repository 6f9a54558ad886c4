//! The words of the command line.

use crate::artifact::{ArtifactName, Version};
use crate::id::{RunId, StepKey};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

pub(super) use super::parse::Answer;
use super::parse::{parse_answer, parse_crash, parse_pair, parse_pin, parse_run, parse_step};

/// Deploys services to Linux servers over SSH: one Rhai script, rehearsed, and run unchanged.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, propagate_version = true, disable_help_subcommand = true, max_term_width = 110)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The project's directory; the nearest one with a windlass.toml otherwise
    #[arg(short = 'C', long, value_name = "DIR", global = true)]
    pub project: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub format: Format,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,
    /// Say more: once for differences, twice for what developers want to know
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// Text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One object a line, for programs
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the deploy script against an environment
    Run(RunArgs),
    /// Predict a run on a fleet in memory; no host is spoken to
    Plan(PlanArgs),
    /// Predict a run by looking at the hosts, without changing any
    DryRun(DryRunArgs),
    /// Try the script against everything that can go wrong, on a fleet in memory
    Test(TestArgs),
    /// Find mistakes in the script without touching any host
    Check(CheckArgs),
    /// Go on with a run that was interrupted or killed
    Resume(ResumeArgs),
    /// Undo what an unfinished run changed
    Unwind(UnwindArgs),
    /// Undo what is owed on hosts that could not be reached
    Settle(SettleArgs),
    /// Keep runs away from an environment until it is unlocked
    Lock(LockArgs),
    /// Let runs begin again; or take the lock from a run whose process hangs or is gone
    Unlock(UnlockArgs),
    /// Let nothing new begin; unfinished runs may be brought to their end
    Freeze(FreezeArgs),
    /// End a freeze
    Thaw(ThawArgs),
    /// Make an earlier known-good release live again: a new run of the script that made it, as it was then
    Rollback(RollbackArgs),
    /// Show what is live and known-good where, unfinished runs, locks and debts, each with its next command
    Status(StatusArgs),
    /// List past runs
    History(HistoryArgs),
    /// Show one run: its steps, differences and end
    Show(ShowArgs),
    /// Make a project that works at once
    Init(InitArgs),
    /// Built bundles: add, list, check and clean up
    #[command(subcommand)]
    Artifact(ArtifactCommand),
    /// Throwaway hosts on this machine to rehearse on
    #[command(subcommand)]
    Lab(LabCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What is run.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// The script; windlass.toml names the usual one
    pub script: Option<PathBuf>,
    /// The environment, as in environments/NAME.toml
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
    /// A parameter of the script
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub set: Vec<(String, String)>,
    /// Which version of an artifact to deploy
    #[arg(long = "artifact", value_name = "NAME=VERSION", value_parser = parse_pin)]
    pub artifacts: Vec<(ArtifactName, Version)>,
    /// Only these hosts; an error when it matches none
    #[arg(long, value_name = "SELECTOR")]
    pub limit: Option<String>,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// What is run.
    #[command(flatten)]
    pub selection: Selection,
    /// Do not ask before a production environment is changed
    #[arg(short, long)]
    pub yes: bool,
    /// Do what this plan says, and nothing else: a document of `dry-run --out`. What is not given is taken from it
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// How it works on the hosts.
    #[command(flatten)]
    pub perform: PerformArgs,
}

/// What all have in common that change hosts.
#[derive(Debug, Clone, Args)]
pub struct PerformArgs {
    /// Ask for the password that sudo wants on the hosts, once
    #[arg(short = 'K', long)]
    pub ask_sudo_password: bool,
    /// The answer to a question that the script asks
    #[arg(long = "answer", value_name = "NAME=VALUE", value_parser = parse_answer)]
    pub answers: Vec<Answer>,
    /// Also change what this unfinished run of another ledger has changed: its own undoing is not to be counted on then
    #[arg(long, value_name = "RUN", value_parser = parse_run)]
    pub beside: Vec<RunId>,
    /// For tests: be killed at a record of the journal, as in 12 or before:12
    #[arg(long, hide = true, value_parser = parse_crash)]
    pub crash_at: Option<crate::run::Crash>,
}

/// What `plan` and `dry-run` have in common.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// What is predicted.
    #[command(flatten)]
    pub selection: Selection,
    /// The answer to a question that the script asks
    #[arg(long = "answer", value_name = "NAME=VALUE", value_parser = parse_answer)]
    pub answers: Vec<Answer>,
    /// Write the prediction as JSON, too: `run --plan FILE` is held to it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the prediction as a page for a browser, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// End with exit code 1 when something had to be assumed
    #[arg(long)]
    pub strict: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What is predicted.
    #[command(flatten)]
    pub predict: PredictArgs,
    /// What the fleet in memory is to be like; world.toml of the project when it is there
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Begin with hosts on which no run has made anything live, whatever the ledger says
    #[arg(long)]
    pub fresh: bool,
}

/// `dry-run`.
#[derive(Debug, Args)]
pub struct DryRunArgs {
    /// What is predicted.
    #[command(flatten)]
    pub predict: PredictArgs,
    /// Ask for the password that sudo wants on the hosts, once
    #[arg(short = 'K', long)]
    pub ask_sudo_password: bool,
}

/// `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// What is tested.
    #[command(flatten)]
    pub selection: Selection,
    /// The answer to a question that the script asks
    #[arg(long = "answer", value_name = "NAME=VALUE", value_parser = parse_answer)]
    pub answers: Vec<Answer>,
    /// What the fleet in memory is to be like; world.toml of the project when it is there
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// A parameter of the run that is live before
    #[arg(long = "live-set", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub live_set: Vec<(String, String)>,
    /// Which version of an artifact is live before; another one of the store otherwise
    #[arg(long = "live-artifact", value_name = "NAME=VERSION", value_parser = parse_pin)]
    pub live_artifacts: Vec<(ArtifactName, Version)>,
    /// Only from hosts on which nothing is deployed, or only from those where something is live
    #[arg(long, value_enum)]
    pub from: Option<TestStart>,
    /// Only these faults, by name, with commas between
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub faults: Vec<String>,
    /// Also on each of the hosts that do the same
    #[arg(long)]
    pub all_hosts: bool,
    /// Only single faults: none while another one is undone or taken up
    #[arg(long)]
    pub single: bool,
    /// Try so many pairs of faults, too, drawn by chance
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub pairs: u32,
    /// What the pairs are drawn by: the same number draws the same pairs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Play one scenario, by the name that a breach gives, and show every moment of it
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Write the findings as a page for a browser, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the findings as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// End with exit code 1 when something is not covered
    #[arg(long)]
    pub strict: bool,
}

/// What a fault test begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestStart {
    /// Hosts on which nothing is deployed
    Fresh,
    /// Hosts on which something is live
    Live,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What is checked.
    #[command(flatten)]
    pub selection: Selection,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// What is taken up.
    #[command(flatten)]
    pub take_up: TakeUpArgs,
    /// Go on though somebody has changed what the run made on the hosts
    #[arg(long)]
    pub accept_drift: bool,
    /// A step in doubt took effect; as in 'main/3.rolling/web2#5'
    #[arg(long, value_name = "STEP", value_parser = parse_step)]
    pub assume_done: Vec<StepKey>,
    /// A step in doubt is to be done again
    #[arg(long, value_name = "STEP", value_parser = parse_step)]
    pub again: Vec<StepKey>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Go on with a mended script: it must ask for the same as all that was done
    #[arg(long, value_name = "SCRIPT")]
    pub with: Option<PathBuf>,
}

/// What `resume` and `unwind` take.
#[derive(Debug, Args)]
pub struct TakeUpArgs {
    /// The run's name, or a part of it that no other run has
    pub run: String,
    /// How it works on the hosts.
    #[command(flatten)]
    pub perform: PerformArgs,
}

/// `unwind`.
#[derive(Debug, Args)]
pub struct UnwindArgs {
    /// What is taken up.
    #[command(flatten)]
    pub take_up: TakeUpArgs,
    /// Put back what was there, also where somebody has changed what the run made
    #[arg(long)]
    pub accept_drift: bool,
    /// Leave out what could not be undone the last time: somebody has seen to it
    #[arg(long, value_name = "REASON")]
    pub skip: Option<String>,
    /// Only this step, with --skip; all that could not be undone otherwise
    #[arg(long, value_name = "STEP", value_parser = parse_step, requires = "skip")]
    pub step: Vec<StepKey>,
    /// A step that could not be undone has been undone by hand; as in 'main/3.rolling/web2#5'
    #[arg(long, value_name = "STEP", value_parser = parse_step, conflicts_with = "skip")]
    pub mark_done: Vec<StepKey>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "", requires = "mark_done")]
    pub reason: String,
}

/// `settle`.
#[derive(Debug, Args)]
pub struct SettleArgs {
    /// The run that owes; every one that does otherwise
    pub run: Option<String>,
    /// Do not undo what is owed: somebody has seen to it, or the host is gone for good
    #[arg(long, value_name = "REASON", requires = "run")]
    pub drop: Option<String>,
    /// Ask for the password that sudo wants on the hosts, once
    #[arg(short = 'K', long)]
    pub ask_sudo_password: bool,
}

/// `lock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// The environment
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
    /// Why; whoever is refused reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// The environment
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
    /// Take the lock from the run that has it: its process is refused from then on
    #[arg(long, requires = "reason")]
    pub take_over: bool,
    /// Why it is taken over; the run that loses it says so
    #[arg(long, value_name = "TEXT", requires = "take_over")]
    pub reason: Option<String>,
    /// Do not ask before the lock of a production environment is taken over
    #[arg(short, long, requires = "take_over")]
    pub yes: bool,
}

/// `freeze`.
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// Only this environment; all of the project otherwise
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
    /// Why; whoever is refused reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// When it ends by itself: 2026-12-24T18:00Z, or how long, as in 36h
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `thaw`.
#[derive(Debug, Args)]
pub struct ThawArgs {
    /// The freeze of this environment; that of the whole project otherwise
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
}

/// `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The environment, as in environments/NAME.toml
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
    /// The component; need not be said when there is one
    #[arg(long, value_name = "NAME")]
    pub component: Option<ArtifactName>,
    /// The version to go to; the one before what is live otherwise
    #[arg(long, value_name = "VERSION")]
    pub to: Option<Version>,
    /// Only these hosts; an error when it matches none
    #[arg(long, value_name = "SELECTOR")]
    pub limit: Option<String>,
    /// Take along hosts that never had that version; they are left as they are otherwise
    #[arg(long)]
    pub also_missing: bool,
    /// Do not ask before a production environment is changed
    #[arg(short, long)]
    pub yes: bool,
    /// How it works on the hosts.
    #[command(flatten)]
    pub perform: PerformArgs,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this environment
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
}

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only this environment
    #[arg(short, long, value_name = "NAME")]
    pub env: Option<String>,
    /// How many runs
    #[arg(short = 'n', long, default_value_t = 20)]
    pub most: usize,
}

/// `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The run's name, or a part of it that no other run has; the last run otherwise
    pub run: Option<String>,
    /// Compute the journal's hash chain anew, and hold it against what the run's hosts kept; exit code 1 when something is wrong
    #[arg(long)]
    pub verify: bool,
    /// Ask for the password that sudo wants on the hosts, once
    #[arg(short = 'K', long, requires = "verify")]
    pub ask_sudo_password: bool,
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory of the new project
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Which project to start from
    #[arg(long, value_name = "NAME", default_value = "quickstart")]
    pub template: String,
    /// Only list the templates
    #[arg(long)]
    pub list: bool,
}

/// `artifact`.
#[derive(Debug, Subcommand)]
pub enum ArtifactCommand {
    /// Keep a file or directory as a version of an artifact
    Add {
        /// What it is called, as in shop-web
        name: ArtifactName,
        /// Which build of it, as in 1.4.2; it means this content for ever
        #[arg(value_name = "VERSION")]
        build: Version,
        /// A file, kept as it is; or a directory, which is packed by tar and gzip
        path: PathBuf,
    },
    /// List what is kept
    List {
        /// Only this artifact
        name: Option<ArtifactName>,
    },
    /// Show an artifact: its versions, or one of them in full
    Show {
        /// What it is called
        name: ArtifactName,
        /// Which build of it
        #[arg(value_name = "VERSION")]
        build: Option<Version>,
    },
    /// Hash everything again; exit code 1 when something is damaged
    Verify,
    /// Take a version away
    Drop {
        /// What it is called
        name: ArtifactName,
        /// Which build of it
        #[arg(value_name = "VERSION")]
        build: Version,
        /// Even when a run needs it
        #[arg(long)]
        force: bool,
    },
    /// Take old versions away, but nothing that runs or that an unfinished run needs
    Gc {
        /// How many of the newest versions of each artifact stay
        #[arg(long, value_name = "N", default_value_t = 5)]
        keep: usize,
        /// Only say what would go
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
}

/// `lab`.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Start N hosts and write an environment for them
    Up {
        /// How many
        count: u16,
        /// The environment to write, when it is not there yet
        #[arg(short, long, default_value = "lab")]
        env: String,
    },
    /// End the hosts and throw their state away
    Down,
    /// Show the hosts
    Status,
    /// Be the lab
    #[command(hide = true)]
    Serve(ServeArgs),
    /// Be a host's first process
    #[command(hide = true)]
    Init {
        /// What it is told
        spec: String,
    },
}

/// `lab serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The lab's directory.
    #[arg(long)]
    pub dir: PathBuf,
    /// How many hosts.
    #[arg(long)]
    pub count: u16,
    /// namespaces or directories.
    #[arg(long)]
    pub mode: Option<String>,
    /// Allow hosts without a file system of their own to root.
    #[arg(long)]
    pub allow_root: bool,
    /// Leave the caller's session.
    #[arg(long)]
    pub detached: bool,
}
