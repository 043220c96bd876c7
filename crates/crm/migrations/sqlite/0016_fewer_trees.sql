-- Less is written for each opportunity and each change of one: a text index that does
-- not keep where in a text a part stands is a third as large, a table that lies in the
-- order of its key has no second tree for it, and what is added looks for nothing that
-- can't be there yet.

-- Whoever searches looks into what the index finds. What an older program left in the
-- queue goes into the old indexes, as long as they are there, and is in the documents.
-- The store says how much is merged, whenever an index has learned something; nothing
-- else is merged before 64 pieces of one level wait for it.
delete from index_queue;
drop table company_search_index;
drop table contact_search_index;
drop table opportunity_search_index;
drop table product_search_index;
create virtual table company_search_index using fts5 (
    doc, content = 'company_search', content_rowid = 'number',
    detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
create virtual table contact_search_index using fts5 (
    doc, content = 'contact_search', content_rowid = 'number',
    detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
create virtual table opportunity_search_index using fts5 (
    doc, content = 'opportunity_search', content_rowid = 'number',
    detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
create virtual table product_search_index using fts5 (
    doc, content = 'product_search', content_rowid = 'number',
    detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
insert into company_search_index (company_search_index) values ('rebuild');
insert into contact_search_index (contact_search_index) values ('rebuild');
insert into opportunity_search_index (opportunity_search_index) values ('rebuild');
insert into product_search_index (product_search_index) values ('rebuild');
insert into company_search_index (company_search_index, rank) values ('automerge', 0);
insert into contact_search_index (contact_search_index, rank) values ('automerge', 0);
insert into opportunity_search_index (opportunity_search_index, rank) values ('automerge', 0);
insert into product_search_index (product_search_index, rank) values ('automerge', 0);
insert into company_search_index (company_search_index, rank) values ('usermerge', 16);
insert into contact_search_index (contact_search_index, rank) values ('usermerge', 16);
insert into opportunity_search_index (opportunity_search_index, rank) values ('usermerge', 16);
insert into product_search_index (product_search_index, rank) values ('usermerge', 16);
insert into company_search_index (company_search_index, rank) values ('crisismerge', 64);
insert into contact_search_index (contact_search_index, rank) values ('crisismerge', 64);
insert into opportunity_search_index (opportunity_search_index, rank) values ('crisismerge', 64);
insert into product_search_index (product_search_index, rank) values ('crisismerge', 64);

create table events_by_key (
    workspace_id    blob    not null references workspaces (id),
    id              blob    not null,
    trigger_type    text    not null,
    entity_type     text    not null,
    entity_id       blob    not null,
    data            text    not null,
    skip_action_ids text    not null,
    created_at      integer not null,
    primary key (workspace_id, id)
) strict, without rowid;
insert into events_by_key
    (workspace_id, id, trigger_type, entity_type, entity_id, data, skip_action_ids, created_at)
select workspace_id, id, trigger_type, entity_type, entity_id, data, skip_action_ids, created_at
from events
order by workspace_id, id;
drop table events;
alter table events_by_key rename to events;

create table change_log_by_key (
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
) strict, without rowid;
insert into change_log_by_key
    (workspace_id, id, entity_type, entity_id, field, old_value, new_value,
     actor_type, actor_id, actor_name, request_id, changed_at)
select workspace_id, id, entity_type, entity_id, field, old_value, new_value,
       actor_type, actor_id, actor_name, request_id, changed_at
from crm_field_change_log
order by workspace_id, id;
drop table crm_field_change_log;
alter table change_log_by_key rename to crm_field_change_log;

-- Its indexes and triggers went with it; they are what they were.
create index crm_field_change_log_by_entity on crm_field_change_log (workspace_id, entity_id, id);
create index crm_field_change_log_by_kind on crm_field_change_log (workspace_id, entity_type, id);
create index crm_field_change_log_by_field on crm_field_change_log (workspace_id, field, id);
create index crm_field_change_log_by_actor on crm_field_change_log (workspace_id, actor_id, id)
    where actor_id is not null;
create index crm_field_change_log_by_actor_kind on crm_field_change_log (workspace_id, actor_type, id);
create index crm_field_change_log_by_request on crm_field_change_log (workspace_id, request_id, id)
    where request_id is not null;

create trigger crm_field_change_log_keeps before update on crm_field_change_log
begin
    select raise(abort, 'the change log is append-only');
end;

create trigger crm_field_change_log_stays before delete on crm_field_change_log
begin
    select raise(abort, 'the change log is append-only');
end;

-- A table that lies in the order of its key is cheap to walk, so the planner has to know
-- that a workspace is all of it, and what the other columns narrow down, roughly.
analyze sqlite_schema;
insert into sqlite_stat1 (tbl, idx, stat) values
    ('crm_field_change_log', 'crm_field_change_log', '1048576 1048576 1'),
    ('crm_field_change_log', 'crm_field_change_log_by_entity', '1048576 1048576 8 1'),
    ('crm_field_change_log', 'crm_field_change_log_by_kind', '1048576 1048576 131072 1'),
    ('crm_field_change_log', 'crm_field_change_log_by_field', '1048576 1048576 16384 1'),
    ('crm_field_change_log', 'crm_field_change_log_by_actor', '1048576 1048576 65536 1'),
    ('crm_field_change_log', 'crm_field_change_log_by_actor_kind', '1048576 1048576 262144 1'),
    ('crm_field_change_log', 'crm_field_change_log_by_request', '1048576 1048576 4 1');
analyze sqlite_schema;

-- No card comes before its opportunity.
drop trigger stage_values_opportunity_added;
drop trigger stage_margins_opportunity_added;

-- What an opportunity is worth is taken from a stage as it is brought to the other: an
-- update by way of another table has SQLite make a table of what it finds first.
drop trigger stage_values_card_moved;
create trigger stage_values_card_moved after update of stage_id on cards
when old.stage_id <> new.stage_id
begin
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select o.workspace_id, new.stage_id, o.currency, coalesce(o.probability, -1), 1,
           coalesce(o.value, o.products_value) / 1000000000,
           coalesce(o.value, o.products_value) % 1000000000
    from opportunities o
    where o.workspace_id = new.workspace_id and o.id = new.opportunity_id
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = cards + 1, billions = billions + excluded.billions, rest = rest + excluded.rest;
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select o.workspace_id, old.stage_id, o.currency, coalesce(o.probability, -1), -1,
           - (coalesce(o.value, o.products_value) / 1000000000),
           - (coalesce(o.value, o.products_value) % 1000000000)
    from opportunities o
    where o.workspace_id = old.workspace_id and o.id = old.opportunity_id
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = cards + excluded.cards, billions = billions + excluded.billions, rest = rest + excluded.rest;
end;

-- Most have no products.
drop trigger stage_margins_card_moved;
create trigger stage_margins_card_moved after update of stage_id on cards
when old.stage_id <> new.stage_id
  and exists (select 1 from opportunities o
              where o.workspace_id = new.workspace_id and o.id = new.opportunity_id and o.product_lines > 0)
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
