//! A plugin for tests that does well or misbehaves in whatever way its marker says; README.md lists the ways.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod havoc;
mod marker;
mod memory;
mod signer;
mod sink;

/// What `wit-bindgen` makes of the contract.
#[allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::unwrap_used, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "incident-sink" });
}

struct Chameleon;

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
