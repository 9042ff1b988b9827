//! The sandbox, tried: refusals, limits, versions.

mod call;
mod config;
mod load;
mod output;
