//! A socket for look-ups to which every user of the host may connect: mode 0666, as `auth-userdb` of Dovecot.

use super::client::Client;
use super::site::{Site, accounts};
use mailauth_tests::people::{ANNA, UNKNOWN};
use mailauth_tests::{Kind, MailHost, User, as_user};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const ROOT: User = User { uid: 0, gid: 0 };

/// A user without accounts.
const OTHER: User = User { uid: 65_534, gid: 65_534 };

/// Returns the answers to USER for an account and for an unknown login, and the last line of the answer to LIST.
fn ask(socket: &Path) -> [String; 3] {
    let mut client = Client::connect_for_lookups(socket);
    client.send(&["USER", "1", ANNA, "service=lmtp"]);
    let anna = client.line().expect("an answer");
    client.send(&["USER", "2", UNKNOWN, "service=lmtp"]);
    let unknown = client.line().expect("an answer");
    client.send(&["LIST", "3", "user=*", "service=doveadm"]);
    let mut end = client.line().expect("an answer");
    while end.starts_with("LIST") {
        end = client.line().expect("an answer");
    }
    [anna, unknown, end]
}

#[test]
fn a_user_without_rights_to_an_open_socket_sees_the_accounts_with_its_uid_only() {
    let accounts = accounts(Kind::Sqlite);
    let site = Site::over(&accounts, "");
    let found = format!("USER\t1\t{ANNA}\t");
    let may_connect = |mode| fs::set_permissions(site.userdb(), Permissions::from_mode(mode)).expect("a mode");

    may_connect(0o666);
    for (user, sees_account, sees_list) in [(ROOT, true, true), (MailHost::OWNER, true, false), (OTHER, false, false)] {
        let [anna, unknown, end] = as_user(user, || ask(&site.userdb()));
        let expected = if sees_account { &*found } else { "FAIL\t1\treason=" };
        assert!(anna.starts_with(expected), "{user:?}: {anna}");
        assert_eq!(unknown, "NOTFOUND\t2", "{user:?}");
        assert_eq!(end, if sees_list { "DONE\t3\t" } else { "DONE\t3\tfail" }, "{user:?}");
    }

    // A member of the group sees all, whatever other users may do.
    let group = User { uid: OTHER.uid, gid: fs::metadata(site.userdb()).expect("a socket").gid() };
    for mode in [0o666, 0o660] {
        may_connect(mode);
        let [anna, _, end] = as_user(group, || ask(&site.userdb()));
        assert!(anna.starts_with(&found) && end == "DONE\t3\t", "{mode:o}: {anna} {end}");
    }
}
