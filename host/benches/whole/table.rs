//! Lines of the table, and what they are held against.

use std::collections::BTreeMap;

use crate::Failure;

/// What was measured so far; a line is printed as soon as it is known.
#[derive(Default)]
pub(crate) struct Table {
    ratios: BTreeMap<String, f64>,
}

/// What a line compares, round by round.
pub(crate) struct Compared<'a> {
    /// The line's name, also in `short.toml`.
    pub(crate) name: &'a str,
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
        let (low, high) = (ratios.iter().copied().fold(f64::INFINITY, f64::min), ratios.iter().copied().fold(0.0, f64::max));
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
        self.ratios.insert(line.name.to_owned(), ratio);
    }

    /// A line of figures that stand for themselves.
    pub(crate) fn figures(&mut self, what: &str, figures: &str, goal: &str) {
        println!("| {what} | {figures} | | | {goal} |");
    }

    /// Whether no ratio is twice as bad as the one kept, `name = ratio`, larger being better. Says which one is.
    pub(crate) fn holds(&self, kept: &str) -> Result<bool, Failure> {
        let kept: BTreeMap<String, f64> = toml::from_str(kept)?;
        let mut holds = true;
        for (name, ratio) in &self.ratios {
            let Some(before) = kept.get(name) else { continue };
            if *ratio < before / 2.0 {
                eprintln!("{name}: the ratio is {ratio:.3}, less than half of {before:.3}, which it was when it was written down");
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
