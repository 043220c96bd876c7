//! `/search`.

use crm::universal_search::{self, UniversalSearch};

use crate::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/search", "search")
            .scopes(&["contacts:read", "companies:read", "opportunities:read"])
            .about(
                "Search contacts, companies and opportunities at once",
                "Finds records by a part of a name, an e-mail address or a phone number, also \
                 where letters of the query are missing, doubled, wrong or swapped, or its words \
                 are in another order. What has the query as it is has `rank` 1 and comes first, \
                 then what is the most like it. Each row is a record in short: its \
                 `entity_type`, its `entity_id` to get it by, and what it is called. It is one \
                 page. For whole records of one kind use `search_contacts`, `search_companies` or \
                 `search_opportunities`.",
            )
            .long()
            .read(|db, who, [], input: UniversalSearch| universal_search::search(db, who, &input)),
    ]
}
