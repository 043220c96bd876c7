//! Rows that become products of opportunities.

use crm::events::Automations;
use crm::imports;
use crm::opportunities::{
    self, NewProductLine, OpportunityProductCostFields, OpportunityProductFields,
};
use crm::record::New;
use store::Db;
use uuid::Uuid;

use super::{Desk, Draft, DraftedRow, Field, Kind, Opportunities, Products, fields_of};

/// The field that becomes a cost of the line: of each of its units.
const COST: &str = "unit_cost";

/// What each opportunity is about: how much of which product, and at which price.
#[derive(Debug)]
pub(in super::super) struct OpportunityProducts;

impl Kind for OpportunityProducts {
    fn name(&self) -> &'static str {
        "opportunity_products"
    }

    fn entry(&self) -> imports::Kind {
        imports::Kind::OpportunityProduct
    }

    fn fields(&self) -> Vec<Field> {
        let costs = fields_of::<New<OpportunityProductCostFields>>(&[], &[]).into_iter();
        let cost = costs
            .filter(|field| field.name == COST)
            .map(Field::optional);
        let required = ["opportunity", "product"];
        let mut fields = fields_of::<New<OpportunityProductFields>>(&required, &[]);
        fields.extend(cost);
        fields
    }

    fn has_metadata(&self) -> bool {
        false
    }

    /// None: an opportunity may well have two lines of one product.
    fn natural_key(&self, _: &Draft) -> Option<String> {
        None
    }

    fn find(&self, _: &Db<'_>, _: &crm::Caller, _: &str) -> crm::Result<Vec<Uuid>> {
        Ok(Vec::new())
    }

    fn lock(&self, desk: &mut Desk<'_, '_>, rows: &[DraftedRow]) -> crm::Result<()> {
        let mut ids = Vec::new();
        for row in rows {
            match desk.link(&Opportunities, "opportunity", row.draft.own("opportunity")) {
                Ok(id) => ids.extend(id),
                Err(crm::Error::Store(error)) => return Err(error.into()),
                // The row is refused when its turn comes.
                Err(_) => {}
            }
        }
        imports::lock_opportunities(desk.tx, desk.who, ids)
    }

    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid> {
        let named = |field| draft.own(field).ok_or_else(|| crm::Error::missing(field));
        let opportunity = desk.link(&Opportunities, "opportunity", Some(named("opportunity")?))?;
        let product = desk.link(&Products, "product", Some(named("product")?))?;
        let cost = match draft.input.contains_key(COST) {
            true => Some(draft.read::<New<OpportunityProductCostFields>>()?),
            false => None,
        };
        let mut draft = draft.clone();
        let product_id = product.unwrap_or_else(|| desk.who.new_id()).to_string();
        draft
            .input
            .insert("product_id".to_owned(), product_id.into());
        let line = NewProductLine {
            fields: draft.read()?,
            automations: Automations::skipped(),
        };
        let (Some(opportunity), Some(_)) = (opportunity, product) else {
            // A dry run has nothing that the line could be added to.
            return Ok(desk.who.new_id());
        };
        let line = opportunities::add_imported_product(desk.tx, desk.who, opportunity, line)?;
        if let Some(cost) = cost {
            opportunities::add_cost(desk.tx, desk.who, opportunity, line, cost)?;
        }
        Ok(line)
    }
}
