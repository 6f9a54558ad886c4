//! What undoing asks of a host: what a save kept comes back, what ran is restarted, what a run kept is forgotten.

use super::at::{Answer, At, above, die, done};
use super::files::{Ino, Node};
use super::host::{First, Kept, Save, TreeNotes, Was};
use super::services::Unit;
use crate::effect::{Anchor, EffectError, Overwrite, ServiceUnit};
use crate::id::{LockName, RunId, SaveId};

impl At<'_> {
    /// `wl_restore`.
    pub(super) fn restore(&mut self, save: &SaveId, surely: bool, overwrite: Overwrite) -> Answer {
        let Some(kept) = self.save(save).cloned() else {
            if surely {
                return die(format!("what the step kept of before is gone from {}, so it cannot be put back", self.place));
            }
            return done(false);
        };
        if self.went(kept.lies())? {
            return done(false);
        }
        if self.is_handed_over(save, &kept, overwrite)? {
            return done(true);
        }
        let (path, was) = (kept.lies().to_owned(), kept.was);
        let changed = match was {
            Was::Directory | Was::Reboot(_) => return done(false),
            Was::Guard => return self.guard_back(),
            Was::Service { .. } | Was::User(_) | Was::Group(_) | Was::Packages(_) => return self.other_back(save, &path, &was),
            Was::Absent => {
                self.unit_ends(save, &path)?;
                self.take(&path)?;
                self.kept().undone.insert(save.as_str().to_owned());
                true
            }
            // What nobody could replace is as it was; whoever asks again is told what was done.
            Was::Same(ino) if self.view().entry(&path)? == Some(ino) => {
                if !self.kept().undone.contains(save.as_str()) {
                    return done(false);
                }
                true
            }
            Was::Same(ino) => {
                self.back(&path, ino)?;
                self.kept().undone.insert(save.as_str().to_owned());
                true
            }
            Was::Copy(ino) => self.copy_back(&path, ino)?,
            Was::Attributes { mode, uid, gid } => self.old_attributes(save, &path, (mode, uid, gid))?,
            Was::Moved(to) => self.moved_back(save, &path, &to)?,
            Was::Tree(notes) => self.untree(save, &path, &notes)?,
        };
        // What was restarted before is restarted once more: this may be a file of it.
        self.kept().firsts.values_mut().for_each(|first| first.back = None);
        if let Some(scope) = self.kept().reloads.get(save.as_str()).copied() {
            self.daemon_reload(scope)?;
        }
        done(changed)
    }

    /// `wl_went`: whether it went with a directory above it, which the run had made, and which is undone.
    fn went(&mut self, path: &str) -> Result<bool, EffectError> {
        if !path.starts_with('/') || self.view().directory(above(path))?.is_some() {
            return Ok(false);
        }
        let kept = self.kept();
        let made = kept
            .saves
            .iter()
            .filter(|(name, other)| kept.undone.contains(*name) && matches!(other.was, Was::Absent | Was::Moved(_)));
        Ok(made.into_iter().any(|(_, other)| path.strip_prefix(other.lies()).is_some_and(|rest| rest.starts_with('/'))))
    }

    /// What is no file.
    fn other_back(&mut self, save: &SaveId, path: &str, was: &Was) -> Answer {
        match was {
            Was::Service { scope, verb, active, enabled } => {
                let unit = Unit { scope: *scope, name: path.to_owned() };
                self.service_back(save, &unit, (verb, active, enabled)).map(crate::effect::Reply::done)
            }
            Was::User(before) => self.user_back(before),
            Was::Group(before) => self.group_back(before),
            Was::Packages(plan) => self.packages_back(plan),
            _ => done(false),
        }
    }

    fn copy_back(&mut self, path: &str, ino: Ino) -> Result<bool, EffectError> {
        if self.alike(ino, path)? {
            return Ok(false);
        }
        let copy = self.view().copied(ino)?;
        self.make_directories(above(path))?;
        self.put(path, copy)?;
        Ok(true)
    }

    /// A file or link has its name again.
    fn back(&mut self, path: &str, ino: Ino) -> Result<bool, EffectError> {
        let entry = self.view().entry(path)?;
        if entry.is_some_and(|entry| self.host.files.is_directory(entry)) {
            let kind = if self.host.files.target(ino).is_some() { "link" } else { "file" };
            return die(format!("{path} was a {kind} and is a directory now"));
        }
        self.make_directories(above(path))?;
        self.put(path, ino)?;
        Ok(true)
    }

    /// Whether a file is as it was: content, mode and owner.
    pub(super) fn alike(&mut self, was: Ino, path: &str) -> Result<bool, EffectError> {
        let Some(now) = self.view().entry(path)? else { return Ok(false) };
        let (one, other) = (self.host.files.inode(was), self.host.files.inode(now));
        let files = matches!((&one.node, &other.node), (Node::File(_), Node::File(_)));
        let same = files && (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid);
        Ok(same && self.view().digest(was)? == self.view().digest(now)?)
    }

    fn old_attributes(&mut self, save: &SaveId, path: &str, (mode, uid, gid): (u32, u32, u32)) -> Result<bool, EffectError> {
        let Some(ino) = self.view().find(path)? else {
            return die(format!("chmod: cannot access '{path}': No such file or directory"));
        };
        let inode = self.host.files.inode(ino);
        if (inode.mode, inode.uid, inode.gid) == (mode, uid, gid) {
            return Ok(self.kept().undone.contains(save.as_str()));
        }
        self.kept().undone.insert(save.as_str().to_owned());
        // Who is not root could not give it away, either.
        let _ = self.give(path, ino, &uid.to_string());
        let _ = self.give_group(path, ino, &gid.to_string());
        self.chmod(path, ino, mode)?;
        Ok(true)
    }

    fn moved_back(&mut self, save: &SaveId, path: &str, to: &str) -> Result<bool, EffectError> {
        if self.view().entry(to)?.is_some() {
            let aside = self.unfinished(path, save);
            if let Some(there) = self.take(path)? {
                self.put(&aside, there)?;
            }
            if let Some(moved) = self.take(to)? {
                self.put(path, moved)?;
            }
            self.take(&aside)?;
            self.kept().undone.insert(save.as_str().to_owned());
        } else if self.view().entry(path)?.is_none() {
            return die(format!("{to}, which is to be {path} again, is gone"));
        }
        Ok(self.kept().undone.contains(save.as_str()))
    }

    /// What was made in a directory goes, and what is in the trash comes back.
    fn untree(&mut self, save: &SaveId, path: &str, notes: &TreeNotes) -> Result<bool, EffectError> {
        let mut made = notes.made.clone();
        made.sort();
        made.dedup();
        for name in made.iter().rev() {
            let full = format!("{path}/{name}");
            let Some(entry) = self.view().entry(&full)? else { continue };
            let empty = !self.host.files.is_directory(entry) || self.view().names(entry)?.is_empty();
            if empty {
                self.take(&full)?;
            }
        }
        if let Some(kept) = self.kept().saves.get_mut(save.as_str())
            && let Was::Tree(notes) = &mut kept.was
        {
            // What stands there from now on came back.
            notes.made.clear();
        }
        if let Some(trash) = self.view().directory(&notes.trash)? {
            for (name, _) in self.view().tree(trash)? {
                self.out_of_trash(path, &notes.trash, &name)?;
            }
        }
        for (mode, uid, gid, name) in notes.modes.iter().rev() {
            let full = format!("{path}/{name}");
            if let Some(directory) = self.view().directory(&full)? {
                let inode = self.host.files.inode_mut(directory);
                (inode.mode, inode.uid, inode.gid) = (*mode, *uid, *gid);
            }
        }
        self.take(&notes.trash)?;
        self.take(&self.unfinished(&notes.trash, save))?;
        Ok(true)
    }

    fn out_of_trash(&mut self, path: &str, trash: &str, name: &str) -> Result<(), EffectError> {
        let (from, to) = (format!("{trash}/{name}"), format!("{path}/{name}"));
        let Some(old) = self.view().entry(&from)? else { return Ok(()) };
        let there = self.view().entry(&to)?;
        let both = self.host.files.is_directory(old) && there.is_some_and(|there| self.host.files.is_directory(there));
        if both || there == Some(old) {
            return Ok(());
        }
        if let Some(old) = self.take(&from)? {
            self.put(&to, old)?;
        }
        Ok(())
    }

    /// `wl_resume`.
    pub(super) fn resume(&mut self, save: &SaveId, units: &[ServiceUnit]) -> Answer {
        let Some(Save { path, was: Was::Service { scope, verb, .. }, .. }) = self.save(save).cloned() else {
            return self.anew(save, units);
        };
        if matches!(verb.as_str(), "enable" | "disable") {
            return self.anew(save, units);
        }
        let unit = Unit { scope, name: path };
        let key = unit.key();
        if self.is_without_file(&unit)? {
            return done(false);
        }
        match self.kept().firsts.get(&key) {
            Some(First { was, back: None }) if was == "active" => {}
            // Asked once more, it has done so.
            Some(First { was, back: Some(by) }) if was == "active" => return done(by == save.as_str()),
            _ => return done(false),
        }
        self.daemon_reload(scope)?;
        if verb == "reload" && self.unit_state(&unit)?.active == "active" {
            self.act("reload", &unit).or_else(|_| self.act("restart", &unit))?;
        } else {
            self.opened_anew(save, &unit)?;
            if let Some(first) = self.kept().firsts.get_mut(&key) {
                first.back = Some(save.to_string());
            }
        }
        done(true)
    }

    /// Whether a unit runs that nobody could start once more.
    fn is_without_file(&mut self, unit: &Unit) -> Result<bool, EffectError> {
        let state = self.unit_state(unit)?;
        Ok(state.active == "active" && state.load == "not-found")
    }

    /// `wl_anew`.
    fn anew(&mut self, save: &SaveId, units: &[ServiceUnit]) -> Answer {
        let run = self.keeper.split(' ').next().unwrap_or_default();
        let own = self.host.kept.iter().filter(|(keeper, _)| keeper.split(' ').next() == Some(run));
        let first = own.filter_map(|(_, kept)| Some((kept.since?, kept.since_boot))).min();
        let Some((since, boot)) = first else { return done(false) };
        let mut changed = false;
        for unit in units.iter().map(Unit::of) {
            let key = unit.key();
            match self.kept().firsts.get(&key) {
                Some(First { back: Some(by), .. }) if by == save.as_str() => changed = true,
                Some(First { back: None, was }) if was == "active" => {
                    if self.is_without_file(&unit)? {
                        continue;
                    }
                    self.daemon_reload(unit.scope)?;
                    self.act("restart", &unit)?;
                    if let Some(first) = self.kept().firsts.get_mut(&key) {
                        first.back = Some(save.to_string());
                    }
                    changed = true;
                }
                Some(_) => {}
                None => {
                    let state = self.unit_state(&unit)?;
                    let pid = self.host.services.known.get(&key).map_or(0, |service| service.pid);
                    let young = match state.active.as_str() {
                        "failed" => true,
                        "active" => pid > since,
                        "inactive" => state.enabled == "enabled" && self.host.boots > boot,
                        _ => false,
                    };
                    if !young || self.is_without_file(&unit)? {
                        continue;
                    }
                    self.daemon_reload(unit.scope)?;
                    self.act("restart", &unit)?;
                    let first = First { was: "active".to_owned(), back: Some(save.to_string()) };
                    self.kept().firsts.insert(key, first);
                    changed = true;
                }
            }
        }
        done(changed)
    }

    /// `wl_forget`.
    pub(super) fn forget(&mut self, anchor: Option<&Anchor>) -> Answer {
        if let Some(anchor) = anchor {
            self.anchor(anchor);
        }
        let keeper = self.keeper.clone();
        self.drop_kept(&keeper)?;
        done(true)
    }

    /// `wl_forget_run`.
    pub(super) fn forget_run(&mut self, run: &RunId) -> Answer {
        let of = |lock: &LockName| lock.as_str().split('.').next().unwrap_or_default().to_owned();
        let Some(ledger) = self.fence.map(|fence| of(&fence.lock)) else { return done(true) };
        let (begins, ends) = (format!("{run}-"), format!(" {}", self.who.name));
        let theirs = |(key, kept): &(&String, &Kept)| {
            key.starts_with(&begins) && key.ends_with(&ends) && kept.of.as_ref().is_some_and(|claim| of(&claim.lock) == ledger)
        };
        let keepers: Vec<String> = self.host.kept.iter().filter(theirs).map(|(key, _)| key.clone()).collect();
        keepers.iter().try_for_each(|keeper| self.drop_kept(keeper))?;
        done(true)
    }

    fn drop_kept(&mut self, keeper: &str) -> Result<(), EffectError> {
        let kept = self.host.kept.remove(keeper).unwrap_or_default();
        for save in kept.saves.into_values() {
            match save.was {
                Was::Moved(trash) | Was::Tree(TreeNotes { trash, .. }) if trash.contains("/.wl-trash-") => {
                    self.take(&trash)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
