//! Work orders as they are exported: with the names of what they are for and of those
//! who are to do them.

use store::Db;

use super::{ListWorkOrders, WorkOrder, WorkOrderFilter, list};
use crate::caller::Caller;
use crate::error::Result;
use crate::exports::{self, Beside, Exported};
use crate::paging::{Page, PageRequest};

impl Exported for WorkOrder {
    const NAME: &'static str = "work-orders";
    const SCOPE: &'static str = "work-orders:read";
    const BESIDE: &'static [Beside] = &[
        Beside {
            after: "deal_product_id",
            heading: "product_name",
        },
        Beside {
            after: "status_id",
            heading: "status",
        },
        Beside {
            after: "assigned_to",
            heading: "assigned_user",
        },
        Beside {
            after: "deal_id",
            heading: "deal_name",
        },
    ];
    type Filter = WorkOrderFilter;

    fn page(
        db: &Db<'_>,
        who: &Caller,
        filter: &WorkOrderFilter,
        request: PageRequest,
    ) -> Result<Page<Self>> {
        let input = ListWorkOrders {
            filter: filter.clone(),
            page: request,
        };
        list(db, who, &input)
    }

    fn beside(db: &Db<'_>, who: &Caller, records: &mut [Self]) -> Result<Vec<Vec<String>>> {
        let ids: Vec<_> = records.iter().map(|order| order.id).collect();
        let users = exports::joined_names(
            db,
            who,
            "select t.id, c.full_name from work_orders t
             join members c on c.workspace_id = t.workspace_id and c.id = t.assigned_to
             where t.workspace_id = $1 and t.id",
            "c.id",
            &ids,
            |row| row.get(1),
        )?;
        let names = records.iter_mut().map(|order| {
            vec![
                std::mem::take(&mut order.product_name),
                std::mem::take(&mut order.status),
                users.get(&order.id).cloned().unwrap_or_default(),
                std::mem::take(&mut order.deal_name),
            ]
        });
        Ok(names.collect())
    }
}
