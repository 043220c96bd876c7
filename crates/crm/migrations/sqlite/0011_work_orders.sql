-- What is to be carried out of what was sold: work orders, and how far they are by
-- the workspace's own list of statuses. They go with the product that they are for.

create table work_order_statuses (
    workspace_id blob    not null references workspaces (id),
    id           blob    not null,
    label        text    not null,
    -- The label in lower case: no two statuses differ in nothing but that.
    label_key    text    not null,
    color        text    not null,
    position     integer not null,
    is_terminal  integer not null,
    created_at   integer not null,
    updated_at   integer not null,
    primary key (workspace_id, id),
    unique (workspace_id, label_key)
) strict;

-- A workspace that is there already gets the list that a new one has, under ids
-- that are as old as it is.
insert into work_order_statuses
    (workspace_id, id, label, label_key, color, position, is_terminal, created_at, updated_at)
select w.id,
       unhex(substr(hex(w.id), 1, 12) || '7' || substr(hex(randomblob(2)), 2)
             || substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(8)), 2)),
       s.label, lower(s.label), s.color, s.position, s.is_terminal, w.created_at, w.created_at
from workspaces w
cross join (
    select 'Scheduled' as label, '#3b82f6' as color, 0 as position, 0 as is_terminal
    union all select 'In progress', '#f59e0b', 1, 0
    union all select 'On hold', '#64748b', 2, 0
    union all select 'Completed', '#22c55e', 3, 1
    union all select 'Cancelled', '#ef4444', 4, 1
) s;

create table work_orders (
    workspace_id           blob    not null,
    id                     blob    not null,
    opportunity_id         blob    not null,
    opportunity_product_id blob    not null,
    status_id              blob    not null,
    schedule_date          text,
    schedule_time          text,
    assigned_to            blob,
    data                   text    not null,
    sort_order             integer not null,
    status_changed_at      integer not null,
    created_at             integer not null,
    updated_at             integer not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, opportunity_id, opportunity_product_id)
        references opportunity_products (workspace_id, opportunity_id, id) on delete cascade,
    foreign key (workspace_id, status_id) references work_order_statuses (workspace_id, id),
    foreign key (workspace_id, assigned_to) references members (workspace_id, id)
) strict;

create index work_orders_by_opportunity on work_orders (workspace_id, opportunity_id, id);
create index work_orders_by_line on work_orders (workspace_id, opportunity_product_id, id);
create index work_orders_by_status on work_orders (workspace_id, status_id, id);
create index work_orders_by_user on work_orders (workspace_id, assigned_to, id) where assigned_to is not null;
create index work_orders_by_schedule on work_orders (workspace_id, schedule_date, id) where schedule_date is not null;
