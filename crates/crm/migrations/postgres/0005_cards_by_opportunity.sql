-- A card is named by its opportunity and its pipeline: it needs no index of its
-- own id.

alter table cards
    drop constraint cards_pkey,
    drop constraint cards_workspace_id_opportunity_id_pipeline_id_key,
    add primary key (workspace_id, opportunity_id, pipeline_id);
