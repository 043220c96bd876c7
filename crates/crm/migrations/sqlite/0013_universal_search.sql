-- A document begins by a line break, as every line in it is ended by one: then a
-- part of a word can be looked for where words begin and end. Phone numbers are written
-- in capitals, which no other text here has: PostgreSQL's index knows no others. The
-- indexes are made anew at once, which is far quicker than that they learn one document
-- after the other.

drop trigger opportunity_search_changed;
update opportunity_search set doc = char(10) || replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
    doc,
    char(57387), 'A'), char(57392), 'B'), char(57393), 'C'), char(57394), 'D'),
    char(57395), 'E'), char(57396), 'F'), char(57397), 'G'), char(57398), 'H'),
    char(57399), 'I'), char(57400), 'J'), char(57401), 'K');
insert into opportunity_search_index (opportunity_search_index) values ('rebuild');

create trigger opportunity_search_changed after update of doc on opportunity_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('opportunity_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

drop trigger contact_search_changed;
update contact_search set doc = char(10) || replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
    doc,
    char(57387), 'A'), char(57392), 'B'), char(57393), 'C'), char(57394), 'D'),
    char(57395), 'E'), char(57396), 'F'), char(57397), 'G'), char(57398), 'H'),
    char(57399), 'I'), char(57400), 'J'), char(57401), 'K');
insert into contact_search_index (contact_search_index) values ('rebuild');

create trigger contact_search_changed after update of doc on contact_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('contact_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;

drop trigger company_search_changed;
update company_search set doc = char(10) || replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
    doc,
    char(57387), 'A'), char(57392), 'B'), char(57393), 'C'), char(57394), 'D'),
    char(57395), 'E'), char(57396), 'F'), char(57397), 'G'), char(57398), 'H'),
    char(57399), 'I'), char(57400), 'J'), char(57401), 'K');
insert into company_search_index (company_search_index) values ('rebuild');

create trigger company_search_changed after update of doc on company_search when old.doc <> new.doc
begin
    insert into index_queue (source, number, old_doc, new_doc)
    values ('company_search', new.number, old.doc, new.doc)
    on conflict (source, number) do update set new_doc = excluded.new_doc;
end;
