-- Fewer rows are counted for each card: the whole part of a rank begins with its
-- length, so that runs of one letter and those of two are told apart by their first
-- two characters, and nothing has to be counted by the first alone.

update card_counts set length = 2 where length = 1 and prefix in ('Z', 'a');
delete from card_counts where length = 1;

-- Each count is found by its key: a list of keys would be made a table of for every
-- card that moves.

drop trigger card_counts_added;
drop trigger card_counts_removed;
drop trigger card_counts_moved;

create trigger card_counts_added after insert on cards
begin
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    values (new.workspace_id, new.stage_id, 2, substr(new.run, 1, 2), 1)
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    select new.workspace_id, new.stage_id, 3, substr(new.run, 1, 3), 1
    where length(new.run) >= 3
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    select new.workspace_id, new.stage_id, 4, substr(new.run, 1, 4), 1
    where length(new.run) >= 4
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
end;

create trigger card_counts_removed after delete on cards
begin
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and length = 2 and prefix = substr(old.run, 1, 2);
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and length = 3 and prefix = substr(old.run, 1, 3) and length(old.run) >= 3;
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and length = 4 and prefix = substr(old.run, 1, 4) and length(old.run) >= 4;
end;

create trigger card_counts_moved after update of stage_id, run on cards
when old.stage_id <> new.stage_id or old.run <> new.run
begin
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    values (new.workspace_id, new.stage_id, 2, substr(new.run, 1, 2), 1)
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    select new.workspace_id, new.stage_id, 3, substr(new.run, 1, 3), 1
    where length(new.run) >= 3
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
    insert into card_counts (workspace_id, stage_id, length, prefix, cards)
    select new.workspace_id, new.stage_id, 4, substr(new.run, 1, 4), 1
    where length(new.run) >= 4
    on conflict (workspace_id, stage_id, length, prefix) do update set cards = cards + 1;
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and length = 2 and prefix = substr(old.run, 1, 2);
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and length = 3 and prefix = substr(old.run, 1, 3) and length(old.run) >= 3;
    update card_counts set cards = cards - 1
    where workspace_id = old.workspace_id and stage_id = old.stage_id
      and length = 4 and prefix = substr(old.run, 1, 4) and length(old.run) >= 4;
end;

create trigger card_counts_emptied after update of cards on card_counts
when new.cards = 0
begin
    delete from card_counts
    where workspace_id = new.workspace_id and stage_id = new.stage_id
      and length = new.length and prefix = new.prefix;
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
