//! Rows that become opportunities.

use crm::events::Automations;
use crm::imports;
use crm::input::Patch;
use crm::opportunities::{self, History, NewOpportunity, OpportunityFields, Placing};
use crm::record::New;
use crm::time::Date;
use store::Db;
use uuid::Uuid;

use super::{Companies, Contacts, Desk, Draft, Field, Kind, Users, fields_of};

/// The deals, each with its card, its company, its contact and its user.
#[derive(Debug)]
pub(in super::super) struct Opportunities;

impl Kind for Opportunities {
    fn name(&self) -> &'static str {
        "opportunities"
    }

    fn entry(&self) -> imports::Kind {
        imports::Kind::Opportunity
    }

    fn fields(&self) -> Vec<Field> {
        let own = [
            "company",
            "contact",
            "assigned_user",
            "pipeline",
            "stage",
            "closed_on",
            "entered_stage_on",
        ];
        fields_of::<New<OpportunityFields>>(&[], &own)
    }

    /// None: two deals may well be called the same.
    fn natural_key(&self, _: &Draft) -> Option<String> {
        None
    }

    fn find(&self, _: &Db<'_>, _: &crm::Caller, _: &str) -> crm::Result<Vec<Uuid>> {
        Ok(Vec::new())
    }

    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid> {
        let company = desk.link(&Companies, "company", draft.own("company"))?;
        let contact = desk.link(&Contacts, "contact", draft.own("contact"))?;
        let user = desk.link(&Users, "assigned_user", draft.own("assigned_user"))?;
        let stage = desk.stage(draft.own("pipeline"), draft.own("stage"))?;
        let history = History {
            closed_on: day(draft, "closed_on")?,
            entered_stage_on: day(draft, "entered_stage_on")?,
        };
        let New(mut fields) = draft.read::<New<OpportunityFields>>()?;
        fields.company_id = company.map_or(Patch::Keep, Patch::Set);
        fields.contact_id = contact.map_or(Patch::Keep, Patch::Set);
        let new = NewOpportunity {
            fields: New(fields),
            placing: Placing {
                stage_id: stage,
                ..Placing::default()
            },
            automations: Automations::skipped(),
        };
        let made = opportunities::create_with_history(desk.tx, desk.who, new, history)?;
        if let Some(user) = user {
            opportunities::assign_user(desk.tx, desk.who, made.id, user)?;
        }
        Ok(made.id)
    }
}

fn day(draft: &Draft, field: &'static str) -> crm::Result<Option<Date>> {
    draft
        .own(field)
        .map(Date::parse)
        .transpose()
        .map_err(|flaw| crm::Error::invalid(field, flaw.message))
}
