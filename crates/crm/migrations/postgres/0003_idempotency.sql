-- The answers to requests that are to be done once, kept for a day.

create table idempotency_keys (
    workspace_id uuid        not null,
    api_key_id   uuid        not null,
    key          text        not null,
    request      bytea       not null,
    -- Null until the work is done, which no other transaction sees.
    status       bigint,
    body         bytea,
    created_at   timestamptz not null,
    primary key (workspace_id, api_key_id, key),
    foreign key (workspace_id, api_key_id) references api_keys (workspace_id, id)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);

-- An answer is sealed: what is pseudo-random can't be compressed.
alter table idempotency_keys alter column body set storage external;
