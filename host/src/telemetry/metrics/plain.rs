//! Prometheus' older text format, which every scraper reads, from OpenMetrics.

/// The same page in the format `text/plain; version=0.0.4`: there a counter is described under its full name, and units and the end are not
/// marked.
pub fn plain(open_metrics: &str) -> String {
    let mut plain = String::with_capacity(open_metrics.len() + 1024);
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, text)) = help.take().and_then(|help| help.split_once(' ')) {
                plain.extend(["# HELP ", family, suffix, " ", text, "\n"]);
            }
            plain.extend(["# TYPE ", family, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            plain.extend([line, "\n"]);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_described_under_its_full_name() {
        let open = "# HELP a_things Things.\n# TYPE a_things counter\na_things_total{x=\"1\"} 4\n# HELP b B.\n# TYPE b gauge\n# UNIT b s\nb 2.5\n# EOF\n";
        let plain = plain(open);
        assert_eq!(
            plain,
            "# HELP a_things_total Things.\n# TYPE a_things_total counter\na_things_total{x=\"1\"} 4\n# HELP b B.\n# TYPE b gauge\nb 2.5\n"
        );
    }
}
