-- Searching: the folded text of each record, indexed by its trigrams.
-- `name_key` answers "exactly this name" and "a name that begins so".

create extension if not exists pg_trgm;

create table opportunity_search (
    workspace_id uuid not null,
    id           uuid not null,
    name_key     text collate "C" not null,
    doc          text collate "C" not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, id) references opportunities (workspace_id, id)
);

create index opportunity_search_by_name on opportunity_search (workspace_id, name_key, id);
create index opportunity_search_index on opportunity_search using gin (doc gin_trgm_ops);

create table contact_search (
    workspace_id uuid not null,
    id           uuid not null,
    name_key     text collate "C" not null,
    doc          text collate "C" not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, id) references contacts (workspace_id, id)
);

create index contact_search_by_name on contact_search (workspace_id, name_key, id);
create index contact_search_index on contact_search using gin (doc gin_trgm_ops);

create table company_search (
    workspace_id uuid not null,
    id           uuid not null,
    name_key     text collate "C" not null,
    doc          text collate "C" not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, id) references companies (workspace_id, id)
);

create index company_search_by_name on company_search (workspace_id, name_key, id);
create index company_search_index on company_search using gin (doc gin_trgm_ops);
