//! Lines of the table, which `cargo xtask bench` collects from all benchmarks, and what they are held against.

use std::collections::BTreeMap;

/// What was measured so far; a line is printed as soon as it is known.
#[derive(Default)]
pub(crate) struct Table {
    /// Of each comparison: how many times better than the other we are, which is less than one where the other is better.
    ratios: BTreeMap<String, f64>,
}

/// What a line is to reach.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// The ratio is to be no smaller.
    AtLeast(f64),
    /// The ratio is to be no larger.
    AtMost(f64),
    /// Ours is to be no larger, in its unit.
    Ours(f64),
}

impl Goal {
    fn text(self, unit: &str) -> String {
        match self {
            Goal::AtLeast(ratio) => format!("≥ {ratio}"),
            Goal::AtMost(ratio) => format!("≤ {ratio}"),
            Goal::Ours(most) => format!("≤ {most} {unit}"),
        }
    }

    fn reached(self, ours: f64, ratio: f64) -> bool {
        match self {
            Goal::AtLeast(least) => ratio >= least,
            Goal::AtMost(most) => ratio <= most,
            Goal::Ours(most) => ours <= most,
        }
    }
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
    /// The goals; none where the line only says what there is.
    pub(crate) goals: &'a [Goal],
}

impl Table {
    /// A line that compares two things.
    pub(crate) fn compare(&mut self, line: &Compared<'_>) {
        let ratios: Vec<f64> = line.ours.iter().zip(line.other).map(|(ours, other)| ours / other).collect();
        let (ours, other) = (median(line.ours), median(line.other));
        let ratio = ours / other;
        let (low, high) = (quantile(&ratios, 0.05), quantile(&ratios, 0.95));
        let goal = line.goals.iter().map(|goal| goal.text(line.unit)).collect::<Vec<_>>().join(", ");
        let reached = line.goals.iter().map(|goal| yes(goal.reached(ours, ratio))).collect::<Vec<_>>().join(", ");
        println!(
            "| {} | {} {unit} | {}: {} {unit} | {ratio:.2} ({low:.2}–{high:.2}) | {goal} | {reached} |",
            line.what,
            figure(ours),
            line.against,
            figure(other),
            unit = line.unit,
        );
        self.ratios.insert(line.name.to_owned(), if line.less { ratio.recip() } else { ratio });
    }

    /// A line of figures that stand for themselves. A goal that nothing is held against is only shown.
    pub(crate) fn figures(&mut self, what: &str, figures: &str, goal: &str, reached: Option<bool>) {
        println!("| {what} | {figures} | | | {goal} | {} |", reached.map(yes).unwrap_or_default());
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

fn yes(reached: bool) -> &'static str {
    if reached { "yes" } else { "no" }
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
