//! Who is logged in: random ids in memory, bounded in number and in time, and the tokens that tell their forms from those of other pages.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// A session ends so long after the login.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// And so long after it was used last.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// At once; one more ends the one that was used least lately.
const MOST: usize = 256;

/// All sessions of a process. After a restart everybody logs in again.
pub(super) struct Sessions {
    /// Signs the forms.
    key: [u8; 32],
    open: Mutex<HashMap<[u8; 32], Open>>,
}

struct Open {
    since: Instant,
    used: Instant,
    /// The token that was shown: with another one in the config the session is over.
    token: [u8; 32],
}

/// Bytes that nobody can guess.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new id, which is also what the cookie holds.
pub(super) fn new_id() -> String {
    hex(&random())
}

/// Whether a text could be an id of ours.
pub(super) fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Sessions {
    pub(super) fn new() -> Self {
        Sessions { key: random(), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<[u8; 32], Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session of somebody who has shown the token.
    pub(super) fn begin(&self, token: &Secret, now: Instant) -> String {
        let id = new_id();
        let mut open = self.open();
        if open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id)
        {
            open.remove(&oldest);
        }
        open.insert(digest(&id), Open { since: now, used: now, token: digest(token.expose()) });
        id
    }

    /// Whether a session is open; if so, it was used now.
    pub(super) fn is_open(&self, id: &str, token: &Secret, now: Instant) -> bool {
        let mut open = self.open();
        let (key, token) = (digest(id), digest(token.expose()));
        let alive = |session: &Open| {
            now.duration_since(session.since) < LONGEST && now.duration_since(session.used) < IDLE && session.token == token
        };
        match open.get_mut(&key) {
            Some(session) if alive(session) => {
                session.used = now;
                true
            }
            Some(_) => {
                open.remove(&key);
                false
            }
            None => false,
        }
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        self.open().remove(&digest(id));
    }

    /// What the forms of a session carry.
    pub(super) fn form_token(&self, id: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length of key will do");
        mac.update(id.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// Whether a form is of that session.
    pub(super) fn is_own_form(&self, id: &str, given: &str) -> bool {
        self.form_token(id).as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Ids are looked up by their digest, so that no comparison tells how much of a guess was right.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_by_logout_and_with_another_token() {
        let (sessions, token, now) = (Sessions::new(), Secret::new("t"), Instant::now());
        let id = sessions.begin(&token, now);
        assert!(is_id(&id) && sessions.is_open(&id, &token, now));
        assert!(!sessions.is_open(&id, &token, now + IDLE), "nobody was there");
        let id = sessions.begin(&token, now);
        for hour in 1..12 {
            assert!(sessions.is_open(&id, &token, now + Duration::from_secs(hour * 3600)));
        }
        assert!(!sessions.is_open(&id, &token, now + LONGEST));
        let id = sessions.begin(&token, now);
        assert!(!sessions.is_open(&id, &Secret::new("another"), now));
        let id = sessions.begin(&token, now);
        sessions.end(&id);
        assert!(!sessions.is_open(&id, &token, now) && !sessions.is_open("guess", &token, now));
    }

    #[test]
    fn there_are_only_so_many_sessions() {
        let (sessions, token, now) = (Sessions::new(), Secret::new("t"), Instant::now());
        let first = sessions.begin(&token, now);
        for n in 1..=MOST {
            sessions.begin(&token, now + Duration::from_secs(n as u64));
        }
        assert_eq!(sessions.open().len(), MOST);
        assert!(!sessions.is_open(&first, &token, now));
    }

    #[test]
    fn the_form_of_one_session_is_not_that_of_another() {
        let sessions = Sessions::new();
        let (a, b) = (new_id(), new_id());
        assert!(sessions.is_own_form(&a, &sessions.form_token(&a)));
        assert!(!sessions.is_own_form(&a, &sessions.form_token(&b)) && !sessions.is_own_form(&a, ""));
        assert!(!Sessions::new().is_own_form(&a, &sessions.form_token(&a)), "each process has a key of its own");
    }
}
