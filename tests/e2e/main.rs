//! The real program, the real plugin, a simulated group: killed, stopped and started again.
#![allow(clippy::unwrap_used)]

mod crash;
mod disk;
mod many;
mod stop;
mod support;
mod sync;
