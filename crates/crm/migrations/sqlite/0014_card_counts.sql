-- A card's index is read from one row for each digit of its rank, rather than added
-- up from many.

drop trigger card_counts_added;
drop trigger card_counts_removed;
drop trigger card_counts_moved;
drop table card_counts;

-- A run is all of the whole part of a rank, whose first letter says how many digits
-- follow; or of a very long one the first five characters.
update cards set run = substr(rank, 1, min(5, case
    when rank < 'a' then 92 - unicode(rank)
    else unicode(rank) - 95
end));

-- Of the cards of a stage whose run begins with a prefix, how many go on with which
-- letter or digit. Written by triggers alone, which leave nothing of a stage without
-- cards. The key begins with what differs most.
create table card_counts (
    workspace_id blob not null,
    stage_id     blob not null,
    prefix       text not null,
    counts       blob not null,
    primary key (prefix, stage_id, workspace_id)
) strict, without rowid;

-- By way of a trigger, because an upsert of several letters into one row can't say
-- which letter it is about.
create table cards_to_count (workspace_id, stage_id, prefix, letter, cards);

create trigger cards_to_count_added after insert on cards_to_count
begin
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    values (new.workspace_id, new.stage_id, new.prefix, count_changed(null, new.letter, new.cards))
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, new.letter, new.cards);
end;

insert into cards_to_count
select c.workspace_id, c.stage_id, substr(c.run, 1, n.length - 1), substr(c.run, n.length, 1), count(*)
from cards c
join (select 1 as length union all select 2 union all select 3 union all select 4 union all select 5) n
  on n.length <= length(c.run)
group by 1, 2, 3, 4;

drop table cards_to_count;

-- Each row is found by its key: a list of keys would be made a table of for every
-- card that moves.

create trigger card_counts_added after insert on cards
begin
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    values (new.workspace_id, new.stage_id, '', count_changed(null, substr(new.run, 1, 1), 1))
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 1, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    values (new.workspace_id, new.stage_id, substr(new.run, 1, 1), count_changed(null, substr(new.run, 2, 1), 1))
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 2, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    select new.workspace_id, new.stage_id, substr(new.run, 1, 2), count_changed(null, substr(new.run, 3, 1), 1)
    where length(new.run) >= 3
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 3, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    select new.workspace_id, new.stage_id, substr(new.run, 1, 3), count_changed(null, substr(new.run, 4, 1), 1)
    where length(new.run) >= 4
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 4, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    select new.workspace_id, new.stage_id, substr(new.run, 1, 4), count_changed(null, substr(new.run, 5, 1), 1)
    where length(new.run) >= 5
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 5, 1), 1);
end;

create trigger card_counts_removed after delete on cards
begin
    update card_counts set counts = count_changed(counts, substr(old.run, 1, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = '';
    update card_counts set counts = count_changed(counts, substr(old.run, 2, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 1);
    update card_counts set counts = count_changed(counts, substr(old.run, 3, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 2) and length(old.run) >= 3;
    update card_counts set counts = count_changed(counts, substr(old.run, 4, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 3) and length(old.run) >= 4;
    update card_counts set counts = count_changed(counts, substr(old.run, 5, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 4) and length(old.run) >= 5;
end;

create trigger card_counts_moved after update of stage_id, run on cards
when old.stage_id <> new.stage_id or old.run <> new.run
begin
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    values (new.workspace_id, new.stage_id, '', count_changed(null, substr(new.run, 1, 1), 1))
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 1, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    values (new.workspace_id, new.stage_id, substr(new.run, 1, 1), count_changed(null, substr(new.run, 2, 1), 1))
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 2, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    select new.workspace_id, new.stage_id, substr(new.run, 1, 2), count_changed(null, substr(new.run, 3, 1), 1)
    where length(new.run) >= 3
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 3, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    select new.workspace_id, new.stage_id, substr(new.run, 1, 3), count_changed(null, substr(new.run, 4, 1), 1)
    where length(new.run) >= 4
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 4, 1), 1);
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    select new.workspace_id, new.stage_id, substr(new.run, 1, 4), count_changed(null, substr(new.run, 5, 1), 1)
    where length(new.run) >= 5
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(counts, substr(new.run, 5, 1), 1);
    update card_counts set counts = count_changed(counts, substr(old.run, 1, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = '';
    update card_counts set counts = count_changed(counts, substr(old.run, 2, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 1);
    update card_counts set counts = count_changed(counts, substr(old.run, 3, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 2) and length(old.run) >= 3;
    update card_counts set counts = count_changed(counts, substr(old.run, 4, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 3) and length(old.run) >= 4;
    update card_counts set counts = count_changed(counts, substr(old.run, 5, 1), -1)
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and prefix = substr(old.run, 1, 4) and length(old.run) >= 5;
end;

create trigger card_counts_emptied after update of counts on card_counts
when new.counts = x''
begin
    delete from card_counts
    where workspace_id = new.workspace_id and stage_id = new.stage_id and prefix = new.prefix;
end;

-- Nor is a stage looked through for what has become nothing each time that a card
-- leaves it.

drop trigger stage_values_card_removed;
drop trigger stage_values_card_moved;
drop trigger stage_values_opportunity_changed;
drop trigger stage_values_opportunity_removed;

create trigger stage_values_emptied after update of cards on stage_values
when new.cards = 0
begin
    delete from stage_values
    where workspace_id = new.workspace_id and stage_id = new.stage_id
      and currency = new.currency and probability = new.probability;
end;

-- Where the opportunity itself is deleted it is gone by now, and its part with it.
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
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select o.workspace_id, new.stage_id, o.currency, coalesce(o.probability, -1), 1,
           coalesce(o.value, o.products_value) / 1000000000,
           coalesce(o.value, o.products_value) % 1000000000
    from opportunities o
    where o.workspace_id = new.workspace_id and o.id = new.opportunity_id
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = cards + 1, billions = billions + excluded.billions, rest = rest + excluded.rest;
end;

create trigger stage_values_opportunity_changed
after update of currency, probability, value, products_value on opportunities
when old.currency <> new.currency or old.probability is not new.probability
  or coalesce(old.value, old.products_value) <> coalesce(new.value, new.products_value)
begin
    update stage_values
    set cards = cards - 1,
        billions = billions - coalesce(old.value, old.products_value) / 1000000000,
        rest = rest - coalesce(old.value, old.products_value) % 1000000000
    where workspace_id = old.workspace_id and currency = old.currency
      and probability = coalesce(old.probability, -1)
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select new.workspace_id, c.stage_id, new.currency, coalesce(new.probability, -1), 1,
           coalesce(new.value, new.products_value) / 1000000000,
           coalesce(new.value, new.products_value) % 1000000000
    from cards c
    where c.workspace_id = new.workspace_id and c.opportunity_id = new.id
      and c.rank is not null
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = cards + 1, billions = billions + excluded.billions, rest = rest + excluded.rest;
end;

create trigger stage_values_opportunity_removed before delete on opportunities
begin
    update stage_values
    set cards = cards - 1,
        billions = billions - coalesce(old.value, old.products_value) / 1000000000,
        rest = rest - coalesce(old.value, old.products_value) % 1000000000
    where workspace_id = old.workspace_id and currency = old.currency
      and probability = coalesce(old.probability, -1)
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
end;
