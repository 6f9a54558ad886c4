//! A layer that lets nothing through that changes something: a prediction cannot change a host, whatever stands above it. What
//! its own looks left in the run's private directory is removed at the end; nothing else ever is.

use crate::effect::{Effect, EffectClass, EffectError, Effects, Login, Reply};

/// Another layer, of which only looks are asked.
pub struct ReadOnly<E>(E);

impl<E: Effects> ReadOnly<E> {
    /// Refuses what would change something.
    pub fn new(inner: E) -> Self {
        Self(inner)
    }
}

impl<E: Effects> Effects for ReadOnly<E> {
    fn perform(&self, at: &Login, effect: &Effect) -> Result<Reply, EffectError> {
        // A file that is fetched is written into the project, and people are told only what has happened.
        let harmless = !matches!(effect, Effect::Fetch { .. } | Effect::Notify { .. });
        match effect.class() {
            EffectClass::Read | EffectClass::Controller if harmless => self.0.perform(at, effect),
            EffectClass::Write if *effect == (Effect::Forget { anchor: None, of: None }) => self.0.perform(at, effect),
            _ => {
                let told = format!("{effect:?}");
                let name = told.split_whitespace().next().unwrap_or_default();
                Err(EffectError::Unsupported(format!(
                    "a prediction would have changed {at}: {name} reached the layer that only reads"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Attributes, Content, ServiceUnit, UnitScope, Verb};
    use crate::id::{HostName, RemotePath, StepKey, TaskPath};
    use std::sync::Mutex;

    /// Writes down what reaches it.
    #[derive(Default)]
    struct Below(Mutex<Vec<String>>);

    impl Effects for &Below {
        fn perform(&self, _: &Login, effect: &Effect) -> Result<Reply, EffectError> {
            self.0.lock().unwrap().push(format!("{effect:?}"));
            Ok(Reply::done(false))
        }
    }

    #[test]
    fn only_looks_pass() {
        let below = Below::default();
        let layer = ReadOnly::new(&below);
        let at = Login::plain(&HostName::parse("web1").unwrap());
        let path = || RemotePath::parse("/srv/x").unwrap();
        let save = || StepKey { task: TaskPath::main(), n: 1 }.save(1);
        let unit = || ServiceUnit { name: "web".to_owned(), scope: UnitScope::System };
        let refused = [
            Effect::Write {
                path: path(),
                content: Content::new("x"),
                attributes: Attributes::default(),
                validate: None,
                save: save(),
                basis: None,
            },
            Effect::Remove { path: path(), save: save() },
            Effect::Service { unit: unit(), verb: Verb::Start, save: save() },
            Effect::Restore { save: save(), surely: false, overwrite: crate::effect::Overwrite::Nothing },
            Effect::Fetch { path: path(), to: "x".to_owned(), limit: 1 },
            Effect::Notify { text: "x".to_owned(), to: None },
        ];
        for effect in &refused {
            assert!(matches!(layer.perform(&at, effect), Err(EffectError::Unsupported(_))), "{effect:?}");
        }
        assert!(below.0.lock().unwrap().is_empty());
        for effect in
            [Effect::Stat { path: path() }, Effect::ServiceStatus { unit: unit() }, Effect::Forget { anchor: None, of: None }]
        {
            assert!(layer.perform(&at, &effect).is_ok());
        }
        assert_eq!(below.0.lock().unwrap().len(), 3);
    }
}
