//! Courier's commands.

use super::{read, read_body};
use crate::request::{PasswdFields, Uncomposable, auth_cram, auth_login, passwd, pre, with_client};
use mailauth_core::Secret;
use mailauth_core::challenge::{CramMechanism, CramResponse};

#[test]
fn a_look_up_names_service_and_login() {
    assert_eq!(read("PRE . imap anna@x.example\n"), "look up anna@x.example for imap");
    assert_eq!(read("PRE   .   imap   anna@x.example\n"), "look up anna@x.example for imap");
    assert_eq!(read("PRE . imap two words \n"), "look up two words  for imap", "the login is the rest of the line");
    assert_eq!(read("PRE . imap a=b\n"), "look up a=b for imap");
    assert_eq!(read(b"PRE . imap \xff\0\r\n"), "look up \\xff\\x00\\r for imap");
    assert_eq!(read("PRE authnosuch imap anna\n"), "never");
}

#[test]
fn a_login_has_its_password_in_the_body() {
    assert_eq!(read_body("imap\nlogin\nanna\nsecret\n"), "log in anna with secret for imap");
    assert_eq!(read_body("imap\nlogin\nanna\nsecret"), "log in anna with secret for imap");
    assert_eq!(read_body("imap\nlogin\nanna\n secret\r\n"), "log in anna with  secret\\r for imap");
    assert_eq!(read_body("\nlogin\nanna\nsecret\n"), "log in anna with secret for ");
    assert_eq!(read_body("ENUMERATE\nlogin\nanna\nsecret\n"), "log in anna with secret for ENUMERATE");
}

#[test]
fn a_nul_is_part_of_its_value() {
    assert_eq!(read_body("imap\nlogin\nanna\nsecret\0junk\n"), "log in anna with secret\\x00junk for imap");
    assert_eq!(read_body("imap\nlogin\nanna\0junk\nsecret\n"), "log in anna\\x00junk with secret for imap");
}

#[test]
fn a_login_that_no_account_can_match_is_refused_at_once() {
    for body in [
        "imap\nlogin\n\nsecret\n",
        "imap\nlogin\nanna\n\n",
        "imap\nlogin\nanna\n",
        "imap\nlogin\n",
        "imap\nlogin\nanna\nsecret\nextra\n",
        "imap\nlogin\n\nanna\nsecret\n",
        "imap\nLOGIN\nanna\nsecret\n",
        "imap\nplain\nanna\nsecret\n",
        "imap\n\nanna\nsecret\n",
        "imap\ncram-md5\n!!!!\n????\n",
        "imap\ncram-md5\nPDE+\n",
        "imap\ncram-md5\nPDE+\nbm9zcGFjZQ==\n",
        "imap\nCRAM-MD5\nPDE+\nYSBi\n",
        "imap\ncram-\nPDE+\nYSBi\n",
    ] {
        assert_eq!(read_body(body), "never", "{body:?}");
    }
    assert_eq!(read("PASSWD imap\tanna\told\tnew\textra\n"), "never");
    assert_eq!(read("PASSWD imap\tanna\told\tn\x01ew\n"), "never");
    assert_eq!(read("PASSWD imap\tanna\told\tnew\r\n"), "never");
}

#[test]
fn a_challenge_and_its_answer_are_base64() {
    // <1> and "anna b 0f": the login is the text before the last space.
    let body = "imap\ncram-sha1\nPDE+\nYW5uYSBiIDBm\n";
    assert_eq!(read_body(body), "cram-sha1 anna b answers \\x0f to <1> for imap");
}

#[test]
fn a_password_change_has_four_fields() {
    assert_eq!(read("PASSWD imap\tanna\told pw\tnew pw\n"), "change anna from old pw to new pw for imap");
    assert_eq!(read("PASSWD imap\tanna\t\t\n"), "change anna from  to  for imap");
    assert_eq!(read("PASSWD imap\tanna\told\n"), "malformed: Field");
    assert_eq!(read("PASSWD imap anna old new\n"), "malformed: Field");
    assert_eq!(read("PASSWD\n"), "malformed: Field");
}

#[test]
fn a_server_reads_what_a_client_writes() {
    let written = |request: Result<Secret, Uncomposable>| read(request.unwrap().expose());
    assert_eq!(written(pre(b"imap", b"anna")), "look up anna for imap");
    assert_eq!(written(auth_login(b"imap", b"anna", b" secret\r")), "log in anna with  secret\\r for imap");
    let response = CramResponse::parse(b"PDE+", b"YW5uYSBiIDBm").unwrap();
    let cram = auth_cram(b"imap", CramMechanism::Sha256, &response);
    assert_eq!(written(cram), "cram-sha256 anna b answers \\x0f to <1> for imap");
    let fields = PasswdFields { service: b"imap", login: b"anna", old: b"old", new: b"new" };
    assert_eq!(written(passwd(fields)), "change anna from old to new for imap");
    let with = |client| read(with_client(client, pre(b"imap", b"anna").unwrap()).expose());
    assert_eq!(with(Some("::1")), "look up anna for imap, at ::1");
    assert_eq!(with(Some("::1\nPRE . imap root")), "look up anna for imap");
}

#[test]
fn a_value_with_a_separator_is_not_written() {
    assert_eq!(pre(b"imap", b"anna\nb").map(|_| ()), Err(Uncomposable("login")));
    assert_eq!(pre(b"imap", b" anna").map(|_| ()), Err(Uncomposable("login")));
    assert_eq!(pre(b"im ap", b"anna").map(|_| ()), Err(Uncomposable("service")));
    assert_eq!(auth_login(b"imap", b"anna", b"a\nb").map(|_| ()), Err(Uncomposable("password")));
    assert_eq!(auth_login(b"imap", b"anna", b"").map(|_| ()), Err(Uncomposable("password")));
    assert_eq!(auth_login(b"imap", b"anna", &[b'x'; 8192]).map(|_| ()), Err(Uncomposable("request")));
    let fields = PasswdFields { service: b"imap", login: b"anna", old: b"old", new: b"n\tew" };
    assert_eq!(passwd(fields).map(|_| ()), Err(Uncomposable("new password")));
}
