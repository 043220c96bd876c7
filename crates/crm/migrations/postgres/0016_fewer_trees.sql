-- No card comes before its opportunity, so an opportunity that is added has none yet to
-- be worth anything in.
drop trigger stage_values_opportunity_added on opportunities;
