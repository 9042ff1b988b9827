//! Values that are looked up when somebody asks for them, written out by the catalogue.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::catalogue::{Kind, Metric};

/// Writes one metric: a value for each set of label values, which stand in the catalogue's order. Without values nothing is written.
pub fn values<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    values: impl IntoIterator<Item = ([&'a str; N], f64)>,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let kind = if metric.kind == Kind::Counter { MetricType::Counter } else { MetricType::Gauge };
    let mut family = encoder.encode_descriptor(metric.family(), &sentence(metric), None, kind)?;
    for (labels, value) in values {
        let labels: Vec<(&str, &str)> = metric.labels.iter().copied().zip(labels).collect();
        let encoder = if labels.is_empty() { return single(metric, value, family) } else { family.encode_family(&labels)? };
        single(metric, value, encoder)?;
    }
    Ok(())
}

fn single(metric: &Metric, value: f64, encoder: prometheus_client::encoding::MetricEncoder<'_>) -> fmt::Result {
    match metric.kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge | Kind::Histogram => ConstGauge::new(value).encode(encoder),
    }
}

/// A histogram that somebody else counted.
#[derive(Clone, Debug)]
pub struct Counted<'a, const N: usize> {
    /// The label values.
    pub labels: [&'a str; N],
    /// The sum of all values.
    pub sum: f64,
    /// Upper bounds and how many values are in each class, not cumulative; the last bound is [`f64::MAX`].
    pub classes: Vec<(f64, u64)>,
}

/// Writes a histogram that somebody else counted.
pub fn histograms<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    counted: impl IntoIterator<Item = Counted<'a, N>>,
) -> fmt::Result {
    let mut counted = counted.into_iter().peekable();
    if counted.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(metric.family(), &sentence(metric), None, MetricType::Histogram)?;
    for Counted { labels, sum, classes } in counted {
        let labels: Vec<(&str, &str)> = metric.labels.iter().copied().zip(labels).collect();
        let count = classes.iter().map(|(_, count)| count).sum();
        family.encode_family(&labels)?.encode_histogram::<[(&str, &str); 0]>(sum, count, &classes, None)?;
    }
    Ok(())
}

/// As the registry writes it.
fn sentence(metric: &Metric) -> String {
    format!("{}.", metric.help)
}
