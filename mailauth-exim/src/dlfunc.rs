//! The functions that Exim calls by `${dlfunc{libmailauth_exim.so}{mailauth_...}...}`.
//!
//! # The contract
//!
//! From Exim's specification ("Expanding local functions") and local_scan.h: `int f(uschar **yield, int argc, uschar
//! *argv[])`, with up to 8 arguments, each ended by a NUL. Exim copies the text at `*yield` before it does anything else.
//!
//! | answer | condition | value | word |
//! |---|---|---|---|
//! | yes | `OK` "yes" | `OK`, the value | `OK` "ok" |
//! | no | `OK` "no" | `FAIL_FORCED` | `OK` "unknown", `OK` "over ..." |
//! | not now | `FAIL`, the reason | `FAIL`, the reason | `FAIL`, the reason |
//!
//! If its second argument is `later`, `mailauth_domain` returns "not now" as `OK` with "later: " and the reason: an ACL
//! cannot continue after a failure, and authenticated users may send although it is unknown whether the domain is local.
//!
//! `DEFER` is never returned, because Exim writes each one to its panic log. A condition never returns `FAIL_FORCED`, after
//! which an ACL's `accept` would accept. The text is in memory of this object, which Exim considers untainted, so it never
//! contains what a client sent, but only what is stored in the table.
//!
//! Exim opens an object in each process that needs it, and each SMTP connection is a process: a fork of Exim's daemon.
//! [`mailauth_preload`] asks nothing; it is for the option `smtp_accept_max_per_host`, which Exim's daemon itself expands,
//! so that the object is opened there once and is open in each connection.
//!
//! This code runs in the process of another program. Therefore no panic leaves it, and no function starts a thread, leaves
//! a descriptor open, changes a signal's disposition or the environment, or calls a function of Exim.

use crate::ask::DATABASE_PROGRAM;
use crate::kept;
use crate::question::{Question, Said};
use mailauth_core::Login;
use mailauth_core::printable::printable;
use mailauth_core::sync::Mutex;
use std::any::Any;
use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_uchar};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::Path;
use std::sync::Once;
use zeroize::{Zeroize, Zeroizing};

/// The return values that Exim expects, from local_scan.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The text is the value.
    Ok = 0,
    /// The expansion fails, and the text is the reason.
    Fail = 2,
    /// The expansion fails as if by the word `fail`.
    FailForced = 4,
}

/// Maximum number of arguments that Exim passes. Further ones are not read.
const MOST_ARGUMENTS: usize = 8;

/// The login that was sent with the last right password, and its spelling in the table.
static LOGGED_IN: Mutex<Option<(Vec<u8>, Login)>> = Mutex::new(None);

/// The text that Exim reads after a call. The next call wipes it.
static TEXT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

macro_rules! functions {
    ($($name:ident: $question:literal;)*) => {
        $(
            #[doc = concat!("Answers the question `", $question, "` of [`crate::question`].")]
            ///
            /// # Safety
            /// To be called as Exim does: `argv` points to `argc` texts, and a pointer may be written to `yielded`.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(
                yielded: *mut *mut c_uchar,
                argc: c_int,
                argv: *mut *mut c_uchar,
            ) -> c_int {
                // SAFETY: the caller of this function promises the same.
                unsafe { call(yielded, argc, argv, |arguments| answer($question, arguments)) }
            }
        )*
    };
}

functions! {
    mailauth_login: "login";
    mailauth_domain: "domain";
    mailauth_may_store: "may_store";
    mailauth_recipient: "recipient";
    mailauth_account: "account";
    mailauth_alias: "alias";
    mailauth_cram: "cram";
    mailauth_sender: "sender";
}

/// Returns the login that this process has just verified, as the table spells it, for `server_set_id`. It asks nothing.
/// Exim also expands that option after a wrong password, for its log: then the login is folded to lower case, or left out
/// if it is not plain ASCII.
///
/// # Safety
/// To be called as Exim does: `argv` points to `argc` texts, and a pointer may be written to `yielded`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailauth_id(yielded: *mut *mut c_uchar, argc: c_int, argv: *mut *mut c_uchar) -> c_int {
    // SAFETY: the caller of this function promises the same.
    unsafe { call(yielded, argc, argv, id) }
}

fn id(arguments: &[&[u8]]) -> (Status, Zeroizing<Vec<u8>>) {
    let [sent] = arguments else {
        let why = format!("mailauth: id needs a login, and was given {} argument(s)", arguments.len());
        return (Status::Fail, Zeroizing::new(why.into_bytes()));
    };
    let logged_in = LOGGED_IN.lock();
    let login = match &*logged_in {
        Some((typed, login)) if typed == sent => Some(login.clone()),
        _ => Login::parse(sent, None).ok().filter(|login| login.as_str().bytes().all(is_plain)),
    };
    match login {
        Some(login) => (Status::Ok, Zeroizing::new(login.as_str().as_bytes().to_vec())),
        None => (Status::FailForced, Zeroizing::default()),
    }
}

/// Returns true for the bytes allowed in a text that a client sent and that Exim considers untainted: none of them has a
/// meaning in a path or an expansion.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"@.-_+=".contains(&byte)
}

/// Remembers the login that was verified, or whose secret Exim has received to verify it.
fn note(question: &Question, login: Option<Login>) {
    if let Question::Login { login: sent, .. } | Question::Cram(sent) = question {
        let mut logged_in = LOGGED_IN.lock();
        *logged_in = login.map(|login| (sent.clone(), login));
    }
}

/// Returns its argument, a number, and asks nothing: what Exim's daemon expands must not take time. If the configuration
/// has changed, it is read here, so that the processes that Exim's daemon forks need not do it.
///
/// # Safety
/// To be called as Exim does: `argv` points to `argc` texts, and a pointer may be written to `yielded`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailauth_preload(yielded: *mut *mut c_uchar, argc: c_int, argv: *mut *mut c_uchar) -> c_int {
    // SAFETY: the caller of this function promises the same.
    unsafe { call(yielded, argc, argv, preload) }
}

fn preload(arguments: &[&[u8]]) -> (Status, Zeroizing<Vec<u8>>) {
    let number = match arguments {
        [text] => std::str::from_utf8(text).ok().and_then(|text| text.parse::<u32>().ok()),
        _ => None,
    };
    match number {
        Some(number) => {
            // A mistake in the configuration is reported by the questions.
            let _ = kept::with_asker(database_program, |_| ());
            // The text is made from the number and is not the argument itself, which may come from a client.
            (Status::Ok, Zeroizing::new(number.to_string().into_bytes()))
        }
        None => (Status::Fail, Zeroizing::new(b"mailauth: preload needs a number, which it returns".to_vec())),
    }
}

/// Calls `function` with Exim's arguments, returns its text to Exim, and catches a panic.
///
/// # Safety
/// `argv` points to `argc` texts that end with NUL, and a pointer may be written to `yielded`.
pub unsafe fn call(
    yielded: *mut *mut c_uchar,
    argc: c_int,
    argv: *mut *mut c_uchar,
    function: impl FnOnce(&[&[u8]]) -> (Status, Zeroizing<Vec<u8>>),
) -> c_int {
    quiet_panics();
    let called = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller of this function promises the same.
        let arguments = unsafe { arguments(argc, argv) };
        function(&arguments)
    }));
    let (status, mut text) = called.unwrap_or_else(|panic| (Status::Fail, defect(&*panic)));
    // Exim's strings contain no NUL. A text from elsewhere is cut at the first one.
    if let Some(end) = text.iter().position(|b| *b == 0) {
        text.truncate(end);
    }
    text.push(0);
    let mut kept = TEXT.lock();
    kept.zeroize();
    *kept = std::mem::take(&mut text);
    // SAFETY: `yielded` belongs to Exim and may be written to. The text that it points to lives until the next call, and
    // Exim, which has one thread, copies it before that.
    unsafe { yielded.write(kept.as_mut_ptr()) };
    status as c_int
}

/// Returns the arguments that Exim passes.
///
/// # Safety
/// As for [`call`].
unsafe fn arguments<'a>(argc: c_int, argv: *mut *mut c_uchar) -> Vec<&'a [u8]> {
    let count = usize::try_from(argc).unwrap_or(0).min(MOST_ARGUMENTS);
    // SAFETY: `argv` has `argc` entries, each a text that ends with NUL, and they live until this call returns.
    (0..count).map(|at| unsafe { CStr::from_ptr((*argv.add(at)).cast::<c_char>()).to_bytes() }).collect()
}

fn answer(name: &str, arguments: &[&[u8]]) -> (Status, Zeroizing<Vec<u8>>) {
    let text = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let fail =
        |why: &dyn std::fmt::Display| (Status::Fail, text(&format!("mailauth: {}", printable(&why.to_string()))));
    let (arguments, goes_on) = match (name, arguments) {
        ("domain", [domain, b"later"]) => (std::slice::from_ref(domain), true),
        _ => (arguments, false),
    };
    let question = match Question::read(name, arguments) {
        Ok(question) => question,
        Err(misuse) => return fail(&misuse),
    };
    let answer = match kept::with_asker(database_program, |asker| (asker.ask(&question), asker.login())) {
        Ok((answer, login)) => {
            note(&question, login);
            answer
        }
        Err(errors) => return fail(&errors.to_string().replace('\n', "; ")),
    };
    match question.kind().say(answer) {
        Said::Yes(said) | Said::No(said) => (Status::Ok, Zeroizing::new(said.expose().to_vec())),
        Said::Nothing => (Status::FailForced, text("")),
        Said::NotNow(why) if goes_on => (Status::Ok, text(&format!("later: {}", printable(&why)))),
        Said::NotNow(why) => fail(&why),
    }
}

/// Returns the path of the program of this name in the folder of this object.
fn database_program() -> Option<Vec<OsString>> {
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is one of this object, and `found` has room for the result.
    if unsafe { libc::dladdr((&raw const TEXT).cast(), found.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: dladdr(3) has filled it, and zeros are valid as well.
    let name = unsafe { found.assume_init() }.dli_fname;
    if name.is_null() {
        return None;
    }
    // SAFETY: this is the object's path, a text that lives as long as the object.
    let object = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    Some(vec![object.with_file_name(DATABASE_PROGRAM).into()])
}

/// Keeps the message of a panic off the standard error, which may be a client's connection. The hook belongs to this
/// object's own copy of the standard library.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_hook(Box::new(|_| ())));
}

fn defect(panic: &(dyn Any + Send)) -> Zeroizing<Vec<u8>> {
    let said = panic.downcast_ref::<&str>().copied();
    let said = printable(said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?"));
    Zeroizing::new(format!("mailauth: internal error in this object; please report it: {said}").into_bytes())
}

/// If Miri is available, tests/run runs these tests with it too.
#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::ptr::null_mut;

    /// Calls a function as Exim does, with these texts and that count of them. Returns the code and the text.
    fn call_with(
        texts: &[&[u8]],
        argc: c_int,
        function: impl FnOnce(&[&[u8]]) -> (Status, Zeroizing<Vec<u8>>),
    ) -> (c_int, Vec<u8>) {
        let texts: Vec<CString> = texts.iter().map(|text| CString::new(*text).unwrap()).collect();
        let mut argv: Vec<*mut c_uchar> = texts.iter().map(|text| text.as_ptr().cast_mut().cast()).collect();
        let mut yielded = null_mut();
        // SAFETY: `argv` has a text for each of the `argc` entries that are read, and `yielded` may be written to.
        let code = unsafe { call(&raw mut yielded, argc, argv.as_mut_ptr(), function) };
        // SAFETY: this is a text of the object, which lives until the next call.
        let text = unsafe { CStr::from_ptr(yielded.cast_const().cast()) };
        (code, text.to_bytes().to_vec())
    }

    fn echo(arguments: &[&[u8]]) -> (Status, Zeroizing<Vec<u8>>) {
        (Status::Ok, Zeroizing::new(arguments.join(&b'|')))
    }

    /// Serializes the tests, because the process has one text of the last call.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn arguments_and_texts_are_those_that_were_given() {
        let _alone = ONE_AT_A_TIME.lock();
        assert_eq!(call_with(&[], 0, echo), (0, b"".to_vec()));
        assert_eq!(call_with(&[], -1, echo), (0, b"".to_vec()));
        assert_eq!(call_with(&[b"anna", b"", b"\xff\n"], 3, echo), (0, b"anna||\xff\n".to_vec()));
        assert_eq!(call_with(&[b"x".as_slice(); 8], 8, echo).1.len(), 15);
        // More arguments than Exim passes are not read.
        assert_eq!(call_with(&[b"x".as_slice(); 8], 9, echo).1.len(), 15);
        let with_nul = |_: &[&[u8]]| (Status::Fail, Zeroizing::new(b"before\0after".to_vec()));
        assert_eq!(call_with(&[b"x"], 1, with_nul), (2, b"before".to_vec()));
    }

    #[test]
    fn a_panic_stays_here_and_its_text_is_on_one_line() {
        let _alone = ONE_AT_A_TIME.lock();
        let (code, text) = call_with(&[b"x"], 1, |_| panic!("a\nforged line"));
        assert_eq!(code, Status::Fail as c_int);
        assert!(text.ends_with(br"report it: a\nforged line"), "{}", text.escape_ascii());
        assert_eq!(call_with(&[b"7"], 1, preload), (0, b"7".to_vec()));
        assert_eq!(call_with(&[b"7x"], 1, preload).0, Status::Fail as c_int);
    }
}
