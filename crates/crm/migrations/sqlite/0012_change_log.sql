-- The change log is read by whatever its rows say, the newest first. An id names
-- its record without the kind, which would only stand before it in the index.

drop index crm_field_change_log_by_entity;

create index crm_field_change_log_by_entity on crm_field_change_log (workspace_id, entity_id, id);
create index crm_field_change_log_by_kind on crm_field_change_log (workspace_id, entity_type, id);
create index crm_field_change_log_by_field on crm_field_change_log (workspace_id, field, id);
create index crm_field_change_log_by_actor on crm_field_change_log (workspace_id, actor_id, id)
    where actor_id is not null;
create index crm_field_change_log_by_actor_kind on crm_field_change_log (workspace_id, actor_type, id);
create index crm_field_change_log_by_request on crm_field_change_log (workspace_id, request_id, id)
    where request_id is not null;
