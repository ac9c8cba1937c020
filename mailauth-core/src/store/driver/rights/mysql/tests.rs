use super::*;

fn needs() -> Needs {
    Needs {
        tables: vec!["accounts".into(), "domains".into(), "aliases".into()],
        reads: vec!["accounts".into(), "domains".into()],
        accounts: "accounts".into(),
        updates: vec!["password".into(), "updated_at".into()],
        delivery: vec![Delivery { table: "mailbox_use".into(), updates: vec!["bytes".into()] }],
    }
}

fn of(lines: &[&str]) -> (Vec<String>, Vec<String>) {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let rights = compare(&lines, "m@%", "mail", &needs());
    (rights.too_wide, rights.missing)
}

#[test]
fn the_exact_rights_are_neither_too_wide_nor_too_narrow() {
    let exact = [
        "GRANT `mailauth_reader` TO `m`@`%`",
        "GRANT USAGE ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*X'",
        "GRANT SELECT, UPDATE (`updated_at`, `password`) ON `mail`.`accounts` TO `m`@`%`",
        "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
    ];
    assert_eq!(of(&exact), (vec![], vec![]));
}

#[test]
fn all_privileges_are_sufficient_and_too_wide() {
    let (too_wide, missing) = of(&["GRANT ALL PRIVILEGES ON `mail`.* TO `m`@`%` WITH GRANT OPTION"]);
    assert_eq!(too_wide, ["ALL PRIVILEGES, GRANT OPTION on mail.*"]);
    assert!(missing.is_empty());
}

#[test]
fn a_user_that_delivers_needs_all_privileges_for_it() {
    let daemon = [
        "GRANT SELECT, UPDATE (`updated_at`, `password`) ON `mail`.`accounts` TO `m`@`%`",
        "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
    ];
    let with = |right: &str| of(&[daemon[0], daemon[1], &format!("GRANT {right} ON `mail`.`mailbox_use` TO `m`@`%`")]);
    assert_eq!(with("SELECT, INSERT, UPDATE (`bytes`)"), (vec![], vec![]));
    let (too_wide, missing) = with("SELECT, UPDATE (`login`), DELETE");
    assert_eq!(too_wide, ["UPDATE (login), DELETE on mail.mailbox_use"]);
    let lacking = |right: &str| format!("{right} on mailbox_use (domain quotas cannot be enforced)");
    assert_eq!(missing, [lacking("INSERT"), lacking("UPDATE (bytes)")]);
}

#[test]
fn what_is_missing_is_named() {
    let (too_wide, missing) = of(&[
        "GRANT INSERT, SELECT ON `mail`.`accounts` TO `m`@`%`",
        "GRANT UPDATE (`password`, `home`) ON `mail`.`accounts` TO `m`@`%`",
        "GRANT SELECT ON `other`.`domains` TO `m`@`%`",
    ]);
    assert_eq!(too_wide, ["INSERT, UPDATE (password, home) on mail.accounts", "SELECT on other.domains"]);
    assert_eq!(missing, ["SELECT on domains", "UPDATE (updated_at) on accounts (passwords cannot be changed)"]);
}

#[test]
fn an_administrator_keeps_its_rights_and_the_daemon_gets_a_user() {
    for great in [
        "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA unix_socket WITH GRANT OPTION",
        "GRANT SELECT, INSERT, SHUTDOWN, SUPER, CREATE USER ON *.* TO `root`@`localhost`",
    ] {
        let lines = [great.to_owned(), "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION".to_owned()];
        let rights = compare(&lines, "root@localhost", "mail", &needs());
        assert!(rights.administrator.is_some(), "{rights:?}");
        assert!(rights.statements.iter().all(|statement| !statement.starts_with("REVOKE")), "{rights:?}");
        assert_eq!(rights.statements[0], "CREATE USER `mailauth`@`localhost` IDENTIFIED BY 'a long password'");
        let grant = "GRANT SELECT, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `mailauth`@`localhost`";
        assert_eq!(rights.statements[1], grant);
    }
    let lines = ["GRANT ALL PRIVILEGES ON *.* TO `mailauth`@`%`".to_owned()];
    let statements = compare(&lines, "mailauth@%", "mail", &needs()).statements;
    assert_eq!(statements[0], "CREATE USER `mailauth_daemon`@`%` IDENTIFIED BY 'a long password'");
}

#[test]
fn privileges_of_every_user_are_one_line_for_each_database() {
    let lines = [
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON `test`.* TO PUBLIC",
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON `test\\_%`.* TO PUBLIC",
    ];
    let (too_wide, _) = of(&lines);
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP";
    let line = |object: &str| format!("{rights} on {object} (granted to every user)");
    assert_eq!(too_wide, [line("test.*"), line("test_%.*")]);
    let statements = corrected("m@%", &lines);
    let revoke = |object: &str| format!("REVOKE {rights} ON {object} FROM PUBLIC");
    assert_eq!(statements[..2], [revoke("`test`.*"), revoke("`test\\_%`.*")]);
}

fn corrected(user: &str, lines: &[&str]) -> Vec<String> {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    compare(&lines, user, "mail", &needs()).statements
}

#[test]
fn what_is_missing_is_granted_and_what_is_too_much_revoked() {
    let lines = [
        "GRANT USAGE ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*X'",
        "GRANT SELECT, INSERT, UPDATE (`password`, `home`) ON `mail`.`accounts` TO `m`@`%`",
    ];
    let statements = [
        "REVOKE INSERT, UPDATE (`password`, `home`) ON `mail`.`accounts` FROM `m`@`%`",
        "GRANT UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`",
        "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
    ];
    assert_eq!(corrected("m@%", &lines), statements);
    let all = corrected("m@%", &["GRANT ALL PRIVILEGES ON `ma\\_il`.* TO 'm'@'%' WITH GRANT OPTION"]);
    assert_eq!(
        all[..2],
        ["REVOKE ALL PRIVILEGES ON `ma\\_il`.* FROM `m`@`%`", "REVOKE GRANT OPTION ON `ma\\_il`.* FROM `m`@`%`"]
    );
}

#[test]
fn a_role_with_too_many_rights_is_revoked_and_not_changed() {
    let lines = [
        "GRANT `both` TO `m`@`%`",
        "GRANT `reader` TO `m`@`%`",
        "GRANT `writer` TO `both`",
        "GRANT SELECT ON `mail`.`domains` TO `reader`",
        "GRANT SELECT, DELETE ON `mail`.`accounts` TO `writer`",
        "GRANT UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`",
    ];
    let statements = ["REVOKE `both` FROM `m`@`%`", "GRANT SELECT ON `mail`.`accounts` TO `m`@`%`"];
    assert_eq!(corrected("m@%", &lines), statements);
}

#[test]
fn revoking_a_table_right_revokes_its_column_rights_too() {
    let lines = ["GRANT SELECT, UPDATE, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`"];
    let statements = [
        "REVOKE UPDATE ON `mail`.`accounts` FROM `m`@`%`",
        "GRANT UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`",
        "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
    ];
    assert_eq!(corrected("m@%", &lines), statements);
}

#[test]
fn on_mysql_rights_of_a_role_differ_from_the_users_own() {
    assert_eq!(roles("NONE"), [""; 0]);
    assert_eq!(roles("`a,b`@`%`,`writer`@`%`"), ["`a,b`@`%`", "`writer`@`%`"]);
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let own = lines(&[
        "GRANT USAGE ON *.* TO `m`@`%`",
        "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        "GRANT `writer`@`%` TO `m`@`%`",
    ]);
    let with = lines(&[
        "GRANT USAGE ON *.* TO `m`@`%`",
        "GRANT SELECT, DELETE, UPDATE (`home`, `uid`) ON `mail`.`accounts` TO `m`@`%`",
        "GRANT SELECT ON `mail`.`domains` TO `m`@`%`",
        "GRANT `writer`@`%` TO `m`@`%`",
    ]);
    let all = [own.clone(), by_role(&own, &with, "`writer`@`%`")].concat();
    let statements = compare(&all, "m@%", "mail", &needs()).statements;
    assert_eq!(statements[0], "REVOKE `writer`@`%` FROM `m`@`%`");
    assert_eq!(statements[1..], ["GRANT SELECT, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `m`@`%`"]);
}

#[test]
fn names_that_look_like_a_grant_stay_names() {
    let lines = ["GRANT SELECT, DROP ON `mail`.`domains` TO `a`` ON b TO c`@`10.0.%` REQUIRE SSL"];
    let statements = corrected("a` ON b TO c@10.0.%", &lines);
    assert_eq!(statements[0], "REVOKE DROP ON `mail`.`domains` FROM `a`` ON b TO c`@`10.0.%`");
    assert_eq!(
        statements[1],
        "GRANT SELECT, UPDATE (`password`, `updated_at`) ON `mail`.`accounts` TO `a`` ON b TO c`@`10.0.%`"
    );
    assert_eq!(statements.len(), 2);
}

#[test]
fn a_user_that_delivered_by_a_wide_right_still_delivers() {
    let needs = Needs { tables: vec!["accounts".into(), "mailbox_use".into()], ..needs() };
    let lines = ["GRANT ALL PRIVILEGES ON `mail`.* TO `m`@`%`".to_owned()];
    let statements = compare(&lines, "m@%", "mail", &needs).statements;
    let delivery = "GRANT SELECT, INSERT, UPDATE (`bytes`) ON `mail`.`mailbox_use` TO `m`@`%`";
    assert_eq!(statements.last().map(String::as_str), Some(delivery));
}
