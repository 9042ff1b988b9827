//! A plugin for tests that does well or misbehaves in whatever way its marker says; README.md lists the ways.
#![cfg_attr(target_arch = "wasm32", no_std)]
// Elsewhere nothing is exported; the crate is compiled for its unit tests and for lints.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]

extern crate alloc;

mod havoc;
mod marker;
mod memory;
mod signer;
mod sink;

/// What `wit-bindgen` makes of the contract.
#[allow(missing_docs, unused_imports, unused_macros, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::unwrap_used, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "incident-sink" });
}

struct Chameleon;

// The names of the exports are no symbols that a linker for other targets takes.
#[cfg(target_arch = "wasm32")]
bindings::export!(Chameleon with_types_in bindings);

// Grows, unlike a real plugin's arena: the host's limits are to be reached, not the guest's.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
