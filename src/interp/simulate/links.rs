//! The links by which simulated units are enabled: made, taken, and put back as the set that they were.

use super::at::{Answer, At, above, die};
use super::files::Node;
use super::services::{Unit, UnitState};
use super::unit_file::UnitFile;
use super::view::Last;
use crate::effect::{EffectError, Verb};
use crate::id::SaveId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Links by their paths, with their targets; directories for links have none.
type Links = BTreeMap<String, Option<String>>;

/// The links that have to do with a unit, before a step and after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    before: Links,
    after: Links,
}

impl At<'_> {
    /// Enables or disables a unit with those that it names; nothing is kept where that changes nothing.
    pub(super) fn link(&mut self, save: &SaveId, verb: Verb, unit: &Unit, state: &UnitState) -> Answer {
        self.may_manage(unit)?;
        if verb == Verb::Enable && state.load == "masked" {
            return die(format!("Failed to enable unit: Unit {} is masked", unit.name));
        }
        if state.enabled == "indirect" && !self.would_link(verb, unit)? {
            return self.told(unit, false);
        }
        let before = self.links(unit)?;
        self.note_service(save, unit, verb.word(), state)?;
        for unit in self.with_also(unit)? {
            if verb == Verb::Enable { self.enable_one(&unit)? } else { self.disable_one(&unit)? }
        }
        let after = self.links(unit)?;
        self.kept().links.insert(save.as_str().to_owned(), Kept { before, after });
        self.kept().acted.insert(save.as_str().to_owned());
        self.told(unit, true)
    }

    /// Whether any of the units that an indirect one names is to be changed.
    fn would_link(&mut self, verb: Verb, unit: &Unit) -> Result<bool, EffectError> {
        for unit in self.with_also(unit)? {
            let word = self.unit_state(&unit)?.enabled;
            let as_asked = if verb == Verb::Enable { word != "disabled" && word != "linked" } else { word != "enabled" };
            if !as_asked {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `wl_links_back`: what the step made goes and what it took comes back; false where links cannot tell.
    pub(super) fn links_back(&mut self, save: &SaveId) -> Result<bool, EffectError> {
        let Some(Kept { before, after }) = self.kept().links.get(save.as_str()).cloned() else { return Ok(false) };
        if before == after {
            return Ok(false);
        }
        let gone = |one: &&String| !before.contains_key(*one);
        for path in after.keys().rev().filter(gone) {
            let empty = match self.view().directory(path)? {
                Some(ino) if after.get(path) == Some(&None) => self.view().names(ino)?.is_empty(),
                _ => after.get(path).is_some_and(Option::is_some),
            };
            if empty {
                self.take(path)?;
            }
        }
        for (path, target) in before.iter().filter(|(path, _)| !after.contains_key(*path)) {
            match target {
                None => self.make_directories(path)?,
                Some(target) => self.make_link(path, target)?,
            }
        }
        Ok(true)
    }

    /// What its manager says of whether a unit starts at boot.
    pub(super) fn enabled_word(&mut self, unit: &Unit, file: &UnitFile) -> Result<String, EffectError> {
        let word = match (self.wants(unit)?.is_empty(), self.is_linked(unit)?, file.has_rules()) {
            (false, ..) => "enabled",
            (true, true, _) => "linked",
            (true, false, true) => "disabled",
            (true, false, false) if !file.also.is_empty() => "indirect",
            (true, false, false) => "static",
        };
        Ok(word.to_owned())
    }

    /// A unit and those that are enabled and disabled with it.
    pub(super) fn with_also(&mut self, unit: &Unit) -> Result<Vec<Unit>, EffectError> {
        let mut all = vec![unit.clone()];
        let mut at = 0;
        while let Some(unit) = all.get(at).cloned() {
            at += 1;
            let Some((_, Some(text))) = self.unit_file(&unit)? else { continue };
            for name in UnitFile::read(&text).also {
                let other = Unit { scope: unit.scope, name };
                if !all.contains(&other) {
                    all.push(other);
                }
            }
        }
        Ok(all)
    }

    /// Whether a link is what makes a unit from elsewhere known.
    fn is_linked(&mut self, unit: &Unit) -> Result<bool, EffectError> {
        let Some(directory) = self.unit_directories(unit.scope).into_iter().next() else { return Ok(false) };
        let target = self.view().link(&format!("{directory}/{}", unit.name))?;
        Ok(target.is_some_and(|target| target.rsplit('/').next() == Some(unit.name.as_str())))
    }

    /// The links that have to do with a unit and those that it names, and the directories that there are for such.
    fn links(&mut self, unit: &Unit) -> Result<Links, EffectError> {
        let mut links = Links::new();
        for unit in self.with_also(unit)? {
            for path in self.wants(&unit)? {
                let target = self.view().link(&path)?;
                links.insert(path, target);
            }
        }
        let Some(directory) = self.unit_directories(unit.scope).into_iter().next() else { return Ok(links) };
        let Some(ino) = self.view().directory(&directory)? else { return Ok(links) };
        for name in self.view().names(ino)?.into_iter().filter(|name| holds_links(name)) {
            links.insert(format!("{directory}/{name}"), None);
        }
        Ok(links)
    }

    /// How a service is counts, from now on, by what was done to it here.
    fn say_enabled(&mut self, unit: &Unit, word: &str) -> bool {
        let below = self.host.services.known.get_mut(&unit.key()).and_then(|service| service.below.as_mut());
        let Some(below) = below else { return false };
        word.clone_into(&mut below.enabled);
        true
    }

    /// The links by which a unit starts with its host, and by which it has other names.
    fn wants(&mut self, unit: &Unit) -> Result<Vec<String>, EffectError> {
        let Some(directory) = self.unit_directories(unit.scope).into_iter().next() else { return Ok(Vec::new()) };
        let Some(ino) = self.view().directory(&directory)? else { return Ok(Vec::new()) };
        let mut links = Vec::new();
        for name in self.view().names(ino)? {
            let path = format!("{directory}/{name}/{}", unit.name);
            if holds_links(&name) {
                if self.view().link(&path)?.is_some() {
                    links.push(path);
                }
                continue;
            }
            // An alias is a link beside the unit.
            let alias = format!("{directory}/{name}");
            let target = self.view().link(&alias)?;
            if name != unit.name && target.is_some_and(|target| target.rsplit('/').next() == Some(unit.name.as_str())) {
                links.push(alias);
            }
        }
        Ok(links)
    }

    fn make_link(&mut self, link: &str, target: &str) -> Result<(), EffectError> {
        self.make_directories(above(link))?;
        let place = self.view().place(link, Last::Keep)?;
        let Some(parent) = place.directory else { return Ok(()) };
        let made = self.make(parent, Node::Link(target.to_owned()), 0o777);
        self.put(link, made).map(drop)
    }

    /// The links of a unit are made.
    pub(super) fn enable_one(&mut self, unit: &Unit) -> Result<(), EffectError> {
        let found = self.unit_file(unit)?;
        let own = found.as_ref().and_then(|(_, text)| text.as_ref()).is_none_or(|text| UnitFile::read(text).has_rules());
        if self.host.services.over {
            let word = if own { "enabled" } else { "indirect" };
            if self.say_enabled(unit, word) {
                return Ok(());
            }
        }
        let Some((path, Some(text))) = found else {
            return die(format!("Failed to enable unit: Unit file {} does not exist.", unit.name));
        };
        let Some(directory) = self.unit_directories(unit.scope).into_iter().next() else { return Ok(()) };
        // All lead to where the unit really is.
        let path = if self.is_linked(unit)? { self.real(&path)? } else { path };
        let file = UnitFile::read(&text);
        let wants = file.wanted_by.iter().map(|by| format!("{directory}/{by}.wants/{}", unit.name));
        let links: Vec<String> = wants.chain(file.aliases.iter().map(|alias| format!("{directory}/{alias}"))).collect();
        links.iter().try_for_each(|link| self.make_link(link, &path))
    }

    /// The links of a unit go, and the directories that were for them alone. One from elsewhere stays known.
    pub(super) fn disable_one(&mut self, unit: &Unit) -> Result<(), EffectError> {
        let word = if self.is_linked(unit)? { "linked" } else { "disabled" };
        if self.say_enabled(unit, word) {
            return Ok(());
        }
        for link in self.wants(unit)? {
            self.take(&link)?;
            let directory = above(&link).to_owned();
            let empty = self.view().directory(&directory)?.filter(|_| holds_links(&directory));
            if let Some(ino) = empty
                && self.view().names(ino)?.is_empty()
            {
                self.take(&directory)?;
            }
        }
        Ok(())
    }
}

/// Whether a directory of that name holds links to units.
fn holds_links(name: &str) -> bool {
    [".wants", ".requires", ".upholds"].iter().any(|end| name.ends_with(end))
}
