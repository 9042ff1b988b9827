//! The section `[otlp]`: where traces go.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::schema::secrets_schema;
use super::settings::{Fault, is_local, web_address};
use crate::secret::Secret;

/// Traces for an OpenTelemetry collector, by OTLP over HTTP; off without this section.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The collector's address; `/v1/traces` is added.
    #[schemars(with = "String")]
    pub endpoint: Url,
    /// Headers of every request, for a collector that wants credentials.
    #[schemars(schema_with = "secrets_schema")]
    pub headers: BTreeMap<String, Secret>,
    /// The share of events that is traced, from 0 to 1; of requests with a `traceparent` the sender decides.
    pub sample: f64,
}

impl Default for Otlp {
    fn default() -> Self {
        let endpoint = Url::parse("http://127.0.0.1:4318").expect("the text is a URL");
        Otlp { endpoint, headers: BTreeMap::new(), sample: 1.0 }
    }
}

impl Otlp {
    /// Where traces are posted.
    pub fn traces_url(&self) -> Url {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{}/v1/traces", self.endpoint.path().trim_end_matches('/')));
        url
    }

    /// As [`super::Server::validate`].
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        match web_address(&self.endpoint) {
            Err(text) => faults.push(("endpoint", text)),
            Ok(()) if !self.headers.is_empty() && self.endpoint.scheme() == "http" && !is_local(&self.endpoint) => {
                faults.push(("endpoint", "expected https: the headers would cross the network in clear".to_owned()));
            }
            Ok(()) => {}
        }
        if !(0.0..=1.0).contains(&self.sample) {
            faults.push(("sample", "expected a number from 0 to 1".to_owned()));
        }
        for (name, value) in &self.headers {
            if HeaderName::try_from(name).is_err() {
                faults.push(("headers", format!("`{name}` is no name of a header")));
            }
            if value.expose().trim().is_empty() || HeaderValue::from_str(value.expose().trim_end()).is_err() {
                faults.push(("headers", format!("the value of `{name}` is empty, or has what no header can have")));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<&'static str> {
        let otlp: Otlp = toml::from_str(text).unwrap();
        otlp.validate().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn traces_go_to_the_collectors_own_path() {
        assert_eq!(Otlp::default().traces_url().as_str(), "http://127.0.0.1:4318/v1/traces");
        let otlp: Otlp = toml::from_str("endpoint = \"https://otlp.example/tenant/\"").unwrap();
        assert_eq!(otlp.traces_url().as_str(), "https://otlp.example/tenant/v1/traces");
    }

    #[test]
    fn what_cannot_work_is_found_before_it_is_tried() {
        assert_eq!(faults("sample = 0.5\nendpoint = \"http://collector:4318\""), Vec::<&str>::new());
        assert_eq!(faults("sample = 1.5"), ["sample"]);
        assert_eq!(faults("endpoint = \"ftp://x.example\""), ["endpoint"]);
        assert_eq!(faults("endpoint = \"http://x.example\"\nheaders = { authorization = \"Bearer abc\" }"), ["endpoint"]);
        assert_eq!(faults("headers = { \"a b\" = \"x\", c = \"\" }"), ["headers", "headers"]);
    }
}
