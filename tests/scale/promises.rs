//! What has to be so in the end.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use incident_sink::clock::UnixMs;
use incident_sink::outbox::{Filter, MessageId, Outbox};
use incident_sink::simulator::dingtalk::DingTalk;

use crate::front::Arrival;
use crate::host::robot;
use crate::load::{Incident, mark, marks};
use crate::trouble::{Interruption, Takeover};

/// How long a lane may be without a host.
const TAKEOVER: Duration = Duration::from_secs(5);
/// What the others may lack for it, where three hosts, their senders, the database and the group share two processors.
const BUSY: Duration = Duration::from_secs(2);

/// Every event that was answered with 202 is in one message that was delivered, and the group has seen that message.
pub(crate) async fn nothing_is_lost_or_told_twice(outbox: &dyn Outbox, group: &DingTalk, told: &HashMap<Incident, usize>) {
    let mut missing: HashSet<String> =
        told.iter().flat_map(|((connector, number), events)| (0..*events).map(|n| mark(*connector, *number, n))).collect();
    let shown: HashSet<String> = group.conversation().into_iter().filter_map(|shown| shown.msg_uuid).collect();
    let mut before = None;
    loop {
        let page = outbox.messages(Filter { before, limit: 500, ..Filter::default() }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for message in page {
            assert_eq!(message.state, "delivered", "{message:?}");
            assert!(shown.contains(&message.key), "nobody has seen {message:?}");
            for event in covered(outbox, message.id).await {
                assert!(missing.remove(&event), "{event} is in two messages, or was never accepted");
            }
        }
    }
    assert!(missing.is_empty(), "{} events are lost, such as {:?}", missing.len(), missing.iter().next());
}

async fn covered(outbox: &dyn Outbox, message: MessageId) -> Vec<String> {
    let covered = outbox.message(message).await.unwrap().covered;
    covered.into_iter().map(|event| event.id.strip_prefix("event:").unwrap().to_owned()).collect()
}

/// The group has read the last state of every incident, and never an older one after a newer, or the same one twice.
pub(crate) fn incidents_are_told_in_order(group: &DingTalk, told: &HashMap<Incident, usize>) {
    let mut last: HashMap<Incident, usize> = HashMap::new();
    for shown in group.conversation() {
        let events = marks(&shown.raw.to_string());
        assert!(!events.is_empty(), "{shown:?}");
        for (connector, number, n) in events {
            assert_eq!(robot(connector), shown.robot);
            let before = last.insert((connector, number), n);
            assert!(before.is_none_or(|before| before < n), "{:?} was told after event {before:?}", mark(connector, number, n));
        }
    }
    for (incident, events) in told {
        assert_eq!(last.get(incident), Some(&(events - 1)), "the last that people were told of incident {incident:?}");
    }
}

/// No robot got more than 20 messages in any 60 seconds, those included that were sent again.
pub(crate) fn no_robot_is_too_fast(group: &DingTalk, connectors: usize) {
    for connector in 0..connectors {
        let counters = group.counters(&robot(connector)).unwrap();
        assert!(counters.worst_minute <= 20, "{connector}: {counters:?}");
        assert_eq!((counters.mutes, counters.refused, counters.altered), (0, 0, 0), "{connector}: {counters:?}");
    }
}

/// A message that two hosts sent: the first of them could not tell any more what had become of it. A host that was woken, or only slow, never
/// sends what another has taken. Answers how many messages were sent again at all.
pub(crate) fn nobody_sends_what_another_has_taken(arrivals: &[Arrival], interruptions: &[Interruption]) -> usize {
    let mut last: HashMap<&str, &Arrival> = HashMap::new();
    let mut again = 0;
    for arrival in arrivals {
        let Some(before) = last.insert(&arrival.key, arrival) else { continue };
        again += 1;
        let was_interrupted = |interruption: &Interruption| {
            interruption.host.is_none_or(|host| host == before.host) && meets(interruption, before.at, arrival.at)
        };
        let excused = before.host == arrival.host || interruptions.iter().any(was_interrupted);
        assert!(excused, "{arrival:?} was sent before: {before:?}; {interruptions:#?}");
    }
    again
}

fn meets(interruption: &Interruption, from: UnixMs, until: UnixMs) -> bool {
    interruption.from <= until && interruption.until >= from
}

/// Others have the lanes of a host that is gone in time; a machine that does nothing meanwhile does not count.
pub(crate) fn lanes_move_in_time(takeovers: &[Takeover]) {
    for takeover in takeovers {
        assert!(takeover.took <= TAKEOVER + takeover.stalled + BUSY, "{takeover}");
    }
}
