-- What is to be carried out of what was sold: work orders, and how far they are by
-- the workspace's own list of statuses. They go with the product that they are for.

create table work_order_statuses (
    workspace_id uuid        not null references workspaces (id),
    id           uuid        not null,
    label        text        not null,
    -- The label in lower case: no two statuses differ in nothing but that.
    label_key    text        not null,
    color        text        not null,
    position     bigint      not null,
    is_terminal  boolean     not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (workspace_id, id),
    unique (workspace_id, label_key)
);

-- A workspace that is there already gets the list that a new one has, under ids
-- that are as old as it is.
insert into work_order_statuses
    (workspace_id, id, label, label_key, color, position, is_terminal, created_at, updated_at)
select w.id,
       (substr(w.id::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
       s.label, lower(s.label), s.color, s.position, s.is_terminal, w.created_at, w.created_at
from workspaces w
cross join (values
    ('Scheduled', '#3b82f6', 0, false),
    ('In progress', '#f59e0b', 1, false),
    ('On hold', '#64748b', 2, false),
    ('Completed', '#22c55e', 3, true),
    ('Cancelled', '#ef4444', 4, true)
) s (label, color, position, is_terminal);

create table work_orders (
    workspace_id           uuid        not null,
    id                     uuid        not null,
    opportunity_id         uuid        not null,
    opportunity_product_id uuid        not null,
    status_id              uuid        not null,
    schedule_date          date,
    schedule_time          text,
    assigned_to            uuid,
    data                   jsonb       not null,
    sort_order             bigint      not null,
    status_changed_at      timestamptz not null,
    created_at             timestamptz not null,
    updated_at             timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, opportunity_id, opportunity_product_id)
        references opportunity_products (workspace_id, opportunity_id, id) on delete cascade,
    foreign key (workspace_id, status_id) references work_order_statuses (workspace_id, id),
    foreign key (workspace_id, assigned_to) references members (workspace_id, id)
);

create index work_orders_by_opportunity on work_orders (workspace_id, opportunity_id, id);
create index work_orders_by_line on work_orders (workspace_id, opportunity_product_id, id);
create index work_orders_by_status on work_orders (workspace_id, status_id, id);
create index work_orders_by_user on work_orders (workspace_id, assigned_to, id) where assigned_to is not null;
create index work_orders_by_schedule on work_orders (workspace_id, schedule_date, id) where schedule_date is not null;
