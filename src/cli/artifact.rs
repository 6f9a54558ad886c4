//! `windlass artifact`: the store of built bundles.

use super::args::{ArtifactCommand, Common, Format};
use super::error::{CliError, shown};
use super::printer::Printer;
use super::settings::{ledger, ledger_place, project, store, who};
use crate::artifact::{
    Added, Artifact, ArtifactError, ArtifactName, DirectoryStore, Incoming, Retention, Store, Version, superfluous,
};
use crate::fleet::Project;
use crate::id::RunId;
use crate::ledger::{Protected, SqliteLedger, protected};
use crate::report::{Paint, Tone, clock, size};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn artifact(common: &Common, command: &ArtifactCommand, printer: &Printer) -> Result<u8, CliError> {
    let project = project(common)?;
    let store = store(&project)?;
    match command {
        ArtifactCommand::Add { name, build, path } => add(&store, name, build, path, printer),
        ArtifactCommand::List { name } => list(&store, name.as_ref(), printer),
        ArtifactCommand::Show { name, build: None } => list(&store, Some(name), printer),
        ArtifactCommand::Show { name, build: Some(version) } => show(&project, &store, name, version, printer),
        ArtifactCommand::Verify => verify(&store, printer),
        ArtifactCommand::Drop { name, build, force } => {
            let forced = if *force { Forced::Yes } else { Forced::No };
            drop_one(&project, &store, (name, build), forced, printer)
        }
        ArtifactCommand::Gc { keep, dry_run } => {
            let doing = if *dry_run { Doing::Saying } else { Doing::Removing };
            collect(&project, &store, *keep, doing, printer)
        }
    }
}

#[derive(PartialEq, Eq)]
enum Forced {
    Yes,
    No,
}

#[derive(PartialEq, Eq)]
enum Doing {
    Saying,
    Removing,
}

fn add(store: &DirectoryStore, name: &ArtifactName, version: &Version, path: &Path, printer: &Printer) -> Result<u8, CliError> {
    let added = store.add(&Incoming { name: name.clone(), version: version.clone(), path, at: now(), by: who() })?;
    let artifact = added.artifact();
    let new = matches!(added, Added::New(_));
    match printer.format {
        Format::Json => printer.json(&json!({ "added": new, "artifact": artifact })),
        Format::Text => {
            let word = if new { "added" } else { "already there:" };
            let (size, digest) = (size(artifact.size), artifact.digest.short());
            printer.say(&format!("{word} {name} {version}, {}, {size}, sha256 {digest}", artifact.form.word()));
        }
    }
    Ok(0)
}

fn list(store: &DirectoryStore, name: Option<&ArtifactName>, printer: &Printer) -> Result<u8, CliError> {
    let all = store.list()?;
    let chosen: Vec<&Artifact> = all.iter().filter(|artifact| name.is_none_or(|name| artifact.name == *name)).collect();
    if let Some(name) = name.filter(|_| chosen.is_empty()) {
        return Err(no_name(name, &all).into());
    }
    match printer.format {
        Format::Json => chosen.iter().for_each(|artifact| printer.json(&json!(artifact))),
        Format::Text if chosen.is_empty() => {
            printer.say("the store is empty; windlass artifact add NAME VERSION PATH puts something into it");
        }
        Format::Text => table(&chosen, printer.out_paint).iter().for_each(|line| printer.data(line)),
    }
    Ok(0)
}

/// Artifacts as aligned lines under a heading.
fn table(artifacts: &[&Artifact], paint: Paint) -> Vec<String> {
    let width = |of: &dyn Fn(&Artifact) -> usize, heading: &str| {
        artifacts.iter().map(|artifact| of(artifact)).max().unwrap_or(0).max(heading.len())
    };
    let name = width(&|artifact| artifact.name.as_str().len(), "NAME");
    let version = width(&|artifact| artifact.version.as_str().len(), "VERSION");
    let heading = format!(
        "{:<name$}  {:<version$}  {:>9}  {:<9}  {:<12}  {:<19}  BY",
        "NAME", "VERSION", "SIZE", "FORM", "SHA256", "ADDED (UTC)"
    );
    let line = |artifact: &&Artifact| {
        format!(
            "{:<name$}  {:<version$}  {:>9}  {:<9}  {:<12}  {:<19}  {}",
            artifact.name,
            artifact.version,
            size(artifact.size),
            artifact.form.word(),
            artifact.digest.short(),
            clock(artifact.added),
            artifact.by
        )
    };
    std::iter::once(paint.tone(Tone::Strong, &heading)).chain(artifacts.iter().map(line)).collect()
}

fn show(
    project: &Project,
    store: &DirectoryStore,
    name: &ArtifactName,
    version: &Version,
    printer: &Printer,
) -> Result<u8, CliError> {
    let artifact = find(store, name, version)?;
    let place = store.fetch(name, version, &artifact.digest);
    let needed = needed(project, store)?.artifacts.contains(&artifact.digest);
    if printer.format == Format::Json {
        let place = place.ok().map(|path| path.display().to_string());
        printer.json(&json!({ "artifact": artifact, "needed": needed, "place": place }));
        return Ok(0);
    }
    let lines = [
        ("artifact", format!("{name} {version}")),
        ("form", artifact.form.word().to_owned()),
        ("sha256", artifact.digest.to_string()),
        ("size", format!("{} ({} bytes)", size(artifact.size), artifact.size)),
        ("added", format!("{} UTC by {}", clock(artifact.added), artifact.by)),
        (
            "needed",
            if needed {
                "yes: something that is live, known-good or unfinished has it".to_owned()
            } else {
                "by no run".to_owned()
            },
        ),
        ("content", place.map_or_else(|error| error.to_string(), |path| path.display().to_string())),
    ];
    lines.iter().for_each(|(what, text)| printer.data(&format!("{what:<9} {text}")));
    Ok(0)
}

fn verify(store: &DirectoryStore, printer: &Printer) -> Result<u8, CliError> {
    let damaged = store.verify()?;
    for damage in &damaged {
        if printer.format == Format::Json {
            printer.json(&json!(damage));
            continue;
        }
        let of = if damage.of.is_empty() { "named by nothing".to_owned() } else { damage.of.join(", ") };
        let how = damage.found.as_ref().map_or_else(|| "is gone".to_owned(), |found| format!("has sha256 {found}"));
        printer.data(&format!("{} {of}: the content {} {how}", printer.out_paint.tone(Tone::Bad, "damaged"), damage.digest));
    }
    if damaged.is_empty() {
        let count = store.list()?.len();
        printer.say(&format!("{count} artifact{}: every content is what its name says", if count == 1 { "" } else { "s" }));
        return Ok(0);
    }
    printer.say("adding the same build again mends it: windlass artifact add NAME VERSION PATH");
    Ok(1)
}

fn drop_one(
    project: &Project,
    store: &DirectoryStore,
    (name, version): (&ArtifactName, &Version),
    forced: Forced,
    printer: &Printer,
) -> Result<u8, CliError> {
    let artifact = find(store, name, version)?;
    if forced == Forced::No && needed(project, store)?.artifacts.contains(&artifact.digest) {
        return Err(CliError::new(
            6,
            format!("{name} {version} is needed: something that is live, known-good or unfinished has it"),
        )
        .with_help("--force drops it all the same; what has it can then not be resumed, repeated or rolled back to"));
    }
    told(store, &[artifact], printer)
}

fn collect(project: &Project, store: &DirectoryStore, keep: usize, doing: Doing, printer: &Printer) -> Result<u8, CliError> {
    let needed = needed(project, store)?;
    let stays = |run: &RunId| needed.runs.contains(run) || !needed.known.contains(run);
    let going = superfluous(&store.list()?, &Retention { keep, protected: needed.artifacts.clone() });
    if doing == Doing::Removing {
        told(store, &going, printer)?;
        return files(store.forget_sources(&stays)?, "freed", printer);
    }
    for artifact in &going {
        match printer.format {
            Format::Json => printer.json(&json!({ "would_drop": artifact })),
            Format::Text => printer.data(&format!("would drop {} {}, {}", artifact.name, artifact.version, size(artifact.size))),
        }
    }
    if going.is_empty() {
        printer.say("nothing to drop");
    }
    files(store.forgettable(&stays)?, "would be freed", printer)
}

/// Says what becomes of files of the project that were kept for runs.
fn files(bytes: u64, what: &str, printer: &Printer) -> Result<u8, CliError> {
    match printer.format {
        _ if bytes == 0 => {}
        Format::Json => printer.json(&json!({ "files_of_runs": bytes, "outcome": what })),
        Format::Text => printer.data(&format!("files that were kept for runs: {} {what}", size(bytes))),
    }
    Ok(0)
}

/// Takes them away and says so.
fn told(store: &DirectoryStore, going: &[Artifact], printer: &Printer) -> Result<u8, CliError> {
    let (dropped, nameless) = store.remove(going)?;
    for gone in &dropped {
        match printer.format {
            Format::Json => printer.json(&json!({ "dropped": gone.artifact, "freed": gone.freed })),
            Format::Text => {
                let (name, version) = (&gone.artifact.name, &gone.artifact.version);
                printer.data(&format!("dropped {name} {version}, {} freed", size(gone.freed)));
            }
        }
    }
    if nameless > 0 {
        printer.say(&format!("{} of contents without a name freed", size(nameless)));
    } else if dropped.is_empty() {
        printer.say("nothing to drop");
    }
    Ok(0)
}

/// What this project's ledger needs of a store, and what all others do that use it. One that cannot be read may need anything.
fn needed(project: &Project, store: &DirectoryStore) -> Result<Protected, CliError> {
    let mut needed = protected(ledger(project)?.as_ref())?;
    let own = ledger_place(project)?;
    for (word, place) in store.registered()?.into_iter().filter(|(_, place)| *place != own) {
        let unread = |why: String| {
            CliError::new(
                6,
                format!("what the ledger {} needs of this store is not known: {why}; nothing was dropped", shown(&place)),
            )
            .with_help(format!("bring it back; or, when its project is gone for good, remove {}", shown(&word)))
        };
        if !place.is_file() {
            return Err(unread("it is not there".to_owned()));
        }
        let theirs =
            SqliteLedger::open(&place).and_then(|ledger| protected(&ledger)).map_err(|error| unread(error.to_string()))?;
        needed.artifacts.extend(theirs.artifacts);
        needed.runs.extend(theirs.runs);
        needed.known.extend(theirs.known);
    }
    Ok(needed)
}

fn find(store: &DirectoryStore, name: &ArtifactName, version: &Version) -> Result<Artifact, CliError> {
    let all = store.list()?;
    let versions: Vec<&Artifact> = all.iter().filter(|artifact| artifact.name == *name).collect();
    if versions.is_empty() {
        return Err(no_name(name, &all).into());
    }
    match versions.iter().find(|artifact| artifact.version == *version) {
        Some(artifact) => Ok((*artifact).clone()),
        None => {
            let known = versions.iter().map(|artifact| artifact.version.to_string()).collect();
            Err(ArtifactError::NoVersion { name: name.clone(), version: version.to_string(), known }.into())
        }
    }
}

fn no_name(name: &ArtifactName, all: &[Artifact]) -> ArtifactError {
    let known: BTreeSet<String> = all.iter().map(|artifact| artifact.name.to_string()).collect();
    ArtifactError::NoName { name: name.to_string(), known: known.into_iter().collect() }
}

#[expect(clippy::disallowed_methods, reason = "the index says when something was added")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
