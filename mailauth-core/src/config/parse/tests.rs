use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn mistakes(text: &str) -> String {
    Config::parse(text, Path::new("m.toml")).expect_err(text).to_string()
}

/// Returns the only mistake of a text.
fn mistake(text: &str) -> String {
    let all = mistakes(text);
    assert_eq!(all.lines().count(), 1, "{all}");
    all
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = Config::parse("", Path::new("m.toml")).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn a_configuration_with_many_keys_is_read() {
    let text = r#"
        [database]
        url = "mysql://user@host:3306,host2:3306/mail?socket=/path"
        tls = "verify-full"
        deadline = "500ms"
        [login]
        default_domain = "Example.ORG"
        [mailbox]
        home = "/var/mail/%d/%n"
        uid = 5000
        quota = "1000000000S,10000C"
        [courier]
        socket_mode = "0666"
        socket_group = 1234
        allow_users = ["exim", 107]
        [client]
        fallback = "none"
    "#;
    let config = Config::parse(text, Path::new("m.toml")).unwrap();
    assert_eq!(config.database.deadline, Duration::from_millis(500));
    assert_eq!(config.login.default_domain.as_deref(), Some("example.org"));
    assert_eq!((config.mailbox.uid, config.mailbox.gid), (Some(5000), None));
    assert_eq!(config.mailbox.quota.to_string(), "1000000000S,10000C");
    assert_eq!((config.courier.socket_mode, config.courier.socket_group.as_deref()), (0o666, Some("1234")));
    assert_eq!(config.courier.allow_users, ["exim", "107"]);
    assert_eq!(config.client.fallback, super::super::Fallback::None);
}

#[test]
fn programs_use_the_own_socket_unless_sockets_are_configured() {
    let sockets = |text: &str| {
        let config = Config::parse(text, Path::new("m.toml")).unwrap();
        let shown = |path: Option<&std::path::PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
        let crate::config::ClientConfig { socket, other_socket, .. } = &config.client;
        [shown(config.courier.own_socket.as_ref()), shown(Some(socket)), shown(other_socket.as_ref())]
    };
    let (own, couriers) = ("/run/mailauth/socket", "/run/courier/authdaemon/socket");
    assert_eq!(sockets(""), [own, own, couriers]);
    assert_eq!(sockets("[courier]\nown_socket = ''"), ["", couriers, ""]);
    assert_eq!(sockets("[courier]\nsocket = '/s'"), ["", "/s", ""]);
    assert_eq!(sockets("[courier]\nsocket = '/s'\nown_socket = '/o'"), ["/o", "/o", "/s"]);
    assert_eq!(sockets(&format!("[courier]\nsocket = '{own}'")), ["", own, ""]);
    assert_eq!(sockets("[client]\nsocket = '/c'"), [own, "/c", ""]);
    let error = mistake("[courier]\nsocket = '/s'\nown_socket = '/s'");
    assert!(error.starts_with("m.toml:3:14: [courier] own_socket: is the path of [courier] socket"), "{error}");
    assert!(mistake("[courier]\nown_socket = 'own'").contains("is not an absolute path"));
}

#[test]
fn the_daemons_user_is_configured_or_the_one_it_switches_to() {
    let user = |text: &str| Config::parse(text, Path::new("m.toml")).unwrap().server_user().to_owned();
    assert_eq!(user(""), "mailauth");
    assert_eq!(user("[courier]\nuser = 'vmail'"), "vmail");
    assert_eq!(user("[courier]\nuser = 'vmail'\n[client]\nserver_user = 4711"), "4711");
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "[courier]\nsocket_mode = \"0999\"\nsokcet = \"/x\"\nidle = 3\n\n[database]\nurl = \"mysql://u:p@h/d\"\n\n\
                [bogus]\nx = 1\n";
    assert_eq!(
        mistakes(text),
        "m.toml:2:15: [courier] socket_mode: \"0999\" is not a file mode; write four octal digits such as \"0660\"\n\
         m.toml:3:1: [courier] sokcet: there is no such key; did you mean socket?\n\
         m.toml:4:8: [courier] idle: 3 is not a duration; write a number and a unit (ms, s, m, h or d) in quotes, such as \"3s\"\n\
         m.toml:7:7: [database] url: the URL contains a password; write only the password to a file, and set \
         password_file to its path; write sqlite:/path/mail.db, mysql://user@host/name or postgres://user@host/name\n\
         m.toml:9:2: [bogus]: there is no such section; the sections are address, admin, cache, client, courier, database, dovecot, log, \
         login, mailbox, metrics, outage, password, pop3, postfix, quota, schema, throttle"
    );
}

#[test]
fn a_syntax_error_does_not_hide_mistakes_in_other_lines() {
    let all = mistakes("[courier]\nsocket_mode = 0660\nidle = yes\nsend_hash = 7\n");
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 3, "{all}");
    assert!(lines[0].starts_with("m.toml:2:15: ") && lines[0].contains("leading zero"), "{all}");
    assert!(lines[1].starts_with("m.toml:3:8: ") && lines[1].contains("must be quoted"), "{all}");
    assert!(lines[2].starts_with("m.toml:4:13: [courier] send_hash: 7 is not a boolean"), "{all}");
}

#[test]
fn the_message_for_a_misplaced_key_names_its_section() {
    assert!(mistake("pool = 3").ends_with("pool: is not in a section; write it below a line [database]"));
    assert!(
        mistake("[mailbox]\npool = 3").ends_with("there is no such key in this section; it belongs below [database]")
    );
    assert!(mistake("[databse]\npool = 3").ends_with("did you mean [database]?"));
    assert!(mistake("database = 3").contains("write [database] on a line of its own"));
    assert!(mistake("[[database]]\npool = 3").contains("write [database] on a line of its own"));
}

#[test]
fn a_password_in_the_file_is_refused_and_not_repeated() {
    let error = mistake("[database]\npassword = \"hunter2\"");
    assert!(error.contains("set password_file to its path") && !error.contains("hunter2"), "{error}");
    assert!(!mistakes("[database]\nurl = \"mysql://u:hunter2\\u0001@h/d\"").contains("hunter2"));
}

#[test]
fn root_is_not_accepted_for_mail_unless_allowed() {
    assert!(mistake("[mailbox]\nuid = 0").starts_with("m.toml:2:7: [mailbox] uid: 0 is root"));
    assert!(Config::parse("[mailbox]\nuid = 0\ngid = 0\nallow_root = true", Path::new("m")).is_ok());
}

#[test]
fn the_root_of_mailboxes_contains_the_configured_homes() {
    let said = mistake("[mailbox]\nhome = '/home/%u'\nroot = '/srv'");
    assert!(said.starts_with("m.toml:3:8: [mailbox] root: does not hold [mailbox] home /home/%u; write"), "{said}");
    assert!(mistake("[mailbox]\nroot = 'mail'").contains("is not an absolute path"));
    assert!(mistake("[mailbox]\nroot = '/var/mail/..'").contains("has .. in it"));
    assert!(mistake("[mailbox]\nmin_uid = 4294967295").contains("min_uid"));
    assert!(Config::parse("[mailbox]\nroot = '/'\nmin_uid = 0\nmin_gid = 8", Path::new("m")).is_ok());
}

#[test]
fn the_memory_must_suffice_for_one_verification() {
    let config = "[password]\nmemory = \"64M\"\nmax_argon2_memory = \"32M\"\n";
    assert!(mistake(config).starts_with("m.toml:2:10: [password] memory: is less than one verification may need"));
    assert!(Config::parse(&format!("{config}max_scrypt_memory = '64M'"), Path::new("m")).is_ok());
    assert!(mistake("[password]\nmax_scrypt_memory = '1G'").starts_with("m.toml:1:1: [password] memory: "));
}

#[test]
fn limits_on_cost_are_read_into_the_rules() {
    let text = "[password]\nscheme = 'yescrypt'\ndefault_scheme = 'Plain-MD5'\nmax_bcrypt_cost = 12\n\
                max_argon2_memory = '128M'\nmax_argon2_work = 1048576";
    let password = Config::parse(text, Path::new("m.toml")).unwrap().password;
    assert_eq!((password.scheme.name(), password.rules.default_scheme.name().as_str()), ("yescrypt", "plain-md5"));
    assert_eq!((password.rules.limits.bcrypt_cost, password.rules.limits.argon2_memory_kib), (12, 131_072));
    assert_eq!(password.rules.limits.argon2_work_kib, 1024);
}

#[test]
fn a_huge_file_is_refused_and_mistakes_are_limited() {
    assert!(mistake(&"#".repeat(MAX_TEXT + 1)).contains("more than 1048576 bytes"));
    let many: String = (0..1000).map(|n| format!("k{n} = {n}\n")).collect();
    assert_eq!(mistakes(&many).lines().count(), MAX_MISTAKES);
    let begin = std::time::Instant::now();
    for piece in ["a=[", "a=\n", "[quota]\nx=1\n", "\"a\"='", "x.y=1\n"] {
        assert!(mistakes(&piece.repeat(MAX_TEXT / piece.len())).lines().count() <= MAX_MISTAKES);
    }
    let many: String = (0..80_000).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(mistakes(&many).lines().count(), MAX_MISTAKES);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn every_key_refuses_a_date_and_says_what_to_write() {
    for key in KEYS {
        let error = mistake(&format!("[{}]\n{} = 2026-11-23", key.section, key.name));
        let named = format!("m.toml:2:{}: [{}] {}: ", key.name.len() + 4, key.section, key.name);
        assert!(error.starts_with(&named) && error.contains("; write "), "{error}");
    }
}

#[test]
fn a_clients_certificate_and_its_key_are_set_together() {
    let config = |text: &str| Config::parse(&format!("[database]\n{text}"), Path::new("m.toml"));
    assert!(config("tls_cert = \"c.pem\"\ntls_key = \"k.pem\"").is_ok());
    for (text, said) in [
        ("tls_cert = \"c.pem\"", "m.toml:2:12: [database] tls_cert: needs its private key; set tls_key too"),
        ("tls_key = \"k.pem\"", "m.toml:2:11: [database] tls_key: needs its certificate"),
    ] {
        let error = config(text).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn a_separator_of_logins_is_not_a_delimiter_of_details() {
    let config = |text: &str| Config::parse(text, Path::new("m.toml"));
    assert!(config("[login]\nseparators = \"%+\"\n[address]\ndelimiter = \"\"").is_ok());
    assert!(config("[login]\nseparators = \"%\"\n[address]\ndelimiter = \"+=\"").is_ok());
    for text in ["[login]\nseparators = \"%+\"", "[login]\nseparators = \"%\"\n[address]\ndelimiter = \"+%\""] {
        let error = config(text).unwrap_err().to_string();
        assert!(
            error.starts_with("m.toml:2:14: [login] separators: has a character of [address] delimiter"),
            "{error}"
        );
    }
}

#[test]
fn the_sample_contains_every_key_with_its_default() {
    let sample = include_str!("../../../../mailauth.toml");
    let defaults = format!("{:?}", Config::default());
    assert_eq!(format!("{:?}", Config::parse(sample, Path::new("mailauth.toml")).unwrap()), defaults);
    // Keys are commented out there as `#key = default`; prose has a space after its number sign.
    let keys: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    // SQLite has no users, so [admin] would be refused.
    let keys = keys.replace("sqlite:mailauth.db", "mysql://mailauth@localhost/mail");
    let parsed = parse(&keys, Path::new("mailauth.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    for key in KEYS {
        assert!(
            parsed.positions.contains_key(&(key.section, key.name)),
            "the sample lacks [{}] {}",
            key.section,
            key.name
        );
    }
    let mut shown = parsed.config;
    // These have no default; the sample shows an example.
    shown.admin = Default::default();
    let database = crate::config::DatabaseConfig::default();
    (shown.database.url, shown.database.user) = (database.url, database.user);
    shown.database.password_file = None;
    shown.database.server_user = None;
    shown.database.tls = None;
    shown.database.tls_ca = None;
    (shown.database.tls_cert, shown.database.tls_key) = (None, None);
    shown.login.default_domain = None;
    shown.cache.memory = None;
    (shown.mailbox.uid, shown.mailbox.gid) = (None, None);
    (shown.mailbox.min_uid, shown.mailbox.min_gid, shown.mailbox.root) = (None, None, None);
    shown.mailbox.quota = Default::default();
    shown.quota.warning = None;
    (shown.courier.socket_group, shown.courier.user) = (None, None);
    shown.metrics.listen = None;
    (shown.dovecot, shown.postfix) = Default::default();
    // If a socket is configured, it is the only one that is used.
    (shown.client.other_socket, shown.client.server_user) = (Config::default().client.other_socket, None);
    assert_eq!(format!("{shown:?}"), defaults);
}

/// Generates lines that resemble a configuration.
fn resembling() -> impl Strategy<Value = String> {
    let name = prop::sample::select(KEYS.iter().collect::<Vec<_>>()).prop_map(|key| key.name);
    let section = prop::sample::select(KEYS.iter().collect::<Vec<_>>()).prop_map(|key| format!("[{}]", key.section));
    let value =
        prop_oneof!["-?[0-9]{1,20}", "\"[a-z0-9%:/@.,?= -]{0,30}\"", "true", "\\[\"[a-z]*\", [0-9]*\\]", "\\PC{0,10}"];
    let line = prop_oneof![section, (name, value).prop_map(|(name, value)| format!("{name} = {value}")), "\\PC{0,20}"];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_text_is_valid_or_has_mistakes_with_positions_in_it(text in prop_oneof![resembling(), "(?s).{0,200}"]) {
        if let Err(errors) = Config::parse(&text, Path::new("m.toml")) {
            prop_assert!(!errors.mistakes.is_empty());
            let lines = text.split('\n').count();
            for mistake in errors.mistakes {
                let position = mistake.position.expect("a position");
                prop_assert!((1..=lines).contains(&position.line) && position.column >= 1, "{mistake} of {lines}");
                prop_assert!(!mistake.to_string().contains('\n') && mistake.to_string().len() < 1000);
            }
        }
    }
}
