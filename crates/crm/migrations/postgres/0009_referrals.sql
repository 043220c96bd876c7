-- Who has referred whom. A referral outlasts what it led to, but not who made it:
-- a contact who has referred someone can't be deleted.

create table referrals (
    workspace_id            uuid        not null references workspaces (id),
    id                      uuid        not null,
    referrer_contact_id     uuid        not null,
    referred_contact_id     uuid,
    referred_opportunity_id uuid,
    source                  text        not null check (source in ('form', 'manual', 'api')),
    status                  text        not null check (status in ('pending', 'accepted', 'converted', 'declined')),
    category                text,
    notes                   text,
    converted_at            timestamptz,
    created_at              timestamptz not null,
    updated_at              timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, referrer_contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, referred_contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, referred_opportunity_id) references opportunities (workspace_id, id),
    check ((status = 'converted') = (converted_at is not null))
);

create index referrals_by_referrer on referrals (workspace_id, referrer_contact_id, id);
create index referrals_by_contact on referrals (workspace_id, referred_contact_id, id) where referred_contact_id is not null;
create index referrals_by_opportunity on referrals (workspace_id, referred_opportunity_id, id) where referred_opportunity_id is not null;
create index referrals_by_source on referrals (workspace_id, source, id);
create index referrals_by_status on referrals (workspace_id, status, id);
create index referrals_by_category on referrals (workspace_id, category, id) where category is not null;

-- An opportunity knows who has referred it most recently. The opportunities are
-- locked before anything is looked at: of two whose referrals name one at once,
-- the second sees what the first has written.

create function keep_primary_referrer() returns trigger language plpgsql as $$
declare
    workspace uuid := coalesce(new.workspace_id, old.workspace_id);
begin
    perform 1 from opportunities o
    where o.workspace_id = workspace and o.id in (old.referred_opportunity_id, new.referred_opportunity_id)
    order by o.id
    for no key update;
    update opportunities o
    set (primary_referrer_contact_id, primary_referrer_category) = (
        select r.referrer_contact_id, r.category from referrals r
        where r.workspace_id = o.workspace_id and r.referred_opportunity_id = o.id
        order by r.id desc limit 1)
    where o.workspace_id = workspace and o.id in (old.referred_opportunity_id, new.referred_opportunity_id);
    return null;
end
$$;

create trigger primary_referrer_added after insert on referrals
    for each row when (new.referred_opportunity_id is not null)
    execute function keep_primary_referrer();
create trigger primary_referrer_removed after delete on referrals
    for each row when (old.referred_opportunity_id is not null)
    execute function keep_primary_referrer();
create trigger primary_referrer_changed
    after update of referrer_contact_id, referred_opportunity_id, category on referrals
    for each row when (
        old.referrer_contact_id <> new.referrer_contact_id
        or old.referred_opportunity_id is distinct from new.referred_opportunity_id
        or old.category is distinct from new.category
    )
    execute function keep_primary_referrer();
