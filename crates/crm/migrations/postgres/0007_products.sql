-- The price list, what opportunities have of it, and what both cost.

create table products (
    workspace_id    uuid        not null references workspaces (id),
    id              uuid        not null,
    name            text        not null,
    price           bigint      not null,
    sku             text,
    currency        text        not null,
    category        text,
    description     text,
    unit            text,
    deposit_percent bigint      check (deposit_percent between 0 and 1000000),
    is_active       boolean     not null,
    metadata        jsonb       not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    primary key (workspace_id, id)
);

create index products_by_sku on products (workspace_id, lower(sku), id);
create index products_by_category on products (workspace_id, category, id);
create index products_by_activity on products (workspace_id, is_active, id);

create table product_search (
    workspace_id uuid not null,
    id           uuid not null,
    name_key     text collate "C" not null,
    doc          text collate "C" not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, id) references products (workspace_id, id)
);

create index product_search_by_name on product_search (workspace_id, name_key, id);
create index product_search_index on product_search using gin (doc gin_trgm_ops);

create table product_costs (
    workspace_id        uuid        not null,
    id                  uuid        not null,
    product_id          uuid        not null,
    label               text,
    cost_price          bigint      not null,
    quantity            bigint      not null check (quantity > 0),
    supplier_id         uuid,
    supplier_product_id text,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, product_id) references products (workspace_id, id) on delete cascade,
    foreign key (workspace_id, supplier_id) references companies (workspace_id, id)
);

create index product_costs_by_product on product_costs (workspace_id, product_id, id);
create index product_costs_by_supplier on product_costs (workspace_id, supplier_id, id)
    where supplier_id is not null;

create table opportunity_products (
    workspace_id     uuid        not null,
    id               uuid        not null,
    opportunity_id   uuid        not null,
    product_id       uuid        not null,
    quantity         bigint      not null check (quantity > 0),
    unit_price       bigint      not null,
    discount_percent bigint      not null check (discount_percent between 0 and 1000000),
    deposit_percent  bigint      check (deposit_percent between 0 and 1000000),
    payment_status   text        not null
        check (payment_status in ('unpaid', 'deposit_invoiced', 'invoiced', 'paid')),
    sort_order       bigint      not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    primary key (workspace_id, id),
    -- What a cost points at: a line together with its own opportunity.
    unique (workspace_id, opportunity_id, id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, product_id) references products (workspace_id, id)
);

create index opportunity_products_by_product on opportunity_products (workspace_id, product_id);

create table opportunity_product_costs (
    workspace_id           uuid        not null,
    id                     uuid        not null,
    opportunity_id         uuid        not null,
    opportunity_product_id uuid        not null,
    label                  text,
    unit_cost              bigint      not null,
    quantity               bigint      not null check (quantity > 0),
    currency               text        not null,
    supplier_id            uuid,
    supplier_product_id    text,
    -- Quantity × unit cost, which needs more than 64 bits on the way.
    total_cost             bigint      not null,
    created_at             timestamptz not null,
    updated_at             timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, opportunity_id, opportunity_product_id)
        references opportunity_products (workspace_id, opportunity_id, id) on delete cascade,
    foreign key (workspace_id, supplier_id) references companies (workspace_id, id)
);

create index opportunity_product_costs_by_line on opportunity_product_costs
    (workspace_id, opportunity_id, opportunity_product_id, id);
create index opportunity_product_costs_by_supplier on opportunity_product_costs (workspace_id, supplier_id, id)
    where supplier_id is not null;

-- What an opportunity's products come to, beside their value: how many lines
-- there are, what they cost in its own currency, and how many of their costs
-- are in another one.

alter table opportunities
    add column product_lines bigint not null default 0,
    add column products_cost bigint not null default 0,
    add column other_costs   bigint not null default 0;

-- What the products of a stage's opportunities are worth and cost, kept as they
-- change, as what the opportunities are worth is.

create table stage_margins (
    workspace_id      uuid        not null,
    stage_id          uuid        not null,
    currency          text        not null,
    -- Those that have products.
    cards             bigint      not null,
    -- Those that have costs in another currency as well.
    other_costs       bigint      not null,
    -- A sum of 64-bit amounts can outgrow 64 bits, so each half is summed alone.
    products_billions bigint      not null,
    products_rest     bigint      not null,
    cost_billions     bigint      not null,
    cost_rest         bigint      not null,
    primary key (workspace_id, stage_id, currency),
    foreign key (workspace_id, stage_id) references stages (workspace_id, id) on delete cascade
);

create function add_stage_margin(opportunity opportunities, stage uuid) returns void language plpgsql as $$
begin
    insert into stage_margins
        (workspace_id, stage_id, currency, cards, other_costs,
         products_billions, products_rest, cost_billions, cost_rest)
    values (opportunity.workspace_id, stage, opportunity.currency, 1,
            (opportunity.other_costs > 0)::int,
            opportunity.products_value / 1000000000, opportunity.products_value % 1000000000,
            opportunity.products_cost / 1000000000, opportunity.products_cost % 1000000000)
    on conflict (workspace_id, stage_id, currency) do update
    set cards = stage_margins.cards + 1,
        other_costs = stage_margins.other_costs + excluded.other_costs,
        products_billions = stage_margins.products_billions + excluded.products_billions,
        products_rest = stage_margins.products_rest + excluded.products_rest,
        cost_billions = stage_margins.cost_billions + excluded.cost_billions,
        cost_rest = stage_margins.cost_rest + excluded.cost_rest;
end
$$;

create function take_stage_margin(opportunity opportunities, stage uuid) returns void language plpgsql as $$
begin
    update stage_margins
    set cards = cards - 1,
        other_costs = other_costs - (opportunity.other_costs > 0)::int,
        products_billions = products_billions - opportunity.products_value / 1000000000,
        products_rest = products_rest - opportunity.products_value % 1000000000,
        cost_billions = cost_billions - opportunity.products_cost / 1000000000,
        cost_rest = cost_rest - opportunity.products_cost % 1000000000
    where workspace_id = opportunity.workspace_id and stage_id = stage
      and currency = opportunity.currency;
    delete from stage_margins
    where workspace_id = opportunity.workspace_id and stage_id = stage and cards = 0;
end
$$;

-- Where the opportunity of a card is looked up for what it is worth, its
-- products are at hand as well.
create or replace function value_card() returns trigger language plpgsql as $$
declare
    opportunity opportunities;
begin
    if tg_op <> 'INSERT' then
        select * into opportunity from opportunities o
        where o.workspace_id = old.workspace_id and o.id = old.opportunity_id;
        -- Where the opportunity itself is deleted it is gone by now, and its
        -- part with it.
        if found then
            perform take_stage_value(opportunity, old.stage_id);
            if opportunity.product_lines > 0 then
                perform take_stage_margin(opportunity, old.stage_id);
            end if;
        end if;
    end if;
    if tg_op <> 'DELETE' then
        select * into opportunity from opportunities o
        where o.workspace_id = new.workspace_id and o.id = new.opportunity_id;
        -- Rows that are copied in may come before their opportunity.
        if found then
            perform add_stage_value(opportunity, new.stage_id);
            if opportunity.product_lines > 0 then
                perform add_stage_margin(opportunity, new.stage_id);
            end if;
        end if;
    end if;
    return null;
end
$$;

create function margin_opportunity() returns trigger language plpgsql as $$
declare
    stage uuid;
begin
    for stage in
        select c.stage_id from cards c
        where c.workspace_id = coalesce(new.workspace_id, old.workspace_id)
          and c.opportunity_id = coalesce(new.id, old.id)
        order by c.stage_id
    loop
        if tg_op <> 'INSERT' and old.product_lines > 0 then
            perform take_stage_margin(old, stage);
        end if;
        if tg_op <> 'DELETE' and new.product_lines > 0 then
            perform add_stage_margin(new, stage);
        end if;
    end loop;
    return old;
end
$$;

create trigger stage_margins_opportunity_added after insert on opportunities
    for each row when (new.product_lines > 0) execute function margin_opportunity();
create trigger stage_margins_opportunity_changed
    after update of currency, product_lines, products_value, products_cost, other_costs on opportunities
    for each row when (
        (old.product_lines > 0 or new.product_lines > 0)
        and (old.currency <> new.currency or old.product_lines <> new.product_lines
             or old.products_value <> new.products_value or old.products_cost <> new.products_cost
             or old.other_costs <> new.other_costs)
    )
    execute function margin_opportunity();
create trigger stage_margins_opportunity_removed before delete on opportunities
    for each row when (old.product_lines > 0) execute function margin_opportunity();
