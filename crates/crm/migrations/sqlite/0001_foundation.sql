-- Who works here: workspaces, their members, their keys, their meter.

create table workspaces (
    id          blob    not null primary key,
    name        text    not null,
    timezone    text    not null,
    currency    text    not null,
    country     text    not null,
    settings    text    not null,
    created_at  integer not null,
    updated_at  integer not null
) strict;

-- Its only row is made by whoever sets the installation up: of several servers
-- that start at once, one.
create table installation (
    id         integer not null primary key check (id = 1),
    set_up_at  integer not null
) strict;

create table counters (
    workspace_id blob    not null references workspaces (id),
    name         text    not null,
    value        integer not null,
    primary key (workspace_id, name)
) strict, without rowid;

create table members (
    workspace_id blob    not null references workspaces (id),
    id           blob    not null,
    email        text,
    full_name    text    not null,
    role         text    not null,
    phone        text,
    job_title    text,
    is_active    integer not null,
    created_at   integer not null,
    updated_at   integer not null,
    primary key (workspace_id, id)
) strict;

create unique index members_by_email on members (workspace_id, lower(email));

create table api_keys (
    workspace_id blob    not null references workspaces (id),
    id           blob    not null,
    name         text    not null,
    digest       blob    not null,
    scopes       text    not null,
    last_used_at integer,
    expires_at   integer,
    revoked_at   integer,
    created_at   integer not null,
    updated_at   integer not null,
    primary key (workspace_id, id)
) strict;

create index api_keys_by_digest on api_keys (digest);

create table credit_usage (
    workspace_id blob    not null references workspaces (id),
    month        text    not null,
    used         integer not null,
    primary key (workspace_id, month)
) strict, without rowid;

-- Pipelines and their stages.

create table pipelines (
    workspace_id blob    not null references workspaces (id),
    id           blob    not null,
    name         text    not null,
    description  text,
    position     integer not null,
    is_default   integer not null,
    created_at   integer not null,
    updated_at   integer not null,
    primary key (workspace_id, id)
) strict;

create table stages (
    workspace_id  blob    not null,
    id            blob    not null,
    pipeline_id   blob    not null,
    name          text    not null,
    color         text    not null,
    position      integer not null,
    probability   integer,
    is_won_stage  integer not null,
    is_lost_stage integer not null,
    created_at    integer not null,
    updated_at    integer not null,
    primary key (workspace_id, id),
    -- What a card points at: a stage together with its own pipeline.
    unique (workspace_id, pipeline_id, id),
    foreign key (workspace_id, pipeline_id) references pipelines (workspace_id, id) on delete cascade,
    check (not (is_won_stage and is_lost_stage))
) strict;

-- Contacts and companies.

create table contacts (
    workspace_id       blob    not null references workspaces (id),
    id                 blob    not null,
    public_id          text    not null,
    first_name         text    not null,
    last_name          text,
    email              text,
    phone              text,
    landline           text,
    date_of_birth      text,
    job_title          text,
    source             text,
    contact_type       text,
    notes              text,
    metadata           text    not null,
    address_line1      text,
    city               text,
    state              text,
    postal_code        text,
    country            text,
    email_unsubscribed integer not null,
    sms_unsubscribed   integer not null,
    created_at         integer not null,
    updated_at         integer not null,
    primary key (workspace_id, id),
    unique (workspace_id, public_id)
) strict;

create index contacts_by_email on contacts (workspace_id, lower(email), id);
create index contacts_by_phone on contacts (workspace_id, phone, id);
create index contacts_by_landline on contacts (workspace_id, landline, id);

create table companies (
    workspace_id blob    not null references workspaces (id),
    id           blob    not null,
    public_id    text    not null,
    name         text    not null,
    email        text,
    phone        text,
    landline     text,
    industry     text,
    website      text,
    account_type text,
    notes        text,
    metadata     text    not null,
    created_at   integer not null,
    updated_at   integer not null,
    primary key (workspace_id, id),
    unique (workspace_id, public_id)
) strict;

create table employments (
    workspace_id blob    not null,
    contact_id   blob    not null,
    company_id   blob    not null,
    linked_at    integer not null,
    primary key (workspace_id, contact_id, company_id),
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id) on delete cascade,
    foreign key (workspace_id, company_id) references companies (workspace_id, id) on delete cascade
) strict, without rowid;

create index employments_by_company on employments (workspace_id, company_id, contact_id);

-- Opportunities, their cards and their people.

create table opportunities (
    workspace_id                blob    not null references workspaces (id),
    id                          blob    not null,
    public_id                   text    not null,
    name                        text    not null,
    status                      text    not null check (status in ('open', 'won', 'lost')),
    contact_id                  blob,
    company_id                  blob,
    value                       integer,
    products_value              integer not null default 0,
    currency                    text    not null,
    probability                 integer check (probability between 0 and 1000000),
    expected_close_date         text,
    actual_close_date           text,
    close_date_by_status        integer not null default false,
    won_at                      integer,
    lost_at                     integer,
    lead_source                 text,
    opportunity_type            text,
    won_reason                  text,
    lost_reason                 text,
    next_action_name            text,
    next_action_date            integer,
    tags                        text    not null,
    notes                       text,
    metadata                    text    not null,
    primary_referrer_contact_id blob,
    primary_referrer_category   text,
    last_activity_at            integer,
    created_at                  integer not null,
    updated_at                  integer not null,
    primary key (workspace_id, id),
    unique (workspace_id, public_id),
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, company_id) references companies (workspace_id, id),
    foreign key (workspace_id, primary_referrer_contact_id) references contacts (workspace_id, id)
) strict;

create index opportunities_by_status on opportunities (workspace_id, status, id);
create index opportunities_by_contact on opportunities (workspace_id, contact_id, id);
create index opportunities_by_company on opportunities (workspace_id, company_id, id);
create index opportunities_by_referrer on opportunities (workspace_id, primary_referrer_contact_id)
    where primary_referrer_contact_id is not null;

create table cards (
    workspace_id     blob    not null,
    id               blob    not null,
    opportunity_id   blob    not null,
    pipeline_id      blob    not null,
    stage_id         blob    not null,
    rank             text    not null,
    -- The ranks that begin so are counted together.
    run              text    not null,
    entered_stage_at integer not null,
    primary key (workspace_id, id),
    unique (workspace_id, opportunity_id, pipeline_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, pipeline_id, stage_id) references stages (workspace_id, pipeline_id, id)
) strict;

create unique index cards_by_stage on cards (workspace_id, stage_id, rank);
create index cards_by_pipeline on cards (workspace_id, pipeline_id, stage_id, opportunity_id);
create index cards_of_pipeline on cards (workspace_id, pipeline_id, opportunity_id);

-- How many cards of a stage have a rank that begins with a prefix, for every
-- prefix of a run. A card's index is what is counted before it: a few dozen
-- rows, however many cards there are.
create table card_counts (
    workspace_id blob    not null,
    stage_id     blob    not null,
    length       integer not null,
    prefix       text    not null,
    cards        integer not null,
    primary key (workspace_id, stage_id, length, prefix),
    foreign key (workspace_id, stage_id) references stages (workspace_id, id) on delete cascade
) strict, without rowid;

create trigger card_counts_added after insert on cards
begin
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    select new.workspace_id, new.stage_id, n, substr(new.run, 1, n), 1
    from (select 1 as n union all select 2 union all select 3 union all select 4)
    where n <= length(new.run)
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
end;

create trigger card_counts_removed after delete on cards
begin
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and (length, prefix) in (values
          (1, substr(old.run, 1, 1)), (2, substr(old.run, 1, 2)),
          (3, substr(old.run, 1, 3)), (4, substr(old.run, 1, 4)));
    delete from card_counts
    where workspace_id = old.workspace_id and stage_id = old.stage_id and cards = 0
      and (length, prefix) in (values
          (1, substr(old.run, 1, 1)), (2, substr(old.run, 1, 2)),
          (3, substr(old.run, 1, 3)), (4, substr(old.run, 1, 4)));
end;

create trigger card_counts_moved after update of stage_id, run on cards
when old.stage_id <> new.stage_id or old.run <> new.run
begin
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    select new.workspace_id, new.stage_id, n, substr(new.run, 1, n), 1
    from (select 1 as n union all select 2 union all select 3 union all select 4)
    where n <= length(new.run)
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and (length, prefix) in (values
          (1, substr(old.run, 1, 1)), (2, substr(old.run, 1, 2)),
          (3, substr(old.run, 1, 3)), (4, substr(old.run, 1, 4)));
    delete from card_counts
    where workspace_id = old.workspace_id and stage_id = old.stage_id and cards = 0
      and (length, prefix) in (values
          (1, substr(old.run, 1, 1)), (2, substr(old.run, 1, 2)),
          (3, substr(old.run, 1, 3)), (4, substr(old.run, 1, 4)));
end;

create table opportunity_contacts (
    workspace_id   blob    not null,
    opportunity_id blob    not null,
    contact_id     blob    not null,
    linked_at      integer not null,
    primary key (workspace_id, opportunity_id, contact_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id) on delete cascade
) strict, without rowid;

create index opportunity_contacts_by_contact on opportunity_contacts (workspace_id, contact_id, opportunity_id);

create table opportunity_users (
    workspace_id   blob    not null,
    opportunity_id blob    not null,
    user_id        blob    not null,
    is_primary     integer not null,
    assigned_at    integer not null,
    primary key (workspace_id, opportunity_id, user_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, user_id) references members (workspace_id, id) on delete cascade
) strict, without rowid;

create index opportunity_users_by_user on opportunity_users (workspace_id, user_id, opportunity_id);
create unique index opportunity_users_primary on opportunity_users (workspace_id, opportunity_id) where is_primary;

-- What happened: events for whatever reacts, and the field-level audit log.

create table events (
    workspace_id    blob    not null references workspaces (id),
    id              blob    not null,
    trigger_type    text    not null,
    entity_type     text    not null,
    entity_id       blob    not null,
    data            text    not null,
    skip_action_ids text    not null,
    created_at      integer not null,
    primary key (workspace_id, id)
) strict;

create table crm_field_change_log (
    workspace_id blob    not null references workspaces (id),
    id           blob    not null,
    entity_type  text    not null,
    entity_id    blob    not null,
    field        text    not null,
    old_value    text    not null,
    new_value    text    not null,
    actor_type   text    not null,
    actor_id     blob,
    actor_name   text    not null,
    request_id   text,
    changed_at   integer not null,
    primary key (workspace_id, id)
) strict;

create index crm_field_change_log_by_entity on crm_field_change_log (workspace_id, entity_type, entity_id, id);

create trigger crm_field_change_log_keeps before update on crm_field_change_log
begin
    select raise(abort, 'the change log is append-only');
end;

create trigger crm_field_change_log_stays before delete on crm_field_change_log
begin
    select raise(abort, 'the change log is append-only');
end;

-- What an import has already brought in, so that running it again adds nothing.

create table imported (
    workspace_id blob    not null references workspaces (id),
    source       text    not null,
    kind         text    not null,
    external_id  text    not null,
    record_id    blob    not null,
    imported_at  integer not null,
    primary key (workspace_id, source, kind, external_id)
) strict, without rowid;

create index imported_by_record on imported (workspace_id, record_id);
