use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn mistakes(text: &str) -> String {
    Config::parse(text, Path::new("m.toml")).expect_err(text).to_string()
}

/// The one mistake of a text.
fn mistake(text: &str) -> String {
    let all = mistakes(text);
    assert_eq!(all.lines().count(), 1, "{all}");
    all
}

#[test]
fn an_empty_file_is_the_default() {
    let config = Config::parse("", Path::new("m.toml")).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_configuration_of_the_design_is_read() {
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
fn the_own_socket_goes_with_couriers_where_that_is_usual_and_programs_ask_on_it() {
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
fn the_daemons_user_is_the_one_that_is_written_or_that_it_becomes() {
    let user = |text: &str| Config::parse(text, Path::new("m.toml")).unwrap().server_user().to_owned();
    assert_eq!(user(""), "mailauth");
    assert_eq!(user("[courier]\nuser = 'vmail'"), "vmail");
    assert_eq!(user("[courier]\nuser = 'vmail'\n[client]\nserver_user = 4711"), "4711");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "[courier]\nsocket_mode = \"0999\"\nsokcet = \"/x\"\nidle = 3\n\n[database]\nurl = \"mysql://u:p@h/d\"\n\n\
                [bogus]\nx = 1\n";
    assert_eq!(
        mistakes(text),
        "m.toml:2:15: [courier] socket_mode: \"0999\" is not a file mode; write four octal digits such as \"0660\"\n\
         m.toml:3:1: [courier] sokcet: there is no such key; did you mean socket?\n\
         m.toml:4:8: [courier] idle: 3 is not a duration; write a number with ms, s, m, h or d, such as \"3s\"\n\
         m.toml:7:7: [database] url: the URL holds a password; put that alone into a file and name the file in \
         password_file; write sqlite:/path/mail.db, mysql://user@host/name or postgres://user@host/name\n\
         m.toml:9:2: [bogus]: there is no such section; there are address, admin, cache, client, courier, database, log, login, \
         mailbox, metrics, outage, password, pop3, quota, throttle"
    );
}

#[test]
fn a_fault_of_the_syntax_does_not_hide_the_mistakes_of_other_lines() {
    let all = mistakes("[courier]\nsocket_mode = 0660\nidle = yes\nsend_hash = 7\n");
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 3, "{all}");
    assert!(lines[0].starts_with("m.toml:2:15: ") && lines[0].contains("leading zero"), "{all}");
    assert!(lines[1].starts_with("m.toml:3:8: ") && lines[1].contains("must be quoted"), "{all}");
    assert!(lines[2].starts_with("m.toml:4:13: [courier] send_hash: 7 is not a switch"), "{all}");
}

#[test]
fn a_key_in_the_wrong_place_is_told_the_right_one() {
    assert!(mistake("pool = 3").ends_with("pool: stands in no section; write it below a line [database]"));
    assert!(mistake("[mailbox]\npool = 3").ends_with("there is no such key here; it belongs below [database]"));
    assert!(mistake("[databse]\npool = 3").ends_with("did you mean [database]?"));
    assert!(mistake("database = 3").contains("write [database] on a line of its own"));
    assert!(mistake("[[database]]\npool = 3").contains("write [database] on a line of its own"));
}

#[test]
fn a_password_in_the_file_is_refused_and_not_repeated() {
    let error = mistake("[database]\npassword = \"hunter2\"");
    assert!(error.contains("name that in password_file") && !error.contains("hunter2"), "{error}");
    assert!(!mistakes("[database]\nurl = \"mysql://u:hunter2\\u0001@h/d\"").contains("hunter2"));
}

#[test]
fn root_is_no_user_for_mail_unless_allowed() {
    assert!(mistake("[mailbox]\nuid = 0").starts_with("m.toml:2:7: [mailbox] uid: 0 is root"));
    assert!(Config::parse("[mailbox]\nuid = 0\ngid = 0\nallow_root = true", Path::new("m")).is_ok());
}

#[test]
fn the_root_of_mailboxes_holds_what_the_configuration_places() {
    let said = mistake("[mailbox]\nhome = '/home/%u'\nroot = '/srv'");
    assert!(said.starts_with("m.toml:3:8: [mailbox] root: does not hold [mailbox] home /home/%u; write"), "{said}");
    assert!(mistake("[mailbox]\nroot = 'mail'").contains("is not an absolute path"));
    assert!(mistake("[mailbox]\nroot = '/var/mail/..'").contains("has .. in it"));
    assert!(mistake("[mailbox]\nmin_uid = 4294967295").contains("min_uid"));
    assert!(Config::parse("[mailbox]\nroot = '/'\nmin_uid = 0\nmin_gid = 8", Path::new("m")).is_ok());
}

#[test]
fn one_verification_has_to_fit_into_the_memory_for_all() {
    let config = "[password]\nmemory = \"64M\"\nmax_argon2_memory = \"32M\"\n";
    assert!(mistake(config).starts_with("m.toml:2:10: [password] memory: is less than one verification may take"));
    assert!(Config::parse(&format!("{config}max_scrypt_memory = '64M'"), Path::new("m")).is_ok());
    assert!(mistake("[password]\nmax_scrypt_memory = '1G'").starts_with("m.toml:1:1: [password] memory: "));
}

#[test]
fn the_bounds_on_cost_reach_the_rules() {
    let text = "[password]\nscheme = 'yescrypt'\ndefault_scheme = 'Plain-MD5'\nmax_bcrypt_cost = 12\n\
                max_argon2_memory = '128M'\nmax_argon2_work = 1048576";
    let password = Config::parse(text, Path::new("m.toml")).unwrap().password;
    assert_eq!((password.scheme.name(), password.rules.default_scheme.name().as_str()), ("yescrypt", "plain-md5"));
    assert_eq!((password.rules.limits.bcrypt_cost, password.rules.limits.argon2_memory_kib), (12, 131_072));
    assert_eq!(password.rules.limits.argon2_work_kib, 1024);
}

#[test]
fn a_huge_file_is_refused_unread_and_mistakes_are_bounded() {
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
fn every_key_says_something_about_a_date() {
    for key in KEYS {
        let error = mistake(&format!("[{}]\n{} = 2026-11-23", key.section, key.name));
        let named = format!("m.toml:2:{}: [{}] {}: ", key.name.len() + 4, key.section, key.name);
        assert!(error.starts_with(&named) && error.contains("; write "), "{error}");
    }
}

#[test]
fn a_clients_certificate_and_its_key_stand_together() {
    let config = |text: &str| Config::parse(&format!("[database]\n{text}"), Path::new("m.toml"));
    assert!(config("tls_cert = \"c.pem\"\ntls_key = \"k.pem\"").is_ok());
    for (text, said) in [
        ("tls_cert = \"c.pem\"", "m.toml:2:12: [database] tls_cert: needs its private key; name that in tls_key"),
        ("tls_key = \"k.pem\"", "m.toml:2:11: [database] tls_key: is of no use without its certificate"),
    ] {
        let error = config(text).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn what_separates_a_login_does_not_begin_a_detail_too() {
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
fn the_sample_holds_every_key_with_its_default() {
    let sample = include_str!("../../../../mailauth.toml");
    let defaults = format!("{:?}", Config::default());
    assert_eq!(format!("{:?}", Config::parse(sample, Path::new("mailauth.toml")).unwrap()), defaults);
    // Keys stand there commented out, `#key = default`; prose has a space after its number sign.
    let keys: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    // SQLite has no second user, which [admin] would be.
    let keys = keys.replace("sqlite:mailauth.db", "mysql://mailauth@localhost/mail");
    let parsed = parse(&keys, Path::new("mailauth.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    for key in KEYS {
        assert!(
            parsed.places.contains_key(&(key.section, key.name)),
            "the sample lacks [{}] {}",
            key.section,
            key.name
        );
    }
    let mut shown = parsed.config;
    // These have no default, and the sample an example.
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
    // A socket that is written is the only one that is asked.
    (shown.client.other_socket, shown.client.server_user) = (Config::default().client.other_socket, None);
    assert_eq!(format!("{shown:?}"), defaults);
}

/// Lines that resemble a configuration.
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
    fn any_text_is_a_configuration_or_has_mistakes_inside_the_file(text in prop_oneof![resembling(), "(?s).{0,200}"]) {
        if let Err(errors) = Config::parse(&text, Path::new("m.toml")) {
            prop_assert!(!errors.mistakes.is_empty());
            let lines = text.split('\n').count();
            for mistake in errors.mistakes {
                let place = mistake.place.expect("a place");
                prop_assert!((1..=lines).contains(&place.line) && place.column >= 1, "{mistake} of {lines}");
                prop_assert!(!mistake.to_string().contains('\n') && mistake.to_string().len() < 1000);
            }
        }
    }
}
