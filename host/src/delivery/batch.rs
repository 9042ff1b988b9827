//! Which waiting events the next message is for: one, or a digest. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::Item;
use crate::event::{Event, Status};
use crate::outbox::Waiting;

/// One item of the next message, and every waiting event that it settles.
#[derive(Clone, Debug)]
pub struct Pick {
    /// What the sink gets.
    pub item: Item,
    /// The events behind it, in order of acceptance.
    pub seqs: Vec<i64>,
}

/// The oldest event alone. A resolution also settles what is there of its incident's earlier states: webhooks race, and what came late must
/// not show the incident as open again.
pub fn single(waiting: &[Waiting]) -> Vec<Pick> {
    let Some((first, rest)) = waiting.split_first() else { return Vec::new() };
    let resolved = first.event.status == Status::Resolved;
    let late = |other: &&Waiting| resolved && other.event.incident_id == first.event.incident_id && other.event.status != Status::Resolved;
    let seqs = std::iter::once(first).chain(rest.iter().filter(late)).map(|entry| entry.seq).collect();
    vec![Pick { item: Item { event: first.event.clone(), folded: 0 }, seqs }]
}

/// One item an incident with its latest state: HIGH before the rest, oldest first within. All events of an incident that are in `waiting`
/// go together, so that no older state of it is left behind to be told later. Returns every incident; the caller takes as many as fit.
pub fn digest(waiting: &[Waiting]) -> Vec<Pick> {
    let mut order: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Waiting>> = Vec::new();
    for entry in waiting {
        let index = *order.entry(&entry.event.incident_id).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[index].push(entry);
    }
    let mut picks: Vec<Pick> = groups.iter().map(|group| pick(group)).collect();
    picks.sort_by_key(|pick| !pick.item.event.is_high());
    picks
}

/// Folds the events of one incident.
fn pick(group: &[&Waiting]) -> Pick {
    let events: Vec<&Arc<Event>> = group.iter().map(|entry| &entry.event).collect();
    Pick {
        item: Item { event: latest(&events).clone(), folded: u32::try_from(group.len().saturating_sub(1)).unwrap_or(u32::MAX) },
        seqs: group.iter().map(|entry| entry.seq).collect(),
    }
}

/// The event that tells the state: webhooks race, so a resolution wins over whatever was accepted after it, then the order of acceptance
/// counts. An incident is never reopened in iLert.
fn latest<'a>(events: &[&'a Arc<Event>]) -> &'a Arc<Event> {
    let resolved = events.iter().rfind(|event| event.status == Status::Resolved);
    resolved.or(events.last()).expect("a group has at least one event")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::event;
    use crate::event::{Kind, Priority};
    use proptest::prelude::*;

    fn waiting(seq: i64, incident: &str, status: Status, priority: Priority) -> Waiting {
        let mut one = event(incident, Kind::Created);
        one.status = status;
        one.priority = Some(priority);
        Waiting { seq, accepted_at: seq, event: Arc::new(one) }
    }

    #[test]
    fn high_comes_first_and_each_incident_shows_its_latest_state() {
        let all = [
            waiting(1, "a", Status::Pending, Priority::Low),
            waiting(2, "b", Status::Pending, Priority::High),
            waiting(3, "a", Status::Accepted, Priority::Low),
            waiting(4, "c", Status::Pending, Priority::High),
        ];
        let picks = digest(&all);
        let ids: Vec<&str> = picks.iter().map(|pick| pick.item.event.incident_id.as_str()).collect();
        assert_eq!(ids, ["b", "c", "a"]);
        assert_eq!((picks[2].seqs.as_slice(), picks[2].item.folded), ([1, 3].as_slice(), 1));
        assert_eq!(picks[2].item.event.status, Status::Accepted);
    }

    #[test]
    fn a_resolution_is_not_overtaken_by_an_event_that_came_late() {
        let all = [waiting(1, "a", Status::Resolved, Priority::High), waiting(2, "a", Status::Pending, Priority::High)];
        assert_eq!(digest(&all)[0].item.event.status, Status::Resolved);
    }

    #[test]
    fn sent_singly_a_resolution_takes_late_states_with_it_and_nothing_else() {
        let all = [
            waiting(1, "a", Status::Resolved, Priority::High),
            waiting(2, "a", Status::Pending, Priority::High),
            waiting(3, "b", Status::Pending, Priority::High),
            waiting(4, "a", Status::Resolved, Priority::High),
        ];
        assert_eq!(single(&all)[0].seqs, [1, 2]);
        assert_eq!(single(&all[1..])[0].seqs, [2]);
        assert!(single(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn every_event_is_in_one_pick_and_none_is_lost(incidents in prop::collection::vec(0u8..12, 0..80)) {
            let all: Vec<Waiting> = incidents.iter().enumerate()
                .map(|(seq, incident)| waiting(seq as i64, &incident.to_string(), Status::Pending, if incident % 3 == 0 { Priority::High } else { Priority::Low }))
                .collect();
            let picks = digest(&all);
            let mut seqs: Vec<i64> = picks.iter().flat_map(|pick| pick.seqs.clone()).collect();
            seqs.sort_unstable();
            prop_assert_eq!(seqs, (0..all.len() as i64).collect::<Vec<_>>());
            let high: Vec<bool> = picks.iter().map(|pick| pick.item.event.is_high()).collect();
            prop_assert!(high.windows(2).all(|pair| pair[0] >= pair[1]));
        }
    }
}
