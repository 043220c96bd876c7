-- Fewer rows are counted for each card: the whole part of a rank begins with its
-- length, so that runs of one letter and those of two are told apart by their first
-- two characters, and nothing has to be counted by the first alone.

update card_counts set length = 2 where length = 1 and prefix in ('Z', 'a');
delete from card_counts where length = 1;

-- Row by row from the shortest prefix on, so that two who count the same
-- prefixes wait for each other and never each for the other.
create or replace function count_cards() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        for n in 2..greatest(2, length(new.run)) loop
            insert into card_counts (workspace_id, stage_id, length, prefix, cards)
            values (new.workspace_id, new.stage_id, n, left(new.run, n), 1)
            on conflict (workspace_id, stage_id, length, prefix)
            do update set cards = card_counts.cards + 1;
        end loop;
    end if;
    if tg_op <> 'INSERT' then
        for n in 2..greatest(2, length(old.run)) loop
            update card_counts set cards = cards - 1
            where workspace_id = old.workspace_id and stage_id = old.stage_id
              and length = n and prefix = left(old.run, n);
            delete from card_counts
            where workspace_id = old.workspace_id and stage_id = old.stage_id
              and length = n and prefix = left(old.run, n) and cards = 0;
        end loop;
    end if;
    return null;
end
$$;
