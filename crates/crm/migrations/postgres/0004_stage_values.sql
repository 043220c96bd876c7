-- What the opportunities of a stage are worth, kept as they change: to add them
-- up anew would take longer the more there are.

create table stage_values (
    workspace_id uuid    not null,
    stage_id     uuid    not null,
    currency     text    not null,
    -- The opportunities' own one; -1 for those that have none.
    probability  bigint  not null,
    cards        bigint  not null,
    -- A sum of 64-bit amounts can outgrow 64 bits, so each half is summed alone.
    billions     bigint  not null,
    rest         bigint  not null,
    primary key (workspace_id, stage_id, currency, probability),
    foreign key (workspace_id, stage_id) references stages (workspace_id, id) on delete cascade
);

insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
select c.workspace_id, c.stage_id, o.currency, coalesce(o.probability, -1), count(*),
       sum(coalesce(o.value, o.products_value) / 1000000000),
       sum(coalesce(o.value, o.products_value) % 1000000000)
from cards c
join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
group by 1, 2, 3, 4;

create function add_stage_value(opportunity opportunities, stage uuid) returns void language plpgsql as $$
declare
    worth bigint := coalesce(opportunity.value, opportunity.products_value);
begin
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    values (opportunity.workspace_id, stage, opportunity.currency,
            coalesce(opportunity.probability, -1), 1, worth / 1000000000, worth % 1000000000)
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = stage_values.cards + 1,
        billions = stage_values.billions + excluded.billions,
        rest = stage_values.rest + excluded.rest;
end
$$;

create function take_stage_value(opportunity opportunities, stage uuid) returns void language plpgsql as $$
declare
    worth bigint := coalesce(opportunity.value, opportunity.products_value);
begin
    update stage_values
    set cards = cards - 1, billions = billions - worth / 1000000000, rest = rest - worth % 1000000000
    where workspace_id = opportunity.workspace_id and stage_id = stage
      and currency = opportunity.currency and probability = coalesce(opportunity.probability, -1);
    delete from stage_values
    where workspace_id = opportunity.workspace_id and stage_id = stage and cards = 0;
end
$$;

create function value_card() returns trigger language plpgsql as $$
declare
    opportunity opportunities;
begin
    if tg_op <> 'INSERT' then
        select * into opportunity from opportunities o
        where o.workspace_id = old.workspace_id and o.id = old.opportunity_id;
        -- Where the opportunity itself is deleted it is gone by now, and its
        -- part with it.
        if found then
            perform take_stage_value(opportunity, old.stage_id);
        end if;
    end if;
    if tg_op <> 'DELETE' then
        select * into opportunity from opportunities o
        where o.workspace_id = new.workspace_id and o.id = new.opportunity_id;
        -- Rows that are copied in may come before their opportunity.
        if found then
            perform add_stage_value(opportunity, new.stage_id);
        end if;
    end if;
    return null;
end
$$;

create trigger stage_values_follow after insert or delete on cards
    for each row execute function value_card();
create trigger stage_values_move after update of stage_id on cards
    for each row when (old.stage_id <> new.stage_id)
    execute function value_card();

create function value_opportunity() returns trigger language plpgsql as $$
declare
    stage uuid;
begin
    for stage in
        select c.stage_id from cards c
        where c.workspace_id = coalesce(new.workspace_id, old.workspace_id)
          and c.opportunity_id = coalesce(new.id, old.id)
        order by c.stage_id
    loop
        if tg_op <> 'INSERT' then
            perform take_stage_value(old, stage);
        end if;
        if tg_op <> 'DELETE' then
            perform add_stage_value(new, stage);
        end if;
    end loop;
    return old;
end
$$;

create trigger stage_values_opportunity_added after insert on opportunities
    for each row execute function value_opportunity();
create trigger stage_values_opportunity_changed
    after update of currency, probability, value, products_value on opportunities
    for each row when (
        old.currency <> new.currency or old.probability is distinct from new.probability
        or coalesce(old.value, old.products_value) <> coalesce(new.value, new.products_value)
    )
    execute function value_opportunity();
create trigger stage_values_opportunity_removed before delete on opportunities
    for each row execute function value_opportunity();
