//! The types and exports that `wit/` says, generated.
#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)]

#[cfg(target_arch = "wasm32")]
use crate::guest::Plugin;

wit_bindgen::generate!({
    path: "../../wit",
    world: "interactive-incident-sink",
    additional_derives: [Clone, PartialEq],
    pub_export_macro: false,
});

// Only from WebAssembly: a native linker refuses the names of component exports.
#[cfg(target_arch = "wasm32")]
export!(Plugin with_types_in self);
