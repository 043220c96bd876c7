//! The way of a call, whichever surface it comes from: who is asking, how fast,
//! whether they may, what it costs, and that it is done once.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use crm::idempotency::{self, Key, Outcome, Request};
use crm::input::Fields;
use crm::time::Timestamp;
use crm::{Actor, ActorKind, Caller, Error, Ids};
use store::{Engine, Store};
use uuid::Uuid;

use crate::auth::Authenticator;
use crate::credits::Meter;
use crate::downloads::Download;
use crate::envelope::Meta;
use crate::error::ApiError;
use crate::once::Once;
use crate::operation::{Call, Done, Operation};
use crate::rate_limits::{RateLimit, RateLimits, Standing};
use crate::response_cache::ResponseCache;
use crate::turns::Turns;

/// How long a call waits for an equal one that is at work: as long as it would
/// for a lock in the database.
const TURN: Duration = Duration::from_secs(10);
/// How long it may take until reads that were counted are written down, where nothing
/// else is: every commit ends what the [`ResponseCache`] keeps.
const READS_WAIT: Duration = Duration::from_secs(10);

/// What calls are answered with.
pub(crate) struct Calls {
    store: Store,
    keys: Authenticator,
    meter: Meter,
    enforce_credits: bool,
    rate_limits: Option<RateLimits>,
    turns: Turns,
    ids: Ids,
    responses: Arc<ResponseCache>,
    /// When what is counted was last written down.
    flushed: Mutex<Instant>,
}

/// Someone who was let in, for one request.
#[derive(Clone)]
pub(crate) struct Guest<'k> {
    /// As whom they call.
    pub(crate) who: Caller,
    key: Option<ApiKey<'k>>,
}

/// The key that a guest has: the operator needs none.
#[derive(Clone)]
struct ApiKey<'k> {
    id: Uuid,
    text: Cow<'k, str>,
}

impl Guest<'_> {
    /// Whether they have a key: only then can a call be known again.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The same, whatever becomes of the request that they came with.
    pub(crate) fn into_owned(self) -> Guest<'static> {
        let own = |key: ApiKey<'_>| ApiKey {
            id: key.id,
            text: Cow::Owned(key.text.into_owned()),
        };
        Guest {
            who: self.who,
            key: self.key.map(own),
        }
    }
}

/// That a call may be made.
pub(crate) struct Permit {
    /// What was left of the month's credits before it.
    remaining: i64,
}

/// What is asked of an operation.
pub(crate) struct Asked<'a> {
    /// The ids of the records that it is about, in the order of the path.
    pub(crate) path: Vec<Uuid>,
    /// What was sent with it.
    pub(crate) fields: Fields,
    /// Query parameters that nothing asked for.
    pub(crate) unread: Vec<String>,
    /// What the client calls it by, if it is to be done once.
    pub(crate) called: Option<Called<'a>>,
}

/// What a client calls a request by, as it was sent.
pub(crate) struct Called<'a> {
    /// Where it was sent, for the message about a flaw.
    pub(crate) place: &'static str,
    /// The idempotency key itself.
    pub(crate) key: &'a [u8],
}

/// How a call ended well.
pub(crate) struct Finished {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// What is answered.
    pub(crate) body: Content,
    /// What is said beside the data; none for an answer that was kept.
    pub(crate) meta: Option<Meta>,
    /// Whether it was answered before, so that nothing was done now.
    pub(crate) replayed: bool,
}

/// What a call is answered with.
pub(crate) enum Content {
    /// Nothing: it is done.
    Nothing,
    /// The answer in its envelope.
    Json(Vec<u8>),
    /// A file.
    File(Download),
}

impl Content {
    /// The answer of a tool, if there is anything to say.
    pub(crate) fn of_tool(self) -> Option<Vec<u8>> {
        match self {
            Self::Nothing => None,
            Self::Json(body) => Some(body),
            Self::File(_) => unreachable!("what answers a file is no tool"),
        }
    }
}

impl From<Option<Vec<u8>>> for Content {
    fn from(body: Option<Vec<u8>>) -> Self {
        body.map_or(Self::Nothing, Self::Json)
    }
}

impl Calls {
    pub(crate) fn new(
        store: Store,
        monthly_credits: i64,
        enforce_credits: bool,
        rate_limit: Option<RateLimit>,
    ) -> Self {
        Self {
            keys: Authenticator::new(store.clone()),
            meter: Meter::new(store.clone(), monthly_credits),
            enforce_credits,
            rate_limits: rate_limit.map(RateLimits::new),
            turns: Turns::new(TURN),
            ids: Ids::default(),
            responses: Arc::default(),
            flushed: Mutex::new(Instant::now()),
            store,
        }
    }

    /// What is kept of their answers.
    pub(crate) fn responses(&self) -> &ResponseCache {
        &self.responses
    }

    /// Lets in whoever has this key.
    ///
    /// # Errors
    /// `UNAUTHORIZED`, or what the database answers.
    pub(crate) async fn admit<'k>(
        &self,
        key: &'k str,
        request_id: &str,
    ) -> Result<Guest<'k>, ApiError> {
        let now = Timestamp::now();
        let credential = self.keys.authenticate(key, now).await?;
        Ok(Guest {
            who: Caller {
                workspace_id: credential.workspace_id,
                actor: Actor {
                    kind: ActorKind::ApiKey,
                    id: Some(credential.key_id),
                    name: credential.name,
                },
                scopes: credential.scopes,
                request_id: Some(request_id.to_owned()),
                now,
                ids: self.ids.clone(),
            },
            key: Some(ApiKey {
                id: credential.key_id,
                text: Cow::Borrowed(key),
            }),
        })
    }

    /// Lets in the operator, who needs no key.
    pub(crate) fn admit_operator(&self, workspace_id: Uuid, request_id: &str) -> Guest<'static> {
        let who = Caller {
            request_id: Some(request_id.to_owned()),
            ..Caller::operator(workspace_id, Timestamp::now(), self.ids.clone())
        };
        Guest { who, key: None }
    }

    /// Counts a request against the rate of the guest's key; how it stands then,
    /// if there is a limit.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub(crate) fn pace(&self, guest: &Guest<'_>) -> Result<Option<Standing>, ApiError> {
        match (&self.rate_limits, &guest.key) {
            (Some(limits), Some(key)) => limits.take(key.id).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether a guest may call an operation: has the scopes, and the credits.
    /// What is `known`, by its idempotency key, may have been paid for already.
    ///
    /// # Errors
    /// `INSUFFICIENT_SCOPE`, `INSUFFICIENT_CREDITS`, or what the database answers.
    pub(crate) async fn permit(
        &self,
        operation: &Operation,
        guest: &Guest<'_>,
        known: bool,
    ) -> Result<Permit, ApiError> {
        let who = &guest.who;
        let missing = operation.missing_scopes(who.scopes);
        if !missing.is_empty() {
            return Err(ApiError::insufficient_scope(&missing));
        }
        let remaining = self.meter.remaining(who.workspace_id, who.now).await;
        let remaining = remaining.map_err(|error| ApiError::of(&error))?;
        let cost = operation.cost;
        if self.enforce_credits && remaining < cost && !known {
            let error = Error::InsufficientCredits { cost, remaining };
            return Err(ApiError::of(&error));
        }
        Ok(Permit { remaining })
    }

    /// Does what is asked of an operation. What the domain refuses is said as
    /// `explain` has it.
    ///
    /// # Errors
    /// What went wrong; nothing is charged then.
    pub(crate) async fn run(
        &self,
        operation: &Operation,
        guest: Guest<'_>,
        permit: Permit,
        mut asked: Asked<'_>,
        explain: impl FnOnce(&Error) -> ApiError,
    ) -> Result<Finished, ApiError> {
        let cost = operation.cost;
        let workspace_id = guest.who.workspace_id;
        let called = match (&asked.called, &guest.key) {
            (Some(called), Some(key)) if operation.method == Method::POST => {
                match Key::read(called.key) {
                    Ok(called) => Some((called, key)),
                    Err(flaw) => {
                        let problems = asked.fields.problems();
                        problems.invalid(called.place, flaw.message);
                        None
                    }
                }
            }
            _ => None,
        };
        let _turn = match &called {
            Some((called, key)) => Some(self.turns.take(key.id, called.clone()).await?),
            None => None,
        };
        let once = called.map(|(called, key)| {
            let what = (operation.path, &asked.path, asked.fields.given());
            Once {
                request: Request::new(called, key.id, &key.text, &what),
                cost,
                remaining: permit.remaining,
                enforced: self.enforce_credits,
                unread: asked.unread.clone(),
            }
        });
        let call = Call {
            store: self.store.clone(),
            who: guest.who,
            path: asked.path,
            fields: asked.fields,
            once,
            responses: self.responses.clone(),
        };
        let done = operation.run(call).await;
        if operation.changes_keys() {
            self.keys.forget();
        }
        let done = done.map_err(|error| explain(&error))?;
        self.settle(done, workspace_id, cost, &asked.unread)
    }

    /// Charges a call that ended well, unless it was answered before, and
    /// completes its answer.
    fn settle(
        &self,
        done: Done,
        workspace_id: Uuid,
        cost: i64,
        unread: &[String],
    ) -> Result<Finished, ApiError> {
        match done {
            Done::Fresh(reply) => {
                let left = self.meter.charge(workspace_id, cost);
                let meta = Meta::new(left, &reply.unknown, unread);
                let status = reply.status;
                let body = reply
                    .into_body(&meta)
                    .map_err(|error| ApiError::of(&error))?;
                Ok(Finished {
                    status,
                    body: body.into(),
                    meta: Some(meta),
                    replayed: false,
                })
            }
            Done::File(file, unknown) => {
                let left = self.meter.charge(workspace_id, cost);
                Ok(Finished {
                    status: StatusCode::OK,
                    body: Content::File(file),
                    meta: Some(Meta::new(left, &[], &unknown)),
                    replayed: false,
                })
            }
            Done::Kept(Outcome { answer, replayed }) => {
                let status = StatusCode::from_u16(answer.status)
                    .map_err(|error| ApiError::internal(error.to_string()))?;
                if !replayed {
                    self.meter.charge(workspace_id, cost);
                }
                Ok(Finished {
                    status,
                    body: answer.body.into(),
                    meta: None,
                    replayed,
                })
            }
        }
    }

    /// What is wanted every second or so: [`flush`](Self::flush), but where only reads
    /// were counted since it was last done not before a while.
    ///
    /// # Errors
    /// As `flush`.
    pub(crate) async fn tend(&self) -> crm::Result<()> {
        // Other servers go by the counts where these are enforced. On PostgreSQL nothing
        // is kept that a commit would end.
        let may_wait = self.store.engine() == Engine::Sqlite && !self.enforce_credits;
        let flushed = *self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.meter.has_writes() && may_wait && flushed.elapsed() < READS_WAIT {
            return Ok(());
        }
        self.flush().await
    }

    /// Writes down what has been counted in memory: credits, and when keys were
    /// last used. Forgets kept answers that are given no more, and rates of keys
    /// that rest.
    ///
    /// # Errors
    /// What the database answers; nothing that was counted is lost.
    pub(crate) async fn flush(&self) -> crm::Result<()> {
        if let Some(limits) = &self.rate_limits {
            limits.forget_full();
        }
        self.meter.flush().await?;
        self.keys.flush().await?;
        *self.flushed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let now = Timestamp::now();
        let expired = self
            .store
            .read(move |db| idempotency::any_expired(db, now))
            .await?;
        if expired {
            self.store
                .write(move |tx| idempotency::forget_expired(tx, now))
                .await?;
        }
        Ok(())
    }
}
