-- Searching: the folded text of each record, indexed by its trigrams.
-- `name_key` answers "exactly this name" and "a name that begins so".

create table opportunity_search (
    -- The index names rows by this, so it must outlast a vacuum.
    number       integer primary key,
    workspace_id blob not null,
    id           blob not null,
    name_key     text not null,
    doc          text not null,
    unique (workspace_id, id),
    foreign key (workspace_id, id) references opportunities (workspace_id, id)
) strict;

create index opportunity_search_by_name on opportunity_search (workspace_id, name_key, id);

create virtual table opportunity_search_index using fts5 (
    doc, content = 'opportunity_search', content_rowid = 'number', tokenize = 'trigram case_sensitive 1'
);

create trigger opportunity_search_added after insert on opportunity_search
begin
    insert into opportunity_search_index (rowid, doc) values (new.number, new.doc);
end;

create trigger opportunity_search_changed after update of doc on opportunity_search when old.doc <> new.doc
begin
    insert into opportunity_search_index (opportunity_search_index, rowid, doc) values ('delete', old.number, old.doc);
    insert into opportunity_search_index (rowid, doc) values (new.number, new.doc);
end;

create trigger opportunity_search_removed after delete on opportunity_search
begin
    insert into opportunity_search_index (opportunity_search_index, rowid, doc) values ('delete', old.number, old.doc);
end;

create table contact_search (
    -- The index names rows by this, so it must outlast a vacuum.
    number       integer primary key,
    workspace_id blob not null,
    id           blob not null,
    name_key     text not null,
    doc          text not null,
    unique (workspace_id, id),
    foreign key (workspace_id, id) references contacts (workspace_id, id)
) strict;

create index contact_search_by_name on contact_search (workspace_id, name_key, id);

create virtual table contact_search_index using fts5 (
    doc, content = 'contact_search', content_rowid = 'number', tokenize = 'trigram case_sensitive 1'
);

create trigger contact_search_added after insert on contact_search
begin
    insert into contact_search_index (rowid, doc) values (new.number, new.doc);
end;

create trigger contact_search_changed after update of doc on contact_search when old.doc <> new.doc
begin
    insert into contact_search_index (contact_search_index, rowid, doc) values ('delete', old.number, old.doc);
    insert into contact_search_index (rowid, doc) values (new.number, new.doc);
end;

create trigger contact_search_removed after delete on contact_search
begin
    insert into contact_search_index (contact_search_index, rowid, doc) values ('delete', old.number, old.doc);
end;

create table company_search (
    -- The index names rows by this, so it must outlast a vacuum.
    number       integer primary key,
    workspace_id blob not null,
    id           blob not null,
    name_key     text not null,
    doc          text not null,
    unique (workspace_id, id),
    foreign key (workspace_id, id) references companies (workspace_id, id)
) strict;

create index company_search_by_name on company_search (workspace_id, name_key, id);

create virtual table company_search_index using fts5 (
    doc, content = 'company_search', content_rowid = 'number', tokenize = 'trigram case_sensitive 1'
);

create trigger company_search_added after insert on company_search
begin
    insert into company_search_index (rowid, doc) values (new.number, new.doc);
end;

create trigger company_search_changed after update of doc on company_search when old.doc <> new.doc
begin
    insert into company_search_index (company_search_index, rowid, doc) values ('delete', old.number, old.doc);
    insert into company_search_index (rowid, doc) values (new.number, new.doc);
end;

create trigger company_search_removed after delete on company_search
begin
    insert into company_search_index (company_search_index, rowid, doc) values ('delete', old.number, old.doc);
end;
