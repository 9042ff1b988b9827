//! The outbox for commands: of the running host by its admin API, else the file itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, setup};
use crate::clock::Clock;
use crate::host::Plan;
use crate::outbox::{ConnectorStatus, Filter, MessageDetail, MessageId, MessageSummary, Outbox};

/// What to do about a number that is no message.
const WHICH: &str = "`incident-sink dead-letters list` shows the numbers there are";

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the outbox is.
pub(super) enum Store {
    /// A host runs and has it.
    Running { client: Client, base: String, token: Option<crate::secret::Secret> },
    /// No host runs: this command has it meanwhile.
    Own(Arc<dyn Outbox>, Clock),
}

impl Store {
    /// Finds it.
    pub(super) async fn open(config: &Path) -> Result<Store, Failure> {
        let plan = setup::plan(config)?;
        setup::quiet_logs(&plan)?;
        let running = Store::running(&plan)?;
        if running.answers().await {
            return Ok(running);
        }
        let clock = Clock::system();
        let outbox = plan.outbox.build(plan.document.base(), clock.clone()).await.map_err(crate::host::HostError::from)?;
        Ok(Store::Own(outbox, clock))
    }

    /// The running host's; an error where none answers.
    pub(super) async fn of_running_host(plan: &Plan) -> Result<Store, Failure> {
        let running = Store::running(plan)?;
        if running.answers().await {
            return Ok(running);
        }
        let failure = Failure::Failed(format!("no host answers at {}", running.origin()));
        Err(failure.next("start it with `incident-sink run`; without a host, `incident-sink outbox status` reads the outbox itself"))
    }

    /// The plugins of the running host, as its API shows them; `None` where none runs.
    pub(super) async fn plugins(plan: &Plan) -> Result<Option<Vec<Value>>, Failure> {
        let running = Store::running(plan)?;
        if running.answers().await { running.get("/api/plugins").await.map(Some) } else { Ok(None) }
    }

    /// Where it is, for people.
    pub(super) fn origin(&self) -> &str {
        match self {
            Store::Running { base, .. } => base,
            Store::Own(..) => "the outbox",
        }
    }

    /// What a path of the running host's admin API answers.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path).await
    }

    /// Has the running host try a component as a shadow.
    pub(super) async fn shadow(plan: &Plan, name: &str, bytes: Vec<u8>, signature: Option<String>, messages: u32) -> Result<(), Failure> {
        let running = Store::running(plan)?;
        let Store::Running { client, base, .. } = &running else { return Ok(()) };
        let mut request = client.put(format!("{base}/api/plugins/{name}?shadow={messages}")).body(bytes);
        if let Some(signature) = signature {
            request = request.header("x-plugin-signature", signature.trim());
        }
        running.answer::<Value>(request).await.map(|_| ())
    }

    fn running(plan: &Plan) -> Result<Store, Failure> {
        crate::delivery::http::install_crypto();
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().map_err(|error| Failure::Failed(error.to_string()))?;
        let mut addr = plan.settings.admin.listen;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv6() { std::net::Ipv6Addr::LOCALHOST.into() } else { std::net::Ipv4Addr::LOCALHOST.into() });
        }
        Ok(Store::Running { client, base: format!("http://{addr}"), token: plan.settings.admin.token.clone() })
    }

    async fn answers(&self) -> bool {
        match self {
            Store::Running { client, base, .. } => {
                client.get(format!("{base}/healthz")).timeout(Duration::from_secs(2)).send().await.is_ok()
            }
            Store::Own(..) => true,
        }
    }

    /// Closes what was opened.
    pub(super) async fn close(&self) {
        if let Store::Own(outbox, _) = self {
            outbox.close().await;
        }
    }

    pub(super) async fn status(&self) -> Result<Vec<ConnectorStatus>, Failure> {
        match self {
            Store::Own(outbox, _) => outbox.status().await.map_err(failed),
            Store::Running { .. } => self.call(Method::GET, "/api/outbox").await,
        }
    }

    pub(super) async fn messages(&self, filter: Filter) -> Result<Vec<MessageSummary>, Failure> {
        match self {
            Store::Own(outbox, _) => outbox.messages(filter).await.map_err(failed),
            Store::Running { .. } => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("limit", &filter.limit.to_string());
                for (key, value) in
                    [("state", filter.state), ("connector", filter.connector), ("before", filter.before.map(|id| id.0.to_string()))]
                {
                    if let Some(value) = value {
                        query.append_pair(key, &value);
                    }
                }
                self.call(Method::GET, &format!("/api/messages?{}", query.finish())).await
            }
        }
    }

    pub(super) async fn message(&self, id: MessageId) -> Result<MessageDetail, Failure> {
        match self {
            Store::Own(outbox, _) => outbox.message(id).await.map_err(failed),
            Store::Running { .. } => self.call(Method::GET, &format!("/api/messages/{}", id.0)).await,
        }
    }

    /// Without a running host the message goes out at its next start.
    pub(super) async fn replay(&self, id: MessageId) -> Result<(), Failure> {
        match self {
            Store::Own(outbox, clock) => outbox.replay(id, clock.steady()).await.map(|_| ()).map_err(failed),
            Store::Running { .. } => self.call::<Value>(Method::POST, &format!("/api/dead-letters/{}/replay", id.0)).await.map(|_| ()),
        }
    }

    pub(super) async fn discard(&self, id: MessageId) -> Result<(), Failure> {
        match self {
            Store::Own(outbox, _) => outbox.discard(id).await.map_err(failed),
            Store::Running { .. } => self.call::<Value>(Method::POST, &format!("/api/dead-letters/{}/discard", id.0)).await.map(|_| ()),
        }
    }

    /// What sources could not read, as JSON.
    pub(super) async fn unreadable(&self) -> Result<Vec<Value>, Failure> {
        match self {
            Store::Own(outbox, _) => {
                let list = outbox.unreadable(100).await.map_err(failed)?;
                let show = |(id, at, item): (i64, i64, crate::outbox::Unreadable)| serde_json::json!({ "id": id, "at": at, "source": &*item.source, "error": item.error, "body": String::from_utf8_lossy(&item.body) });
                Ok(list.into_iter().map(show).collect())
            }
            Store::Running { .. } => self.call(Method::GET, "/api/unreadable").await,
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failure> {
        let Store::Running { client, base, .. } = self else { return Err(Failure::Failed("no host runs".to_owned())) };
        self.answer(client.request(method, format!("{base}{path}"))).await
    }

    async fn answer<T: DeserializeOwned>(&self, mut request: reqwest::RequestBuilder) -> Result<T, Failure> {
        let Store::Running { base, token, .. } = self else { return Err(Failure::Failed("no host runs".to_owned())) };
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let trouble =
            |error: reqwest::Error| Failure::Failed(format!("the running host at {base} did not answer: {}", error.without_url()));
        let answer = request.send().await.map_err(trouble)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(trouble)?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(Failure::Config("the running host has another `admin.token` than this config".to_owned()));
        }
        if !status.is_success() {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = problem.get("detail").and_then(Value::as_str).unwrap_or("no reason was given");
            let failure = Failure::Failed(format!("{text} (HTTP {})", status.as_u16()));
            return Err(if status == StatusCode::NOT_FOUND && text.contains("message") { failure.next(WHICH) } else { failure });
        }
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Failed(format!("the running host gave an answer that this version cannot read: {error}")))
    }
}

fn failed(error: crate::outbox::OutboxError) -> Failure {
    let missing = matches!(error, crate::outbox::OutboxError::NotFound(_));
    let failure = Failure::Failed(error.to_string());
    if missing { failure.next(WHICH) } else { failure }
}
