//! The packages: laid out, installed, run and removed, as far as that needs no daemon.
#![allow(clippy::unwrap_used)]

mod deb;
mod image;
mod kubernetes;
mod support;
mod unit;
