//! The monthly budget of a connector, or of an account that several connectors share.
//!
//! The outbox keeps each connector's count; what an account has used is the sum over its connectors.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::UnixMs;

/// Who pays: an account's name, or a connector's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// One connector.
    Connector(std::sync::Arc<str>),
    /// Several.
    Account(std::sync::Arc<str>),
}

/// How much is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Enough.
    Free,
    /// 80 % are used: the operator is told.
    Low,
    /// 95 % are used: only digests and HIGH priority go out.
    Tight,
    /// Nothing is left until next month.
    Spent,
}

/// Where `used` of `limit` stands.
pub fn standing(used: u32, limit: Option<u32>) -> Standing {
    let Some(limit) = limit else { return Standing::Free };
    let (used, limit) = (u64::from(used), u64::from(limit));
    if used >= limit {
        Standing::Spent
    } else if used * 100 >= limit * 95 {
        Standing::Tight
    } else if used * 100 >= limit * 80 {
        Standing::Low
    } else {
        Standing::Free
    }
}

/// The calendar month of a moment, as `2026-11`.
pub fn month(at: UnixMs, zone: &TimeZone) -> String {
    let moment = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(zone.clone());
    format!("{:04}-{:02}", moment.year(), moment.month())
}

/// What every payer has used this month. Lives in memory; filled from the outbox at start.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<HashMap<Payer, Used>>);

#[derive(Debug, Default)]
struct Used {
    month: String,
    count: u32,
    told: Option<Standing>,
}

impl Budgets {
    /// Adds what the outbox knows of one connector.
    pub fn load(&self, payer: &Payer, month: &str, count: u32) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(payer.clone()).or_default();
        if used.month.as_str() < month {
            *used = Used { month: month.to_owned(), count, told: None };
        } else if used.month == month {
            used.count = used.count.saturating_add(count);
        }
    }

    /// Takes over what was counted elsewhere, where it is more.
    pub fn raise(&self, counted: Budgets) {
        let counted = counted.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (payer, new) in counted {
            let used = all.entry(payer).or_default();
            if used.month < new.month {
                *used = new;
            } else if used.month == new.month {
                used.count = used.count.max(new.count);
            }
        }
    }

    /// What is used this month. Where several connectors pay together, the month is the newest of theirs: at its border their zones differ.
    pub fn used(&self, payer: &Payer, month: &str) -> u32 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(payer).filter(|used| used.month.as_str() >= month).map_or(0, |used| used.count)
    }

    /// Counts one message. Answers a standing that the operator has not been told of yet this month.
    pub fn spend(&self, payer: &Payer, month: &str, limit: Option<u32>) -> Option<Standing> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(payer.clone()).or_default();
        if used.month.as_str() < month {
            *used = Used { month: month.to_owned(), count: 0, told: None };
        }
        used.count = used.count.saturating_add(1);
        let now = standing(used.count, limit);
        let news = now > Standing::Free && used.told.is_none_or(|told| told < now);
        news.then(|| {
            used.told = Some(now);
            now
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_once_at_80_and_once_at_95_percent() {
        let (budgets, payer) = (Budgets::default(), Payer::Account("corp".into()));
        let told: Vec<(u32, Standing)> =
            (1..=100).filter_map(|n| budgets.spend(&payer, "2026-11", Some(100)).map(|standing| (n, standing))).collect();
        assert_eq!(told, [(80, Standing::Low), (95, Standing::Tight), (100, Standing::Spent)]);
        assert_eq!(budgets.used(&payer, "2026-12"), 0);
        assert_eq!(budgets.spend(&payer, "2026-12", Some(100)), None);
        // A connector further west is still in the month before.
        assert_eq!(budgets.spend(&payer, "2026-11", Some(100)), None);
        assert_eq!((budgets.used(&payer, "2026-11"), budgets.used(&payer, "2026-12")), (2, 2));
    }

    #[test]
    fn an_account_is_the_sum_of_its_connectors_in_the_newest_month() {
        let (budgets, payer) = (Budgets::default(), Payer::Account("corp".into()));
        budgets.load(&payer, "2026-10", 900);
        budgets.load(&payer, "2026-11", 10);
        budgets.load(&payer, "2026-11", 5);
        budgets.load(&payer, "2026-09", 70);
        assert_eq!(budgets.used(&payer, "2026-11"), 15);
    }

    #[test]
    fn counting_anew_makes_no_count_smaller() {
        let (budgets, payer, other) = (Budgets::default(), Payer::Account("corp".into()), Payer::Account("new".into()));
        budgets.load(&payer, "2026-11", 10);
        for (count, month, expected) in [(4, "2026-11", 10), (12, "2026-11", 12), (90, "2026-10", 12)] {
            let counted = Budgets::default();
            counted.load(&payer, month, count);
            counted.load(&other, "2026-11", 3);
            budgets.raise(counted);
            assert_eq!((budgets.used(&payer, "2026-11"), budgets.used(&other, "2026-11")), (expected, 3));
        }
    }

    #[test]
    fn a_month_is_the_connectors_own() {
        let zone = TimeZone::get("Asia/Shanghai").expect("the zone is bundled");
        assert_eq!(month(1_730_390_400_000, &zone), "2024-11");
        assert_eq!(month(1_730_390_400_000, &TimeZone::UTC), "2024-10");
    }
}
