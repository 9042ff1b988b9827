//! How many calls run at a time: never more than the pool has slots.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A counting gate whose callers wait, a bounded time, without an executor.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    freed: Condvar,
    wait: Duration,
}

#[derive(Clone, Copy, Debug)]
struct State {
    free: usize,
    /// Callers that wait. Where there are none, nobody is woken, which would be a call of the system.
    waiting: usize,
}

/// A place behind the gate, given back when dropped.
#[derive(Debug)]
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    pub(super) fn new(slots: usize, wait: Duration) -> Self {
        Gate { state: Mutex::new(State { free: slots, waiting: 0 }), freed: Condvar::new(), wait }
    }

    /// A place, or `None` where none became free in time.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        if state.free == 0 {
            state.waiting += 1;
            (state, _) = self.freed.wait_timeout_while(state, self.wait, |state| state.free == 0).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.free = state.free.checked_sub(1)?;
        Some(Pass(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.free += 1;
        if state.waiting > 0 {
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_refuses_in_time_and_opens_again() {
        let gate = Gate::new(2, Duration::from_millis(5));
        let first = gate.enter();
        let second = gate.enter();
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter().is_none());
        drop(first);
        assert!(gate.enter().is_some());
    }

    #[test]
    fn a_waiting_caller_gets_the_place_that_is_given_back() {
        let gate = Gate::new(1, Duration::from_secs(30));
        let pass = gate.enter();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter().is_some());
            drop(pass);
            assert!(waiting.join().unwrap());
        });
    }
}
