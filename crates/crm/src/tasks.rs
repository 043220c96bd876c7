//! Tasks: what is to be done, by whom and by when.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::companies::Company;
use crate::contacts::Contact;
use crate::error::Result;
use crate::mentions;
use crate::milestone::Milestone;
use crate::opportunities::Opportunity;
use crate::paging::{Page, PageRequest};
use crate::record::{self, New, Writable};
use crate::sql::Condition;
use crate::text::{Name, Notes, Text};
use crate::time::{Date, Moment, Timestamp};
use crate::users::User;

crate::words! {
    /// How far a task is.
    #[derive(Default)]
    pub enum TaskStatus {
        /// Not begun.
        #[default]
        Todo = "todo",
        /// Being worked on.
        InProgress = "in_progress",
        /// Done.
        Completed = "completed",
        /// No longer to be done.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// How much a task matters.
    #[derive(Default)]
    pub enum Priority {
        /// It can wait.
        Low = "low",
        /// As most do.
        #[default]
        Medium = "medium",
        /// More than most.
        High = "high",
        /// Before all else.
        Critical = "critical",
    }
}

crate::record! {
    /// A task: something that is to be done.
    pub struct Task in "tasks", called "task";
    /// The writable fields of a task.
    pub struct TaskFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
    }
    write {
        /// What is to be done.
        solid title: Name = "Send the drawings",
        /// More about it, up to 100,000 characters.
        patch description: Notes,
        /// How far it is; `todo` by default.
        plain status: TaskStatus,
        /// How much it matters; `medium` by default.
        plain priority: Priority,
        /// The day by which it is to be done.
        patch due_date: Date = "2026-03-02",
        /// When it was completed: set when the status becomes `completed`,
        /// unless it is given then, and cleared when that changes.
        patch completed_at: Timestamp = null,
        /// The user who is to do it.
        patch assigned_to: Uuid,
        /// The opportunity that it is about.
        patch opportunity_id ["deal_id"]: Uuid,
        /// The contact that it is about.
        patch contact_id: Uuid,
        /// The company that it is about.
        patch company_id ["customer_id"]: Uuid,
        /// What kind of task it is.
        patch category: Text<255> = "Follow-up",
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

crate::input! {
    /// Which tasks are listed.
    pub struct TaskFilter {
        /// Those that are that far.
        optional status: TaskStatus,
        /// Those that matter that much.
        optional priority: Priority,
        /// Those that this user is to do.
        optional assigned_to: Uuid,
        /// Those about this opportunity.
        optional opportunity_id ["deal_id"]: Uuid,
        /// Those about this contact.
        optional contact_id: Uuid,
        /// Those about this company.
        optional company_id ["customer_id"]: Uuid,
        /// Those of this kind.
        optional category: Text<255>,
        /// Those due on this day.
        optional due_date: Date = "2026-03-02",
        /// Those due on this day or later.
        optional due_after: Date,
        /// Those due before this day.
        optional due_before: Date,
        /// Those completed at this instant or later; a date means its start in UTC.
        optional completed_after: Moment,
        /// Those completed before this instant; a date means its start in UTC.
        optional completed_before: Moment,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of tasks.
    pub struct ListTasks {
        flatten filter: TaskFilter,
        flatten page: PageRequest,
    }
}

const COMPLETION: Milestone = Milestone {
    status: "completed",
    field: "completed_at",
};

/// A page of the tasks, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListTasks) -> Result<Page<Task>> {
    record::page(db, condition(who, &input.filter), input.page)
}

/// The condition of the tasks that `filter` lets through.
fn condition(who: &Caller, filter: &TaskFilter) -> Condition {
    let instant = |moment: Option<Moment>| moment.map(|moment| moment.0);
    let mut condition = record::all(who);
    condition
        .and_if("t.status = ?", filter.status)
        .and_if("t.priority = ?", filter.priority)
        .and_if("t.assigned_to = ?", filter.assigned_to)
        .and_if("t.opportunity_id = ?", filter.opportunity_id)
        .and_if("t.contact_id = ?", filter.contact_id)
        .and_if("t.company_id = ?", filter.company_id)
        .and_if("t.category = ?", filter.category.clone())
        .and_if("t.due_date = ?", filter.due_date)
        .and_if("t.due_date >= ?", filter.due_after)
        .and_if("t.due_date < ?", filter.due_before)
        .and_if("t.completed_at >= ?", instant(filter.completed_after))
        .and_if("t.completed_at < ?", instant(filter.completed_before))
        .and_if("t.created_at >= ?", instant(filter.created_after))
        .and_if("t.created_at < ?", instant(filter.created_before));
    condition
}

/// A page of the tasks about an opportunity, newest first.
pub fn of_opportunity(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<Task>> {
    record::check::<Opportunity>(db, who, id)?;
    let mut condition = record::all(who);
    condition.and("t.opportunity_id = ?", [id.into()]);
    record::page(db, condition, request)
}

/// Creates a task.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: New<TaskFields>) -> Result<Task> {
    let New(mut fields) = input;
    hold_what_is_named(tx, who, &fields)?;
    let status = *fields.status.get_or_insert_default();
    fields.priority.get_or_insert_default();
    let is_completed = status == TaskStatus::Completed;
    fields.completed_at = COMPLETION.follow(fields.completed_at, false, is_completed, who.now)?;
    record::insert(tx, who, who.new_id(), fields.columns())
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, mut fields: TaskFields) -> Result<Task> {
    hold_what_is_named(tx, who, &fields)?;
    let mut task = record::lock::<Task>(tx, who, id)?;
    let status = fields.status.unwrap_or(task.status);
    fields.completed_at = COMPLETION.follow(
        fields.completed_at,
        task.status == TaskStatus::Completed,
        status == TaskStatus::Completed,
        who.now,
    )?;
    let changes = fields.apply(&mut task);
    if !changes.is_empty() {
        task.updated_at = who.now;
    }
    record::update::<Task>(tx, who, id, &changes, [])?;
    Ok(task)
}

/// Completes a task; one that is completed already stays as it is.
pub fn complete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<Task> {
    let completed = TaskFields {
        status: Some(TaskStatus::Completed),
        ..TaskFields::default()
    };
    update(tx, who, id, completed)
}

/// Deletes a task.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    record::delete::<Task>(tx, who, id)
}

fn hold_what_is_named(tx: &Tx<'_>, who: &Caller, fields: &TaskFields) -> Result<()> {
    mentions::hold::<User>(tx, who, &fields.assigned_to)?;
    mentions::hold::<Contact>(tx, who, &fields.contact_id)?;
    mentions::hold::<Company>(tx, who, &fields.company_id)?;
    mentions::hold::<Opportunity>(tx, who, &fields.opportunity_id)
}

#[cfg(test)]
mod tests;
