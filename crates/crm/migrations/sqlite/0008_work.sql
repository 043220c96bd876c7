-- What is to be done and what has been done: tasks and activities. They outlast
-- the records that they name, and whoever deletes one of those takes its name
-- off them first.

create table tasks (
    workspace_id   blob    not null references workspaces (id),
    id             blob    not null,
    title          text    not null,
    description    text,
    status         text    not null check (status in ('todo', 'in_progress', 'completed', 'cancelled')),
    priority       text    not null check (priority in ('low', 'medium', 'high', 'critical')),
    due_date       text,
    completed_at   integer,
    assigned_to    blob,
    opportunity_id blob,
    contact_id     blob,
    company_id     blob,
    category       text,
    created_at     integer not null,
    updated_at     integer not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, assigned_to) references members (workspace_id, id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id),
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, company_id) references companies (workspace_id, id),
    check ((status = 'completed') = (completed_at is not null))
) strict;

create index tasks_by_status on tasks (workspace_id, status, id);
create index tasks_by_priority on tasks (workspace_id, priority, id);
create index tasks_by_due_date on tasks (workspace_id, due_date, id) where due_date is not null;
create index tasks_by_user on tasks (workspace_id, assigned_to, id) where assigned_to is not null;
create index tasks_by_opportunity on tasks (workspace_id, opportunity_id, id) where opportunity_id is not null;
create index tasks_by_contact on tasks (workspace_id, contact_id, id) where contact_id is not null;
create index tasks_by_company on tasks (workspace_id, company_id, id) where company_id is not null;
create index tasks_by_category on tasks (workspace_id, category, id) where category is not null;

create table activities (
    workspace_id     blob    not null references workspaces (id),
    id               blob    not null,
    activity_type    text    not null check (activity_type in ('call', 'meeting', 'note')),
    subject          text    not null,
    description      text,
    contact_id       blob,
    opportunity_id   blob,
    company_id       blob,
    occurred_at      integer not null,
    duration_minutes integer check (duration_minutes >= 0),
    outcome          text,
    created_at       integer not null,
    updated_at       integer not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id),
    foreign key (workspace_id, company_id) references companies (workspace_id, id)
) strict;

create index activities_by_type on activities (workspace_id, activity_type, id);
create index activities_by_contact on activities (workspace_id, contact_id, id) where contact_id is not null;
create index activities_by_opportunity on activities (workspace_id, opportunity_id, id) where opportunity_id is not null;
create index activities_by_company on activities (workspace_id, company_id, id) where company_id is not null;
-- The newest activity of an opportunity is at the end of its part.
create index activities_by_instant on activities (workspace_id, opportunity_id, occurred_at) where opportunity_id is not null;

-- An opportunity knows when its newest activity took place.

create trigger last_activity_added after insert on activities when new.opportunity_id is not null
begin
    update opportunities set last_activity_at = new.occurred_at
    where workspace_id = new.workspace_id and id = new.opportunity_id
      and (last_activity_at is null or last_activity_at < new.occurred_at);
end;

create trigger last_activity_removed after delete on activities when old.opportunity_id is not null
begin
    update opportunities
    set last_activity_at = (select max(a.occurred_at) from activities a
                            where a.workspace_id = old.workspace_id and a.opportunity_id = old.opportunity_id)
    where workspace_id = old.workspace_id and id = old.opportunity_id
      and last_activity_at = old.occurred_at;
end;

create trigger last_activity_changed after update of opportunity_id, occurred_at on activities
when old.opportunity_id is not new.opportunity_id or old.occurred_at <> new.occurred_at
begin
    update opportunities
    set last_activity_at = (select max(a.occurred_at) from activities a
                            where a.workspace_id = opportunities.workspace_id and a.opportunity_id = opportunities.id)
    where workspace_id = new.workspace_id and id in (old.opportunity_id, new.opportunity_id);
end;
