//! `libpanicking.so`: a function for `${dlfunc` that panics, called through the same code as the real functions.

use std::ffi::{c_int, c_uchar};

/// Panics if its only argument is `panic`; otherwise returns the argument.
///
/// # Safety
/// As for [`mailauth_exim::dlfunc::call`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailauth_panicking(yielded: *mut *mut c_uchar, argc: c_int, argv: *mut *mut c_uchar) -> c_int {
    // SAFETY: the caller of this function promises the same.
    unsafe {
        mailauth_exim::dlfunc::call(yielded, argc, argv, |arguments| match arguments {
            [b"panic"] => panic!("on purpose"),
            _ => (mailauth_exim::dlfunc::Status::Ok, arguments.concat().into()),
        })
    }
}
