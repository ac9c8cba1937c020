//! What `mailauth check` says about the sockets.

use super::site::{Site, accounts};
use mailauth_tests::{Kind, Scratch, free_port, output_with_input, program};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs the check, and returns the states and texts of the findings about `what`.
fn check(config: &Path, what: &str) -> Vec<(String, String)> {
    let mut command = Command::new(program("mailauth"));
    let output = output_with_input(command.arg("--config").arg(config).args(["check", "--json"]), "");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = said["findings"].as_array().expect("findings").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    findings.filter(|found| found["what"] == what).map(|found| (text(&found["state"]), text(&found["text"]))).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_check_asks_on_each_socket_and_names_what_is_wrong() {
    let accounts = accounts(Kind::Sqlite);
    let folder = Scratch::new("postfix");
    let (queue, port) = (folder.join("queue"), free_port());
    fs::create_dir(&queue).expect("a folder");
    let shown = queue.display();
    let postfix = format!(
        "[postfix]\nsocketmap_socket = {{ path = \"{shown}/maps\", group = \"daemon\" }}\n\
         policy_socket = \"{shown}/policy\"\n"
    );
    let site = Site::over(&accounts, &postfix);
    let config = site.daemon.config_path();
    for what in ["client socket", "login socket", "userdb socket", "master socket", "socketmap", "policy"] {
        let found = check(&config, what);
        let [(state, text)] = &found[..] else { panic!("{what}: {found:?}") };
        assert!(state == "ok" && text.ends_with(" answers"), "{what}: {text}");
    }

    // The first finding is about the rights, the second about the answer.
    let first = |what: &str| check(&config, what).remove(0);
    set_mode(&site.client(), 0o600);
    let (state, text) = first("client socket");
    assert!(state == "degraded" && text.contains("has mode 0600 instead of 0660; restart"), "{text}");
    set_mode(&queue, 0o700);
    let (state, text) = first("socketmap");
    let expected = format!("the group daemon may not enter the folder {shown} (mode 0700); run chmod a+x {shown}");
    assert!(state == "degraded" && text.ends_with(&expected), "{text}");
    set_mode(&queue, 0o777);
    let folders = check(&config, "folders");
    let is_named = |key: &str| {
        let of_queue = folders.iter().filter(|(_, text)| text.contains(&format!("may write to {shown} (mode 0777)")));
        of_queue.into_iter().any(|(_, text)| text.contains(key))
    };
    assert!(is_named("[postfix] socketmap_socket") && is_named("[postfix] policy_socket"), "{folders:?}");
    set_mode(&queue, 0o755);

    // A key that the daemon has not read yet.
    let text = fs::read_to_string(&config).expect("the configuration");
    let port_too = format!("client_socket = [\"127.0.0.1:{port}\", ");
    let changed = text.replacen("client_socket = ", &port_too, 1).replacen("0660\" }\n", "0660\" }]\n", 1);
    assert_ne!(text, changed);
    fs::write(&config, &changed).expect("the configuration");
    let (state, text) = first("client socket");
    assert!(state == "degraded" && text.contains("no program listens on 127.0.0.1:"), "{text}");
    site.daemon.reload();
    site.daemon.wait_for_log("configuration read again");
    let all = check(&config, "client socket");
    let at_port = format!("127.0.0.1:{port} answers every user of this host");
    assert!(all.iter().any(|(state, text)| state == "ok" && *text == at_port), "{all:?}");

    // Two keys that are confused.
    fs::write(&config, changed.replacen(&format!("{}\"\nuserdb", site.login().display()), "/x\"\nuserdb", 1))
        .expect("it");
    let (_, text) = first("login socket");
    assert!(text.contains("there is no /x; start mailauth-courier"), "{text}");
    let confused = changed.replacen(&site.userdb().display().to_string(), &site.login().display().to_string(), 1);
    fs::write(&config, confused).expect("the configuration");
    let all = check(&config, "userdb socket");
    assert!(all.iter().any(|(_, text)| text.contains("speaks another protocol; give each key")), "{all:?}");
}
