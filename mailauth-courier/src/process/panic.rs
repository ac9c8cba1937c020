//! Limiting the effect of a panic to one request.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work` and returns its result; `None` if it panicked, which is logged. The values that `work` held are dropped:
/// its connection is closed, which means "not now".
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work))
        .inspect_err(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?");
            tracing::error!(panic = text, "internal error: a request was aborted; please report this bug");
        })
        .ok()
}
