//! Turns: threads of a simulated run that work one at a time, each up to its next effect, in the order of their hosts. So the same
//! run comes out the same every time, and hosts of a batch are side by side at every moment, as they would be.
//!
//! A thread without a seat is not held up: a real run has none.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

type Id = u64;

/// Who is at work, and who comes next.
#[derive(Default)]
struct Turns {
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    /// Those who want to work, in their order.
    order: Vec<(Id, Arc<Condvar>)>,
    /// Who is at work: a place in the order.
    at: usize,
    next: Id,
    /// Of those who wait for threads that they made: how many are left, by the threads' fork.
    forks: BTreeMap<Id, (usize, (Id, Arc<Condvar>))>,
}

#[derive(Clone)]
struct Here {
    turns: Arc<Turns>,
    id: Id,
    wakes: Arc<Condvar>,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

fn here() -> Option<Here> {
    HERE.with(|here| here.borrow().clone())
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn seat(&mut self) -> (Id, Arc<Condvar>) {
        self.next += 1;
        (self.next, Arc::default())
    }

    fn place(&self, id: Id) -> Option<usize> {
        self.order.iter().position(|(other, _)| *other == id)
    }

    fn is_at(&self, id: Id) -> bool {
        self.order.get(self.at).is_some_and(|(other, _)| *other == id)
    }

    fn wake(&self) {
        if let Some((_, wakes)) = self.order.get(self.at) {
            wakes.notify_all();
        }
    }
}

impl Here {
    /// Waits until it is this thread's turn.
    fn wait(&self) {
        let mut ring = self.turns.lock();
        while !ring.is_at(self.id) {
            ring = self.wakes.wait(ring).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Works with turns: this thread's, and those of the threads that it makes.
pub fn in_turns<T>(work: impl FnOnce() -> T) -> T {
    let turns = Arc::new(Turns::default());
    let (id, wakes) = {
        let mut ring = turns.lock();
        let seat = ring.seat();
        ring.order.push(seat.clone());
        seat
    };
    seated(Some(Here { turns, id, wakes }), work)
}

fn seated<T>(seat: Option<Here>, work: impl FnOnce() -> T) -> T {
    let before = HERE.with(|here| here.replace(seat));
    let result = work();
    HERE.with(|here| *here.borrow_mut() = before);
    result
}

/// Lets the others work up to their next effects.
pub fn pass() {
    let Some(here) = here() else { return };
    {
        let mut ring = here.turns.lock();
        let Some(place) = ring.place(here.id) else { return };
        ring.at = (place + 1) % ring.order.len();
        if ring.is_at(here.id) {
            return;
        }
        ring.wake();
    }
    here.wait();
}

/// Keeps this thread, and those that it makes from now on, on one processor: the `n`th that it may use. Threads that take turns gain
/// nothing from several, and wake each other sooner on one. Where that cannot be had, nothing is changed.
pub fn on_one_processor(n: usize) {
    let Ok(may) = sched_getaffinity(None) else { return };
    let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| may.is_set(*cpu)).collect();
    let Some(cpu) = usable.get(n % usable.len().max(1)) else { return };
    let mut one = CpuSet::new();
    one.set(*cpu);
    // It stays wherever it was.
    let _ = sched_setaffinity(None, &one);
}

/// Whether this thread takes turns with others.
#[must_use]
pub fn has_turns() -> bool {
    HERE.with(|here| here.borrow().is_some())
}

/// The place of a thread that goes on with this one's work while this one waits for it.
#[derive(Clone)]
pub struct Carried(Option<Here>);

/// For a thread that is made to go on with this one's work.
#[must_use]
pub fn carried() -> Carried {
    Carried(here())
}

impl Carried {
    /// Works there.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        seated(self.0, work)
    }
}

/// A place for a thread that works beside others.
pub struct Seat(Option<(Here, Id)>);

/// Places for so many threads, of which this one will wait for the end. They come in this order.
#[must_use]
pub fn side_by_side(count: usize) -> Vec<Seat> {
    let Some(maker) = here().filter(|_| count > 0) else { return (0..count).map(|_| Seat(None)).collect() };
    let mut ring = maker.turns.lock();
    let fork = ring.seat().0;
    let seats: Vec<(Id, Arc<Condvar>)> = (0..count).map(|_| ring.seat()).collect();
    ring.forks.insert(fork, (count, (maker.id, maker.wakes.clone())));
    if let Some(place) = ring.place(maker.id) {
        ring.order.splice(place..=place, seats.iter().cloned());
        ring.at = place;
    }
    drop(ring);
    let seat = |(id, wakes)| Seat(Some((Here { turns: maker.turns.clone(), id, wakes }, fork)));
    seats.into_iter().map(seat).collect()
}

/// Waits, once the threads of [`side_by_side`] have ended, for this thread's own turn.
pub fn again() {
    if let Some(here) = here() {
        here.wait();
    }
}

impl Seat {
    /// Works there, from its turn on.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        let here = self.0.as_ref().map(|(here, _)| here.clone());
        if let Some(here) = &here {
            here.wait();
        }
        seated(here, work)
    }
}

impl Drop for Seat {
    /// It is given up: the next one works, or, after the last one, who waits for them.
    fn drop(&mut self) {
        let Some((here, fork)) = &self.0 else { return };
        let mut ring = here.turns.lock();
        let Some(place) = ring.place(here.id) else { return };
        let was_at = ring.at;
        let left = match ring.forks.get_mut(fork) {
            Some((left, _)) => {
                *left -= 1;
                *left
            }
            None => 0,
        };
        match ring.forks.remove(fork) {
            Some((_, maker)) if left == 0 => {
                ring.order[place] = maker;
                ring.at = if was_at == place { place } else { was_at };
            }
            entry => {
                ring.order.remove(place);
                if let Some(entry) = entry {
                    ring.forks.insert(*fork, entry);
                }
                // A seat that nobody took goes before its turn.
                ring.at = if was_at > place { was_at - 1 } else { was_at };
                let len = ring.order.len().max(1);
                ring.at %= len;
            }
        }
        ring.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each thread says its name before each of its three effects; some of them make threads of their own.
    fn story() -> Vec<String> {
        let said = Mutex::new(Vec::new());
        let say = |text: String| {
            pass();
            said.lock().unwrap().push(text);
        };
        let fork = |names: &[&str], inner: &(dyn Fn(&str) + Sync)| {
            let seats = side_by_side(names.len());
            std::thread::scope(|scope| {
                for (seat, name) in seats.into_iter().zip(names) {
                    scope.spawn(move || seat.within(|| inner(name)));
                }
            });
            again();
        };
        in_turns(|| {
            say("main".to_owned());
            fork(&["a", "b", "c"], &|name| {
                say(format!("{name}1"));
                if name == "b" {
                    fork(&["x", "y"], &|deep| say(format!("b{deep}")));
                }
                say(format!("{name}2"));
            });
            say("end".to_owned());
        });
        said.into_inner().unwrap()
    }

    #[test]
    fn threads_take_turns_in_the_same_order_every_time() {
        let first = story();
        assert_eq!(first.first().map(String::as_str), Some("main"));
        assert_eq!(first.last().map(String::as_str), Some("end"));
        assert_eq!(first.len(), 10);
        let place = |text: &str| first.iter().position(|said| said == text).unwrap();
        assert!(place("c1") < place("a2") && place("by") < place("b2"), "{first:?}");
        for _ in 0..50 {
            assert_eq!(story(), first);
        }
    }
}
