-- A document begins by a line break, as every line in it is ended by one: then a
-- part of a word can be looked for where words begin and end. Phone numbers are written
-- in capitals, which no other text here has: the letters that they had were none to the
-- index. The indexes are made anew at once, which is far quicker than that they learn
-- one document after the other.

drop index opportunity_search_index;
update opportunity_search set doc = E'\n' || translate(
    doc, U&'\E02B\E030\E031\E032\E033\E034\E035\E036\E037\E038\E039', 'ABCDEFGHIJK'
);
create index opportunity_search_index on opportunity_search using gin (doc gin_trgm_ops);

drop index contact_search_index;
update contact_search set doc = E'\n' || translate(
    doc, U&'\E02B\E030\E031\E032\E033\E034\E035\E036\E037\E038\E039', 'ABCDEFGHIJK'
);
create index contact_search_index on contact_search using gin (doc gin_trgm_ops);

drop index company_search_index;
update company_search set doc = E'\n' || translate(
    doc, U&'\E02B\E030\E031\E032\E033\E034\E035\E036\E037\E038\E039', 'ABCDEFGHIJK'
);
create index company_search_index on company_search using gin (doc gin_trgm_ops);
