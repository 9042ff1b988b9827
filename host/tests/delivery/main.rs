//! Lanes: a real outbox, sinks that do as they are told, a clock that runs fast; then the DingTalk plugin and the simulated group.
#![allow(clippy::unwrap_used)]

mod budget;
mod dingtalk;
mod flaky;
mod lanes;
mod many;
mod random;
mod restarts;
mod support;
mod trouble;
