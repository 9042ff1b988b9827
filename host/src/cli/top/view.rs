//! How `top` looks: a pure function from what was seen and the terminal's size to lines.

use unicode_width::UnicodeWidthStr;

use super::fetch::Seen;
use super::lane::{Lane, State};
use super::terminal::Key;
use crate::cli::output::pad;
use crate::cli::paint::Paint;
use crate::clock::UnixMs;

/// Lines above and below the lanes.
const FRAME: usize = 6;
/// Columns of everything but the name, gaps included.
const FIXED: usize = 69;
/// Cells of the gauge of the pace.
const GAUGE: usize = 8;

/// What the person at the terminal chose.
#[derive(Clone, Debug)]
pub(super) struct View {
    origin: String,
    /// The first lane that is shown.
    top: usize,
    by_name: bool,
    /// Lanes on the screen at the last drawing: as far as a page key goes.
    page: usize,
}

impl View {
    pub(super) fn new(origin: &str) -> View {
        View { origin: origin.to_owned(), top: 0, by_name: false, page: 1 }
    }

    /// Scrolls or sorts.
    pub(super) fn press(&mut self, key: Key, lanes: usize) {
        let last = lanes.saturating_sub(self.page);
        self.top = match key {
            Key::Up => self.top.saturating_sub(1),
            Key::Down => (self.top + 1).min(last),
            Key::PageUp => self.top.saturating_sub(self.page),
            Key::PageDown => (self.top + self.page).min(last),
            Key::Sort | Key::Quit => 0,
        };
        self.by_name ^= key == Key::Sort;
    }

    /// Exactly as many lines as fit, none wider than the terminal.
    pub(super) fn draw(&mut self, seen: &Seen, (width, height): (u16, u16), paint: Paint) -> Vec<String> {
        let (width, height) = (usize::from(width), usize::from(height));
        self.page = height.saturating_sub(FRAME).max(1);
        self.top = self.top.min(seen.lanes.len().saturating_sub(self.page));
        let mut lanes: Vec<&Lane> = seen.lanes.iter().collect();
        lanes.sort_by(|a, b| if self.by_name { a.name.cmp(&b.name) } else { a.need().cmp(&b.need()) });
        let name = width.saturating_sub(FIXED).clamp(8, 40);
        let mut lines = vec![self.title(seen, width, paint), summary(seen, width, paint), String::new()];
        lines.push(paint.faint(&cut(&heading(name), width)));
        lines.extend(lanes.iter().skip(self.top).take(self.page).map(|lane| row(lane, seen.now, name, width, paint)));
        if lanes.is_empty() {
            lines.push(cut("no connectors", width));
        }
        let below = lanes.len().saturating_sub(self.top + self.page);
        let more = if below > 0 { format!("   {below} more below") } else { String::new() };
        let order = if self.by_name { "need" } else { "name" };
        lines.push(String::new());
        lines.push(paint.faint(&cut(&format!("q quit   ↑↓ scroll   s sort by {order}{more}"), width)));
        lines.truncate(height.max(1));
        lines
    }

    fn title(&self, seen: &Seen, width: usize, paint: Paint) -> String {
        let host = self.origin.trim_start_matches("http://");
        let state = match &seen.trouble {
            None => String::new(),
            Some(text) => format!("  {}", one_line(text)),
        };
        let line = cut(&format!("incident-sink {host}{state}"), width);
        if seen.trouble.is_some() { paint.red(&line) } else { paint.bold(&line) }
    }
}

fn summary(seen: &Seen, width: usize, paint: Paint) -> String {
    let sum = |of: fn(&Lane) -> u64| seen.lanes.iter().map(of).sum::<u64>();
    let (waiting, flying, dead) = (sum(|lane| lane.waiting), sum(|lane| lane.in_flight), sum(|lane| lane.dead));
    let oldest = seen.lanes.iter().filter_map(|lane| lane.oldest).min().map(|at| format!(" (oldest {})", age(at, seen.now)));
    let line = format!(
        "{} connectors, {waiting} events wait{}, {flying} in flight, {dead} dead letters",
        seen.lanes.len(),
        oldest.unwrap_or_default()
    );
    let line = cut(&line, width);
    if dead > 0 { paint.yellow(&line) } else { line }
}

fn heading(name: usize) -> String {
    columns(name, ["CONNECTOR", "STATE", "WAITING", "OLDEST", "PACE", "MONTH", "DEAD"])
}

/// One line of the table: names and states to the left, numbers to the right.
fn columns(name: usize, [connector, state, waiting, oldest, pace, month, dead]: [&str; 7]) -> String {
    format!("{}  {state:<14}  {waiting:>7}  {oldest:>6}  {pace:<14}  {month:>10}  {dead:>6}", pad(&cut(connector, name), name))
}

fn row(lane: &Lane, now: UnixMs, name: usize, width: usize, paint: Paint) -> String {
    let state = lane.state();
    let words = match (state, lane.closed_until) {
        (State::Closed, Some(until)) => format!("closed {}", age(now, until)),
        (State::Unknown, _) => "not in config".to_owned(),
        (State::Spent, _) => "budget spent".to_owned(),
        (State::Paced, _) => "at its pace".to_owned(),
        (State::Sending, _) => "sending".to_owned(),
        (State::Waiting, _) => "waiting".to_owned(),
        (State::Closed | State::Idle, _) => "idle".to_owned(),
    };
    let oldest = lane.oldest.map_or("-".to_owned(), |at| age(at, now));
    let month = lane.budget.map_or_else(|| short(lane.month.into()), |budget| format!("{}/{}", lane.month, budget));
    let cells = [&one_line(&lane.name), &words, &short(lane.waiting), &oldest, &gauge(lane), &month, &short(lane.dead)];
    let line = cut(&columns(name, cells.map(String::as_str)), width);
    match state {
        State::Unknown | State::Closed | State::Spent => paint.red(&line),
        State::Paced => paint.yellow(&line),
        State::Sending => paint.green(&line),
        State::Waiting | State::Idle if lane.dead > 0 => paint.yellow(&line),
        State::Waiting | State::Idle => line,
    }
}

/// How full the window of the pace is.
fn gauge(lane: &Lane) -> String {
    let Some(pace) = lane.pace else { return format!("{} no limit", lane.sent) };
    let filled = (lane.sent * GAUGE).div_ceil(pace.max(1) as usize).min(GAUGE);
    format!("{}{} {}/{pace}", "■".repeat(filled), "·".repeat(GAUGE - filled), lane.sent)
}

/// The time from one moment to a later one, in its two largest units.
fn age(from: UnixMs, to: UnixMs) -> String {
    let seconds = (to - from).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A number in at most six columns.
fn short(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// Names come from a config, and errors from elsewhere: nothing in them may steer the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most so many columns.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    // Counted as a whole: the width of a text is not the sum of its characters'.
    let fits = |end: &usize| text[..*end].width() < width;
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(fits).last().unwrap_or(0);
    if width > 0 { format!("{}…", &text[..end]) } else { String::new() }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
