//! What is told of hosts that undoing did not come to, and of what ended runs left on hosts.

use super::printer::Printer;
use crate::ledger::Leftover;
use crate::report::{Tone, plain};
use crate::run::Left;

/// Which hosts keep what the run made, since undoing stopped before it came to them.
pub(super) fn tell(printer: &Printer, left: &[Left]) {
    for Left { host, has } in left {
        let has = if has.is_empty() { "what the run made".to_owned() } else { has.join(", ") };
        printer.note(&format!("{} {host} keeps {}", printer.paint.tone(Tone::Bad, "not undone:"), plain(&has)));
    }
    if !left.is_empty() {
        printer.note("undoing stopped there: who serves is not taken down while others do not get well");
    }
}

/// What hosts still keep of runs that have ended.
pub(super) fn tell_leftovers(printer: &Printer, leftovers: &[Leftover]) {
    for Leftover { run, at, why, .. } in leftovers {
        printer.note(&format!("{} run {run} on {at}: {}", printer.paint.tone(Tone::Bad, "still kept:"), plain(why)));
    }
    if !leftovers.is_empty() {
        printer.note("the next run that comes there tries again to remove it; `windlass status` lists it until then");
    }
}
