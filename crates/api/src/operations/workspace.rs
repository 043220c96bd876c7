//! `/company`: the caller's own business and its settings.

use crm::input::Nothing;
use crm::settings::{self, SettingsUpdate};
use crm::workspaces::{self, WorkspaceUpdate};

use crate::envelope::One;
use crate::operation::Operation;

const READ: &[&str] = &["company:read"];
const WRITE: &[&str] = &["company:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/company", "get_workspace")
            .scopes(READ)
            .about(
                "Get the workspace",
                "The business that the key belongs to: its name, time zone, currency and country. \
                 What it offers to choose from is in `get_crm_settings`.",
            )
            .read(|db, who, [], _: Nothing| workspaces::get(db, who).map(One)),
        Operation::patch("/company", "update_workspace")
            .scopes(WRITE)
            .about(
                "Update the workspace",
                "Changes the fields that are sent. The time zone decides which day it is, the \
                 currency is that of new opportunities, the country the one in which phone \
                 numbers are read; records that are there stay as they are.",
            )
            .write(|tx, who, [], input: WorkspaceUpdate| {
                workspaces::update(tx, who, input).map(One)
            }),
        Operation::get("/company/crm-settings", "get_crm_settings")
            .scopes(READ)
            .about(
                "Get the settings",
                "What the workspace offers to choose from: sources, reasons, types, categories, \
                 custom fields, quick links and tags. Look here before writing `lead_source`, \
                 `lost_reason` and the like.",
            )
            .read(|db, who, [], _: Nothing| settings::get(db, who).map(One)),
        Operation::patch("/company/crm-settings", "update_crm_settings")
            .scopes(WRITE)
            .about(
                "Update the settings",
                "Changes the keys that are sent and leaves the others, within `custom_fields` \
                 likewise; a list is replaced as a whole, `null` empties a key. Records that use \
                 what is gone keep it.",
            )
            .write(|tx, who, [], input: SettingsUpdate| settings::update(tx, who, input).map(One)),
    ]
}
