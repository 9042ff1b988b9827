//! The sandbox, tried: refusals, limits, versions.

mod call;
mod chameleon;
mod config;
mod load;
mod output;
