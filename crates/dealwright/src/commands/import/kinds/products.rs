//! Rows that become products.

use crm::imports;
use crm::product_costs::{self, ProductCostFields};
use crm::products::{self, ProductFields};
use crm::record::New;
use store::Db;
use uuid::Uuid;

use super::{Desk, Draft, Field, Kind, fields_of};

/// The field that becomes a cost of the product.
const COST: &str = "cost_price";

/// The price list.
#[derive(Debug)]
pub(in super::super) struct Products;

impl Kind for Products {
    fn name(&self) -> &'static str {
        "products"
    }

    fn entry(&self) -> imports::Kind {
        imports::Kind::Product
    }

    fn fields(&self) -> Vec<Field> {
        let costs = fields_of::<New<ProductCostFields>>(&[], &[]).into_iter();
        let cost = costs
            .filter(|field| field.name == COST)
            .map(Field::optional);
        let mut fields = fields_of::<New<ProductFields>>(&[], &[]);
        fields.extend(cost);
        fields
    }

    fn natural_key(&self, draft: &Draft) -> Option<String> {
        draft.text("name").map(str::to_owned)
    }

    fn find(&self, db: &Db<'_>, who: &crm::Caller, name: &str) -> crm::Result<Vec<Uuid>> {
        products::find_by_name(db, who, name)
    }

    fn some_names(
        &self,
        db: &Db<'_>,
        who: &crm::Caller,
        count: u32,
    ) -> crm::Result<Option<Vec<String>>> {
        products::names(db, who, count).map(Some)
    }

    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid> {
        let product = products::create(desk.tx, desk.who, draft.read()?)?.id;
        if draft.input.contains_key(COST) {
            product_costs::create(desk.tx, desk.who, product, draft.read()?)?;
        }
        Ok(product)
    }
}
