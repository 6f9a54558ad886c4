//! Many checks of one kind on a few threads: all failures are told, not the first.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most of the time is spent waiting for `sh`.
const THREADS: usize = 6;

/// Checks every item; panics with what each failure says behind the item's name.
pub(crate) fn check_all<T: Sync>(
    items: &[T],
    name: impl Fn(&T) -> String + Sync,
    check: impl Fn(&T) -> Result<(), String> + Sync,
) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(items.len()) {
            scope.spawn(|| {
                while let Some((at, item)) = Some(next.fetch_add(1, Ordering::SeqCst)).and_then(|at| Some((at, items.get(at)?))) {
                    let result = catch_unwind(AssertUnwindSafe(|| check(item))).unwrap_or_else(|panic| Err(said(&*panic)));
                    if let Err(why) = result {
                        failures.lock().unwrap().push((at, format!("{}: {why}", name(item))));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let told: Vec<&str> = failures.iter().map(|(_, why)| why.as_str()).collect();
    assert!(told.is_empty(), "{} of {} failed:\n\n{}\n", told.len(), items.len(), told.join("\n\n"));
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_else(|| "it panicked".to_owned())
}
