//! What people do in iLert itself, without the API.

use super::alert::{Alert, User};
use super::desk::Desk;
use crate::simulator::SimulatorError;

pub(super) fn accept(desk: &Desk, id: u64, by: Option<&User>) -> Result<(), SimulatorError> {
    change(desk, id, "acknowledged", |alert, _| alert.accept(by))
}

pub(super) fn resolve(desk: &Desk, id: u64) -> Result<(), SimulatorError> {
    change(desk, id, "resolved", Alert::resolve)
}

pub(super) fn escalate(desk: &Desk, id: u64, to: &User) -> Result<(), SimulatorError> {
    change(desk, id, "auto-escalated", |alert, _| alert.assign(to))
}

pub(super) fn assign(desk: &Desk, id: u64, to: &User) -> Result<(), SimulatorError> {
    change(desk, id, "assigned", |alert, _| alert.assign(to))
}

pub(super) fn raise(desk: &Desk, id: u64) -> Result<(), SimulatorError> {
    change(desk, id, "raised", |alert, _| alert.about.priority = "HIGH".into())
}

fn change(desk: &Desk, id: u64, kind: &str, change: impl FnOnce(&mut Alert, i64)) -> Result<(), SimulatorError> {
    desk.change(id, kind, |alert, now| {
        if !alert.is_open() {
            return Err(SimulatorError::AlertResolved(id));
        }
        change(alert, now);
        Ok(())
    })
    .map(drop)
}
