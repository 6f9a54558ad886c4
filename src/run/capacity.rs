//! How many healthy hosts stay while others are worked on: judged before anything is touched, and again before each batch.
//! Pure.

use crate::id::HostName;
use crate::script::ForkSpec;
use crate::step::StepError;
use std::collections::BTreeSet;

/// The hosts that serve.
pub(super) struct Capacity<'a> {
    spec: &'a ForkSpec,
    healthy: BTreeSet<HostName>,
}

/// Refuses batches that leave too few hosts even when all goes well.
pub(super) fn check(spec: &ForkSpec, batches: &[Vec<HostName>]) -> Result<(), StepError> {
    let Some(needed) = spec.min_available else { return Ok(()) };
    let total = spec.hosts.len();
    if needed.at_least(total) > total {
        let message = format!("`min_available` asks for {} healthy hosts, and there are {total}", needed.at_least(total));
        return Err(refusal(spec, message));
    }
    let mut capacity = Capacity::new(spec);
    for batch in batches {
        capacity
            .may_take(batch)
            .map_err(|error| refusal(spec, format!("`batch` and `min_available` cannot both hold: {}", error.message)))?;
        capacity.took(batch, []);
    }
    Ok(())
}

fn refusal(spec: &ForkSpec, message: String) -> StepError {
    let mut error = StepError::bad_input(message)
        .with_help("nothing was changed; take fewer hosts at a time, lower `min_available`, or mend sick hosts first");
    (error.op, error.site) = (spec.word.to_owned(), spec.site.clone());
    error
}

impl<'a> Capacity<'a> {
    /// Before the first batch.
    pub(super) fn new(spec: &'a ForkSpec) -> Self {
        let healthy = spec.hosts.iter().filter(|host| !spec.sick.contains(host)).cloned().collect();
        Self { spec, healthy }
    }

    /// Whether enough stay while these are worked on. Hosts that do not serve can always be taken.
    pub(super) fn may_take(&self, batch: &[HostName]) -> Result<(), StepError> {
        let Some(needed) = self.spec.min_available else { return Ok(()) };
        let (needed, total) = (needed.at_least(self.spec.hosts.len()), self.spec.hosts.len());
        let taken: Vec<&str> = batch.iter().filter(|host| self.healthy.contains(host)).map(HostName::as_str).collect();
        let left = self.healthy.len() - taken.len();
        if taken.is_empty() || left >= needed {
            return Ok(());
        }
        let sick: Vec<&str> = self.spec.hosts.iter().filter(|host| !self.healthy.contains(host)).map(HostName::as_str).collect();
        let sick = if sick.is_empty() { String::new() } else { format!("; not healthy: {}", sick.join(", ")) };
        let taken = taken.join(", ");
        let mut error = StepError::failed(format!(
            "while {taken} would be worked on, {left} of {total} hosts serve, and {needed} must{sick}"
        ));
        (error.op, error.site) = (self.spec.word.to_owned(), self.spec.site.clone());
        Err(error)
    }

    /// These were worked on; of them, the failed ones do not serve any more.
    pub(super) fn took<'h>(&mut self, batch: &[HostName], failed: impl IntoIterator<Item = &'h HostName>) {
        self.healthy.extend(batch.iter().cloned());
        for host in failed {
            self.healthy.remove(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{BatchSize, OnFailure};
    use crate::step::Site;

    fn names(list: &[&str]) -> Vec<HostName> {
        list.iter().map(|name| HostName::parse(name).unwrap()).collect()
    }

    fn spec(hosts: &[&str], sick: &[&str], min_available: BatchSize) -> ForkSpec {
        ForkSpec {
            word: "rolling",
            hosts: names(hosts),
            queue: names(hosts),
            sick: names(sick).into_iter().collect(),
            min_available: Some(min_available),
            batches: Vec::new(),
            max_failures: 0,
            on_failure: OnFailure::Unwind,
            bake: None,
            site: Site::default(),
        }
    }

    #[test]
    fn batches_leave_what_must_stay() {
        use BatchSize::{Hosts, Percent};
        let four = ["a", "b", "c", "d"];
        for (sick, needed, batches, fits) in [
            (&[][..], Hosts(2), &[&["a", "b"][..], &["c", "d"]][..], true),
            (&[], Hosts(3), &[&["a", "b"], &["c", "d"]], false),
            (&[], Percent(50), &[&["a", "b"], &["c", "d"]], true),
            (&[], Percent(51), &[&["a", "b"], &["c", "d"]], false),
            // A sick host takes nothing away, and serves once it was worked on.
            (&["a"], Hosts(3), &[&["a"], &["b"], &["c"], &["d"]], true),
            (&["d"], Hosts(3), &[&["a"], &["b"], &["c"], &["d"]], false),
            (&["a", "b", "c", "d"], Hosts(2), &[&["a", "b", "c", "d"]], true),
            (&["a", "b", "c", "d"], Hosts(5), &[&["a"]], false),
        ] {
            let spec = spec(&four, sick, needed);
            let batches: Vec<Vec<HostName>> = batches.iter().map(|batch| names(batch)).collect();
            assert_eq!(check(&spec, &batches).is_ok(), fits, "{sick:?} {needed:?} {batches:?}");
        }
    }

    #[test]
    fn a_failed_host_does_not_serve() {
        let spec = spec(&["a", "b", "c"], &[], BatchSize::Hosts(2));
        let mut capacity = Capacity::new(&spec);
        assert!(capacity.may_take(&names(&["a"])).is_ok());
        capacity.took(&names(&["a"]), &names(&["a"]));
        let error = capacity.may_take(&names(&["b"])).unwrap_err();
        assert!(error.message.contains("1 of 3 hosts serve, and 2 must; not healthy: a"), "{error}");
    }
}
