-- A text index gathers eight pieces before it merges them, not four: what is written
-- is merged less often, and a search has a few more pieces to look into.

insert into company_search_index (company_search_index, rank) values ('automerge', 8);
insert into contact_search_index (contact_search_index, rank) values ('automerge', 8);
insert into opportunity_search_index (opportunity_search_index, rank) values ('automerge', 8);
insert into product_search_index (product_search_index, rank) values ('automerge', 8);
