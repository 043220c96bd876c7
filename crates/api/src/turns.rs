//! Of the requests under one `Idempotency-Key`, one is at work at a time. The
//! others wait here, where it costs nothing: each that waits in the database
//! holds a connection, and a client that repeats itself impatiently would soon
//! have them all. What keeps a request from being done twice is the database
//! alone, which also knows what other servers do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crm::Error;
use crm::idempotency::Key;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::error::ApiError;

/// The API key that asked, and what it calls the request.
type Name = (Uuid, Key);
type Gate = Arc<tokio::sync::Mutex<()>>;

/// The requests under keys that are at work or wait for their turn.
pub(crate) struct Turns {
    /// How long a request waits for its turn.
    patience: Duration,
    gates: Mutex<HashMap<Name, Gate>>,
}

/// A request's turn. It ends when this is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    name: Name,
    /// None while it waits.
    passed: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            gates: Mutex::default(),
        }
    }

    /// Waits until no other request of this name is at work.
    ///
    /// # Errors
    /// `CONFLICT`, to be tried again, when the others take too long.
    pub(crate) async fn take(&self, api_key_id: Uuid, key: Key) -> Result<Turn<'_>, ApiError> {
        let name = (api_key_id, key);
        let gate = self.gates().entry(name.clone()).or_default().clone();
        let mut turn = Turn {
            turns: self,
            name,
            passed: None,
        };
        match tokio::time::timeout(self.patience, gate.lock_owned()).await {
            Ok(passed) => turn.passed = Some(passed),
            Err(_) => return Err(ApiError::of(&Error::InProgress)),
        }
        Ok(turn)
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<Name, Gate>> {
        // Nothing panics while holding it, and a map has no state in between.
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.passed.take();
        let mut gates = self.turns.gates();
        // Only the map has it: nobody is there any more, and nobody can come
        // while the map is held.
        if gates
            .get(&self.name)
            .is_some_and(|gate| Arc::strong_count(gate) == 1)
        {
            gates.remove(&self.name);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::read(name.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn each_waits_for_those_before_it_and_for_no_others() {
        let turns = Turns::new(Duration::from_secs(60));
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = turns.take(one, key("a")).await.unwrap();
        turns.take(one, key("b")).await.unwrap();
        turns.take(other, key("a")).await.unwrap();
        let order = Mutex::new(Vec::new());
        let wait = |number: i32| {
            let (turns, order) = (&turns, &order);
            async move {
                let _turn = turns.take(one, key("a")).await.unwrap();
                order.lock().unwrap().push(number);
            }
        };
        let release = async {
            order.lock().unwrap().push(1);
            drop(first);
        };
        tokio::join!(biased; wait(2), wait(3), release);
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert!(turns.gates().is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_too_long_is_told_to_come_again() {
        let turns = Turns::new(Duration::from_millis(1));
        let first = turns.take(Uuid::nil(), key("a")).await.unwrap();
        let refused = turns.take(Uuid::nil(), key("a")).await.err().unwrap();
        assert_eq!(refused.code, "CONFLICT");
        drop(first);
        assert!(turns.gates().is_empty());
    }
}
