-- What the text indexes have yet to learn. Written into one by one they would
-- write down what they have gathered before every statement that can fail, in
-- pieces that have to be merged again; so they learn it all at the end of a
-- transaction, when the store empties this table.
--
-- Of a document that changes several times `old_doc` is what the index knows and
-- `new_doc` what it is to know.

create table index_queue (
    source  text    not null,
    number  integer not null,
    old_doc text,
    new_doc text,
    primary key (source, number)
) strict, without rowid;

drop trigger opportunity_search_added;
drop trigger opportunity_search_changed;
drop trigger opportunity_search_removed;

create trigger opportunity_search_added after insert on opportunity_search
begin
    insert into index_queue (source, number, new_doc) values ('opportunity_search', new.number, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger opportunity_search_changed after update of doc on opportunity_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('opportunity_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger opportunity_search_removed after delete on opportunity_search
begin
    insert into index_queue (source, number, old_doc) values ('opportunity_search', old.number, old.doc)
    on conflict (source, number) do update set new_doc = null;
end;

create trigger opportunity_search_learned after delete on index_queue when old.source = 'opportunity_search'
begin
    insert into opportunity_search_index (opportunity_search_index, rowid, doc)
    select 'delete', old.number, old.old_doc where old.old_doc is not null;
    insert into opportunity_search_index (rowid, doc)
    select old.number, old.new_doc where old.new_doc is not null;
end;

drop trigger contact_search_added;
drop trigger contact_search_changed;
drop trigger contact_search_removed;

create trigger contact_search_added after insert on contact_search
begin
    insert into index_queue (source, number, new_doc) values ('contact_search', new.number, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger contact_search_changed after update of doc on contact_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('contact_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger contact_search_removed after delete on contact_search
begin
    insert into index_queue (source, number, old_doc) values ('contact_search', old.number, old.doc)
    on conflict (source, number) do update set new_doc = null;
end;

create trigger contact_search_learned after delete on index_queue when old.source = 'contact_search'
begin
    insert into contact_search_index (contact_search_index, rowid, doc)
    select 'delete', old.number, old.old_doc where old.old_doc is not null;
    insert into contact_search_index (rowid, doc)
    select old.number, old.new_doc where old.new_doc is not null;
end;

drop trigger company_search_added;
drop trigger company_search_changed;
drop trigger company_search_removed;

create trigger company_search_added after insert on company_search
begin
    insert into index_queue (source, number, new_doc) values ('company_search', new.number, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger company_search_changed after update of doc on company_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('company_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

create trigger company_search_removed after delete on company_search
begin
    insert into index_queue (source, number, old_doc) values ('company_search', old.number, old.doc)
    on conflict (source, number) do update set new_doc = null;
end;

create trigger company_search_learned after delete on index_queue when old.source = 'company_search'
begin
    insert into company_search_index (company_search_index, rowid, doc)
    select 'delete', old.number, old.old_doc where old.old_doc is not null;
    insert into company_search_index (rowid, doc)
    select old.number, old.new_doc where old.new_doc is not null;
end;
