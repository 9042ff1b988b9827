//! Which events go to which connectors.
//!
//! An action lists what it wants; what it does not list, it does not ask for. Pure: the same event and the same actions give the same answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Kind, Priority};
use crate::outbox::ConnectorName;

/// One `[[actions]]` of the config: events of these alert sources, of these kinds and priorities, go to that connector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionConfig {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// The connector that gets the events, by its name.
    pub connector: ConnectorName,
    /// Alert sources, by id or by name; none = all.
    #[serde(default)]
    pub alert_sources: Vec<SourceRef>,
    /// Kinds of events, by iLert's names, with `incident-`, `alert-` or no prefix; none = all.
    #[serde(default)]
    pub events: Vec<String>,
    /// `HIGH`, `LOW`; none = all.
    #[serde(default)]
    pub priorities: Vec<String>,
}

/// An alert source in an action.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SourceRef {
    /// iLert's id.
    Id(u64),
    /// iLert's id as text, or the name; upper and lower case do not matter.
    Text(String),
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceRef::Id(id) => write!(f, "{id}"),
            SourceRef::Text(text) => write!(f, "`{text}`"),
        }
    }
}

impl ActionConfig {
    /// What is allowed and yet hardly meant: kinds and priorities that nobody knows. They may be newer than this version.
    pub fn warnings(&self) -> Vec<String> {
        let known: Vec<&str> = Kind::KNOWN.iter().map(Kind::as_str).collect();
        let kinds = self.events.iter().filter_map(|name| match Kind::parse(name) {
            Kind::Other(bare) => Some(unknown("event kind", name, &bare, &known)),
            _ => None,
        });
        let priorities = self.priorities.iter().filter_map(|word| match Priority::from(word.clone()) {
            Priority::Other(bare) => Some(unknown("priority", word, &bare.to_ascii_uppercase(), &["HIGH", "LOW"])),
            _ => None,
        });
        kinds.chain(priorities).collect()
    }
}

fn unknown(what: &str, written: &str, bare: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|candidate| (strsim::damerau_levenshtein(bare, candidate), candidate)).min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + bare.chars().count() / 4 => {
            format!("no {what} `{written}` is known; did you mean `{candidate}`?")
        }
        _ => format!("no {what} `{written}` is known; known are {}", known.join(", ")),
    }
}

/// Why an action got an event or did not, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The action's name, or its number.
    pub action: String,
    /// Where it sends to.
    pub connector: ConnectorName,
    /// Whether the event goes there because of this action.
    pub matched: bool,
    /// What does not fit; empty where it matched.
    pub reasons: Vec<String>,
}

/// All actions, indexed: finding the few that match among ten thousand takes microseconds.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    actions: Vec<Action>,
    /// Distinct names of connectors, in the order of the actions.
    connectors: Vec<ConnectorName>,
    /// Actions by alert source: an id, or a name in lower case.
    by_source: HashMap<String, Vec<u32>>,
    /// Actions that take all alert sources.
    any_source: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Action {
    config: ActionConfig,
    connector: usize,
    kinds: Vec<Kind>,
    priorities: Vec<Priority>,
}

impl Routes {
    /// Indexes the actions. Their order is kept.
    pub fn new(configs: Vec<ActionConfig>) -> Self {
        let mut routes = Routes::default();
        let mut numbers: HashMap<ConnectorName, usize> = HashMap::new();
        for (index, config) in (0_u32..).zip(configs) {
            let connector = *numbers.entry(Arc::clone(&config.connector)).or_insert_with(|| {
                routes.connectors.push(Arc::clone(&config.connector));
                routes.connectors.len() - 1
            });
            if config.alert_sources.is_empty() {
                routes.any_source.push(index);
            }
            for source in &config.alert_sources {
                routes.by_source.entry(index_key(source)).or_default().push(index);
            }
            let kinds = config.events.iter().map(|name| Kind::parse(name)).collect();
            let priorities = config.priorities.iter().map(|word| priority(word)).collect();
            routes.actions.push(Action { config, connector, kinds, priorities });
        }
        routes
    }

    /// Every connector that an action names, each once, in the order of the actions.
    pub fn connectors(&self) -> &[ConnectorName] {
        &self.connectors
    }

    /// Where an event goes: each connector once, in the order of the actions.
    ///
    /// A `test` is what a person sent to see it arrive: it passes every filter for kinds and priorities. An event without a priority, from
    /// before iLert sent them, counts as `HIGH`: too much is better than too little.
    pub fn connectors_for(&self, event: &Event) -> Vec<ConnectorName> {
        let mut taken = vec![false; self.connectors.len()];
        let mut connectors = Vec::new();
        for index in self.candidates(event) {
            let action = &self.actions[index as usize];
            if !taken[action.connector] && action.takes_kind(event) && action.takes_priority(event) {
                taken[action.connector] = true;
                connectors.push(Arc::clone(&self.connectors[action.connector]));
            }
        }
        connectors
    }

    /// The actions whose alert sources fit, in their order.
    fn candidates(&self, event: &Event) -> Vec<u32> {
        let mut found = self.any_source.clone();
        for key in event_keys(event) {
            found.extend(self.by_source.get(&key).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What every action says to an event, in their order.
    pub fn explain(&self, event: &Event) -> Vec<Explanation> {
        let candidates = self.candidates(event);
        let explain = |(index, action): (usize, &Action)| {
            let source_fits = candidates.binary_search_by(|candidate| (*candidate as usize).cmp(&index)).is_ok();
            let reasons = action.reasons_against(event, source_fits);
            let name = &action.config.name;
            Explanation {
                action: if name.is_empty() { format!("action {}", index + 1) } else { name.clone() },
                connector: Arc::clone(&action.config.connector),
                matched: reasons.is_empty(),
                reasons,
            }
        };
        self.actions.iter().enumerate().map(explain).collect()
    }
}

impl Action {
    fn takes_kind(&self, event: &Event) -> bool {
        self.kinds.is_empty() || event.kind == Kind::Test || self.kinds.contains(&event.kind)
    }

    fn takes_priority(&self, event: &Event) -> bool {
        let priority = event.priority.as_ref().unwrap_or(&Priority::High);
        self.priorities.is_empty() || event.kind == Kind::Test || self.priorities.contains(priority)
    }

    fn reasons_against(&self, event: &Event, source_fits: bool) -> Vec<String> {
        let mut reasons = Vec::new();
        if !source_fits {
            let wanted: Vec<String> = self.config.alert_sources.iter().map(SourceRef::to_string).collect();
            let came = event.alert_source.as_ref().map_or("none".to_owned(), |source| format!("`{}` ({})", source.name, source.id));
            reasons.push(format!("the alert source is {came}, wanted is {}", wanted.join(" or ")));
        }
        if !self.takes_kind(event) {
            reasons.push(format!("the event is `{}`, wanted is {}", event.kind.as_str(), self.config.events.join(" or ")));
        }
        if !self.takes_priority(event) {
            let came = event.priority.as_ref().map_or("HIGH (none came)", Priority::as_str);
            reasons.push(format!("the priority is {came}, wanted is {}", self.config.priorities.join(" or ")));
        }
        reasons
    }
}

/// Unknown words are compared in upper case, as iLert writes them.
fn priority(word: &str) -> Priority {
    Priority::from(word.trim().to_ascii_uppercase())
}

/// Ids and names share one index: a name that is another source's id would have to be all digits.
fn index_key(source: &SourceRef) -> String {
    match source {
        SourceRef::Id(id) => id.to_string(),
        SourceRef::Text(text) => text.trim().to_lowercase(),
    }
}

fn event_keys(event: &Event) -> impl Iterator<Item = String> {
    let source = event.alert_source.iter();
    source.flat_map(|source| [source.id.clone(), source.name.trim().to_lowercase()]).filter(|key| !key.is_empty())
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
