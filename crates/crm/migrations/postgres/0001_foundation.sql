-- Who works here: workspaces, their members, their keys, their meter.

create table workspaces (
    id          uuid        not null primary key,
    name        text        not null,
    timezone    text        not null,
    currency    text        not null,
    country     text        not null,
    settings    jsonb       not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);

-- Its only row is made by whoever sets the installation up: of several servers
-- that start at once, one.
create table installation (
    id         integer not null primary key check (id = 1),
    set_up_at  timestamptz not null
);

create table counters (
    workspace_id uuid        not null references workspaces (id),
    name         text        not null,
    value        bigint      not null,
    primary key (workspace_id, name)
);

create table members (
    workspace_id uuid        not null references workspaces (id),
    id           uuid        not null,
    email        text,
    full_name    text        not null,
    role         text        not null,
    phone        text,
    job_title    text,
    is_active    boolean     not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (workspace_id, id)
);

create unique index members_by_email on members (workspace_id, lower(email));

create table api_keys (
    workspace_id uuid        not null references workspaces (id),
    id           uuid        not null,
    name         text        not null,
    digest       bytea       not null,
    scopes       jsonb       not null,
    last_used_at timestamptz,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (workspace_id, id)
);

create index api_keys_by_digest on api_keys (digest);

create table credit_usage (
    workspace_id uuid        not null references workspaces (id),
    month        text        not null,
    used         bigint      not null,
    primary key (workspace_id, month)
);

-- Pipelines and their stages.

create table pipelines (
    workspace_id uuid        not null references workspaces (id),
    id           uuid        not null,
    name         text        not null,
    description  text,
    position     bigint      not null,
    is_default   boolean     not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (workspace_id, id)
);

create table stages (
    workspace_id  uuid        not null,
    id            uuid        not null,
    pipeline_id   uuid        not null,
    name          text        not null,
    color         text        not null,
    position      bigint      not null,
    probability   bigint,
    is_won_stage  boolean     not null,
    is_lost_stage boolean     not null,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    primary key (workspace_id, id),
    -- What a card points at: a stage together with its own pipeline.
    unique (workspace_id, pipeline_id, id),
    foreign key (workspace_id, pipeline_id) references pipelines (workspace_id, id) on delete cascade,
    check (not (is_won_stage and is_lost_stage))
);

-- Contacts and companies.

create table contacts (
    workspace_id       uuid        not null references workspaces (id),
    id                 uuid        not null,
    public_id          text        not null,
    first_name         text        not null,
    last_name          text,
    email              text,
    phone              text,
    landline           text,
    date_of_birth      date,
    job_title          text,
    source             text,
    contact_type       text,
    notes              text,
    metadata           jsonb       not null,
    address_line1      text,
    city               text,
    state              text,
    postal_code        text,
    country            text,
    email_unsubscribed boolean     not null,
    sms_unsubscribed   boolean     not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    primary key (workspace_id, id),
    unique (workspace_id, public_id)
);

create index contacts_by_email on contacts (workspace_id, lower(email), id);
create index contacts_by_phone on contacts (workspace_id, phone, id);
create index contacts_by_landline on contacts (workspace_id, landline, id);

create table companies (
    workspace_id uuid        not null references workspaces (id),
    id           uuid        not null,
    public_id    text        not null,
    name         text        not null,
    email        text,
    phone        text,
    landline     text,
    industry     text,
    website      text,
    account_type text,
    notes        text,
    metadata     jsonb       not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (workspace_id, id),
    unique (workspace_id, public_id)
);

create table employments (
    workspace_id uuid        not null,
    contact_id   uuid        not null,
    company_id   uuid        not null,
    linked_at    timestamptz not null,
    primary key (workspace_id, contact_id, company_id),
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id) on delete cascade,
    foreign key (workspace_id, company_id) references companies (workspace_id, id) on delete cascade
);

create index employments_by_company on employments (workspace_id, company_id, contact_id);

-- Opportunities, their cards and their people.

create table opportunities (
    workspace_id                uuid        not null references workspaces (id),
    id                          uuid        not null,
    public_id                   text        not null,
    name                        text        not null,
    status                      text        not null check (status in ('open', 'won', 'lost')),
    contact_id                  uuid,
    company_id                  uuid,
    value                       bigint,
    products_value              bigint      not null default 0,
    currency                    text        not null,
    probability                 bigint      check (probability between 0 and 1000000),
    expected_close_date         date,
    actual_close_date           date,
    close_date_by_status        boolean     not null default false,
    won_at                      timestamptz,
    lost_at                     timestamptz,
    lead_source                 text,
    opportunity_type            text,
    won_reason                  text,
    lost_reason                 text,
    next_action_name            text,
    next_action_date            timestamptz,
    tags                        jsonb       not null,
    notes                       text,
    metadata                    jsonb       not null,
    primary_referrer_contact_id uuid,
    primary_referrer_category   text,
    last_activity_at            timestamptz,
    created_at                  timestamptz not null,
    updated_at                  timestamptz not null,
    primary key (workspace_id, id),
    unique (workspace_id, public_id),
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, company_id) references companies (workspace_id, id),
    foreign key (workspace_id, primary_referrer_contact_id) references contacts (workspace_id, id)
);

create index opportunities_by_status on opportunities (workspace_id, status, id);
create index opportunities_by_contact on opportunities (workspace_id, contact_id, id);
create index opportunities_by_company on opportunities (workspace_id, company_id, id);
create index opportunities_by_referrer on opportunities (workspace_id, primary_referrer_contact_id)
    where primary_referrer_contact_id is not null;

create table cards (
    workspace_id     uuid        not null,
    id               uuid        not null,
    opportunity_id   uuid        not null,
    pipeline_id      uuid        not null,
    stage_id         uuid        not null,
    rank             text collate "C" not null,
    -- The ranks that begin so are counted together.
    run              text collate "C" not null,
    entered_stage_at timestamptz not null,
    primary key (workspace_id, id),
    unique (workspace_id, opportunity_id, pipeline_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, pipeline_id, stage_id) references stages (workspace_id, pipeline_id, id)
);

create unique index cards_by_stage on cards (workspace_id, stage_id, rank);
create index cards_by_pipeline on cards (workspace_id, pipeline_id, stage_id, opportunity_id);
create index cards_of_pipeline on cards (workspace_id, pipeline_id, opportunity_id);

-- How many cards of a stage have a rank that begins with a prefix, for every
-- prefix of a run. A card's index is what is counted before it: a few dozen
-- rows, however many cards there are.
create table card_counts (
    workspace_id uuid    not null,
    stage_id     uuid    not null,
    length       integer not null,
    prefix       text collate "C" not null,
    cards        bigint  not null,
    primary key (workspace_id, stage_id, length, prefix),
    foreign key (workspace_id, stage_id) references stages (workspace_id, id) on delete cascade
);

-- Row by row from the shortest prefix on, so that two who count the same
-- prefixes wait for each other and never each for the other.
create function count_cards() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        for n in 1..length(new.run) loop
            insert into card_counts (workspace_id, stage_id, length, prefix, cards)
            values (new.workspace_id, new.stage_id, n, left(new.run, n), 1)
            on conflict (workspace_id, stage_id, length, prefix)
            do update set cards = card_counts.cards + 1;
        end loop;
    end if;
    if tg_op <> 'INSERT' then
        for n in 1..length(old.run) loop
            update card_counts set cards = cards - 1
            where workspace_id = old.workspace_id and stage_id = old.stage_id
              and length = n and prefix = left(old.run, n);
            delete from card_counts
            where workspace_id = old.workspace_id and stage_id = old.stage_id
              and length = n and prefix = left(old.run, n) and cards = 0;
        end loop;
    end if;
    return null;
end
$$;

create trigger card_counts_follow after insert or delete on cards
    for each row execute function count_cards();
create trigger card_counts_move after update of stage_id, run on cards
    for each row when (old.stage_id <> new.stage_id or old.run <> new.run)
    execute function count_cards();

create table opportunity_contacts (
    workspace_id   uuid        not null,
    opportunity_id uuid        not null,
    contact_id     uuid        not null,
    linked_at      timestamptz not null,
    primary key (workspace_id, opportunity_id, contact_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, contact_id) references contacts (workspace_id, id) on delete cascade
);

create index opportunity_contacts_by_contact on opportunity_contacts (workspace_id, contact_id, opportunity_id);

create table opportunity_users (
    workspace_id   uuid        not null,
    opportunity_id uuid        not null,
    user_id        uuid        not null,
    is_primary     boolean     not null,
    assigned_at    timestamptz not null,
    primary key (workspace_id, opportunity_id, user_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, user_id) references members (workspace_id, id) on delete cascade
);

create index opportunity_users_by_user on opportunity_users (workspace_id, user_id, opportunity_id);
create unique index opportunity_users_primary on opportunity_users (workspace_id, opportunity_id) where is_primary;

-- What happened: events for whatever reacts, and the field-level audit log.

create table events (
    workspace_id    uuid        not null references workspaces (id),
    id              uuid        not null,
    trigger_type    text        not null,
    entity_type     text        not null,
    entity_id       uuid        not null,
    data            jsonb       not null,
    skip_action_ids jsonb       not null,
    created_at      timestamptz not null,
    primary key (workspace_id, id)
);

create table crm_field_change_log (
    workspace_id uuid        not null references workspaces (id),
    id           uuid        not null,
    entity_type  text        not null,
    entity_id    uuid        not null,
    field        text        not null,
    old_value    jsonb       not null,
    new_value    jsonb       not null,
    actor_type   text        not null,
    actor_id     uuid,
    actor_name   text        not null,
    request_id   text,
    changed_at   timestamptz not null,
    primary key (workspace_id, id)
);

create index crm_field_change_log_by_entity on crm_field_change_log (workspace_id, entity_type, entity_id, id);

create function crm_field_change_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the change log is append-only';
end;
$$;

create trigger crm_field_change_log_keeps before update or delete on crm_field_change_log
    for each row execute function crm_field_change_log_is_append_only();

-- What an import has already brought in, so that running it again adds nothing.

create table imported (
    workspace_id uuid        not null references workspaces (id),
    source       text        not null,
    kind         text        not null,
    external_id  text        not null,
    record_id    uuid        not null,
    imported_at  timestamptz not null,
    primary key (workspace_id, source, kind, external_id)
);

create index imported_by_record on imported (workspace_id, record_id);
