//! Lines of the table, which `cargo xtask bench` collects from all benchmarks, and what they are held against.

use std::collections::BTreeMap;

/// What was measured so far; a line is printed as soon as it is known.
#[derive(Default)]
pub(crate) struct Table {
    /// Of each comparison: how many times better than the other we are, which is less than one where the other is better.
    ratios: BTreeMap<String, f64>,
}

/// What a line compares, round by round.
pub(crate) struct Compared<'a> {
    /// The line's name, also in `short.toml`.
    pub(crate) name: &'a str,
    /// Whether less is better, as it is with time.
    pub(crate) less: bool,
    /// What is measured, in words.
    pub(crate) what: &'a str,
    /// The unit of both.
    pub(crate) unit: &'a str,
    /// Ours, a value a round.
    pub(crate) ours: &'a [f64],
    /// What it is measured against, in words.
    pub(crate) against: &'a str,
    /// The other's, in the same rounds.
    pub(crate) other: &'a [f64],
    /// The goal, in words.
    pub(crate) goal: &'a str,
}

impl Table {
    /// A line that compares two things.
    pub(crate) fn compare(&mut self, line: &Compared<'_>) {
        let ratios: Vec<f64> = line.ours.iter().zip(line.other).map(|(ours, other)| ours / other).collect();
        let ratio = median(line.ours) / median(line.other);
        let (low, high) = (quantile(&ratios, 0.05), quantile(&ratios, 0.95));
        println!(
            "| {} | {} {} | {}: {} {} | {ratio:.2} ({low:.2}–{high:.2}) | {} |",
            line.what,
            figure(median(line.ours)),
            line.unit,
            line.against,
            figure(median(line.other)),
            line.unit,
            line.goal
        );
        self.ratios.insert(line.name.to_owned(), if line.less { ratio.recip() } else { ratio });
    }

    /// A line of figures that stand for themselves.
    pub(crate) fn figures(&mut self, what: &str, figures: &str, goal: &str) {
        println!("| {what} | {figures} | | | {goal} |");
    }

    /// Whether no comparison is twice as bad as the one kept, `name = how many times better we are`. Says which one is.
    pub(crate) fn holds(&self, kept: &str) -> Result<bool, toml::de::Error> {
        let kept: BTreeMap<String, f64> = toml::from_str(kept)?;
        let mut holds = true;
        for (name, ratio) in &self.ratios {
            let Some(before) = kept.get(name) else { continue };
            if *ratio < before / 2.0 {
                eprintln!(
                    "{name}: {ratio:.3} times as good as what it is compared with, less than half of {before:.3}, which `short.toml` keeps"
                );
                holds = false;
            }
        }
        Ok(holds)
    }
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that a share of the values does not exceed.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Three digits or so.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}
