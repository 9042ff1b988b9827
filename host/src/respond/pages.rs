//! iLert's lists of alerts, page by page, within its limit.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ilert::{ApiError, PAGE};
use super::reconcile::ReconcileError;
use super::shared::Shared;

/// The most pages read: 5,000 alerts.
const MAX_PAGES: usize = 50;
/// The most alerts of a list that are compared.
pub(super) const MAX_LISTED: usize = MAX_PAGES * PAGE;
/// How often iLert's limit is waited out within a call.
const MAX_WAITS: usize = 5;

/// The alerts that were reported since then and are over already; of very many the latest, as iLert lists them first.
pub(super) async fn over_since(shared: &Shared, since: Timestamp) -> Result<Vec<Value>, ApiError> {
    let mut found = Vec::new();
    for index in 0..MAX_PAGES {
        let page = patient(shared, || shared.ilert.list_over(since, index * PAGE)).await?;
        let last = page.len() < PAGE;
        found.extend(page);
        if last {
            break;
        }
    }
    Ok(found)
}

/// The list of open alerts, page by page; what has not changed is not sent again.
#[derive(Debug, Default)]
pub(super) struct Pages(Vec<(Option<String>, Vec<Value>)>);

impl Pages {
    pub(super) async fn read(&mut self, shared: &Shared) -> Result<Vec<Value>, ReconcileError> {
        for index in 0..MAX_PAGES {
            let tag = self.0.get(index).and_then(|(tag, _)| tag.clone());
            if let Some((page, tag)) = patient(shared, || shared.ilert.list_open(index * PAGE, tag.as_deref())).await? {
                self.0.truncate(index);
                self.0.push((tag, page));
            }
            if self.0.get(index).is_none_or(|(_, page)| page.len() < PAGE) {
                self.0.truncate(index + 1);
                return Ok(self.0.iter().flat_map(|(_, page)| page.iter().cloned()).collect());
            }
        }
        Err(ReconcileError::TooMany)
    }
}

/// Waits iLert's limit out, a few times.
pub(super) async fn patient<T, F: Future<Output = Result<T, ApiError>>>(shared: &Shared, call: impl Fn() -> F) -> Result<T, ApiError> {
    for _ in 0..MAX_WAITS {
        match call().await {
            Err(ApiError::Limited(ms)) => shared.clock.sleep(Duration::from_millis(ms.unsigned_abs())).await,
            result => return result,
        }
    }
    call().await
}
