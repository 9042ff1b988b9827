//! The notifications of Prometheus' Alertmanager (webhook, version 4; Grafana's are read too), each alert an event.
//!
//! A notification repeats every alert of its group whenever one of them changes, and all of them every `repeat_interval`. The id of an event
//! is made of what is told, so that each change is told once; a firing alert that is still repeated after [`Reading::remind_every`] is told
//! of again, as not resolved. Alertmanager lets an alert fire again under its fingerprint, where iLert reopens nothing: so an incident is a
//! fingerprint and the time since when it fires.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::body::{BodyError, MAX_EVENT, MAX_ITEMS, not_json, without_place};
use super::ilert::{MAX_EXTRA, clipped};
use super::{Event, Image, Kind, Link, Named, Priority, Status, encoding, identity, time};

/// How notifications are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// A firing alert is told of again after each such time.
    pub remind_every: Duration,
    /// The time of day.
    pub received_at: Timestamp,
    /// The most bytes of a notification.
    pub limit: usize,
}

/// A notification, taken apart.
#[derive(Debug)]
pub struct Notification {
    /// Every alert: as it came, and the event that it is.
    pub alerts: Vec<(Bytes, Result<Event, AlertError>)>,
    /// Alerts that Alertmanager left out (`max_alerts` of its receiver).
    pub left_out: u64,
}

/// Why an alert is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// Not what Alertmanager sends.
    #[error("not a notification of Alertmanager: {0}")]
    Shape(String),
    /// Over [`MAX_EVENT`].
    #[error("the alert has {size} bytes, more than the limit of {MAX_EVENT}")]
    TooLarge {
        /// In bytes.
        size: usize,
    },
    /// Neither `firing` nor `resolved`.
    #[error("/status: expected `firing` or `resolved`, found `{0}`")]
    Status(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(default)]
    receiver: String,
    #[serde(default)]
    group_key: String,
    #[serde(default, rename = "externalURL")]
    external_url: String,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(borrow)]
    alerts: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: Value,
    ends_at: Value,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
    // Grafana's own.
    #[serde(rename = "silenceURL")]
    silence_url: String,
    #[serde(rename = "dashboardURL")]
    dashboard_url: String,
    #[serde(rename = "panelURL")]
    panel_url: String,
    #[serde(rename = "imageURL")]
    image_url: String,
}

/// Reads a notification. JSON of another shape is one unreadable alert, so that it is kept.
pub fn read(body: &[u8], content_encoding: Option<&str>, reading: Reading) -> Result<Notification, BodyError> {
    let body = Bytes::from(encoding::decode(body, content_encoding, reading.limit)?.into_owned());
    if body.trim_ascii().is_empty() {
        return Err(BodyError::Empty);
    }
    let group: Group<'_> = match serde_json::from_slice(&body) {
        Ok(group) => group,
        Err(error) if error.is_data() => {
            let shape = AlertError::Shape(without_place(&error));
            return Ok(Notification { alerts: vec![(body, Err(shape))], left_out: 0 });
        }
        Err(error) => return Err(not_json(&error)),
    };
    if group.alerts.len() > MAX_ITEMS {
        return Err(BodyError::TooManyItems);
    }
    let alerts = group.alerts.iter().map(|alert| (body.slice_ref(alert.get().as_bytes()), event(alert.get(), &group, reading))).collect();
    Ok(Notification { alerts, left_out: group.truncated_alerts })
}

fn event(raw: &str, group: &Group<'_>, reading: Reading) -> Result<Event, AlertError> {
    if raw.len() > MAX_EVENT {
        return Err(AlertError::TooLarge { size: raw.len() });
    }
    let alert: Alert = serde_json::from_str(raw).map_err(|error| AlertError::Shape(without_place(&error)))?;
    let firing = match alert.status.as_str() {
        "firing" => true,
        "resolved" => false,
        other => return Err(AlertError::Status(clipped(other))),
    };
    let fingerprint = alert.fingerprint();
    let since = time::parse(&alert.starts_at).unwrap_or(reading.received_at);
    let reminders = if firing { reminders(since, reading) } else { 0 };
    let (kind, status, word) = match (firing, reminders) {
        (true, 0) => (Kind::Created, Status::Pending, "firing".to_owned()),
        (true, count) => (Kind::NotResolved, Status::Pending, format!("firing:{count}")),
        (false, _) => (Kind::Resolved, Status::Resolved, "resolved".to_owned()),
    };
    let ended_at = time::parse(&alert.ends_at).filter(|_| !firing);
    // One receiver may lead to another connector than the next one.
    let id = format!("{}:{fingerprint}:{}:{word}", group.receiver, since.as_millisecond());
    Ok(Event {
        id: format!("alertmanager:{}", identity::bounded(&id)),
        kind,
        // The prefix keeps it apart from iLert's numbers.
        incident_id: format!("am-{fingerprint}-{:x}", since.as_second()),
        status,
        priority: alert.priority(),
        severity: None,
        summary: alert.summary(&fingerprint),
        details: alert.details(),
        alert_source: Some(Named { id: String::new(), name: group.receiver.clone() }).filter(|source| !source.name.is_empty()),
        escalation_policy: None,
        assigned_to: None,
        responders: Vec::new(),
        actor: None,
        comment: None,
        links: alert.links(group, firing),
        images: Some(Image { alt: String::new(), src: alert.image_url.clone(), href: None })
            .filter(|image| !image.src.is_empty())
            .into_iter()
            .collect(),
        reported_at: since,
        occurred_at: if firing && reminders == 0 { since } else { ended_at.unwrap_or(reading.received_at) },
        incident_url: alert.page(group, "alerts"),
        extra: alert.extra(group),
        alert_key: Some(fingerprint),
    })
}

/// How often somebody should have been reminded since then.
fn reminders(since: Timestamp, reading: Reading) -> u64 {
    let age = reading.received_at.as_millisecond().saturating_sub(since.as_millisecond());
    let every = u64::try_from(reading.remind_every.as_millis()).unwrap_or(u64::MAX).max(1);
    u64::try_from(age).unwrap_or(0) / every
}

impl Alert {
    /// Alertmanager's, or one made the same way for a sender that has none: equal labels, equal fingerprint.
    fn fingerprint(&self) -> String {
        let own = self.fingerprint.trim();
        let usable = !own.is_empty() && own.len() <= 64 && own.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if usable { own.to_owned() } else { identity::item_hash(&serde_json::json!(self.labels))[..16].to_owned() }
    }

    fn annotation(&self, names: &[&str]) -> Option<&str> {
        names.iter().filter_map(|name| self.annotations.get(*name)).map(|text| text.trim()).find(|text| !text.is_empty())
    }

    /// By the label `priority`, else by what people write into `severity`.
    fn priority(&self) -> Option<Priority> {
        let word = |label: &str| self.labels.get(label).map(|word| word.trim().to_ascii_lowercase()).unwrap_or_default();
        match (word("priority").as_str(), word("severity").as_str()) {
            ("high", _) => Some(Priority::High),
            ("low", _) => Some(Priority::Low),
            (_, "critical" | "page" | "emergency" | "fatal" | "disaster" | "error" | "high" | "major") => Some(Priority::High),
            (_, "warning" | "warn" | "minor" | "notice" | "info" | "information" | "low" | "none" | "debug") => Some(Priority::Low),
            _ => None,
        }
    }

    fn summary(&self, fingerprint: &str) -> String {
        let name = self.labels.get("alertname").map(String::as_str).unwrap_or_default();
        let by_labels = match (name, self.labels.get("instance")) {
            ("", _) => format!("Alert {fingerprint}"),
            (name, Some(instance)) => format!("{name} ({instance})"),
            (name, None) => name.to_owned(),
        };
        self.annotation(&["summary", "title", "message"]).map_or(by_labels, str::to_owned)
    }

    /// The description, then the labels: a summary that was written for many alerts does not say which one it is about.
    fn details(&self) -> String {
        let labels = self.labels.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
        match self.annotation(&["description", "details", "message"]) {
            Some(text) if !labels.is_empty() => format!("{text}\n\n{labels}"),
            Some(text) => text.to_owned(),
            None => labels,
        }
    }

    fn links(&self, group: &Group<'_>, firing: bool) -> Vec<Link> {
        let silence = (!self.silence_url.is_empty()).then(|| self.silence_url.clone()).or_else(|| self.page(group, "silences/new"));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let annotated = |names: &[&str]| self.annotation(names).map(str::to_owned);
        let links = [
            ("Source", some(&self.generator_url)),
            ("Runbook", annotated(&["runbook_url", "runbook"])),
            ("Dashboard", some(&self.dashboard_url).or_else(|| annotated(&["dashboard_url", "dashboard"]))),
            ("Panel", some(&self.panel_url)),
            ("Silence", silence.filter(|_| firing)),
        ];
        links.into_iter().filter_map(|(text, href)| Some(Link { text: text.to_owned(), href: href? })).collect()
    }

    /// A page of Alertmanager's own console about this alert.
    fn page(&self, group: &Group<'_>, page: &str) -> Option<String> {
        let base = group.external_url.trim_end_matches('/');
        if !(base.starts_with("https://") || base.starts_with("http://")) || self.labels.is_empty() {
            return None;
        }
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let matchers: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
        let filter = format!("{{{}}}", matchers.join(","));
        let filter = percent_encoding::utf8_percent_encode(&filter, percent_encoding::NON_ALPHANUMERIC);
        Some(format!("{base}/#/{page}?filter={filter}"))
    }

    fn extra(&self, group: &Group<'_>) -> Vec<(String, String)> {
        let own = [("receiver", &group.receiver), ("groupKey", &group.group_key), ("externalURL", &group.external_url)];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value.clone()));
        let labels = self.labels.iter().map(|(name, value)| (format!("labels.{name}"), value.clone()));
        let annotations = self.annotations.iter().map(|(name, value)| (format!("annotations.{name}"), value.clone()));
        own.chain(labels).chain(annotations).map(|(name, value)| (clipped(&name), clipped(&value))).take(MAX_EXTRA).collect()
    }
}

#[cfg(test)]
#[path = "alertmanager_tests.rs"]
mod tests;
