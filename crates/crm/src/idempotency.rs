//! Requests that are done once, however often they are sent. The answer to one
//! that came with a key is kept for a day, by the transaction that did the
//! work: after a crash there are either both or neither.
//!
//! An answer may tell what is kept nowhere else, as that of a new API key does.
//! So it is sealed with the API key that sent the request, which the database
//! does not have: a stolen database tells no answer.

use std::time::Duration;

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::{Db, Tx};
use uuid::Uuid;

use crate::api_keys::random_bytes;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::input::Flaw;
use crate::time::Timestamp;

/// How long an answer is given again.
pub const KEPT: Duration = Duration::from_hours(24);

/// How many answers are forgotten at once.
const BATCH: i64 = 500;

/// How many random bytes stand before a sealed answer.
const NONCE: usize = 24;

/// What a client calls a request by: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// It is empty, too long, or has other characters.
    pub fn read(text: &[u8]) -> Result<Self, Flaw> {
        match std::str::from_utf8(text) {
            Ok(key) if (1..=255).contains(&key.len()) && text.iter().all(u8::is_ascii_graphic) => {
                Ok(Self(key.to_owned()))
            }
            _ => Err(Flaw::new("must be 1 to 255 visible ASCII characters")),
        }
    }
}

/// A request that is to be done once.
pub struct Request {
    key: Key,
    api_key_id: Uuid,
    digest: [u8; 32],
    seal: XChaCha20Poly1305,
}

impl Request {
    /// The request that `key` stands for among those of an API key. `asked` is
    /// all that must be the same when it is sent again; `api_key` the API key
    /// itself.
    pub fn new(key: Key, api_key_id: Uuid, api_key: &str, asked: &impl Serialize) -> Self {
        let asked = serde_json::to_vec(asked).expect("what was read from JSON is written as JSON");
        // Not the digest by which the API key is found: that one is stored.
        let sealing = Sha256::new()
            .chain_update("sealed answers of ")
            .chain_update(api_key)
            .finalize();
        Self {
            key,
            api_key_id,
            digest: Sha256::digest(asked).into(),
            seal: XChaCha20Poly1305::new(&sealing),
        }
    }
}

/// An answer, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status on the wire.
    pub status: u16,
    /// Its body; none when there is nothing to say.
    pub body: Option<Vec<u8>>,
}

/// How a request that is to be done once was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The answer: the first one.
    pub answer: Answer,
    /// Whether it was given before, so that nothing was done now.
    pub replayed: bool,
}

/// Does `work` and keeps its answer, unless the same request has been answered
/// within a day; then that answer comes again. One that is at work in another
/// transaction is waited for.
///
/// # Errors
/// A conflict when the key stands for another request;
/// [`Error::InProgress`] when the first one does not end within the lock
/// timeout; what `work` answers, which leaves the key unused.
pub fn once(
    tx: &mut Tx<'_>,
    who: &Caller,
    request: &Request,
    work: impl FnOnce(&mut Tx<'_>) -> Result<Answer>,
) -> Result<Outcome> {
    if !claim(tx, who, request)? {
        let answer = kept(tx, who, request)?;
        return Ok(Outcome {
            answer,
            replayed: true,
        });
    }
    let answer = work(tx)?;
    keep(tx, who, request, &answer)?;
    Ok(Outcome {
        answer,
        replayed: false,
    })
}

/// Takes the key for this transaction; false when it has an answer already.
fn claim(tx: &mut Tx<'_>, who: &Caller, request: &Request) -> Result<bool> {
    // Before all else: whoever comes second waits here, holding nothing.
    let claimed = tx.execute(
        "insert into idempotency_keys (workspace_id, api_key_id, key, request, created_at)
         values ($1, $2, $3, $4, $5)
         on conflict (workspace_id, api_key_id, key)
         do update set request = excluded.request, status = null, body = null,
             created_at = excluded.created_at
         where idempotency_keys.created_at <= $6",
        &store::params![
            who.workspace_id,
            request.api_key_id,
            &request.key.0,
            &request.digest[..],
            who.now,
            who.now.before(KEPT),
        ],
    );
    match claimed {
        Ok(rows) => Ok(rows > 0),
        Err(store::Error::Locked) => Err(Error::InProgress),
        Err(error) => Err(error.into()),
    }
}

/// The answer that was given to this very request.
fn kept(db: &Db<'_>, who: &Caller, request: &Request) -> Result<Answer> {
    let (digest, status, sealed) = db.query_one(
        "select request, status, body from idempotency_keys
         where workspace_id = $1 and api_key_id = $2 and key = $3",
        &store::params![who.workspace_id, request.api_key_id, &request.key.0],
        |row| {
            Ok((
                row.get::<Vec<u8>>(0)?,
                row.get::<i64>(1)?,
                row.get::<Option<Vec<u8>>>(2)?,
            ))
        },
    )?;
    if digest != request.digest {
        return Err(Error::conflict(
            "This Idempotency-Key was used for another request",
            "Use a new key for every new request. The answer to the first one comes again for the \
             same path and body only.",
        ));
    }
    let damaged = |column: &str, expected| store::Error::Decode {
        column: column.to_owned(),
        expected,
    };
    Ok(Answer {
        status: u16::try_from(status).map_err(|_| damaged("status", "a status"))?,
        body: sealed
            .map(|sealed| open(&request.seal, &sealed))
            .map(|body| body.ok_or_else(|| damaged("body", "what this API key has sealed")))
            .transpose()?,
    })
}

fn keep(tx: &mut Tx<'_>, who: &Caller, request: &Request, answer: &Answer) -> Result<()> {
    let body = match &answer.body {
        Some(body) => Some(seal(&request.seal, body)?),
        None => None,
    };
    tx.execute(
        "update idempotency_keys set status = $4, body = $5
         where workspace_id = $1 and api_key_id = $2 and key = $3",
        &store::params![
            who.workspace_id,
            request.api_key_id,
            &request.key.0,
            i64::from(answer.status),
            body,
        ],
    )?;
    Ok(())
}

fn seal(seal: &XChaCha20Poly1305, plain: &[u8]) -> Result<Vec<u8>> {
    let nonce = random_bytes::<NONCE>()?;
    let sealed = seal
        .encrypt(&XNonce::from(nonce), plain)
        .map_err(|_| store::Error::Encode("an answer too large to seal".to_owned()))?;
    Ok([&nonce[..], &sealed].concat())
}

fn open(seal: &XChaCha20Poly1305, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    seal.decrypt(&XNonce::from(*nonce), sealed).ok()
}

/// Whether there are answers that are given no more.
pub fn any_expired(db: &Db<'_>, now: Timestamp) -> Result<bool> {
    let oldest = db.query_opt(
        "select 1 from idempotency_keys where created_at <= $1 limit 1",
        &store::params![now.before(KEPT)],
        |_| Ok(()),
    )?;
    Ok(oldest.is_some())
}

/// Forgets answers that are given no more, some hundreds at once.
pub fn forget_expired(tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
    // The age is asked for twice: a key may be taken anew meanwhile.
    tx.execute(
        "delete from idempotency_keys
         where created_at <= $1 and (workspace_id, api_key_id, key) in (
             select workspace_id, api_key_id, key from idempotency_keys
             where created_at <= $1 order by created_at limit $2
         )",
        &store::params![now.before(KEPT), BATCH],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::api_keys::{self, CreatedApiKey};
    use crate::testing::{Desk, attempt, given};

    /// A request by a new API key of the desk's workspace.
    struct Sender(CreatedApiKey);

    impl Sender {
        fn new(tx: &mut Tx<'_>, desk: &Desk) -> Result<Self> {
            let fields = json!({ "name": "Website", "scopes": ["*"] });
            api_keys::create(tx, &desk.who, given(fields)).map(Self)
        }

        fn request(&self, key: &str, asked: &str) -> Request {
            let key = Key::read(key.as_bytes()).unwrap();
            Request::new(key, self.0.record.id, self.0.key.reveal(), &asked)
        }
    }

    fn answer(text: &str) -> Answer {
        Answer {
            status: 201,
            body: Some(text.as_bytes().to_vec()),
        }
    }

    /// What a request is answered when the work would answer `text`.
    fn send(
        tx: &mut Tx<'_>,
        who: &Caller,
        request: &Request,
        text: &str,
    ) -> Result<(String, bool)> {
        let outcome = once(tx, who, request, |_| Ok(answer(text)))?;
        let body = String::from_utf8(outcome.answer.body.unwrap()).unwrap();
        assert_eq!(outcome.answer.status, 201);
        Ok((body, outcome.replayed))
    }

    fn count(db: &Db<'_>) -> Result<i64> {
        Ok(
            db.query_one("select count(*) from idempotency_keys", &[], |row| {
                row.get(0)
            })?,
        )
    }

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        for good in ["a", "~!\"", &"k".repeat(255)] {
            assert_eq!(Key::read(good.as_bytes()), Ok(Key(good.to_owned())));
        }
        for bad in ["", " ", "a b", "ä", "a\t", "\u{7f}", &"k".repeat(256)] {
            assert!(Key::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Key::read(b"\xff").is_err());
    }

    on_both_engines! {
        fn the_first_answer_comes_again(tx, desk) {
            let sender = Sender::new(tx, desk)?;
            let request = sender.request("k", "a fence");
            assert_eq!(send(tx, &desk.who, &request, "one")?, ("one".to_owned(), false));
            assert_eq!(send(tx, &desk.later(60), &request, "two")?, ("one".to_owned(), true));
            let other = sender.request("k", "a gate");
            assert_eq!(attempt(tx, |tx| send(tx, &desk.who, &other, "three")), "conflict");
            let other = Sender::new(tx, desk)?.request("k", "a gate");
            assert_eq!(send(tx, &desk.who, &other, "four")?, ("four".to_owned(), false));
        }

        fn an_answer_without_a_body_comes_again_without_one(tx, desk) {
            let request = Sender::new(tx, desk)?.request("k", "a fence");
            let nothing = Answer { status: 204, body: None };
            let first = once(tx, &desk.who, &request, |_| Ok(nothing.clone()))?;
            let again = once(tx, &desk.who, &request, |_| Ok(answer("two")))?;
            assert_eq!((first.answer, first.replayed), (nothing.clone(), false));
            assert_eq!((again.answer, again.replayed), (nothing, true));
        }

        fn an_answer_is_given_for_a_day_and_then_forgotten(tx, desk) {
            let sender = Sender::new(tx, desk)?;
            let day = 24 * 60 * 60;
            let request = sender.request("k", "a fence");
            send(tx, &desk.who, &request, "one")?;
            let last = desk.later(day - 1);
            assert!(send(tx, &last, &request, "two")?.1);
            assert!(!any_expired(tx, last.now)?);
            forget_expired(tx, last.now)?;
            assert_eq!(count(tx)?, 1);

            // The key is free, whether or not the old answer is still there.
            let next = desk.later(day);
            let other = sender.request("k", "a gate");
            assert!(any_expired(tx, next.now)?);
            assert_eq!(send(tx, &next, &other, "three")?, ("three".to_owned(), false));
            assert!(!any_expired(tx, next.now)?);
            assert!(send(tx, &next, &other, "four")?.1);

            forget_expired(tx, desk.later(2 * day).now)?;
            assert_eq!(count(tx)?, 0);
        }

        fn what_failed_leaves_its_key_unused(tx, desk) {
            let request = Sender::new(tx, desk)?.request("k", "a fence");
            let fails = |_: &mut Tx<'_>| Err(Error::conflict("taken", "take another"));
            assert_eq!(attempt(tx, |tx| once(tx, &desk.who, &request, fails)), "conflict");
            assert_eq!(count(tx)?, 0);
            assert_eq!(send(tx, &desk.who, &request, "one")?, ("one".to_owned(), false));
        }

        fn a_kept_answer_can_not_be_read_from_the_database(tx, desk) {
            let sender = Sender::new(tx, desk)?;
            let request = sender.request("k", "a fence");
            send(tx, &desk.who, &request, "a secret")?;
            let sealed = tx.query_one("select body from idempotency_keys", &[], |row| row.get::<Vec<u8>>(0))?;
            assert!(!sealed.windows(6).any(|window| window == b"secret"));
            let stored = api_keys::KeyDigest::of(sender.0.key.reveal());
            let guess = Request::new(Key("k".to_owned()), sender.0.record.id, &format!("{stored:?}"), &"a fence");
            assert!(open(&guess.seal, &sealed).is_none());
            assert_eq!(open(&request.seal, &sealed).unwrap(), b"a secret");
        }

        async fn of_equal_requests_at_once_one_is_done(world) {
            let request = world.write(|tx, desk| Ok(Sender::new(tx, desk)?.request("k", "a fence"))).await.unwrap();
            let outcomes = world.all_at_once(20, move |tx, desk, index| {
                once(tx, &desk.who, &request, |tx| {
                    desk.contact(tx, "Ada")?;
                    Ok(answer(&format!("by {index}")))
                })
            }).await;
            let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
            assert_eq!(outcomes.iter().filter(|outcome| !outcome.replayed).count(), 1);
            assert!(outcomes.iter().all(|outcome| outcome.answer == outcomes[0].answer));
            let made = world.read(|db, _| {
                Ok(db.query_one("select count(*) from contacts", &[], |row| row.get::<i64>(0))?)
            }).await.unwrap();
            assert_eq!(made, 1);
        }
    }
}
