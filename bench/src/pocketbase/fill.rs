//! The seed's records, put straight into PocketBase's database while it is
//! stopped.

use std::path::Path;

use rusqlite::Connection;

use crate::Failure;

/// Fills the database with what the seed holds.
pub(super) fn fill(database: &Path, seed: &Path) -> Result<(), Failure> {
    let connection = Connection::open(database)?;
    let seed = seed
        .to_str()
        .ok_or("the data folder's name is not Unicode")?;
    connection.execute("attach ? as seed", [seed])?;
    connection.execute_batch(&format!("begin; {} commit; analyze main;", copy()))?;
    Ok(())
}

/// A column of milliseconds as PocketBase writes a moment.
fn moment(column: &str) -> String {
    format!("coalesce(strftime('%Y-%m-%d %H:%M:%fZ', {column} / 1000.0, 'unixepoch'), '')")
}

/// The statements that copy everything. An id there is a letter and fourteen
/// digits: here, those of the row that it was.
fn copy() -> String {
    let [created, updated, won, lost, entered] = [
        "created_at",
        "updated_at",
        "won_at",
        "lost_at",
        "entered_stage_at",
    ]
    .map(moment);
    format!(
        "
        insert into companies (id, name, email, phone, website, industry, created, updated)
        select printf('k%014d', rowid), name, coalesce(email, ''), coalesce(phone, ''),
               coalesce(website, ''), coalesce(industry, ''), {created}, {updated}
        from seed.companies;

        insert into contacts (id, first_name, last_name, email, phone, city, source, created,
                              updated)
        select printf('c%014d', rowid), first_name, coalesce(last_name, ''), coalesce(email, ''),
               coalesce(phone, ''), coalesce(city, ''), coalesce(source, ''), {created}, {updated}
        from seed.contacts;

        insert into pipelines (id, name, position, created, updated)
        select printf('p%014d', rowid), name, position, {created}, {updated}
        from seed.pipelines;

        insert into stages (id, pipeline, name, color, position, is_won, is_lost, created, updated)
        select printf('s%014d', rowid),
               (select printf('p%014d', p.rowid) from seed.pipelines p
                where p.workspace_id = s.workspace_id and p.id = s.pipeline_id),
               name, color, position, is_won_stage, is_lost_stage, {created}, {updated}
        from seed.stages s;

        insert into opportunities (id, name, status, contact, company, value, currency,
                                   probability, expected_close_date, won_at, lost_at, lead_source,
                                   tags, notes, created, updated)
        select printf('o%014d', rowid), name, status,
               coalesce((select printf('c%014d', c.rowid) from seed.contacts c
                         where c.workspace_id = o.workspace_id and c.id = o.contact_id), ''),
               coalesce((select printf('k%014d', k.rowid) from seed.companies k
                         where k.workspace_id = o.workspace_id and k.id = o.company_id), ''),
               coalesce(value, 0) / 10000.0, currency, coalesce(probability, 0) / 10000.0,
               coalesce(expected_close_date || ' 00:00:00.000Z', ''), {won}, {lost},
               coalesce(lead_source, ''), tags, coalesce(notes, ''), {created}, {updated}
        from seed.opportunities o;

        insert into cards (id, opportunity, pipeline, stage, rank, entered_stage, created, updated)
        select printf('d%014d', row_number() over ()),
               (select printf('o%014d', o.rowid) from seed.opportunities o
                where o.workspace_id = c.workspace_id and o.id = c.opportunity_id),
               (select printf('p%014d', p.rowid) from seed.pipelines p
                where p.workspace_id = c.workspace_id and p.id = c.pipeline_id),
               (select printf('s%014d', s.rowid) from seed.stages s
                where s.workspace_id = c.workspace_id and s.id = c.stage_id),
               rank, {entered}, {entered}, {entered}
        from seed.cards c;
        "
    )
}

/// The ids of some opportunities.
pub(super) fn some(database: &Path, count: u32) -> Result<Vec<String>, Failure> {
    let connection = Connection::open(database)?;
    let mut statement =
        connection.prepare("select id from opportunities order by random() limit ?")?;
    let ids = statement.query_map([count], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
