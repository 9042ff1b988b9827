//! The console in a real browser: everything that an operator does there, on every page, in both themes, at both widths.
#![allow(clippy::unwrap_used)]

mod access;
mod browser;
mod operate;
#[path = "../support/port.rs"]
mod port;
mod scene;
mod screenshots;
mod signs;
mod trust;
