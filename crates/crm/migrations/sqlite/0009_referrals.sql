-- Who has referred whom. A referral outlasts what it led to, but not who made it:
-- a contact who has referred someone can't be deleted.

create table referrals (
    workspace_id            blob    not null references workspaces (id),
    id                      blob    not null,
    referrer_contact_id     blob    not null,
    referred_contact_id     blob,
    referred_opportunity_id blob,
    source                  text    not null check (source in ('form', 'manual', 'api')),
    status                  text    not null check (status in ('pending', 'accepted', 'converted', 'declined')),
    category                text,
    notes                   text,
    converted_at            integer,
    created_at              integer not null,
    updated_at              integer not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, referrer_contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, referred_contact_id) references contacts (workspace_id, id),
    foreign key (workspace_id, referred_opportunity_id) references opportunities (workspace_id, id),
    check ((status = 'converted') = (converted_at is not null))
) strict;

create index referrals_by_referrer on referrals (workspace_id, referrer_contact_id, id);
create index referrals_by_contact on referrals (workspace_id, referred_contact_id, id) where referred_contact_id is not null;
create index referrals_by_opportunity on referrals (workspace_id, referred_opportunity_id, id) where referred_opportunity_id is not null;
create index referrals_by_source on referrals (workspace_id, source, id);
create index referrals_by_status on referrals (workspace_id, status, id);
create index referrals_by_category on referrals (workspace_id, category, id) where category is not null;

-- An opportunity knows who has referred it most recently.

create trigger primary_referrer_added after insert on referrals when new.referred_opportunity_id is not null
begin
    update opportunities
    set (primary_referrer_contact_id, primary_referrer_category) = (
        select r.referrer_contact_id, r.category from referrals r
        where r.workspace_id = new.workspace_id and r.referred_opportunity_id = new.referred_opportunity_id
        order by r.id desc limit 1)
    where workspace_id = new.workspace_id and id = new.referred_opportunity_id;
end;

create trigger primary_referrer_removed after delete on referrals when old.referred_opportunity_id is not null
begin
    update opportunities
    set (primary_referrer_contact_id, primary_referrer_category) = (
        select r.referrer_contact_id, r.category from referrals r
        where r.workspace_id = old.workspace_id and r.referred_opportunity_id = old.referred_opportunity_id
        order by r.id desc limit 1)
    where workspace_id = old.workspace_id and id = old.referred_opportunity_id;
end;

create trigger primary_referrer_changed
after update of referrer_contact_id, referred_opportunity_id, category on referrals
when old.referrer_contact_id <> new.referrer_contact_id
  or old.referred_opportunity_id is not new.referred_opportunity_id
  or old.category is not new.category
begin
    update opportunities
    set (primary_referrer_contact_id, primary_referrer_category) = (
        select r.referrer_contact_id, r.category from referrals r
        where r.workspace_id = opportunities.workspace_id and r.referred_opportunity_id = opportunities.id
        order by r.id desc limit 1)
    where workspace_id = new.workspace_id and id in (old.referred_opportunity_id, new.referred_opportunity_id);
end;
