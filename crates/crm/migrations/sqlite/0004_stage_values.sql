-- What the opportunities of a stage are worth, kept as they change: to add them
-- up anew would take longer the more there are.

create table stage_values (
    workspace_id blob    not null,
    stage_id     blob    not null,
    currency     text    not null,
    -- The opportunities' own one; -1 for those that have none.
    probability  integer not null,
    cards        integer not null,
    -- A sum of 64-bit amounts can outgrow 64 bits, so each half is summed alone.
    billions     integer not null,
    rest         integer not null,
    primary key (workspace_id, stage_id, currency, probability),
    foreign key (workspace_id, stage_id) references stages (workspace_id, id) on delete cascade
) strict, without rowid;

insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
select c.workspace_id, c.stage_id, o.currency, coalesce(o.probability, -1), count(*),
       sum(coalesce(o.value, o.products_value) / 1000000000),
       sum(coalesce(o.value, o.products_value) % 1000000000)
from cards c
join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
group by 1, 2, 3, 4;

-- An opportunity's cards are asked for their rank as well, which they all have:
-- an index that holds only the stage would be read from end to end.

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

-- Only rows that are copied in come after their cards.
create trigger stage_values_opportunity_added after insert on opportunities
begin
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
    delete from stage_values
    where workspace_id = old.workspace_id and cards = 0
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
    delete from stage_values
    where workspace_id = old.workspace_id and cards = 0
      and stage_id in (select c.stage_id from cards c
                       where c.workspace_id = old.workspace_id and c.opportunity_id = old.id
                         and c.rank is not null);
end;
