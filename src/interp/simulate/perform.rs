//! From an effect to what it does on a simulated host.

use super::at::{Answer, At, die};
use super::blob::Blob;
use super::commands::Exec;
use super::puts::{Put, Shows};
use super::services::Unit;
use super::trees::Sent;
use crate::effect::{Account, Effect, EffectClass, EffectError, Reply};
use crate::id::RemotePath;
use crate::interp::Controller;

impl At<'_> {
    /// Performs an effect of a host; connections and fetching are not among them.
    pub(super) fn perform(&mut self, effect: &Effect) -> Answer {
        use Effect as E;
        if matches!(effect.class(), EffectClass::Write | EffectClass::Opaque) {
            self.fenced()?;
        }
        self.fire_when_due();
        match effect {
            E::Stat { path } => self.stat(&self.path(path)),
            E::Read { path, limit } => self.read(&self.path(path), *limit),
            E::Digest { path } => self.digest(&self.path(path)),
            E::List { pattern } => self.list(pattern),
            E::Facts => self.facts(),
            E::ServiceStatus { unit } => self.status(&Unit::of(unit)),
            E::ServiceLog { unit, lines } => Ok(self.log_reply(&Unit::of(unit), *lines)),
            E::Probe { command } => self.probe(command),
            E::Exec { command, receipt, after, keeps, contract } => {
                self.exec(&Exec { command, receipt, after: after.as_ref(), keeps, contract })
            }
            E::Write { .. } | E::Unit { .. } | E::Upload { .. } => self.put_effect(effect),
            E::Copy { from, to, attributes, save } => self.copy(save, &self.path(from), &self.path(to), attributes),
            E::Account { account: Account::User(user), save } => self.user(save, user),
            E::Account { account: Account::Group(group), save } => self.group(save, group),
            E::Packages { packages, save } => self.packages(save, packages),
            E::Reboot { save, after, .. } => self.reboot(save, after.as_ref()),
            E::UploadTree { path, tree, owner, group, delete, save } => {
                let (owner, group, path) = (owner.as_deref(), group.as_deref(), self.path(path));
                self.upload_tree(&Sent { save, path, tree, owner, group, delete: *delete })
            }
            E::Unpack { archive, directory, strip, digest, save } => {
                self.unpack(save, &self.path(archive), &self.path(directory), *strip, digest.as_ref())
            }
            E::Mkdir { path, attributes, save } => self.mkdir(save, &self.path(path), attributes),
            E::Link { path, target, save } => self.symlink(save, &self.path(path), target),
            E::Rename { from, to, save } => self.rename(save, &self.path(from), &self.path(to)),
            E::Remove { path, save } => self.remove(save, &self.path(path)),
            E::SetAttributes { path, attributes, save } => self.set_attributes(save, &self.path(path), attributes),
            E::Service { unit, verb, save } => self.service(save, *verb, &Unit::of(unit)),
            E::Restore { save, surely, overwrite } => self.restore(save, *surely, *overwrite),
            E::End { .. } => self.end(),
            E::Resume { save, units, .. } => self.resume(save, units),
            E::Guard { act } => self.guard(act),
            E::Forget { of: Some(run), .. } => self.forget_run(run),
            E::Forget { anchor, .. } => self.forget(anchor.as_ref()),
            E::Fence => self.raise(),
            E::Anchors { lock } => Ok(self.anchors(lock)),
            E::Http { .. } | E::Connect { .. } | E::Fetch { .. } => self.elsewhere(effect),
            E::Source { .. }
            | E::Template { .. }
            | E::Now
            | E::Entropy { .. }
            | E::Ask { .. }
            | E::Sleep { .. }
            | E::Notify { .. } => self.elsewhere(effect),
        }
    }

    fn elsewhere(&self, effect: &Effect) -> Answer {
        Err(EffectError::Unsupported(format!("no simulated host does this: {effect:?}")))
    }

    fn put_effect(&mut self, effect: &Effect) -> Answer {
        match effect {
            Effect::Write { path, content, attributes, validate, save, basis } => {
                if let Some(basis) = basis
                    && self.is_overtaken(&self.path(path), basis, &content.digest())?
                {
                    return Ok(Reply::Overtaken);
                }
                let (blob, digest) = (Blob::of(content.bytes()), content.digest());
                let (path, validate) = (self.path(path), validate.as_deref());
                self.put_file(&Put { save, path, blob, digest, attributes, validate, shows: Shows::Before })
            }
            Effect::Unit { unit, path, content, attributes, validate, save } => {
                let (blob, digest) = (Blob::of(content.bytes()), content.digest());
                let (path, validate) = (self.path(path), validate.as_deref());
                self.unit(&Unit::of(unit), &Put { save, path, blob, digest, attributes, validate, shows: Shows::Before })
            }
            Effect::Upload { path, source, digest, size, attributes, save } => {
                let blob = Blob::Sent { digest: digest.clone(), size: *size, from: source.clone() };
                let (path, digest) = (self.path(path), digest.clone());
                self.put_file(&Put { save, path, blob, digest, attributes, validate: None, shows: Shows::Nothing })
            }
            other => self.elsewhere(other),
        }
    }

    /// A file that a real run would keep in the project: nothing is written, and it is said whether it would be.
    pub(super) fn fetch(&mut self, (path, limit): (&RemotePath, u64), to: &str, controller: &Controller) -> Answer {
        let target = controller.fetched(to)?;
        let file = self.readable(&self.path(path))?;
        let (digest, size) = (self.view().digest(file)?, self.stat_of(file).size);
        crate::interp::fetch::within(path, size, limit)?;
        controller.stays_inside(&target, to)?;
        if target.is_dir() {
            return die(format!("{to} is a directory; name the file in it"));
        }
        let changed = controller.digest_of(&target).as_ref() != Some(&digest);
        Ok(Reply::Fetched { digest, size, changed })
    }
}
