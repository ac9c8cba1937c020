//! `libpanicking.so`: a function for `${dlfunc` that panics, by the same way in and out as those that do not.

use std::ffi::{c_int, c_uchar};

/// Panics, if its one argument is `panic`; otherwise its answer is the argument.
///
/// # Safety
/// As [`mailauth_exim::dlfunc::call`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailauth_panicking(yielded: *mut *mut c_uchar, argc: c_int, argv: *mut *mut c_uchar) -> c_int {
    // SAFETY: as our own caller promises.
    unsafe {
        mailauth_exim::dlfunc::call(yielded, argc, argv, |arguments| match arguments {
            [b"panic"] => panic!("on purpose"),
            _ => (mailauth_exim::dlfunc::Status::Ok, arguments.concat().into()),
        })
    }
}
