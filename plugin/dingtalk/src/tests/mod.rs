//! Whole messages: how they look, and what holds for any of them.

mod any;
mod digest;
mod look;
mod rules;
pub(crate) mod sample;
