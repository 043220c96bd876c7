-- A card is named by its opportunity and its pipeline, and lies where those
-- say: it needs no index of its own id, and to read an opportunity's cards takes
-- one descent.

-- By way of another table, because no table that triggers of others name can be
-- renamed; in the order in which they are to lie.
create table cards_before as
select * from cards order by workspace_id, opportunity_id, pipeline_id;
drop table cards;

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
    primary key (workspace_id, opportunity_id, pipeline_id),
    foreign key (workspace_id, opportunity_id) references opportunities (workspace_id, id) on delete cascade,
    foreign key (workspace_id, pipeline_id, stage_id) references stages (workspace_id, pipeline_id, id)
) strict, without rowid;

insert into cards
    (workspace_id, id, opportunity_id, pipeline_id, stage_id, rank, run, entered_stage_at)
select workspace_id, id, opportunity_id, pipeline_id, stage_id, rank, run, entered_stage_at
from cards_before
order by rowid;
drop table cards_before;

create unique index cards_by_stage on cards (workspace_id, stage_id, rank);
create index cards_by_pipeline on cards (workspace_id, pipeline_id, stage_id, opportunity_id);
create index cards_of_pipeline on cards (workspace_id, pipeline_id, opportunity_id);

-- The triggers went with the table; they are what they were.

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

create trigger stage_values_card_added after insert on cards
begin
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select o.workspace_id, new.stage_id, o.currency, coalesce(o.probability, -1), 1,
           coalesce(o.value, o.products_value) / 1000000000,
           coalesce(o.value, o.products_value) % 1000000000
    from opportunities o
    where o.workspace_id = new.workspace_id and o.id = new.opportunity_id
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = cards + 1, billions = billions + excluded.billions, rest = rest + excluded.rest;
end;

create trigger stage_values_card_removed after delete on cards
begin
    update stage_values
    set cards = cards - 1,
        billions = billions - coalesce(o.value, o.products_value) / 1000000000,
        rest = rest - coalesce(o.value, o.products_value) % 1000000000
    from opportunities o
    where o.workspace_id = old.workspace_id and o.id = old.opportunity_id
      and stage_values.workspace_id = old.workspace_id and stage_values.stage_id = old.stage_id
      and stage_values.currency = o.currency
      and stage_values.probability = coalesce(o.probability, -1);
    delete from stage_values
    where workspace_id = old.workspace_id and stage_id = old.stage_id and cards = 0;
end;

create trigger stage_values_card_moved after update of stage_id on cards
when old.stage_id <> new.stage_id
begin
    update stage_values
    set cards = cards - 1,
        billions = billions - coalesce(o.value, o.products_value) / 1000000000,
        rest = rest - coalesce(o.value, o.products_value) % 1000000000
    from opportunities o
    where o.workspace_id = old.workspace_id and o.id = old.opportunity_id
      and stage_values.workspace_id = old.workspace_id and stage_values.stage_id = old.stage_id
      and stage_values.currency = o.currency
      and stage_values.probability = coalesce(o.probability, -1);
    delete from stage_values
    where workspace_id = old.workspace_id and stage_id = old.stage_id and cards = 0;
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select o.workspace_id, new.stage_id, o.currency, coalesce(o.probability, -1), 1,
           coalesce(o.value, o.products_value) / 1000000000,
           coalesce(o.value, o.products_value) % 1000000000
    from opportunities o
    where o.workspace_id = new.workspace_id and o.id = new.opportunity_id
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = cards + 1, billions = billions + excluded.billions, rest = rest + excluded.rest;
end;

-- What the planner can't know of keys that begin with the workspace: that this
-- narrows down nothing, and what follows nearly all. Else it checks who refers to
-- a row that is deleted by reading all that the workspace has, since in these
-- tables the rows lie in their key. It makes no other statistics.
analyze sqlite_schema;
insert into sqlite_stat1 (tbl, idx, stat) values
    ('cards', 'cards', '1048576 1048576 2 1'),
    ('opportunity_contacts', 'opportunity_contacts', '1048576 1048576 2 1'),
    ('opportunity_users', 'opportunity_users', '1048576 1048576 2 1'),
    ('employments', 'employments', '1048576 1048576 2 1');
analyze sqlite_schema;
