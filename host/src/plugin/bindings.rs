//! The types of `wit/`, generated.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "interactive-incident-sink",
    additional_derives: [PartialEq],
});
