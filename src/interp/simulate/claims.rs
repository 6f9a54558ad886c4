//! Who else is at work on a simulated host, and what is there of what a step made: a step changes nothing that an unfinished run
//! under another lock has changed, and is not undone over what somebody else has put there.

use super::at::At;
use super::files::{Ino, Node};
use super::host::{Made, Save, Was};
use crate::effect::{Basis, EffectError, Overwrite};
use crate::id::{Digest, HostName, SaveId};

impl At<'_> {
    /// `wl_makes`.
    pub(super) fn makes(&mut self, save: &SaveId, made: Made) {
        if let Some(kept) = self.kept().saves.get_mut(save.as_str()) {
            kept.made.get_or_insert(made);
        }
    }

    /// `wl_claim`; nothing is kept where all is as asked.
    pub(super) fn claim(&mut self, path: &str, was: Option<&Was>) -> Result<(), EffectError> {
        let Some(fence) = self.fence else { return Ok(()) };
        let lies = self.lies(path)?;
        let mine = format!(" {}", self.who.name);
        for (_, kept) in self.host.kept.iter().filter(|(key, _)| key.ends_with(&mine)) {
            let Some(of) = kept.of.as_ref().filter(|of| of.lock != fence.lock) else { continue };
            if fence.beside.iter().any(|run| run.as_str() == of.run) {
                continue;
            }
            if let Some(theirs) =
                kept.saves.values().find(|theirs| overlap(&lies, was, theirs) || lies != path && overlap(path, was, theirs))
            {
                let host = HostName::parse(&self.host.name).map_err(|error| EffectError::failed(error.to_string()))?;
                let (run, lock, by) = (of.run.clone(), of.lock.to_string(), of.by.clone());
                return Err(EffectError::Claimed { host, path: theirs.lies().to_owned(), run, lock, by });
            }
        }
        Ok(())
    }

    /// Whether nothing is left to undo here, since a later step of the run keeps what this one kept; refuses to overwrite what others
    /// have put there.
    pub(super) fn is_handed_over(&mut self, save: &SaveId, kept: &Save, overwrite: Overwrite) -> Result<bool, EffectError> {
        let Some(now) = self.drifted(kept)? else { return Ok(false) };
        if overwrite != Overwrite::Nothing && self.handed_over(save, kept)? {
            return Ok(true);
        }
        if overwrite == Overwrite::Anything {
            return Ok(false);
        }
        let made = kept.made.as_ref().map(Made::told).unwrap_or_default();
        let host = HostName::parse(&self.host.name).map_err(|error| EffectError::failed(error.to_string()))?;
        Err(EffectError::Drifted { host, path: kept.lies().to_owned(), now, made })
    }

    /// `wl_drifted`: how it is, where it is neither what the step made of it nor what was there before.
    fn drifted(&mut self, save: &Save) -> Result<Option<String>, EffectError> {
        let Some(made) = &save.made else { return Ok(None) };
        let path = save.lies();
        let now = self.found(path)?;
        let as_made = match made {
            Made::Unpacked(mark) => {
                self.view().text(&format!("{path}/.windlass-unpacked"))?.is_some_and(|text| text.starts_with(mark))
            }
            Made::Attributes(wanted) => self.view().find(path)?.is_some_and(|ino| !self.differs(ino, wanted)),
            _ => now == made.told(),
        };
        if as_made || self.is_as_kept(path, &save.was, &now)? { Ok(None) } else { Ok(Some(now)) }
    }

    /// `wl_handed_over`.
    fn handed_over(&mut self, save: &SaveId, kept: &Save) -> Result<bool, EffectError> {
        let Some(made) = kept.made.as_ref().map(Made::told) else { return Ok(false) };
        if !is_one_file(&kept.was) {
            return Ok(false);
        }
        let undone = self.kept().undone.clone();
        let others: Vec<(String, Was)> = self
            .kept()
            .saves
            .iter()
            .filter(|(name, _)| !undone.contains(*name))
            .filter(|(name, other)| name.as_str() != save.as_str() && other.lies() == kept.lies() && is_one_file(&other.was))
            .map(|(name, other)| (name.clone(), other.was.clone()))
            .collect();
        for (name, was) in others {
            let on_top = match &was {
                Was::Same(ino) => self.kind_of(*ino)? == made,
                _ => made == "absent ",
            };
            if on_top {
                let saves = &mut self.kept().saves;
                saves.entry(name).and_modify(|other| other.was = kept.was.clone());
                saves.entry(save.as_str().to_owned()).and_modify(|own| own.was = Was::Directory);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_as_kept(&mut self, path: &str, was: &Was, now: &str) -> Result<bool, EffectError> {
        Ok(match was {
            Was::Absent => now == "absent ",
            Was::Moved(to) => now == "absent " || self.view().entry(to)?.is_none(),
            Was::Same(kept) => match self.host.files.target(*kept) {
                Some(target) => now == format!("link {target}"),
                None => self.view().entry(path)? == Some(*kept) || self.alike(*kept, path)?,
            },
            Was::Attributes { mode, uid, gid } => self.view().find(path)?.is_some_and(|ino| {
                let inode = self.host.files.inode(ino);
                (inode.mode, inode.uid, inode.gid) == (*mode, *uid, *gid)
            }),
            _ => true,
        })
    }

    /// Whether something else is at a path than what a change rests on, and than what it would make: `wl_edit`.
    pub(super) fn is_overtaken(&mut self, path: &str, basis: &Basis, new: &Digest) -> Result<bool, EffectError> {
        let now = match self.view().file(path)? {
            Some(file) => Some(self.view().digest(file)?),
            None => None,
        };
        let rests = match basis {
            Basis::Absent => now.is_none(),
            Basis::File(digest) => now.as_ref() == Some(digest),
        };
        Ok(!rests && now.as_ref() != Some(new))
    }

    /// `wl_found`.
    fn found(&mut self, path: &str) -> Result<String, EffectError> {
        match self.view().entry(path)? {
            Some(entry) => self.kind_of(entry),
            None => Ok("absent ".to_owned()),
        }
    }

    fn kind_of(&mut self, entry: Ino) -> Result<String, EffectError> {
        Ok(match &self.host.files.inode(entry).node {
            Node::Link(target) => format!("link {target}"),
            Node::File(_) => format!("file {}", self.view().digest(entry)?),
            Node::Directory(_) => "directory ".to_owned(),
            Node::Other => "other ".to_owned(),
        })
    }
}

/// Whether that is all of what was at a path.
fn is_one_file(was: &Was) -> bool {
    matches!(was, Was::Absent | Was::Same(_))
}

/// `wl_overlap`.
fn overlap(path: &str, was: Option<&Was>, theirs: &Save) -> bool {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    let gentle = |was: &Was| matches!(was, Was::Service { verb, .. } if verb == "restart" || verb == "reload");
    let lies = match (&theirs.was, theirs.lies()) {
        // Where something was moved to is theirs as well.
        (Was::Moved(to), from) if path != from && (path == to || below(path, to) || was.is_some() && below(to, path)) => to,
        (_, lies) => lies,
    };
    if path == lies {
        let both_gentle = was.is_some_and(gentle) && gentle(&theirs.was);
        return !both_gentle && !matches!(was, Some(Was::Packages(_)));
    }
    if was.is_some() && are_of_one_unit(path, lies) {
        return true;
    }
    let nested = below(path, lies) || was.is_some() && below(lies, path);
    let apart = |was: &Was| matches!(was, Was::Attributes { .. });
    nested && !was.is_some_and(apart) && !apart(&theirs.was) && theirs.was != Was::Directory
}

/// The kinds of units that have files of their own.
const UNIT_KINDS: &[&str] = &["service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice"];

/// `wl_of_one_unit`.
fn are_of_one_unit(one: &str, other: &str) -> bool {
    let paths = one.contains('/') || other.contains('/');
    paths && unit_of(one).is_some_and(|unit| Some(unit) == unit_of(other))
}

/// `wl_unit_of`: the unit, or the template, that a file or a unit is of.
fn unit_of(path: &str) -> Option<String> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let in_systemd = path.split_once("/systemd/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, rest)| rest);
    let unit = match in_systemd {
        Some(rest) => match rest.split_once(".d/").or_else(|| rest.strip_suffix(".d").map(|rest| (rest, ""))) {
            Some((unit, _)) => last(unit),
            None => last(rest),
        },
        None => {
            match path.strip_prefix("/etc/sv/").map(|rest| rest.split('/').next()).unwrap_or(path.strip_prefix("/etc/init.d/")) {
                Some(name) => format!("{name}.service"),
                None if path.contains('/') => return None,
                None => path.to_owned(),
            }
        }
    };
    let (name, kind) = unit.rsplit_once('.')?;
    if !UNIT_KINDS.contains(&kind) {
        return None;
    }
    Some(match name.split_once('@') {
        Some((name, _)) => format!("{name}@.{kind}"),
        None => unit,
    })
}

#[cfg(test)]
mod tests {
    use super::are_of_one_unit;

    #[test]
    fn a_unit_and_its_files_are_one_thing() {
        let file = "/etc/systemd/system/app.service";
        for other in [
            "app.service",
            "/etc/systemd/system/app.service.d/limits.conf",
            "/usr/lib/systemd/system/app.service",
            "/etc/systemd/system/multi-user.target.wants/app.service",
            "/etc/init.d/app",
            "/etc/sv/app/run",
        ] {
            assert!(are_of_one_unit(file, other) && are_of_one_unit(other, file), "{other}");
        }
        for other in
            ["app.socket", "other.service", "/etc/systemd/system/app2.service", "/srv/app.service", "account app.service"]
        {
            assert!(!are_of_one_unit(file, other), "{other}");
        }
        assert!(are_of_one_unit("/etc/systemd/system/worker@.service", "worker@1.service"));
        assert!(!are_of_one_unit("worker@1.service", "worker@2.service"));
        let settings = ["/etc/systemd/journald.conf.d/local.conf", "/etc/systemd/system.conf.d/local.conf"];
        assert!(!are_of_one_unit(settings[0], settings[1]));
    }
}
