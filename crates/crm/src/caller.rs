//! Who acts, where, when, and with which ids: all that a domain function
//! takes from outside.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use store::{Db, Tx};
use uuid::{ContextV7, Uuid};

use crate::error::Result;
use crate::money::Currency;
use crate::phone::Region;
use crate::scopes::Scopes;
use crate::time::{Date, Timestamp};

crate::words! {
    /// The kind of someone who changes records.
    pub enum ActorKind {
        /// A client, by its key.
        ApiKey = "api_key",
        /// A member of the workspace, or the operator at the command line.
        User = "user",
        /// An automation.
        Automation = "automation",
    }
}

/// Someone who changes records, as the audit log names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What they are.
    pub kind: ActorKind,
    /// Their record's id; none for the operator.
    pub id: Option<Uuid>,
    /// Their name.
    pub name: String,
}

/// The caller of an operation. Everything that is done is done in their
/// workspace, at their instant.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The only workspace whose records exist for them.
    pub workspace_id: Uuid,
    /// As whom they appear in the audit log.
    pub actor: Actor,
    /// What they may do.
    pub scopes: Scopes,
    /// The request that this belongs to, if one does.
    pub request_id: Option<String>,
    /// When the operation began; the same however often it is retried.
    pub now: Timestamp,
    /// Where new ids come from.
    pub ids: Ids,
}

impl Caller {
    /// The operator at the command line: may do everything in `workspace_id`.
    pub fn operator(workspace_id: Uuid, now: Timestamp, ids: Ids) -> Self {
        Self {
            workspace_id,
            actor: Actor {
                kind: ActorKind::User,
                id: None,
                name: "operator".to_owned(),
            },
            scopes: Scopes::all(),
            request_id: None,
            now,
            ids,
        }
    }

    /// A new id, younger than all that this process made before.
    pub fn new_id(&self) -> Uuid {
        self.ids.next(self.now)
    }

    /// Where the workspace's phone numbers without a country code are read.
    pub fn region(&self, db: &Db<'_>) -> Result<Region> {
        Ok(self.locale(db)?.region())
    }

    /// Takes the workspace's own row for this transaction: what no two may decide
    /// at once is decided under it. Others read it and refer to it as ever.
    pub(crate) fn lock_workspace(&self, tx: &Tx<'_>) -> Result<()> {
        tx.query_one(
            &format!(
                "select 1 from workspaces where id = $1{}",
                tx.engine().for_update()
            ),
            &store::params![self.workspace_id],
            |row| row.get::<i64>(0),
        )?;
        Ok(())
    }

    /// What the workspace takes for granted of its records.
    pub fn locale(&self, db: &Db<'_>) -> Result<Locale> {
        db.query_one(
            "select timezone, currency, country from workspaces where id = $1",
            &store::params![self.workspace_id],
            |row| {
                Ok(Locale {
                    timezone: row.get(0)?,
                    currency: row.get(1)?,
                    country: row.get(2)?,
                })
            },
        )
        .map_err(Into::into)
    }
}

/// A workspace's place in the world.
#[derive(Debug, Clone)]
pub struct Locale {
    /// An IANA time zone.
    pub timezone: String,
    /// What money is in unless said otherwise.
    pub currency: Currency,
    /// An ISO 3166 country code, in which phone numbers are read.
    pub country: String,
}

impl Locale {
    /// The day that it is in the workspace at `instant`.
    pub fn date_at(&self, instant: Timestamp) -> Date {
        instant.date_in(&self.zone())
    }

    /// Where phone numbers without a country code are read.
    pub fn region(&self) -> Region {
        Region::of_country(&self.country)
    }

    /// The workspace's time zone; UTC should the database of zones have lost it.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC)
    }
}

/// The source of ids: UUIDs of version 7, strictly growing within a process,
/// so that records sort by age.
#[derive(Debug, Clone, Default)]
pub struct Ids(Arc<Mutex<ContextV7>>);

impl Ids {
    /// An id made at `instant`.
    pub fn next(&self, instant: Timestamp) -> Uuid {
        let milliseconds = instant.as_millisecond().max(0).unsigned_abs();
        let context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = uuid::Timestamp::from_unix(
            &*context,
            milliseconds / 1000,
            // Below 1000 times a million, so it fits.
            u32::try_from(milliseconds % 1000 * 1_000_000).unwrap_or_default(),
        );
        Uuid::new_v7(stamp)
    }
}
