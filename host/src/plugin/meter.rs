//! What a plugin's calls come to: how many, for how long, and how they fail. Counters for metrics; nothing here waits or allocates.
//!
//! Counted is what a version does in use, under its plugin's name: a swap goes on counting, and what a version does while it is still being
//! checked, or writes along as a shadow, is left out.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

use super::call::CallError;

/// The functions of the contract that the host calls for messages and callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `sink.check`.
    Check,
    /// `sink.begin`.
    Begin,
    /// `sink.resume`.
    Resume,
    /// `signer.sign`.
    Sign,
    /// `inbox.verify`.
    Verify,
    /// `inbox.read`.
    Read,
    /// `inbox.reply`.
    Reply,
}

impl Function {
    /// All of them, in the order of their declaration.
    pub const ALL: [Function; 7] =
        [Function::Check, Function::Begin, Function::Resume, Function::Sign, Function::Verify, Function::Read, Function::Reply];

    /// The contract's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Function::Check => "check",
            Function::Begin => "begin",
            Function::Resume => "resume",
            Function::Sign => "sign",
            Function::Verify => "verify",
            Function::Read => "read",
            Function::Reply => "reply",
        }
    }
}

/// Upper bounds of the classes that the times of calls are counted in, in microseconds; what is longer than the last is in a class of its own.
pub const BOUNDS_US: [u64; 14] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];

/// How calls fail: every word that [`CallError::code`] has for a call, without `plugin-`.
pub const FAULTS: [&str; 9] = ["failure", "deadline", "memory", "stack", "trap", "too-much-data", "malformed", "output", "busy"];

/// The counters of one plugin.
#[derive(Debug, Default)]
pub struct Meter {
    functions: [Timer; Function::ALL.len()],
    faults: [AtomicU64; FAULTS.len()],
}

#[derive(Debug, Default)]
struct Timer {
    nanoseconds: AtomicU64,
    classes: [AtomicU64; BOUNDS_US.len() + 1],
}

impl Meter {
    /// Counts a call that has ended.
    pub(super) fn ended<T>(&self, function: Function, took: Duration, result: &Result<T, CallError>) {
        let timer = &self.functions[function as usize];
        timer.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        let class = BOUNDS_US.partition_point(|bound| u128::from(*bound) * 1_000 < took.as_nanos());
        timer.classes[class].fetch_add(1, Relaxed);
        if let Err(error) = result
            && let Some(fault) = FAULTS.iter().position(|fault| error.code().strip_prefix("plugin-") == Some(fault))
        {
            self.faults[fault].fetch_add(1, Relaxed);
        }
    }

    /// What was counted so far. Calls that end meanwhile may be in one number and not yet in another.
    pub fn usage(&self) -> Usage {
        let functions = Function::ALL.iter().zip(&self.functions).map(|(function, timer)| timer.usage(function.name()));
        let faults = FAULTS.iter().zip(&self.faults).map(|(fault, count)| Fault { fault, count: count.load(Relaxed) });
        Usage { functions: functions.collect(), faults: faults.collect() }
    }
}

impl Timer {
    fn usage(&self, function: &'static str) -> FunctionUsage {
        let classes: Vec<u64> = self.classes.iter().map(|count| count.load(Relaxed)).collect();
        let seconds = Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64();
        FunctionUsage { function, calls: classes.iter().sum(), seconds, classes }
    }
}

/// The counters of one plugin at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// One for each [`Function`], in their order.
    pub functions: Vec<FunctionUsage>,
    /// One for each of [`FAULTS`], in their order.
    pub faults: Vec<Fault>,
}

/// The calls of one function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionUsage {
    /// [`Function::name`].
    pub function: &'static str,
    /// Calls that have ended, well or not.
    pub calls: u64,
    /// What they took, all together.
    pub seconds: f64,
    /// Calls in each class of [`BOUNDS_US`], and those beyond the last bound. Not cumulative.
    #[serde(skip)]
    pub classes: Vec<u64>,
}

/// Calls that failed in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// One of [`FAULTS`].
    pub fault: &'static str,
    /// How many.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_function_time_and_fault() {
        let meter = Meter::default();
        meter.ended(Function::Begin, Duration::from_micros(10), &Ok(()));
        meter.ended(Function::Begin, Duration::from_micros(11), &Ok(()));
        meter.ended(Function::Sign, Duration::from_secs(1), &Err::<(), _>(CallError::Busy));
        let usage = meter.usage();
        let of = |name: &str| usage.functions.iter().find(|function| function.function == name).unwrap();
        assert_eq!((of("begin").calls, &of("begin").classes[..2]), (2, &[1, 1][..]));
        assert_eq!((of("sign").calls, of("sign").classes.last(), of("sign").seconds), (1, Some(&1), 1.0));
        assert_eq!(of("resume").calls, 0);
        let faults: Vec<_> = usage.faults.iter().filter(|fault| fault.count > 0).map(|fault| fault.fault).collect();
        assert_eq!(faults, ["busy"]);
    }

    #[test]
    fn the_functions_are_in_the_order_of_their_numbers() {
        assert!(Function::ALL.iter().enumerate().all(|(number, function)| *function as usize == number));
    }
}
