//! The golden events: what a new version must be able to write, sign and read answers to before it is used.

use std::sync::Arc;

use crate::clock::UnixMs;
use crate::delivery::answers;
use crate::delivery::draft::{Decided, Sending, Work};
use crate::delivery::egress::Outgoing;
use crate::delivery::plugin_sink::{PluginSink, Refused};
use crate::delivery::{Item, MessageContext};
use crate::event::{Event, Kind, Link, Named, Person, Priority, Status};
use crate::outbox::Reason;
use crate::plugin::{Plugin, wit};

/// Answers that any receiver may give: a version must read them, whatever it makes of them.
const ANSWERS: [(u16, &[u8]); 5] = [(200, b"{\"ok\":true}"), (204, b""), (400, b"<html>"), (429, b"{}"), (503, b"\xff\xfe")];

/// How a rehearsal went.
#[derive(Debug)]
pub(super) enum Rehearsal {
    /// A request would have been sent.
    Sends,
    /// The plugin wants nothing to be sent, and calls it a rejection.
    Rejects(Reason),
    /// The plugin wants nothing to be sent.
    Decides,
}

/// The events of a rehearsal: one of every kind alone, then as many at once as the version takes.
pub(super) fn batches(plugin: &Plugin) -> Vec<(String, Vec<Item>)> {
    let kinds: Vec<Kind> = Kind::KNOWN.into_iter().chain([Kind::Other("of-a-later-time".to_owned())]).collect();
    let item = |(number, kind): (usize, &Kind)| Item { event: Arc::new(event(number, kind.clone())), folded: 0 };
    let items: Vec<Item> = kinds.iter().enumerate().map(item).collect();
    let mut batches: Vec<_> = kinds.iter().zip(&items).map(|(kind, item)| (format!("`{}`", kind.as_str()), vec![item.clone()])).collect();
    let most = (plugin.descriptor().max_batch as usize).min(items.len());
    if most > 1 {
        batches.push((format!("a digest of {most} events"), items[..most].to_vec()));
    }
    batches
}

/// The context of a rehearsal.
pub(super) fn context(now: UnixMs) -> MessageContext {
    MessageContext { now, attempt: 1, key: "golden".to_owned(), memo: None, waiting: 0 }
}

/// A realistic event of a kind.
pub(super) fn event(number: usize, kind: Kind) -> Event {
    let ada = Person {
        id: "17".into(),
        username: "ada".into(),
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        email: "ada@example.com".into(),
    };
    let at = jiff::Timestamp::from_second(1_780_000_000).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Event {
        id: format!("golden-{number}"),
        status: match kind {
            Kind::Resolved | Kind::AutoResolved => Status::Resolved,
            Kind::Acknowledged => Status::Accepted,
            _ => Status::Pending,
        },
        comment: (kind == Kind::CommentAdded).then(|| "Restarted it.".to_owned()),
        incident_id: format!("{}", 2_983_781 + number),
        priority: Some(Priority::High),
        severity: Some(2),
        summary: "Replication lag on db-3 is 312 s".into(),
        details: "Threshold 60 s, measured for five minutes.\nStarted after the backup.".into(),
        alert_key: Some("db-3/replication".into()),
        alert_source: Some(Named { id: "2101194".into(), name: "Zabbix".into() }),
        escalation_policy: Some(Named { id: "8".into(), name: "Database on-call".into() }),
        assigned_to: Some(ada.clone()),
        responders: vec![],
        actor: Some(ada),
        links: vec![Link { text: "Graph".into(), href: "https://graphs.example.com/db-3".into() }],
        images: vec![],
        reported_at: at,
        occurred_at: at,
        incident_url: Some("https://acme.example.com/incident/view.jsf?id=2983781".into()),
        extra: vec![],
        kind,
    }
}

impl PluginSink {
    /// Has a version write one message, sign it, pass egress, and read answers. Sends nothing.
    pub(super) fn rehearse(&self, plugin: &Plugin, batch: &[Item], cx: &MessageContext) -> Result<Rehearsal, Reason> {
        let written = self.write(plugin, batch, cx)?;
        if written.alone {
            return Err(Reason { code: "digest".into(), text: "it cannot write a digest".into(), advice: String::new() });
        }
        let sending = match written.work {
            Work::Send(sending) => sending,
            Work::Decided(Decided::Rejected { reason }) => return Ok(Rehearsal::Rejects(reason)),
            Work::Decided(_) => return Ok(Rehearsal::Decides),
        };
        let (outgoing, _) = self.signed(plugin, &sending.request, cx.now).map_err(|refused| match refused {
            Refused::ByPlugin(reason) | Refused::ByEgress(reason) => reason,
        })?;
        is_what_it_says(&outgoing)?;
        for (status, body) in ANSWERS {
            self.read_to_the_end(plugin, &sending, status, body, cx)?;
        }
        Ok(Rehearsal::Sends)
    }
}

impl PluginSink {
    /// Gives the same answer to every request of a message, which must end.
    pub(super) fn read_to_the_end(
        &self,
        plugin: &Plugin,
        first: &Sending,
        status: u16,
        body: &[u8],
        cx: &MessageContext,
    ) -> Result<wit::Outcome, Reason> {
        let answer = wit::Response { status, headers: Vec::new(), body: body.to_vec() };
        let mut sending = first.clone();
        for step in 2..=plugin.limits().steps + 1 {
            match self.resume_now(plugin, &sending, &answer, cx)? {
                wit::Step::Done(outcome) => return Ok(outcome),
                wit::Step::Send(next) => {
                    let request = answers::request(next.request);
                    self.admit(&request, &[])?;
                    sending = Sending { step, request, continuation: next.continuation };
                }
            }
        }
        let text = format!("it wants more than {} requests for one message that is answered with {status}", plugin.limits().steps);
        Err(answers::reason("too-many-steps", text, "Report it to the plugin's author."))
    }
}

/// A body that is called JSON is JSON.
pub(super) fn is_what_it_says(outgoing: &Outgoing) -> Result<(), Reason> {
    let kind = outgoing.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().contains("json") {
        return Ok(());
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(outgoing.body()).map(|_| ()).map_err(|error| Reason {
        code: "body".into(),
        text: format!("its body is called {kind}, but is not JSON: {error}"),
        advice: "Report it to the plugin's author.".into(),
    })
}
