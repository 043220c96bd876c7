-- What customers are billed: invoices and their line items. An invoice outlasts the
-- company and the opportunity that it names, and a line item its product.

create table invoices (
    workspace_id      uuid        not null references workspaces (id),
    id                uuid        not null,
    invoice_number    text        not null,
    status            text        not null
        check (status in ('draft', 'sent', 'partially_paid', 'paid', 'overdue', 'void')),
    issue_date        date        not null,
    due_date          date,
    currency_code     text        not null,
    reference         text,
    contact_name      text,
    company_id        uuid,
    opportunity_id    uuid,
    external_order_id text,
    amount_paid       bigint      not null,
    amount_credited   bigint      not null,
    -- What its line items come to, kept as they change.
    subtotal          bigint      not null,
    tax_total         bigint      not null,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, company_id) references companies (workspace_id, id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id)
);

create unique index invoices_by_number on invoices (workspace_id, invoice_number);
create index invoices_by_status on invoices (workspace_id, status, id);
create index invoices_by_company on invoices (workspace_id, company_id, id) where company_id is not null;
create index invoices_by_opportunity on invoices (workspace_id, opportunity_id, id) where opportunity_id is not null;
create index invoices_by_external_order on invoices (workspace_id, external_order_id, id)
    where external_order_id is not null;

create table invoice_line_items (
    workspace_id     uuid        not null,
    id               uuid        not null,
    invoice_id       uuid        not null,
    description      text        not null,
    product_id       uuid,
    quantity         bigint      not null check (quantity > 0),
    unit_price       bigint      not null,
    discount_percent bigint      not null check (discount_percent between 0 and 1000000),
    tax_amount       bigint      not null,
    -- Quantity × unit price less discount, rounded to the currency's smallest unit.
    line_total       bigint      not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, invoice_id) references invoices (workspace_id, id) on delete cascade,
    foreign key (workspace_id, product_id) references products (workspace_id, id)
);

create index invoice_line_items_by_invoice on invoice_line_items (workspace_id, invoice_id, id);
create index invoice_line_items_by_product on invoice_line_items (workspace_id, product_id, id)
    where product_id is not null;
