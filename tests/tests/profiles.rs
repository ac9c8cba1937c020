//! The tables of other programs (`tests/schemas`), read by the real programs as they are.

#[path = "profiles/answers.rs"]
mod answers;
#[path = "profiles/cases.rs"]
mod cases;
#[path = "profiles/changes.rs"]
mod changes;
#[path = "profiles/configured.rs"]
mod configured;
#[path = "profiles/lists.rs"]
mod lists;
#[path = "profiles/outage.rs"]
mod outage;
#[path = "profiles/versions.rs"]
mod versions;
