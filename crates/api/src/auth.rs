//! Who calls: keys looked up, and remembered for less than a second.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use crm::api_keys::{self, Credential, KeyDigest};
use crm::time::Timestamp;
use store::Store;
use uuid::Uuid;

use crate::error::ApiError;

/// How long a key that was found in use may go on unasked: a revocation by
/// another process must count within a second.
const REMEMBERED: Duration = Duration::from_millis(800);

/// More keys than these are not remembered at once.
const CAPACITY: usize = 10_000;

/// Looks up keys.
pub(crate) struct Authenticator {
    store: Store,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    keys: HashMap<KeyDigest, Known>,
    /// How often the keys were forgotten. A lookup that began before the last
    /// time may have seen a key that is revoked by now.
    forgotten: u64,
    /// When each key was last used, since that was last written down.
    used: HashMap<(Uuid, Uuid), Timestamp>,
}

struct Known {
    credential: Credential,
    until: Instant,
}

impl Authenticator {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while holding it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this key opens.
    ///
    /// # Errors
    /// `UNAUTHORIZED`, or what the database answers.
    pub(crate) async fn authenticate(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Credential, ApiError> {
        let digest = KeyDigest::of(key);
        let credential = match self.remembered(digest) {
            Some(credential) => credential,
            None => self.look_up(digest).await?,
        };
        if credential.expires_at.is_some_and(|end| end <= now) {
            return Err(ApiError::unauthorized("The API key has expired"));
        }
        let id = (credential.workspace_id, credential.key_id);
        self.memory().used.insert(id, now);
        Ok(credential)
    }

    fn remembered(&self, digest: KeyDigest) -> Option<Credential> {
        let memory = self.memory();
        let known = memory.keys.get(&digest)?;
        (known.until > Instant::now()).then(|| known.credential.clone())
    }

    async fn look_up(&self, digest: KeyDigest) -> Result<Credential, ApiError> {
        let until = Instant::now() + REMEMBERED;
        let forgotten = self.memory().forgotten;
        let credential = self
            .store
            .read(move |db| api_keys::authenticate(db, digest))
            .await
            .map_err(|error| ApiError::of(&error))?
            .ok_or_else(|| ApiError::unauthorized("The API key is unknown or revoked"))?;
        let mut memory = self.memory();
        if memory.forgotten == forgotten {
            if memory.keys.len() >= CAPACITY {
                memory.keys.clear();
            }
            let credential = credential.clone();
            memory.keys.insert(digest, Known { credential, until });
        }
        Ok(credential)
    }

    /// Forgets every key, since one has just been changed or revoked here.
    pub(crate) fn forget(&self) {
        let mut memory = self.memory();
        memory.keys.clear();
        memory.forgotten += 1;
    }

    /// Writes down when keys were last used.
    pub(crate) async fn flush(&self) -> crm::Result<()> {
        let used = std::mem::take(&mut self.memory().used);
        if used.is_empty() {
            return Ok(());
        }
        let writing = used.clone();
        let written = self
            .store
            .write(move |tx| {
                writing.iter().try_for_each(|((workspace_id, key_id), at)| {
                    api_keys::note_use(tx, *workspace_id, *key_id, *at)
                })
            })
            .await;
        if written.is_err() {
            // What was used since is newer.
            let mut memory = self.memory();
            for (key, at) in used {
                memory.used.entry(key).or_insert(at);
            }
        }
        written
    }
}

/// The key in the `authorization` header.
///
/// # Errors
/// `UNAUTHORIZED`.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(ApiError::unauthorized("No API key was sent"));
    };
    let key = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim());
    match key {
        Some(key) if api_keys::is_well_formed(key) => Ok(key),
        Some(_) => Err(ApiError::unauthorized("The API key is unknown or revoked")),
        None => Err(ApiError::unauthorized(
            "The authorization header is not of the form 'Bearer <key>'",
        )),
    }
}
