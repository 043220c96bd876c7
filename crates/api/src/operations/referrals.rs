//! `/referrals`.

use crm::input::Nothing;
use crm::record;
use crm::referrals::{
    self, Conversion, Leaderboard, ListReferrals, NewReferral, Referral, ReferralUpdate,
};

use crate::envelope::{Created, One};
use crate::operation::Operation;

const READ: &[&str] = &["referrals:read"];
const WRITE: &[&str] = &["referrals:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/referrals", "list_referrals")
            .scopes(READ)
            .about(
                "List referrals",
                "The newest first. All filters may be combined. Follow `pagination.next_cursor` \
                 for older ones.",
            )
            .read(|db, who, [], input: ListReferrals| referrals::list(db, who, &input)),
        Operation::get("/referrals/leaderboard", "get_referral_leaderboard")
            .scopes(READ)
            .about(
                "See who refers most successfully",
                "The contacts who have made referrals: those with the most converted ones first, \
                 of these those with the most of all. Each with how many of their referrals have \
                 which status, and with what their converted ones are worth. It is one page: \
                 narrow it by `created_after`, `source` or `category`.",
            )
            .long()
            .read(|db, who, [], input: Leaderboard| referrals::leaderboard(db, who, &input)),
        Operation::get("/referrals/:id", "get_referral")
            .scopes(READ)
            .about("Get a referral", "One referral.")
            .read(|db, who, [id], _: Nothing| record::get::<Referral>(db, who, id).map(One)),
        Operation::post("/referrals", "create_referral")
            .scopes(WRITE)
            .about(
                "Create a referral",
                "`referrer_contact_id` is who made it; it may name the contact and the \
                 opportunity that it brought. The most recent referral that names an opportunity \
                 gives its `primary_referrer_contact_id` and `primary_referrer_category`.",
            )
            .write(|tx, who, [], input: NewReferral| {
                referrals::create(tx, who, input).map(Created)
            }),
        Operation::patch("/referrals/:id", "update_referral")
            .scopes(WRITE)
            .about(
                "Update a referral",
                "Changes the fields that are sent; `null` clears one that may be empty. \
                 `converted_at` follows the status. What its opportunities know of their \
                 referrer follows.",
            )
            .write(|tx, who, [id], input: ReferralUpdate| {
                referrals::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/referrals/:id", "delete_referral")
            .scopes(&["referrals:delete"])
            .about(
                "Delete a referral",
                "Its opportunity's referrer is then that of the most recent referral that is \
                 left. It can't be undone.",
            )
            .write(|tx, who, [id], _: Nothing| referrals::delete(tx, who, id)),
        Operation::post("/referrals/:id/convert", "convert_referral")
            .scopes(WRITE)
            .about(
                "Convert a referral",
                "Notes that it led to business: sets the status and `converted_at`, and the \
                 opportunity where one is given. A referral that is converted already stays so \
                 since when it was.",
            )
            .overwrites()
            .write(|tx, who, [id], input: Conversion| {
                referrals::convert(tx, who, id, input).map(One)
            }),
    ]
}
