//! What a lane may spend: its pace and its budget.

use tracing::warn;

use super::Lane;
use crate::clock::UnixMs;
use crate::delivery::budget::{self, Standing};
use crate::delivery::{Pace, pace};
use crate::outbox::{LaneState, OutboxError, PaceLog};

/// A stored time that lies further ahead than any wait of ours was written by a clock that was wrong.
const LONGEST_WAIT_MS: i64 = 25 * 3_600_000;

/// When to go on, as far as that can be believed.
pub(super) fn believed(at: UnixMs, now: UnixMs) -> UnixMs {
    if at.saturating_sub(now) > LONGEST_WAIT_MS { now } else { at }
}

impl Lane<'_> {
    /// Corrects what an earlier run, or a turn that ended in the middle, left in the pace's log. Written down, so that it is corrected once:
    /// a log that is put right anew at each look would move ahead of the clock for ever.
    pub(super) async fn restore(&mut self, state: &mut LaneState) -> Result<(), OutboxError> {
        let now = self.shared.clock.steady();
        let unknown = state.open.as_ref().is_some_and(|open| open.unknown);
        let of_an_earlier_run = state.pace.sends.last().is_some_and(|last| *last < self.shared.started);
        let found = state.pace.clone();
        pace::restore(&mut state.pace, unknown && (of_an_earlier_run || self.memory.interrupted), now);
        if state.pace != found {
            self.shared.outbox.store_pace(&self.connector.name, state.pace.clone()).await?;
        }
        self.memory.interrupted = false;
        Ok(())
    }

    pub(super) fn pace(&self) -> Option<Pace> {
        self.connector.policy.pace(&self.connector.sink.profile())
    }

    /// Where the budget of whoever pays stands.
    pub(super) fn standing(&self, log: &PaceLog) -> Standing {
        let month = self.month();
        let own = if log.month == month { log.month_count } else { 0 };
        budget::standing(self.shared.budgets.used(&self.connector.policy.payer, &month).max(own), self.connector.policy.monthly_budget)
    }

    /// Counts a message in the lane's log. Answers the month, for [`Lane::charge`] once the log is written down.
    pub(super) fn count(&self, log: &mut PaceLog) -> String {
        let month = self.month();
        if log.month != month {
            (log.month, log.month_count) = (month.clone(), 0);
        }
        log.month_count = log.month_count.saturating_add(1);
        month
    }

    /// Counts a message for whoever pays, and tells the operator where the budget runs out.
    pub(super) fn charge(&self, month: &str) {
        let (payer, limit) = (&self.connector.policy.payer, self.connector.policy.monthly_budget);
        if let Some(standing) = self.shared.budgets.spend(payer, month, limit) {
            let used = self.shared.budgets.used(payer, month);
            warn!(connector = &*self.connector.name, ?standing, used, limit, "Monthly budget is running out.");
        }
    }

    fn month(&self) -> String {
        budget::month(self.shared.clock.now(), &self.connector.policy.zone)
    }
}
