//! Components that misbehave, upgrades that are broken, and swaps under load: the host contains the first, refuses the second, and loses
//! nothing in the third.
#![allow(clippy::unwrap_used)]

mod api;
mod canary;
mod conform;
mod contain;
mod refuse;
mod reload;
mod secrets;
#[path = "../../../tests/support/slow.rs"]
mod slow;
mod stage;
mod swap;
