-- The answers to requests that are to be done once, kept for a day.

create table idempotency_keys (
    workspace_id blob    not null,
    api_key_id   blob    not null,
    key          text    not null,
    request      blob    not null,
    -- Null until the work is done, which no other transaction sees.
    status       integer,
    body         blob,
    created_at   integer not null,
    primary key (workspace_id, api_key_id, key),
    foreign key (workspace_id, api_key_id) references api_keys (workspace_id, id)
) strict;

create index idempotency_keys_by_age on idempotency_keys (created_at);
