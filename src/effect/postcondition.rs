//! What holds on a host once an effect was performed: data, so that a run that is resumed can look whether it still does.

use super::{Attributes, Effect, ServiceUnit, Verb};
use crate::id::{Digest, RemotePath};
use serde::{Deserialize, Serialize};

/// One thing that holds once an effect was performed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "holds", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the sentence of each variant tells what its fields are")]
pub enum Postcondition {
    /// A file has the content of this digest.
    File { path: RemotePath, digest: Digest },
    /// A symbolic link points there.
    Link { path: RemotePath, target: String },
    /// A directory is there.
    Directory { path: RemotePath },
    /// A directory is there, with what came with it.
    Tree { path: RemotePath },
    /// Something is there.
    Present { path: RemotePath },
    /// Nothing is there.
    Absent { path: RemotePath },
    /// What is there has these permission bits.
    Mode { path: RemotePath, mode: u32 },
    /// A service runs, or not.
    Active { unit: ServiceUnit, active: bool },
    /// A service is started at boot, or not.
    Enabled { unit: ServiceUnit, enabled: bool },
}

/// What a postcondition speaks of: a later one of the same subject takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PostconditionSubject {
    /// What is at a path.
    Path(RemotePath),
    /// The permission bits of what is there.
    Mode(RemotePath),
    /// Whether a service runs.
    Active(String),
    /// Whether it is started at boot.
    Enabled(String),
}

impl Postcondition {
    /// What it speaks of.
    #[must_use]
    pub fn subject(&self) -> PostconditionSubject {
        use PostconditionSubject as Subject;
        match self {
            Self::File { path, .. }
            | Self::Link { path, .. }
            | Self::Directory { path }
            | Self::Tree { path }
            | Self::Present { path }
            | Self::Absent { path } => Subject::Path(path.clone()),
            Self::Mode { path, .. } => Subject::Mode(path.clone()),
            Self::Active { unit, .. } => Subject::Active(unit.name.clone()),
            Self::Enabled { unit, .. } => Subject::Enabled(unit.name.clone()),
        }
    }

    /// Whether what is below its path is another thing from then on.
    #[must_use]
    pub fn covers_below(&self) -> bool {
        matches!(self, Self::Link { .. } | Self::Tree { .. } | Self::Present { .. } | Self::Absent { .. })
    }

    /// The path that it speaks of, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&RemotePath> {
        match self {
            Self::File { path, .. }
            | Self::Link { path, .. }
            | Self::Directory { path }
            | Self::Tree { path }
            | Self::Present { path }
            | Self::Absent { path }
            | Self::Mode { path, .. } => Some(path),
            Self::Active { .. } | Self::Enabled { .. } => None,
        }
    }
}

impl Effect {
    /// What holds once the effect was performed, whether or not it had to change anything. Empty where nothing simple can
    /// be said.
    #[must_use]
    pub fn postconditions(&self) -> Vec<Postcondition> {
        match self {
            // Others may go on to edit it.
            Self::Write { path, basis: Some(_), .. } => vec![Postcondition::Present { path: path.clone() }],
            Self::Write { path, content, attributes, .. } | Self::Unit { path, content, attributes, .. } => {
                with_mode(Postcondition::File { path: path.clone(), digest: content.digest() }, path, attributes)
            }
            Self::Upload { path, digest, attributes, .. } => {
                with_mode(Postcondition::File { path: path.clone(), digest: digest.clone() }, path, attributes)
            }
            Self::Copy { to, attributes, .. } => with_mode(Postcondition::Present { path: to.clone() }, to, attributes),
            Self::UploadTree { path, .. } | Self::Unpack { directory: path, .. } => {
                vec![Postcondition::Tree { path: path.clone() }]
            }
            Self::Mkdir { path, attributes, .. } => with_mode(Postcondition::Directory { path: path.clone() }, path, attributes),
            Self::Link { path, target, .. } => vec![Postcondition::Link { path: path.clone(), target: target.clone() }],
            Self::Rename { from, to, .. } => {
                vec![Postcondition::Absent { path: from.clone() }, Postcondition::Present { path: to.clone() }]
            }
            Self::Remove { path, .. } => vec![Postcondition::Absent { path: path.clone() }],
            Self::SetAttributes { path, attributes, .. } => {
                attributes.mode.map(|mode| Postcondition::Mode { path: path.clone(), mode }).into_iter().collect()
            }
            Self::Service { unit, verb, .. } => vec![match verb {
                Verb::Start | Verb::Restart | Verb::Reload => Postcondition::Active { unit: unit.clone(), active: true },
                Verb::Stop => Postcondition::Active { unit: unit.clone(), active: false },
                Verb::Enable => Postcondition::Enabled { unit: unit.clone(), enabled: true },
                Verb::Disable => Postcondition::Enabled { unit: unit.clone(), enabled: false },
            }],
            _ => Vec::new(),
        }
    }
}

fn with_mode(first: Postcondition, path: &RemotePath, attributes: &Attributes) -> Vec<Postcondition> {
    let mode = attributes.mode.map(|mode| Postcondition::Mode { path: path.clone(), mode });
    std::iter::once(first).chain(mode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Content;
    use crate::id::{StepKey, TaskPath};

    #[test]
    fn a_later_content_takes_the_place_of_an_earlier_one() {
        let path = RemotePath::parse("/etc/app.conf").unwrap();
        let save = StepKey { task: TaskPath::main(), n: 1 }.save(1);
        let attributes = Attributes { mode: Some(0o600), ..Attributes::default() };
        let write = Effect::Write {
            path: path.clone(),
            content: Content::new("x"),
            attributes,
            validate: None,
            save: save.clone(),
            basis: None,
        };
        let remove = Effect::Remove { path, save };
        let (write, remove) = (write.postconditions(), remove.postconditions());
        assert_eq!(write.len(), 2);
        assert_eq!(write[0].subject(), remove[0].subject());
        assert_ne!(write[1].subject(), remove[0].subject());
    }
}
