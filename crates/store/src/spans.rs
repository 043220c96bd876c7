//! Where the time of a read or a write goes, for traces: from when it was asked
//! for to its end, and within that each time that its code ran. What lies
//! before is the wait for its turn or a connection, what comes after the commit.

use tracing::Span;
use tracing::span::EnteredSpan;

use crate::Engine;

/// A read or a write is asked for, as part of what is traced. What the program
/// does of itself has no span.
pub(crate) fn asked(what: &'static str, engine: Engine) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    let system = match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgresql",
    };
    tracing::info_span!("store", otel.name = what, db.system.name = system)
}

/// Its code runs, on whichever thread, until what is returned is dropped.
pub(crate) fn running(asked: &Span) -> EnteredSpan {
    if asked.is_disabled() {
        return Span::none().entered();
    }
    tracing::info_span!(parent: asked, "run").entered()
}
