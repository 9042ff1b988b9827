//! What stands between the hosts and the group: every host has a front of its own, which writes down what came, and passes it on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use incident_sink::clock::{Clock, UnixMs};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request of a host to a robot.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: UnixMs,
    /// Which of the hosts sent it.
    pub(crate) host: usize,
    /// The message's `msgUuid`.
    pub(crate) key: String,
}

/// What came through all fronts, in order.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<Vec<Arrival>>>);

impl Arrivals {
    /// So far.
    pub(crate) fn all(&self) -> Vec<Arrival> {
        self.0.lock().unwrap().clone()
    }
}

/// The front of one host; gone when dropped.
pub(crate) struct Front {
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Behind {
    group: SocketAddr,
    host: usize,
    arrivals: Arrivals,
    client: reqwest::Client,
    clock: Clock,
}

impl Front {
    /// Before this group, for that host.
    pub(crate) async fn start(group: SocketAddr, host: usize, arrivals: Arrivals) -> Front {
        incident_sink::delivery::http::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let behind = Arc::new(Behind { group, host, arrivals, client, clock: Clock::system() });
        let routes = Router::new().route("/robot/send", post(pass)).with_state(behind);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Front { address, server: tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }) }
    }

    /// The URL of a robot, seen from here.
    pub(crate) fn url_of(&self, connector: usize) -> String {
        format!("http://{}/robot/send?access_token=token-{connector}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(State(behind): State<Arc<Behind>>, RawQuery(query): RawQuery, body: Bytes) -> (StatusCode, Bytes) {
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let key = message["msgUuid"].as_str().unwrap_or_default().to_owned();
    behind.arrivals.0.lock().unwrap().push(Arrival { at: behind.clock.now(), host: behind.host, key });
    // What has come is passed on, also when the host that sent it is not there any more.
    let passed = tokio::spawn(async move {
        let url = format!("http://{}/robot/send?{}", behind.group, query.unwrap_or_default());
        let answer = behind.client.post(url).header(CONTENT_TYPE, "application/json").body(body).send().await?;
        Ok::<_, reqwest::Error>((StatusCode::from_u16(answer.status().as_u16()).unwrap(), answer.bytes().await?))
    });
    passed.await.unwrap().unwrap()
}
