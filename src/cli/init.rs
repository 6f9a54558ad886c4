//! `windlass init`: a project that works at once.

use super::args::{Common, Format, InitArgs};
use super::error::{CliError, shown};
use super::printer::Printer;
use super::run::program_name;
use super::templates::{TEMPLATES, Template};
use serde_json::json;

pub(super) fn init(_common: &Common, args: &InitArgs, printer: &Printer) -> Result<u8, CliError> {
    if args.list {
        list(printer);
        return Ok(0);
    }
    let template = find(&args.template)?;
    // All of them are looked at before the first is written.
    if let Some((name, _)) = template.files.iter().find(|(name, _)| args.dir.join(name).exists()) {
        return Err(CliError::input(format!("{} is there already; nothing was written", shown(&args.dir.join(name))))
            .with_help("give an empty directory"));
    }
    for (name, text) in template.files {
        let path = args.dir.join(name);
        let parent = path.parent().unwrap_or(&args.dir);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| CliError::input(format!("{} cannot be written: {error}", shown(&path))))?;
    }
    printer.say(&format!("made a project in {}", shown(&args.dir)));
    let program = program_name();
    let directory = shown(&args.dir);
    let enter = if directory.is_empty() || directory == "." { String::new() } else { format!("cd {directory} && ") };
    let typed = |command: &str| match command.strip_prefix("windlass ") {
        Some(rest) => format!("{enter}{program} {rest}"),
        None => format!("{enter}{command}"),
    };
    let next: Vec<(&str, String)> = template.next.iter().map(|(what, command)| (*what, typed(command))).collect();
    printer.next(&next);
    Ok(0)
}

fn list(printer: &Printer) {
    let width = TEMPLATES.iter().map(|template| template.name.len()).max().unwrap_or(0);
    for Template { name, what, .. } in TEMPLATES {
        match printer.format {
            Format::Json => printer.json(&json!({ "template": name, "what": what })),
            Format::Text => printer.data(&format!("{name:<width$}  {what}")),
        }
    }
}

fn find(name: &str) -> Result<&'static Template, CliError> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        CliError::usage(format!("there is no template `{name}`")).with_help(format!("there are: {}", names.join(", ")))
    })
}
