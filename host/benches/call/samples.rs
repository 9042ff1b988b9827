//! The same values in the types of the host and in those of the plugin as a native library.

macro_rules! samples {
    () => {
        /// A usual incident.
        pub(crate) fn event() -> Event {
            let at = Timestamp { unix_ms: 1_780_000_000_000, offset_minutes: 480 };
            Event {
                id: "4a52ffb0".into(),
                kind: Kind::Created,
                incident_id: "2983781".into(),
                status: Status::Pending,
                priority: Some(Priority::High),
                severity: Some(2),
                summary: "Replication lag on db-3 is 312 s".into(),
                details: "threshold 60 s, measured for five minutes, started after the backup. ".repeat(5),
                alert_key: Some("db-3/replication".into()),
                alert_source: Some(AlertSource { id: "2101194".into(), name: "Zabbix".into() }),
                escalation_policy: Some("Database on-call".into()),
                assigned_to: None,
                responders: vec![],
                actor: None,
                comment: None,
                links: vec![Link { text: "Graph".into(), href: "https://graphs.example.com/db-3".into() }],
                images: vec![],
                reported_at: at,
                occurred_at: at,
                incident_url: Some("https://acme.ilert.com/incident/view.jsf?id=2983781".into()),
                folded: 0,
                extra: vec![],
            }
        }

        pub(crate) fn context() -> Context {
            Context {
                connector: "ops".into(),
                now: Timestamp { unix_ms: 1_780_000_000_500, offset_minutes: 480 },
                attempt: 1,
                message_id: "01J9ZQ7M3N".into(),
                memo: None,
                waiting: 0,
                links: vec![],
                title: None,
                text: None,
                extra: vec![],
            }
        }

        pub(crate) fn answer() -> Response {
            Response { status: 200, headers: vec![], body: br#"{"errcode":0,"errmsg":"ok"}"#.to_vec() }
        }

        pub(crate) fn outline() -> Outline {
            Outline { method: Method::Post, query: vec![], body_sha256: vec![7; 32] }
        }
    };
}

pub(crate) mod host {
    use incident_sink::plugin::wit::*;
    samples!();
}

pub(crate) mod native {
    use incident_sink_dingtalk::contract::signer::Outline;
    use incident_sink_dingtalk::types::*;
    samples!();
}

/// The secrets that the plugin signs with.
pub(crate) fn secrets() -> Vec<(String, String)> {
    vec![("/secret".to_owned(), "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd".to_owned())]
}

/// The time of signing.
pub(crate) const NOW: u64 = 1_780_000_000_000;
