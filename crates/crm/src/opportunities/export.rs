//! Opportunities as they are exported: with the names of their cards and of those
//! that they are about; and their cards.

use std::collections::HashMap;

use store::Db;
use tables::Cell;
use uuid::Uuid;

use super::{
    Expansions, ListOpportunities, Opportunity, OpportunityFilter, Placement, cards, list,
};
use crate::caller::Caller;
use crate::contacts::full_name;
use crate::error::Result;
use crate::exports::{self, Beside, Exported, Linked};
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
        let input = ListOpportunities {
            filter: filter.clone(),
            page: request,
            expansions: Expansions::default(),
        };
        list(db, who, &input)
    }

    fn beside(db: &Db<'_>, who: &Caller, records: &mut [Self]) -> Result<Vec<Vec<String>>> {
        let mut names = Names::of(db, who, records)?;
        Ok(records.iter_mut().map(|one| names.take(one)).collect())
    }
}

type Joined = HashMap<Uuid, String>;

/// The names of those that opportunities are about, by the opportunity. Nothing else
/// of them is read: they may be large.
struct Names {
    contact: Joined,
    contacts: Joined,
    company: Joined,
    users: Joined,
    referrer: Joined,
}

impl Names {
    fn of(db: &Db<'_>, who: &Caller, opportunities: &[Opportunity]) -> Result<Self> {
        let ids: Vec<_> = opportunities.iter().map(|one| one.id).collect();
        let joined = |select: &str, order: &str| {
            exports::joined_names(db, who, select, order, &ids, |row| row.get(1))
        };
        let full_names = |select: &str| {
            exports::joined_names(db, who, select, "c.id", &ids, |row| {
                let (first, last): (String, Option<String>) = (row.get(1)?, row.get(2)?);
                Ok(full_name(&first, last.as_deref()))
            })
        };
        Ok(Self {
            contact: full_names(
                "select t.id, c.first_name, c.last_name from opportunities t
                 join contacts c on c.workspace_id = t.workspace_id and c.id = t.contact_id
                 where t.workspace_id = $1 and t.id",
            )?,
            // Their list needs that scope as well.
            contacts: match who.scopes.has("contacts:read") {
                true => full_names(
                    "select l.opportunity_id, c.first_name, c.last_name
                     from opportunity_contacts l
                     join contacts c on c.workspace_id = l.workspace_id and c.id = l.contact_id
                     where l.workspace_id = $1 and l.opportunity_id",
                )?,
                false => Joined::new(),
            },
            company: joined(
                "select t.id, c.name from opportunities t
                 join companies c on c.workspace_id = t.workspace_id and c.id = t.company_id
                 where t.workspace_id = $1 and t.id",
                "c.id",
            )?,
            users: joined(
                "select l.opportunity_id, c.full_name from opportunity_users l
                 join members c on c.workspace_id = l.workspace_id and c.id = l.user_id
                 where l.workspace_id = $1 and l.opportunity_id",
                "l.is_primary desc, l.assigned_at, c.id",
            )?,
            referrer: full_names(
                "select t.id, c.first_name, c.last_name from opportunities t
                 join contacts c on c.workspace_id = t.workspace_id
                                and c.id = t.primary_referrer_contact_id
                 where t.workspace_id = $1 and t.id",
            )?,
        })
    }

    /// What stands beside an opportunity, out of which its cards are taken.
    fn take(&mut self, one: &mut Opportunity) -> Vec<String> {
        let cards = std::mem::take(&mut one.placements);
        let of_cards = |name: fn(&Placement) -> &str| {
            let names: Vec<_> = cards.iter().map(name).collect();
            names.join(exports::AND)
        };
        let of = |names: &mut Joined| names.remove(&one.id).unwrap_or_default();
        vec![
            of_cards(|card| &card.pipeline.name),
            of_cards(|card| &card.stage.name),
            of(&mut self.contact),
            of(&mut self.contacts),
            of(&mut self.company),
            of(&mut self.users),
            of(&mut self.referrer),
        ]
    }
}

impl Linked for Placement {
    const NAME: &'static str = "cards";
    const SCOPE: &'static str = "opportunities:read";
    const OF: &'static str = "opportunities";
    const HEADINGS: &'static [&'static str] = &[
        "id",
        "deal_id",
        "pipeline_id",
        "stage_id",
        "position",
        "entered_stage_at",
    ];

    fn rows(db: &Db<'_>, who: &Caller, of: &[Uuid], row: &mut dyn FnMut(&[Cell])) -> Result<()> {
        for card in cards::of(db, who, of.to_vec())?.iter().rev() {
            row(&[
                Cell::Word(card.id.to_string()),
                Cell::Word(card.opportunity_id.to_string()),
                Cell::Word(card.pipeline_id.to_string()),
                Cell::Word(card.stage_id.to_string()),
                Cell::Number(card.position.to_string()),
                Cell::Instant(card.entered_stage_at.instant()),
            ]);
        }
        Ok(())
    }
}
