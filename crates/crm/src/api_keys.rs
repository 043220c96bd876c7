//! API keys: who may call, and what they may do.
//!
//! A key is 256 random bits and is shown once. Only its digest is kept, so a
//! stolen database opens nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::paging::{Page, PageRequest};
use crate::record::{self, Column, New, Writable};
use crate::scopes::Scopes;
use crate::text::Name;
use crate::time::Timestamp;

/// How every key begins.
const PREFIX: &str = "dw_live_";

/// Characters of a key after its prefix: 256 bits in base 64.
const LENGTH: usize = 43;

/// Whether a text could be a key, so that what could not is not looked up.
pub fn is_well_formed(key: &str) -> bool {
    key.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == LENGTH)
}

/// The SHA-256 digest of a key: all that is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key as a caller sent it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// Bytes from the operating system's source of randomness.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::Store(store::Error::Unavailable("no random numbers".to_owned())))?;
    Ok(bytes)
}

/// A new key. It can't be had again, and is not shown by accident.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// 256 bits from the operating system.
    fn generate() -> Result<Self> {
        let bits = random_bytes::<32>()?;
        Ok(Self(format!(
            "{PREFIX}{}",
            BASE64_URL_SAFE_NO_PAD.encode(bits)
        )))
    }

    /// The key itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

crate::record! {
    /// An API key. The key itself is shown once, when it is made.
    pub struct ApiKey in "api_keys", called "API key";
    /// The writable fields of an API key.
    pub struct ApiKeyFields;
    read {
        /// Its id.
        id: Uuid,
    }
    write {
        /// What it is for.
        solid name: Name = "Reporting",
        /// What it may do. A key can't grant what it lacks itself.
        solid scopes: Scopes = ["opportunities:read", "pipelines:read"],
        /// When it stops working.
        patch expires_at: Timestamp = null,
    }
    kept {
        /// When it was last used, to within a few seconds.
        last_used_at: Option<Timestamp>,
        /// Since when it no longer works.
        #[schemars(example = Value::Null)]
        revoked_at: Option<Timestamp>,
        /// When it was made.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

/// An API key just made, with the key itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreatedApiKey {
    /// The record.
    #[serde(flatten)]
    pub record: ApiKey,
    /// The key: keep it, it is not shown again.
    #[schemars(example = &"dw_live_Zk3vJx0bq7Y2mN8sT1uWcR5dLh9fGa4eQpXoBiV6yKM")]
    pub key: Secret,
}

/// A page of the keys, newest first.
pub fn list(db: &Db<'_>, who: &Caller, request: PageRequest) -> Result<Page<ApiKey>> {
    record::page(db, record::all(who), request)
}

/// Makes a key.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: New<ApiKeyFields>) -> Result<CreatedApiKey> {
    let New(fields) = input;
    check_grant(who, fields.scopes)?;
    let secret = Secret::generate()?;
    let mut columns = fields.columns();
    columns.push(Column {
        name: "digest",
        value: KeyDigest::of(secret.reveal()).into(),
    });
    let record = record::insert(tx, who, who.new_id(), columns)?;
    Ok(CreatedApiKey {
        record,
        key: secret,
    })
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, fields: ApiKeyFields) -> Result<ApiKey> {
    check_grant(who, fields.scopes)?;
    let mut key = record::lock::<ApiKey>(tx, who, id)?;
    if key.revoked_at.is_some() {
        return Err(Error::conflict(
            "The API key is revoked",
            "Make another key: a revoked one can't be used again.",
        ));
    }
    if fields.expires_at.is_given() {
        // Whoever lets a key live on grants what it can do.
        check_grant(who, Some(key.scopes))?;
    }
    let changes = fields.apply(&mut key);
    if !changes.is_empty() {
        key.updated_at = who.now;
    }
    record::update::<ApiKey>(tx, who, id, &changes, [])?;
    Ok(key)
}

fn check_grant(who: &Caller, scopes: Option<Scopes>) -> Result<()> {
    let granted = scopes.unwrap_or_default();
    let excess = granted.without(who.scopes);
    if excess.is_empty() {
        return Ok(());
    }
    Err(Error::ScopesMissing(match granted == Scopes::all() {
        true => granted.names(),
        false => excess.names(),
    }))
}

/// The workspace of the key with that id, whichever it is.
pub fn workspace_of(db: &Db<'_>, id: Uuid) -> Result<Option<Uuid>> {
    Ok(db.query_opt(
        "select workspace_id from api_keys where id = $1",
        &store::params![id],
        |row| row.get(0),
    )?)
}

/// Revokes a key: it is refused from now on. Its record stays.
pub fn revoke(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    let key = record::lock::<ApiKey>(tx, who, id)?;
    if key.revoked_at.is_none() {
        tx.execute(
            "update api_keys set revoked_at = $3, updated_at = $3
             where workspace_id = $1 and id = $2",
            &store::params![who.workspace_id, id, who.now],
        )?;
    }
    Ok(())
}

/// A key that was found to exist and not to be revoked.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The workspace that it opens.
    pub workspace_id: Uuid,
    /// The key's id.
    pub key_id: Uuid,
    /// The key's name.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it no longer works.
    pub expires_at: Option<Timestamp>,
}

/// Looks up the key with that digest.
pub fn authenticate(db: &Db<'_>, digest: KeyDigest) -> Result<Option<Credential>> {
    Ok(db.query_opt(
        "select workspace_id, id, name, scopes, expires_at
         from api_keys where digest = $1 and revoked_at is null",
        &store::params![digest],
        |row| {
            Ok(Credential {
                workspace_id: row.get(0)?,
                key_id: row.get(1)?,
                name: row.get(2)?,
                scopes: row.get(3)?,
                expires_at: row.get(4)?,
            })
        },
    )?)
}

/// Notes when a key was last used.
pub fn note_use(tx: &mut Tx<'_>, workspace_id: Uuid, id: Uuid, at: Timestamp) -> Result<()> {
    tx.execute(
        "update api_keys set last_used_at = $3 where workspace_id = $1 and id = $2",
        &store::params![workspace_id, id, at],
    )?;
    Ok(())
}

impl From<KeyDigest> for store::Value {
    fn from(digest: KeyDigest) -> Self {
        Self::Bytes(digest.0.to_vec())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::{attempt, given, outcome};

    on_both_engines! {
        fn a_key_opens_its_workspace_and_is_kept_only_as_a_digest(tx, desk) {
            let made = create(tx, &desk.who, given(json!({
                "name": "Website", "scopes": ["deals:read", "contacts:write"],
            })))?;
            let random = made.key.reveal().strip_prefix("dw_live_").unwrap();
            assert_eq!(random.len(), 43);
            assert!(random.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
            let credential = authenticate(tx, KeyDigest::of(made.key.reveal()))?.unwrap();
            assert_eq!(credential.workspace_id, desk.who.workspace_id);
            assert_eq!((credential.key_id, &*credential.name), (made.record.id, "Website"));
            assert_eq!(credential.scopes.names(), ["opportunities:read", "contacts:write"]);
            let digest = tx.query_one(
                "select digest from api_keys where workspace_id = $1 and id = $2",
                &store::params![desk.who.workspace_id, made.record.id],
                |row| row.get::<Vec<u8>>(0),
            )?;
            assert_eq!(digest, Sha256::digest(made.key.reveal().as_bytes()).to_vec());
            assert!(authenticate(tx, KeyDigest::of("dw_live_other"))?.is_none());
            let shown = serde_json::to_value(record::get::<ApiKey>(tx, &desk.who, made.record.id)?).unwrap();
            assert_eq!((shown.get("key"), shown.get("digest")), (None, None));
        }

        fn a_revoked_key_opens_nothing_and_its_record_stays(tx, desk) {
            let made = create(tx, &desk.who, given(json!({ "name": "x", "scopes": ["*"] })))?;
            revoke(tx, &desk.later(5), made.record.id)?;
            revoke(tx, &desk.later(9), made.record.id)?;
            assert!(authenticate(tx, KeyDigest::of(made.key.reveal()))?.is_none());
            let kept = record::get::<ApiKey>(tx, &desk.who, made.record.id)?;
            assert_eq!(kept.revoked_at, Some(desk.later(5).now));
        }

        fn a_key_grants_no_scope_that_it_lacks(tx, desk) {
            let mut who = desk.who.clone();
            who.scopes = Scopes::of(["api-keys:write", "deals:read"]).unwrap();
            let with = |scopes: &[&str]| json!({ "name": "x", "scopes": scopes });
            let made = create(tx, &who, given(with(&["opportunities:read"])))?;
            for excess in [&["deals:read", "contacts:read"][..], &["*"]] {
                let error = tx.savepoint(|tx| create(tx, &who, given(with(excess)))).unwrap_err();
                assert!(matches!(error, Error::ScopesMissing(_)), "{excess:?}");
                let fields = given(json!({ "scopes": excess }));
                let error = tx.savepoint(|tx| update(tx, &who, made.record.id, fields)).unwrap_err();
                assert!(matches!(error, Error::ScopesMissing(_)), "{excess:?}");
            }
            // Every scope by name is less than the star, which is also those to come.
            who.scopes = Scopes::of(crate::scopes::SCOPES.iter().copied()).unwrap();
            let error = tx.savepoint(|tx| create(tx, &who, given(with(&["*"])))).unwrap_err();
            assert!(matches!(error, Error::ScopesMissing(scopes) if scopes == ["*"]));
        }

        fn nobody_lets_a_key_live_on_that_can_do_more_than_theirs(tx, desk) {
            let strong = create(tx, &desk.who, given(json!({
                "name": "x", "scopes": ["*"], "expires_at": "2020-01-01T00:00:00Z",
            })))?.record.id;
            let mut weak = desk.who.clone();
            weak.scopes = Scopes::of(["api-keys:write"]).unwrap();
            for end in [json!(null), json!("2999-01-01T00:00:00Z")] {
                let fields = given(json!({ "expires_at": end }));
                let error = tx.savepoint(|tx| update(tx, &weak, strong, fields)).unwrap_err();
                assert!(matches!(error, Error::ScopesMissing(_)));
            }
            update(tx, &weak, strong, given(json!({ "name": "y" })))?;
            revoke(tx, &weak, strong)?;
            let again = given(json!({ "expires_at": null }));
            let error = tx.savepoint(|tx| update(tx, &desk.who, strong, again)).unwrap_err();
            assert!(matches!(error, Error::Conflict { .. }));
        }

        fn the_keys_of_another_workspace_do_not_exist(tx, desk) {
            let id = create(tx, &desk.who, given(json!({ "name": "x", "scopes": ["*"] })))?.record.id;
            let who = &desk.stranger;
            assert_eq!(attempt(tx, |tx| revoke(tx, who, id)), "not found: API key");
            let rename = given(json!({ "name": "y" }));
            assert_eq!(attempt(tx, |tx| update(tx, who, id, rename)), "not found: API key");
            assert_eq!(outcome(record::get::<ApiKey>(tx, who, id)), "not found: API key");
            assert!(list(tx, who, PageRequest::default())?.items.is_empty());
        }
    }
}
