-- A card's index is read from one row for each digit of its rank, rather than added
-- up from many.

drop trigger card_counts_follow on cards;
drop trigger card_counts_move on cards;
drop table card_counts;

-- A run is all of the whole part of a rank, whose first letter says how many digits
-- follow; or of a very long one the first five characters.
update cards set run = left(rank, least(5, case
    when rank < 'a' collate "C" then 92 - ascii(rank)
    else ascii(rank) - 95
end));

-- Of the cards of a stage whose run begins with a prefix, how many go on with which
-- letter or digit: in the order of ASCII from '0' on, four bytes for each, the lowest
-- first, up to the last one of which there are any. Written by triggers alone, which
-- leave nothing of a stage without cards. The key begins with what differs most.
create table card_counts (
    workspace_id uuid  not null,
    stage_id     uuid  not null,
    prefix       text  collate "C" not null,
    counts       bytea not null,
    primary key (prefix, stage_id, workspace_id)
);

-- The cards that go on with what sorts before a letter.
create function counted_before(counts bytea, letter text) returns bigint
language sql immutable as $$
    select coalesce(sum(
               get_byte(counts, at) + (get_byte(counts, at + 1) << 8)
               + (get_byte(counts, at + 2) << 16) + (get_byte(counts, at + 3)::bigint << 24)
           ), 0)::bigint
    from generate_series(0, least(length(counts), (ascii(letter) - 48) * 4) - 4, 4) as at
$$;

create function count_changed(counts bytea, letter text, by integer) returns bytea
language plpgsql immutable as $$
declare
    changed bytea := coalesce(counts, '');
    at integer := (ascii(letter) - 48) * 4;
    count integer;
begin
    if length(changed) < at + 4 then
        changed := changed || decode(repeat('00', at + 4 - length(changed)), 'hex');
    end if;
    count := by + get_byte(changed, at) + (get_byte(changed, at + 1) << 8)
             + (get_byte(changed, at + 2) << 16) + (get_byte(changed, at + 3) << 24);
    if count < 0 then
        raise exception 'a counter would leave its range';
    end if;
    for byte in 0..3 loop
        changed := set_byte(changed, at + byte, (count >> (8 * byte)) & 255);
    end loop;
    while length(changed) > 0 and substr(changed, length(changed) - 3) = '\x00000000'::bytea loop
        changed := substr(changed, 1, length(changed) - 4);
    end loop;
    return changed;
end
$$;

create function count_letter(workspace uuid, stage uuid, shared text, letter text, by integer)
returns void language sql as $$
    insert into card_counts (workspace_id, stage_id, prefix, counts)
    values (workspace, stage, shared, count_changed(null, letter, by))
    on conflict (prefix, stage_id, workspace_id) do update
    set counts = count_changed(card_counts.counts, letter, by)
$$;

select count_letter(workspace_id, stage_id, prefix, letter, cards::integer)
from (
    select c.workspace_id, c.stage_id, left(c.run, n - 1) as prefix, substr(c.run, n, 1) as letter,
           count(*) as cards
    from cards c
    join generate_series(1, 5) as n on n <= length(c.run)
    group by 1, 2, 3, 4
) counted;

-- What a statement adds is counted together: within a transaction every change of a
-- row leaves one more version of it that the next has to pass. From the shortest
-- prefix on, so that two who count the same prefixes wait for each other and never
-- each for the other.
create function count_new_cards() returns trigger language plpgsql as $$
declare
    counted record;
begin
    for counted in
        select c.workspace_id, c.stage_id, left(c.run, n - 1) as prefix, substr(c.run, n, 1) as letter,
               count(*)::integer as cards
        from added c
        join generate_series(1, 5) as n on n <= length(c.run)
        group by 1, 2, 3, 4
        order by c.stage_id, length(left(c.run, n - 1)), left(c.run, n - 1)
    loop
        perform count_letter(
            counted.workspace_id, counted.stage_id, counted.prefix, counted.letter, counted.cards
        );
    end loop;
    return null;
end
$$;

create or replace function count_cards() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        for n in 1..length(new.run) loop
            perform count_letter(new.workspace_id, new.stage_id, left(new.run, n - 1), substr(new.run, n, 1), 1);
        end loop;
    end if;
    for n in 1..length(old.run) loop
        update card_counts set counts = count_changed(counts, substr(old.run, n, 1), -1)
        where workspace_id = old.workspace_id and stage_id = old.stage_id
          and prefix = left(old.run, n - 1);
        delete from card_counts
        where workspace_id = old.workspace_id and stage_id = old.stage_id
          and prefix = left(old.run, n - 1) and counts = '';
    end loop;
    return null;
end
$$;

create trigger card_counts_added after insert on cards
    referencing new table as added for each statement execute function count_new_cards();
create trigger card_counts_removed after delete on cards
    for each row execute function count_cards();
create trigger card_counts_moved after update of stage_id, run on cards
    for each row when (old.stage_id <> new.stage_id or old.run <> new.run)
    execute function count_cards();
