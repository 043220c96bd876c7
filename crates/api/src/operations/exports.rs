//! `/crm/export`: whole lists as files.

use crm::exports;

use crate::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/crm/export", "export_records")
            .one_scope_of(exports::LISTED.iter().map(|kind| kind.scope))
            .about(
                "Export a list as CSV or XLSX",
                "All that the filters of their list let through, newest first, as a file of any \
                 length: a line of headings and a row for each record, with its fields in the order of \
                 an answer. Beside the ids stand names, and an opportunity has the pipelines and \
                 stages of its cards. The file is read while it is sent, a page at a time: what is \
                 there from beginning to end is in it once. What breaks off has no proper end. A \
                 filter that the list does not have is ignored and named in the header \
                 `x-warnings`. It is no tool: lists and searches answer agents.",
            )
            .export(),
    ]
}
