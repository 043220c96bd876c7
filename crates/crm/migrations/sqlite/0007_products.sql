-- The price list, what opportunities have of it, and what both cost.

create table products (
    workspace_id    blob    not null references workspaces (id),
    id              blob    not null,
    name            text    not null,
    price           integer not null,
    sku             text,
    currency        text    not null,
    category        text,
    description     text,
    unit            text,
    deposit_percent integer check (deposit_percent between 0 and 1000000),
    is_active       integer not null,
    metadata        text    not null,
    created_at      integer not null,
    updated_at      integer not null,
    primary key (workspace_id, id)
) strict;

create index products_by_sku on products (workspace_id, lower(sku), id);
create index products_by_category on products (workspace_id, category, id);
create index products_by_activity on products (workspace_id, is_active, id);

create table product_search (
    -- The index names rows by this, so it must outlast a vacuum.
    number       integer primary key,
    workspace_id blob not null,
    id           blob not null,
    name_key     text not null,
    doc          text not null,
    unique (workspace_id, id),
    foreign key (workspace_id, id) references products (workspace_id, id)
) strict;

create index product_search_by_name on product_search (workspace_id, name_key, id);

create virtual table product_search_index using fts5 (
    doc, content = 'product_search', content_rowid = 'number', tokenize = 'trigram case_sensitive 1'
);

create trigger product_search_added after insert on product_search
begin
    insert into index_queue (source, number, new_doc) values ('product_search', new.number, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger product_search_changed after update of doc on product_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('product_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger product_search_removed after delete on product_search
begin
    insert into index_queue (source, number, old_doc) values ('product_search', old.number, old.doc)
    on conflict (source, number) do update set new_doc = null;
end;

create trigger product_search_learned after delete on index_queue when old.source = 'product_search'
begin
    insert into product_search_index (product_search_index, rowid, doc)
    select 'delete', old.number, old.old_doc where old.old_doc is not null;
    insert into product_search_index (rowid, doc)
    select old.number, old.new_doc where old.new_doc is not null;
end;

create table product_costs (
    workspace_id        blob    not null,
    id                  blob    not null,
    product_id          blob    not null,
    label               text,
    cost_price          integer not null,
    quantity            integer not null check (quantity > 0),
    supplier_id         blob,
    supplier_product_id text,
    created_at          integer not null,
    updated_at          integer not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, product_id) references products (workspace_id, id) on delete cascade,
    foreign key (workspace_id, supplier_id) references companies (workspace_id, id)
) strict;

create index product_costs_by_product on product_costs (workspace_id, product_id, id);
create index product_costs_by_supplier on product_costs (workspace_id, supplier_id, id)
    where supplier_id is not null;

create table opportunity_products (
    workspace_id     blob    not null,
    id               blob    not null,
    opportunity_id   blob    not null,
    product_id       blob    not null,
    quantity         integer not null check (quantity > 0),
    unit_price       integer not null,
    discount_percent integer not null check (discount_percent between 0 and 1000000),
    deposit_percent  integer check (deposit_percent between 0 and 1000000),
    payment_status   text    not null
        check (payment_status in ('unpaid', 'deposit_invoiced', 'invoiced', 'paid')),
    sort_order       integer not null,
    created_at       integer not null,
    updated_at       integer not null,
    primary key (workspace_id, id),
    -- What a cost points at: a line together with its own opportunity.
    unique (workspace_id, opportunity_id, id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, product_id) references products (workspace_id, id)
) strict;

create index opportunity_products_by_product on opportunity_products (workspace_id, product_id);

create table opportunity_product_costs (
    workspace_id           blob    not null,
    id                     blob    not null,
    opportunity_id         blob    not null,
    opportunity_product_id blob    not null,
    label                  text,
    unit_cost              integer not null,
    quantity               integer not null check (quantity > 0),
    currency               text    not null,
    supplier_id            blob,
    supplier_product_id    text,
    -- Quantity × unit cost, which needs more than 64 bits on the way.
    total_cost             integer not null,
    created_at             integer not null,
    updated_at             integer not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, opportunity_id, opportunity_product_id)
        references opportunity_products (workspace_id, opportunity_id, id) on delete cascade,
    foreign key (workspace_id, supplier_id) references companies (workspace_id, id)
) strict;

create index opportunity_product_costs_by_line on opportunity_product_costs
    (workspace_id, opportunity_id, opportunity_product_id, id);
create index opportunity_product_costs_by_supplier on opportunity_product_costs (workspace_id, supplier_id, id)
    where supplier_id is not null;

-- What an opportunity's products come to, beside their value: how many lines
-- there are, what they cost in its own currency, and how many of their costs
-- are in another one.

alter table opportunities add column product_lines integer not null default 0;
alter table opportunities add column products_cost integer not null default 0;
alter table opportunities add column other_costs integer not null default 0;

-- What the products of a stage's opportunities are worth and cost, kept as they
-- change, as what the opportunities are worth is.

create table stage_margins (
    workspace_id      blob    not null,
    stage_id          blob    not null,
    currency          text    not null,
    -- Those that have products.
    cards             integer not null,
    -- Those that have costs in another currency as well.
    other_costs       integer not null,
    -- A sum of 64-bit amounts can outgrow 64 bits, so each half is summed alone.
    products_billions integer not null,
    products_rest     integer not null,
    cost_billions     integer not null,
    cost_rest         integer not null,
    primary key (workspace_id, stage_id, currency),
    foreign key (workspace_id, stage_id) references stages (workspace_id, id) on delete cascade
) strict, without rowid;

-- Where a card comes, what its opportunity has of products comes along.

create trigger stage_margins_card_added after insert on cards
begin
    insert into stage_margins
        (workspace_id, stage_id, currency, cards, other_costs,
         products_billions, products_rest, cost_billions, cost_rest)
    select o.workspace_id, new.stage_id, o.currency, 1, o.other_costs > 0,
           o.products_value / 1000000000, o.products_value % 1000000000,
           o.products_cost / 1000000000, o.products_cost % 1000000000
    from opportunities o
    where o.workspace_id = new.workspace_id and o.id = new.opportunity_id and o.product_lines > 0
    on conflict (workspace_id, stage_id, currency) do update
    set cards = cards + 1,
        other_costs = other_costs + excluded.other_costs,
        products_billions = products_billions + excluded.products_billions,
        products_rest = products_rest + excluded.products_rest,
        cost_billions = cost_billions + excluded.cost_billions,
        cost_rest = cost_rest + excluded.cost_rest;
end;

-- Where the opportunity itself is deleted it is gone by now, and its part with it.
create trigger stage_margins_card_removed after delete on cards
begin
    update stage_margins
    set cards = cards - 1,
        other_costs = stage_margins.other_costs - (o.other_costs > 0),
        products_billions = products_billions - o.products_value / 1000000000,
        products_rest = products_rest - o.products_value % 1000000000,
        cost_billions = cost_billions - o.products_cost / 1000000000,
        cost_rest = cost_rest - o.products_cost % 1000000000
    from opportunities o
    where o.workspace_id = old.workspace_id and o.id = old.opportunity_id and o.product_lines > 0
      and stage_margins.workspace_id = old.workspace_id and stage_margins.stage_id = old.stage_id
      and stage_margins.currency = o.currency;
    delete from stage_margins
    where workspace_id = old.workspace_id and stage_id = old.stage_id and cards = 0;
end;

create trigger stage_margins_card_moved after update of stage_id on cards
when old.stage_id <> new.stage_id
begin
    update stage_margins
    set cards = cards - 1,
        other_costs = stage_margins.other_costs - (o.other_costs > 0),
        products_billions = products_billions - o.products_value / 1000000000,
        products_rest = products_rest - o.products_value % 1000000000,
        cost_billions = cost_billions - o.products_cost / 1000000000,
        cost_rest = cost_rest - o.products_cost % 1000000000
    from opportunities o
    where o.workspace_id = old.workspace_id and o.id = old.opportunity_id and o.product_lines > 0
      and stage_margins.workspace_id = old.workspace_id and stage_margins.stage_id = old.stage_id
      and stage_margins.currency = o.currency;
    delete from stage_margins
    where workspace_id = old.workspace_id and stage_id = old.stage_id and cards = 0;
    insert into stage_margins
        (workspace_id, stage_id, currency, cards, other_costs,
         products_billions, products_rest, cost_billions, cost_rest)
    select o.workspace_id, new.stage_id, o.currency, 1, o.other_costs > 0,
           o.products_value / 1000000000, o.products_value % 1000000000,
           o.products_cost / 1000000000, o.products_cost % 1000000000
    from opportunities o
    where o.workspace_id = new.workspace_id and o.id = new.opportunity_id and o.product_lines > 0
    on conflict (workspace_id, stage_id, currency) do update
    set cards = cards + 1,
        other_costs = other_costs + excluded.other_costs,
        products_billions = products_billions + excluded.products_billions,
        products_rest = products_rest + excluded.products_rest,
        cost_billions = cost_billions + excluded.cost_billions,
        cost_rest = cost_rest + excluded.cost_rest;
end;

-- Only rows that are copied in come after their cards.
create trigger stage_margins_opportunity_added after insert on opportunities when new.product_lines > 0
begin
    insert into stage_margins
        (workspace_id, stage_id, currency, cards, other_costs,
         products_billions, products_rest, cost_billions, cost_rest)
    select new.workspace_id, c.stage_id, new.currency, 1, new.other_costs > 0,
           new.products_value / 1000000000, new.products_value % 1000000000,
           new.products_cost / 1000000000, new.products_cost % 1000000000
    from cards c
    where new.product_lines > 0
      and c.workspace_id = new.workspace_id and c.opportunity_id = new.id and c.rank is not null
    on conflict (workspace_id, stage_id, currency) do update
    set cards = cards + 1,
        other_costs = other_costs + excluded.other_costs,
        products_billions = products_billions + excluded.products_billions,
        products_rest = products_rest + excluded.products_rest,
        cost_billions = cost_billions + excluded.cost_billions,
        cost_rest = cost_rest + excluded.cost_rest;
end;

create trigger stage_margins_opportunity_changed
after update of currency, product_lines, products_value, products_cost, other_costs on opportunities
when (old.product_lines > 0 or new.product_lines > 0)
  and (old.currency <> new.currency or old.product_lines <> new.product_lines
       or old.products_value <> new.products_value or old.products_cost <> new.products_cost
       or old.other_costs <> new.other_costs)
begin
    update stage_margins
    set cards = cards - 1,
        other_costs = stage_margins.other_costs - (old.other_costs > 0),
        products_billions = products_billions - old.products_value / 1000000000,
        products_rest = products_rest - old.products_value % 1000000000,
        cost_billions = cost_billions - old.products_cost / 1000000000,
        cost_rest = cost_rest - old.products_cost % 1000000000
    where old.product_lines > 0
      and workspace_id = old.workspace_id and currency = old.currency
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
    delete from stage_margins
    where workspace_id = old.workspace_id and cards = 0
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
    insert into stage_margins
        (workspace_id, stage_id, currency, cards, other_costs,
         products_billions, products_rest, cost_billions, cost_rest)
    select new.workspace_id, c.stage_id, new.currency, 1, new.other_costs > 0,
           new.products_value / 1000000000, new.products_value % 1000000000,
           new.products_cost / 1000000000, new.products_cost % 1000000000
    from cards c
    where new.product_lines > 0
      and c.workspace_id = new.workspace_id and c.opportunity_id = new.id and c.rank is not null
    on conflict (workspace_id, stage_id, currency) do update
    set cards = cards + 1,
        other_costs = other_costs + excluded.other_costs,
        products_billions = products_billions + excluded.products_billions,
        products_rest = products_rest + excluded.products_rest,
        cost_billions = cost_billions + excluded.cost_billions,
        cost_rest = cost_rest + excluded.cost_rest;
end;

create trigger stage_margins_opportunity_removed before delete on opportunities when old.product_lines > 0
begin
    update stage_margins
    set cards = cards - 1,
        other_costs = stage_margins.other_costs - (old.other_costs > 0),
        products_billions = products_billions - old.products_value / 1000000000,
        products_rest = products_rest - old.products_value % 1000000000,
        cost_billions = cost_billions - old.products_cost / 1000000000,
        cost_rest = cost_rest - old.products_cost % 1000000000
    where old.product_lines > 0
      and workspace_id = old.workspace_id and currency = old.currency
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
    delete from stage_margins
    where workspace_id = old.workspace_id and cards = 0
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
end;
