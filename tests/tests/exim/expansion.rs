//! Exim's own tools, the results of calls, and errors in calls.

use crate::in_each_form;
use crate::site::{ODD, ODD_PASSWORD, Site};
use mailauth_tests::exim::{Exim, Form};
use mailauth_tests::library;
use mailauth_tests::people::{DORAS_PASSWORD, PASSWORD};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

in_each_form!(exims_tools_work);

fn exims_tools_work(form: Form) {
    let site = Site::new(form);
    let version = site.exim.run(&["-bV"], "");
    assert!(version.code == Some(0) && version.said.contains("Configuration file is"), "{version:?}");
    let tested = site.exim.run(&["-bt", "info@example.org", "whoever@catch.example"], "");
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.said.contains("router = mailboxes, transport = mailbox"), "{tested:?}");
    let verified = site.exim.run(&["-bv", "team@example.org"], "");
    assert_eq!(verified.code, Some(0), "{verified:?}");
    for nobody in ["nobody@example.org", "carla@example.org", "loop@example.org", "gina@closed.example"] {
        let tested = site.exim.run(&["-bt", nobody], "");
        assert!(tested.code == Some(2) && tested.said.contains("undeliverable"), "{tested:?}");
    }
    site.no_panic();
}

/// Returns the result of a function of the object. Arguments are written as in Exim's configuration.
fn call(site: &Site, function: &str, arguments: &[&str]) -> String {
    let arguments: String = arguments.iter().map(|argument| format!("{{{argument}}}")).collect();
    site.exim.expand(&format!("${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_{function}}}{arguments}}}", Exim::FOLDER))
}

#[test]
fn conditions_are_true_or_false() {
    let site = Site::new(Form::Dlfunc);
    let login = |arguments: &[&str]| call(&site, "login", arguments);
    assert_eq!(login(&["smtp", "anna@example.org", PASSWORD]), "yes");
    assert_eq!(login(&["smtp", "anna@example.org", PASSWORD, "192.0.2.7"]), "yes");
    assert!(site.daemon().log().contains("client=\"192.0.2.7\""));
    assert_eq!(login(&["smtp", "anna@example.org", "wrong"]), "no");
    assert_eq!(login(&["smtp", "", ""]), "no");
    assert_eq!(login(&["smtp", "bruno@example.org", PASSWORD]), "no");
    assert_eq!(login(&["pop3", "bruno@example.org", PASSWORD]), "yes");
    assert_eq!(call(&site, "domain", &["example.org"]), "yes");
    assert_eq!(call(&site, "domain", &["EXAMPLE.org"]), "yes");
    assert_eq!(call(&site, "domain", &["closed.example"]), "yes", "no other account may get its mail");
    assert_eq!(call(&site, "domain", &["elsewhere.example"]), "no");
    assert_eq!(call(&site, "domain", &[""]), "no");
    assert_eq!(call(&site, "may_store", &["frida@example.org", "1000"]), "yes");
    assert_eq!(call(&site, "may_store", &["frida@example.org", "1001"]), "no");
    assert_eq!(call(&site, "may_store", &["frida@example.org", "-1"]), "yes");
    assert_eq!(call(&site, "may_store", &["nobody@example.org", "1"]), "no");
}

#[test]
fn words_distinguish_every_answer() {
    let site = Site::new(Form::Dlfunc);
    let recipient = |address: &str, size: &str| call(&site, "recipient", &[address, size]);
    assert_eq!(recipient("anna@example.org", "-1"), "ok");
    assert_eq!(recipient("info@example.org", "99999999"), "ok");
    assert_eq!(recipient("nobody@example.org", "1"), "unknown");
    assert_eq!(recipient("carla@example.org", "1"), "unknown");
    assert_eq!(recipient("anna@elsewhere.example", "1"), "unknown");
    assert_eq!(
        recipient("full@example.org", "1002"),
        "over quota: 0 of 1000 bytes used, and this message would be 2 over it"
    );
    site.accounts.admin(&["domain", "set", "example.org", "--quota", "500"], "");
    assert_eq!(
        recipient("dora@example.org", "501"),
        "over quota: 0 of 500 bytes used, and this message would be 1 over it"
    );
    assert_eq!(recipient("anna@example.org", "500"), "ok");
}

#[test]
fn a_local_domain_question_has_a_word_for_not_now() {
    let mut site = Site::new(Form::Dlfunc);
    let domain = |site: &Site, name: &str| call(site, "domain", &[name, "later"]);
    assert_eq!(domain(&site, "example.org"), "yes");
    assert_eq!(domain(&site, "elsewhere.example"), "no");
    // No text of the call is returned, as it could come from a client.
    let misuse = "Failed: mailauth: domain needs a domain, and was given 2 argument(s)";
    assert_eq!(call(&site, "domain", &["example.org", "sooner"]), misuse);
    site.stop_daemon();
    let said = domain(&site, "example.org");
    assert!(said.starts_with("later: the daemon is away: "), "{said}");
    assert!(call(&site, "domain", &["example.org"]).starts_with("Failed: mailauth: the daemon is away"));
}

#[test]
fn values_with_special_characters_are_passed_unchanged() {
    let site = Site::new(Form::Dlfunc);
    let account = call(&site, "account", &["Anna@example.ORG"]);
    for part in [
        r#"login="anna@example.org""#,
        r#"uid="5000" gid="5000""#,
        r#"home="/var/mail/example.org/anna" maildir="/var/mail/example.org/anna/Maildir""#,
        r#"quota_bytes="0" quota_messages="0""#,
        r#"name="Anna \"Ä\" \\ Ärlig""#,
    ] {
        assert!(account.contains(part), "no {part} in {account}");
    }
    let extract = |key: &str, of: &str| {
        let call = format!("${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_account}}{{{of}}}}}", Exim::FOLDER);
        site.exim.expand(&format!("${{extract{{{key}}}{{{call}}}}}"))
    };
    assert_eq!(extract("name", "anna@example.org"), r#"Anna "Ä" \ Ärlig"#);
    assert_eq!(extract("quota_bytes", "frida@example.org"), "1000");
    assert_eq!(extract("quota_messages", "frida@example.org"), "2");
    assert_eq!(call(&site, "alias", &["team@example.org"]), "anna@example.org, dora@example.org");
    assert_eq!(call(&site, "alias", &["WHOEVER@catch.example"]), "someone@catch.example");
}

#[test]
fn a_missing_value_is_a_forced_failure_and_never_empty() {
    let site = Site::new(Form::Dlfunc);
    for (function, argument) in [
        ("account", "nobody@example.org"),
        ("account", "carla@example.org"),
        ("account", "info@example.org"),
        ("alias", "anna@example.org"),
        ("alias", "nobody@example.org"),
        ("cram", "anna@example.org"),
        ("cram", "bruno@example.org"),
        ("cram", "nobody@example.org"),
    ] {
        let said = call(&site, function, &[argument]);
        assert_eq!(said, "Failed: ", "a reason would mean not now: {function} {argument}");
    }
}

#[test]
fn only_the_named_users_get_the_clear_password() {
    let site = Site::new(Form::Dlfunc);
    // `exim -be` runs as root here, which is not among [courier] clear_users.
    assert!(call(&site, "cram", &["dora@example.org"]).starts_with("Failed"));
    let mut command = site.host.command("setpriv");
    command.args(["--reuid=Debian-exim", "--regid=Debian-exim", "--clear-groups"]);
    command.arg(format!("{}/mailauth-exim", Exim::FOLDER)).args(["cram", "dora@example.org"]);
    assert_eq!(mailauth_tests::run(&mut command), DORAS_PASSWORD);
    let mut command = site.host.command("setpriv");
    command.args(["--reuid=Debian-exim", "--regid=Debian-exim", "--clear-groups"]);
    command.arg(format!("{}/mailauth-exim", Exim::FOLDER)).args(["cram", ODD]);
    assert_eq!(mailauth_tests::run(&mut command), ODD_PASSWORD);
}

#[test]
fn a_call_with_wrong_arguments_explains_the_right_ones() {
    let site = Site::new(Form::Dlfunc);
    for (function, arguments, said) in [
        ("login", &["smtp", "anna@example.org"][..], "login needs a service, a login, a password"),
        ("login", &["a", "b", "c", "d", "e"], "was given 5 argument(s)"),
        ("domain", &[], "domain needs a domain, and was given 0 argument(s)"),
        ("domain", &["1", "2", "3", "4", "5", "6", "7", "8"], "was given 8 argument(s)"),
        ("recipient", &["anna@example.org"], "recipient needs an address and a size"),
        ("recipient", &["anna@example.org", "1K"], "\"1K\" is not a size"),
    ] {
        let answer = call(&site, function, arguments);
        assert!(answer.starts_with("Failed: ") && answer.contains(said), "{function}: {answer}");
    }
    site.no_panic();
}

#[test]
fn a_configuration_error_is_not_now_and_is_named() {
    let site = Site::new(Form::Dlfunc);
    site.exim.write("/etc/mailauth/mailauth.toml", "[client]\nsoket = \"x\"\n");
    let answer = call(&site, "domain", &["example.org"]);
    assert!(answer.starts_with("Failed: ") && answer.contains("did you mean socket?"), "{answer}");
    fs::remove_file(site.host.inside("/etc/mailauth/mailauth.toml")).expect("the configuration");
    let answer = call(&site, "domain", &["example.org"]);
    assert!(answer.starts_with("Failed: ") && answer.contains("there is no configuration"), "{answer}");
}

#[test]
fn the_environment_does_not_choose_the_configuration() {
    let site = Site::new(Form::Dlfunc);
    site.exim.write("/etc/other.toml", "[client]\nsocket = \"/nonexistent\"\nfallback = \"none\"\n");
    let kept = format!(
        "keep_environment = MAILAUTH_CONFIG\n{}",
        fs::read_to_string(site.host.inside("/etc/exim4/mailauth.conf")).expect("macros")
    );
    site.exim.write("/etc/kept.conf", &kept);
    let text = format!("${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_domain}}{{example.org}}}}", Exim::FOLDER);
    let mut command = site.exim.command(&["-C", "/etc/kept.conf", "-be", &text]);
    command.env("MAILAUTH_CONFIG", "/etc/other.toml");
    assert_eq!(mailauth_tests::run(&mut command).trim_end(), "yes");
}

#[test]
fn twenty_calls_in_one_process_leak_nothing() {
    let site = Site::new(Form::Dlfunc);
    let one = format!("${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_domain}}{{example.org}}}}", Exim::FOLDER);
    let other = format!("${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_alias}}{{info@example.org}}}}", Exim::FOLDER);
    let listing = "${run{/bin/ls -l /proc/self/fd}}";
    let look = format!("{}/look", Exim::FOLDER);
    site.exim.write(&look, "#!/bin/sh\nls /proc/$PPID/task | wc -l\nls /proc/$PPID/fd | wc -l\n");
    fs::set_permissions(site.host.inside(&look), fs::Permissions::from_mode(0o755)).expect("its mode");
    let tasks = &format!("${{run{{{look}}}}}");
    let before = site.exim.expand(tasks);
    let after = site.exim.run(&["-be"], &format!("{}{tasks}\n", format!("{one} {other}\n").repeat(10))).said;
    let after = after.replace("> ", "");
    assert_eq!(after.trim(), "yes anna@example.org\n".repeat(10) + &before, "one thread, and no more descriptors");
    let inherited = site.exim.expand(&format!("{one}{listing}"));
    assert!(
        !inherited.contains("socket"),
        "a program that Exim starts inherits no descriptor of the object: {inherited}"
    );
}

#[test]
fn valgrind_reports_nothing() {
    let mut site = Site::new(Form::Dlfunc);
    // It starts no set-uid program.
    let exim = format!("{}/exim4", Exim::FOLDER);
    fs::copy("/usr/sbin/exim4", site.host.inside(&exim)).expect("a copy of Exim");
    fs::set_permissions(site.host.inside(&exim), fs::Permissions::from_mode(0o755)).expect("its mode");
    let questions: String = [
        "preload}{5",
        &format!("login}}{{smtp}}{{anna@example.org}}{{{PASSWORD}"),
        "login}{smtp}{anna@example.org}{wrong}{192.0.2.1",
        "domain}{example.org",
        "recipient}{nobody@example.org}{-1",
        "may_store}{anna@example.org}{1",
        "account}{anna@example.org",
        "account}{nobody@example.org",
        "alias}{info@example.org",
        "cram}{anna@example.org",
        "domain",
    ]
    .iter()
    .map(|question| format!("<${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_{question}}}}}>\n", Exim::FOLDER))
    .collect();
    let ask = |site: &Site| {
        let mut command = site.host.command("valgrind");
        // What Exim keeps until it ends is not a definite leak.
        command.args([
            "--quiet",
            "--leak-check=full",
            "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite",
        ]);
        let output = mailauth_tests::output_with_input(command.args(["--error-exitcode=99", &exim, "-be"]), &questions);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, answers, complaints) = ask(&site);
    assert_eq!((code, complaints.as_str()), (Some(0), ""));
    assert!(answers.starts_with("> <5>\n> <yes>\n> <no>\n> <yes>\n> <unknown>\n> <yes>\n> <login="), "{answers}");
    site.stop_daemon();
    let (code, answers, complaints) = ask(&site);
    assert_eq!((code, complaints.as_str()), (Some(0), ""));
    assert_eq!(answers.matches("Failed: mailauth: the daemon is away: ").count(), 9, "{answers}");
}

#[test]
fn a_panic_does_not_leave_the_object() {
    let site = Site::new(Form::Dlfunc);
    let object = library("examples/libpanicking.so");
    let inside = format!("{}/libpanicking.so", Exim::FOLDER);
    fs::copy(object, site.host.inside(&inside)).expect("the object");
    let call = |argument: &str| format!("${{dlfunc{{{inside}}}{{mailauth_panicking}}{{{argument}}}}}");
    assert_eq!(site.exim.expand(&call("quiet")), "quiet");
    let answer = site.exim.expand(&call("panic"));
    assert_eq!(answer, "Failed: mailauth: internal error in this object; please report it: on purpose");
    let goes_on = format!("${{if inlisti{{x}}{{x}}{{{}}}}}${{if !bool{{false}}{{{}}}}}", call("a"), call("b"));
    assert_eq!(site.exim.expand(&goes_on), "ab");
    site.no_panic();
}

#[test]
fn the_program_exits_with_0_1_or_75_only() {
    let mut site = Site::new(Form::Run);
    let ask = |site: &Site, arguments: &[&str]| {
        let mut command = site.host.command(&format!("{}/mailauth-exim", Exim::FOLDER));
        let output = mailauth_tests::output_with_input(command.args(arguments), "");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
    };
    let answer = |site: &Site, arguments: &[&str]| {
        let (code, said, complaint) = ask(site, arguments);
        assert_eq!(complaint, "", "{arguments:?}");
        (code, said)
    };
    for (arguments, code, said) in [
        (&["domain", "example.org"][..], 0, "yes"),
        (&["domain", "elsewhere.example"], 1, "no"),
        (&["recipient", "anna@example.org", "-1"], 0, "ok"),
        (&["recipient", "nobody@example.org", "5"], 1, "unknown"),
        (&["may_store", "frida@example.org", "1001"], 1, "no"),
        (&["alias", "info@example.org"], 0, "anna@example.org"),
        (&["alias", "anna@example.org"], 1, ""),
        (&["account", "nobody@example.org"], 1, ""),
        (&["--insecure-argv", "login", "smtp", "anna@example.org", PASSWORD], 0, "yes"),
        (&["--insecure-argv", "login", "smtp", "anna@example.org", "wrong"], 1, "no"),
    ] {
        assert_eq!(answer(&site, arguments), (code, said.to_owned()), "{arguments:?}");
    }
    assert_eq!(ask(&site, &["--help"]).0, 0);
    let (code, said, complaint) = ask(&site, &["login", "smtp", "anna@example.org", PASSWORD]);
    assert_eq!((code, said.as_str()), (75, ""));
    assert!(complaint.contains("every user of this machine can read a password"), "{complaint}");
    for misuse in [&[][..], &["domain"], &["dance", "x"], &["--config"], &["--config", "/nonexistent", "domain", "x"]] {
        let (code, said, complaint) = ask(&site, misuse);
        assert_eq!((code, said.as_str()), (75, ""), "{misuse:?}");
        assert!(!complaint.is_empty());
    }
    site.stop_daemon();
    let (code, said, complaint) = ask(&site, &["domain", "example.org"]);
    assert_eq!((code, said.as_str()), (75, ""));
    assert!(complaint.contains("the daemon is away"), "{complaint}");
}

#[test]
fn the_object_needs_no_library_but_libc() {
    let said = mailauth_tests::run(Command::new("objdump").arg("-p").arg(library("libmailauth_exim.so")));
    let needed: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim).collect();
    assert!(
        !needed.is_empty() && needed.iter().all(|name| ["libc.so.6", "ld-linux-x86-64.so.2"].contains(name)),
        "{needed:?}"
    );
}
