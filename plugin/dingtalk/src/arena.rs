//! The guest's memory: a fixed arena, so that an instance never grows its memory, and the end of a panic.
#![allow(unsafe_code)]

use core::panic::PanicInfo;

use talc::wasm::{WasmArenaTalc, new_wasm_arena_allocator};

/// Holds a full batch as it is lifted, the message and its JSON; measured in README.md, "How it is built".
const ARENA: usize = 512 * 1024;

static mut MEMORY: [u8; ARENA] = [0; ARENA];

// SAFETY: nothing else names MEMORY, so the allocator is its only user from the first allocation to the end of the instance; wasm32 without
// the threads proposal has one thread.
#[global_allocator]
static ALLOCATOR: WasmArenaTalc = unsafe { new_wasm_arena_allocator(&raw mut MEMORY) };

/// A panic is a fault of the plugin: trap, and let the host say which function it was.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
