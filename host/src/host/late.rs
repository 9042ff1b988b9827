//! An outbox whose disk takes no data when the host starts: senders are told to come again, and it is opened as soon as it can be.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{Control, HostError, Plan, respond};
use crate::clock::Clock;
use crate::outbox::late::LateOutbox;
use crate::outbox::{Outbox, OutboxError};
use crate::respond::LinkMaker;

/// How long to wait before the next try.
const AGAIN: Duration = Duration::from_secs(2);

/// What is still to be opened.
pub(super) struct Late {
    outbox: Arc<LateOutbox>,
    plan: Arc<Plan>,
    links: Option<Arc<LinkMaker>>,
}

/// Opens the outbox, and takes the key that lies beside it. Where that may go well later, what is still to be done comes with the outbox.
pub(super) async fn open(
    plan: &Arc<Plan>,
    links: Option<&Arc<LinkMaker>>,
    clock: &Clock,
) -> Result<(Arc<dyn Outbox>, Option<Late>), HostError> {
    let why = match opened(plan, links, clock).await? {
        Ok(outbox) => return Ok((outbox, None)),
        Err(why) => why,
    };
    error!(%why, "The outbox cannot be opened; senders are told to come again until it can be.");
    let outbox = Arc::new(LateOutbox::new(why));
    Ok((outbox.clone(), Some(Late { outbox, plan: Arc::clone(plan), links: links.cloned() })))
}

/// One try. The inner error is one that may pass.
async fn opened(plan: &Plan, links: Option<&Arc<LinkMaker>>, clock: &Clock) -> Result<Result<Arc<dyn Outbox>, OutboxError>, HostError> {
    let outbox = match plan.outbox.build(plan.document.base(), clock.clone()).await {
        Err(why @ OutboxError::Unavailable(_)) => return Ok(Err(why)),
        opened => opened?,
    };
    if let Some(why) = respond::take_key(links, &*outbox).await? {
        outbox.close().await;
        return Ok(Err(why));
    }
    Ok(Ok(outbox))
}

impl Late {
    /// Tries until it is there, then lets the lanes begin; or until `stop`.
    pub(super) async fn wait(self, control: Control, stop: CancellationToken) -> Result<(), HostError> {
        loop {
            if stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                return Ok(());
            }
            match opened(&self.plan, self.links.as_ref(), control.clock()).await? {
                Ok(outbox) => self.outbox.opened(outbox),
                Err(why) => {
                    if self.outbox.still(why.clone()) {
                        error!(%why, "The outbox still cannot be opened.");
                    }
                    continue;
                }
            }
            control.count_anew();
            control.dispatcher().start().await?;
            info!("The outbox takes events in now.");
            return Ok(());
        }
    }
}
