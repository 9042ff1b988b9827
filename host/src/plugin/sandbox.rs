//! What one call may take of the machine, and what its error says.

use wasmtime::{ResourceLimiter, Trap, WasmBacktrace};

use super::call::CallError;
use super::limits::Limits;
use super::text;

/// Frames of a trap that are kept for the log.
const FRAMES: usize = 12;
/// The longest name of a function.
const NAME: usize = 200;

/// The data of a call's store: its limits, and whether it ran into one.
#[derive(Debug)]
pub(super) struct Sandbox {
    memory: usize,
    table_elements: usize,
    refused_memory: bool,
}

impl Sandbox {
    pub(super) fn new(limits: &Limits) -> Self {
        Sandbox { memory: limits.memory.0, table_elements: limits.table_elements as usize, refused_memory: false }
    }

    /// What an error of a call means, by its type.
    pub(super) fn explain(&self, error: &wasmtime::Error, limits: &Limits) -> CallError {
        let trap = error.downcast_ref::<Trap>();
        match trap {
            Some(Trap::Interrupt) => CallError::Deadline { limit: limits.deadline },
            // A refused `memory.grow` is no trap: the guest is told, and gives up by one.
            _ if self.refused_memory => CallError::Memory { limit: limits.memory },
            Some(Trap::StackOverflow) => CallError::Stack { frames: frames(error) },
            Some(trap) => {
                let kind = trap.to_string();
                CallError::Trap { kind: kind.trim_start_matches("wasm trap: ").to_owned(), frames: frames(error) }
            }
            // The type of this one is not public.
            None if error.root_cause().to_string().starts_with("too much data") => CallError::TooMuchData { limit: limits.lifted },
            None => CallError::Malformed(text::line(&format!("{error:#}"))),
        }
    }
}

/// Where it happened, innermost first; a function that calls itself stands once.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        // Without the hash that the compiler adds.
        Some(name) => text::line(text::prefix(&format!("{:#}", rustc_demangle::demangle(name)), NAME)),
        None => format!("function {}", frame.func_index()),
    };
    let mut names: Vec<String> = trace.frames().iter().map(name).collect();
    names.dedup();
    names.truncate(FRAMES);
    names
}

impl ResourceLimiter for Sandbox {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.memory;
        self.refused_memory |= !allowed;
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_elements)
    }

    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        2
    }

    fn memories(&self) -> usize {
        1
    }
}
