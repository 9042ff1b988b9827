//! The engine: one compiler, one pool of slots, one ticker for all plugins.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::gate::Gate;
use super::limits::{Limits, MEMORY_CEILING};
use super::load::LoadError;
use super::sandbox::Sandbox;
use super::workshop::Workshop;

/// Core instances that one component may consist of.
const CORE_INSTANCES: u32 = 8;
/// Tables that one component may have: its own, and one of the adapters that link its modules.
const TABLES: u32 = 2;
/// Pages of a memory that stay mapped from one call to the next: a guest as small as ours is cleared by a memset, without a page fault.
const RESIDENT: usize = 1 << 20;

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Calls that run at a time.
    pub slots: u32,
    /// How exactly deadlines are kept.
    pub tick: Duration,
    /// How long a call waits for a slot before it fails with [`super::CallError::Busy`].
    pub wait: Duration,
    /// The stack of one call, in bytes.
    pub stack: usize,
    /// Take memory from the system for each call instead of from a pool. Slower; needs little address space.
    pub on_demand: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        // Calls do not wait for anything, so more of them than threads would only queue in the kernel instead of at the gate.
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let slots = u32::try_from(threads.saturating_mul(2)).unwrap_or(u32::MAX).clamp(8, 256);
        EngineOptions { slots, tick: Duration::from_millis(10), wait: Duration::from_secs(1), stack: 512 << 10, on_demand: false }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the machine or the options.
    #[error("The plugin engine cannot run on this machine: {0}")]
    Unsupported(String),
    /// No thread for the ticker.
    #[error("The plugin engine cannot start its thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Compiles components and runs their calls. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasm: wasmtime::Engine,
    linker: Linker<Sandbox>,
    gate: Gate,
    workshop: Workshop,
    tick: Duration,
    pooled: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("pooled", &self.0.pooled).field("tick", &self.0.tick).finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets the engine up and starts its ticker, which ends with the last clone.
    pub fn new(options: EngineOptions) -> Result<Engine, EngineError> {
        let (wasm, pooled) = make(&options)?;
        ticker(&wasm, options.tick).map_err(EngineError::Thread)?;
        let linker = Linker::new(&wasm);
        let gate = Gate::new(options.slots as usize, options.wait);
        Ok(Engine(Arc::new(Inner { wasm, linker, gate, workshop: Workshop::default(), tick: options.tick, pooled })))
    }

    /// Whether calls take their memory from the pool.
    pub fn is_pooled(&self) -> bool {
        self.0.pooled
    }

    /// From now on messages are delivered: compilations leave half of the processors to that. Until then they take all.
    pub(crate) fn share(&self) {
        self.0.workshop.share();
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    /// Compiles a component, on threads that give way to others. Blocks.
    pub(super) fn compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let compiled = self.0.workshop.run(|| Component::new(&self.0.wasm, bytes));
        compiled.map_err(|error| LoadError::Threads(error.to_string()))?.map_err(|error| LoadError::invalid(&error))
    }

    /// Offers nothing: a plugin imports types at most.
    pub(super) fn linker(&self) -> &Linker<Sandbox> {
        &self.0.linker
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// A store for one call, with every limit armed.
    pub(super) fn store(&self, limits: &Limits) -> Store<Sandbox> {
        let mut store = Store::new(&self.0.wasm, Sandbox::new(limits));
        store.limiter(|sandbox| sandbox);
        store.set_hostcall_fuel(limits.lifted.0);
        self.arm(&mut store, limits);
        store
    }

    /// Starts the time of a call. One tick more than fits, since the current one has partly passed.
    pub(super) fn arm(&self, store: &mut Store<Sandbox>, limits: &Limits) {
        let ticks = limits.deadline.0.as_nanos().div_ceil(self.0.tick.as_nanos().max(1));
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
    }
}

/// The engine with a pool, or without where the address space has no room for one.
fn make(options: &EngineOptions) -> Result<(wasmtime::Engine, bool), EngineError> {
    if !options.on_demand {
        match wasmtime::Engine::new(base(options).allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)))) {
            Ok(engine) => return Ok((engine, true)),
            Err(error) => tracing::warn!(
                error = %format!("{error:#}"),
                "No address space for the plugin pool; plugins run slower. Raise the limit on virtual memory (ulimit -v)."
            ),
        }
    }
    let mut config = base(options);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    // Reserve what a plugin may use at most and check bounds, instead of 4 GiB a memory.
    config.memory_reservation(MEMORY_CEILING.0 as u64).memory_reservation_for_growth(0).memory_guard_size(64 << 10);
    wasmtime::Engine::new(&config).map(|engine| (engine, false)).map_err(|error| EngineError::Unsupported(format!("{error:#}")))
}

fn base(options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).max_wasm_stack(options.stack);
    // Nothing is linked that could be called concurrently; the support would cost each call.
    config.concurrency_support(false);
    // What no plugin of this contract needs is attack surface.
    config
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false);
    config
}

fn pool(options: &EngineOptions) -> PoolingAllocationConfig {
    let slots = options.slots;
    let mut pool = PoolingAllocationConfig::new();
    // One component instance a call.
    pool.total_component_instances(slots).total_core_instances(slots.saturating_mul(CORE_INSTANCES));
    pool.max_core_instances_per_component(CORE_INSTANCES);
    // One memory each.
    pool.total_memories(slots).max_memories_per_component(1).max_memory_size(MEMORY_CEILING.0);
    pool.total_tables(slots.saturating_mul(TABLES)).max_tables_per_component(TABLES).table_elements(100_000);
    // Clear by memset what a small guest touches; the kernel's page tables stay as they are. `pagemap_scan` stays off: it misses dirty
    // pages that were swapped out, and the next call could read them.
    pool.linear_memory_keep_resident(RESIDENT).table_keep_resident(64 << 10);
    pool
}

/// Counts the time for all calls, until the engine is gone.
fn ticker(engine: &wasmtime::Engine, tick: Duration) -> std::io::Result<JoinHandle<()>> {
    let engine = engine.weak();
    std::thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(tick);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticker_ends_with_the_engine() {
        let (wasm, _) = make(&EngineOptions::default()).unwrap();
        let ticker = ticker(&wasm, Duration::from_millis(1)).unwrap();
        drop(wasm);
        ticker.join().unwrap();
    }

    #[test]
    fn a_pool_that_finds_no_address_space_is_done_without() {
        // 65,536 slots of 4 GiB are more than 47 bits.
        let options = EngineOptions { slots: 65_536, ..EngineOptions::default() };
        assert!(!Engine::new(options).unwrap().is_pooled());
    }
}
