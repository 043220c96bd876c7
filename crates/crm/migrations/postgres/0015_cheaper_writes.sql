-- What the cards and the opportunities that a statement adds are worth is added up
-- together: rows that are copied are many to a statement, and within a transaction every
-- change of a row leaves one more version of it that the next has to pass. They may come
-- before what they belong to: whichever comes last finds the other.

-- To its trigger, the rows that were added are the whole of their table.
create function value_added() returns trigger language plpgsql as $$
begin
    insert into stage_values (workspace_id, stage_id, currency, probability, cards, billions, rest)
    select c.workspace_id, c.stage_id, o.currency, coalesce(o.probability, -1), count(*),
           sum(coalesce(o.value, o.products_value) / 1000000000),
           sum(coalesce(o.value, o.products_value) % 1000000000)
    from cards c
    join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    on conflict (workspace_id, stage_id, currency, probability) do update
    set cards = stage_values.cards + excluded.cards,
        billions = stage_values.billions + excluded.billions,
        rest = stage_values.rest + excluded.rest;
    insert into stage_margins
        (workspace_id, stage_id, currency, cards, other_costs,
         products_billions, products_rest, cost_billions, cost_rest)
    select c.workspace_id, c.stage_id, o.currency, count(*),
           count(*) filter (where o.other_costs > 0),
           sum(o.products_value / 1000000000), sum(o.products_value % 1000000000),
           sum(o.products_cost / 1000000000), sum(o.products_cost % 1000000000)
    from cards c
    join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
    where o.product_lines > 0
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (workspace_id, stage_id, currency) do update
    set cards = stage_margins.cards + excluded.cards,
        other_costs = stage_margins.other_costs + excluded.other_costs,
        products_billions = stage_margins.products_billions + excluded.products_billions,
        products_rest = stage_margins.products_rest + excluded.products_rest,
        cost_billions = stage_margins.cost_billions + excluded.cost_billions,
        cost_rest = stage_margins.cost_rest + excluded.cost_rest;
    return null;
end
$$;

drop trigger stage_values_follow on cards;
create trigger stage_values_added after insert on cards
    referencing new table as cards for each statement execute function value_added();
create trigger stage_values_removed after delete on cards
    for each row execute function value_card();

drop trigger stage_values_opportunity_added on opportunities;
drop trigger stage_margins_opportunity_added on opportunities;
create trigger stage_values_opportunity_added after insert on opportunities
    referencing new table as opportunities for each statement execute function value_added();
