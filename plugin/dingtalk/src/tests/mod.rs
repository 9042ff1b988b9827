//! Whole messages: how they look, and what holds for any of them.

pub(crate) mod any;
mod digest;
mod look;
mod rules;
pub(crate) mod sample;
