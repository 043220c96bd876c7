//! Opportunities as they are exported: with their cards, and the names of those
//! that they are about.

use store::Db;

use super::{
    Expansion, Expansions, ListOpportunities, Opportunity, OpportunityFilter, Placement, list,
};
use crate::caller::Caller;
use crate::contacts::full_name;
use crate::error::Result;
use crate::exports::{self, Beside, Exported};
use crate::paging::{Page, PageRequest};

impl Exported for Opportunity {
    const NAME: &'static str = "opportunities";
    const OLD_NAME: Option<&'static str> = Some("deals");
    const SCOPE: &'static str = "opportunities:read";
    const BESIDE: &'static [Beside] = &[
        Beside {
            after: "status",
            heading: "pipelines",
        },
        Beside {
            after: "status",
            heading: "stages",
        },
        Beside {
            after: "contact_id",
            heading: "contact_name",
        },
        Beside {
            after: "contact_id",
            heading: "additional_contacts",
        },
        Beside {
            after: "customer_id",
            heading: "customer_name",
        },
        Beside {
            after: "customer_id",
            heading: "assigned_users",
        },
        Beside {
            after: "primary_referrer_contact_id",
            heading: "primary_referrer_name",
        },
    ];
    type Filter = OpportunityFilter;

    fn page(
        db: &Db<'_>,
        who: &Caller,
        filter: &OpportunityFilter,
        request: PageRequest,
    ) -> Result<Page<Self>> {
        let expand = vec![
            Expansion::Contact,
            Expansion::Referrer,
            Expansion::Customer,
            Expansion::AssignedUsers,
        ];
        let input = ListOpportunities {
            filter: filter.clone(),
            page: request,
            expansions: Expansions { expand },
        };
        list(db, who, &input)
    }

    fn beside(db: &Db<'_>, who: &Caller, records: &mut [Self]) -> Result<Vec<Vec<String>>> {
        let ids = records.iter().map(|one| one.id).collect();
        let contacts = exports::joined_names(
            db,
            who,
            "select l.opportunity_id, c.first_name, c.last_name
             from opportunity_contacts l
             join contacts c on c.workspace_id = l.workspace_id and c.id = l.contact_id
             where l.workspace_id = $1 and l.opportunity_id",
            ids,
            |row| {
                let (first, last): (String, Option<String>) = (row.get(1)?, row.get(2)?);
                Ok(full_name(&first, last.as_deref()))
            },
        )?;
        let of = |one: &Self| contacts.get(&one.id).cloned().unwrap_or_default();
        Ok(records
            .iter_mut()
            .map(|one| {
                let contacts = of(one);
                one.names(contacts)
            })
            .collect())
    }
}

impl Opportunity {
    /// Takes the names out of what was expanded, and adds those of the additional
    /// contacts.
    fn names(&mut self, contacts: String) -> Vec<String> {
        let cards = std::mem::take(&mut self.placements);
        let of_cards = |name: fn(&Placement) -> &str| {
            let names: Vec<_> = cards.iter().map(name).collect();
            names.join(exports::AND)
        };
        let users = self.assigned_users.take().unwrap_or_default();
        let users: Vec<_> = users.iter().map(|one| &*one.user.full_name).collect();
        let contact = self.contact.take().flatten();
        let company = self.customer.take().flatten();
        let referrer = self.referrer.take().flatten();
        vec![
            of_cards(|card| &card.pipeline.name),
            of_cards(|card| &card.stage.name),
            contact.map_or_else(String::new, |contact| contact.display_name),
            contacts,
            company.map_or_else(String::new, |company| company.name.to_string()),
            users.join(exports::AND),
            referrer.map_or_else(String::new, |referrer| {
                full_name(&referrer.first_name, referrer.last_name.as_deref())
            }),
        ]
    }
}
