//! The program that the tables of an old file belong to, recognized by tables and columns.

use std::collections::BTreeSet;

/// The tables of a program, as old files name them.
#[derive(Debug)]
pub struct Program {
    /// Name of the profile.
    pub profile: &'static str,
    /// Name of the program.
    pub name: &'static str,
    /// The table with the accounts.
    pub table: &'static str,
    /// Lists of columns. At least one column of each list is used.
    columns: &'static [&'static [&'static str]],
    /// True if a quota without a unit is in bytes.
    pub quota_in_bytes: bool,
    /// What the profile refuses although an old file often does not: the column, and what it means.
    pub stricter: &'static [(&'static str, &'static str)],
}

/// All programs. The first that fits is the right one.
const PROGRAMS: &[Program] = &[
    Program {
        profile: "vpopmail",
        name: "vpopmail",
        table: "vpopmail",
        columns: &[&["pw_name", "pw_passwd", "pw_domain", "pw_dir"]],
        quota_in_bytes: false,
        stricter: &[("pw_gid", "the bits of pw_gid that forbid services and mail")],
    },
    Program {
        profile: "ispmail",
        name: "ISPmail",
        table: "virtual_users",
        columns: &[],
        quota_in_bytes: true,
        stricter: &[],
    },
    Program {
        profile: "froxlor",
        name: "froxlor",
        table: "mail_users",
        columns: &[&["password_enc"]],
        quota_in_bytes: false,
        stricter: &[
            ("deactivated", "the switch of a domain and of a customer (panel_domains, panel_customers)"),
            ("imap", "the columns imap, pop3 and postfix, which permit services"),
        ],
    },
    Program {
        profile: "vexim",
        name: "VExim",
        table: "users",
        columns: &[&["localpart", "crypt"], &["domain_id", "crypt", "pop", "smtp"]],
        quota_in_bytes: false,
        stricter: &[("enabled", "the switches of accounts and domains (users.enabled, domains.enabled)")],
    },
    Program {
        profile: "ispconfig",
        name: "ISPConfig",
        table: "mail_user",
        columns: &[],
        quota_in_bytes: true,
        stricter: &[("mail_domain", "the switch of a domain (mail_domain.active)")],
    },
    Program {
        profile: "modoboa",
        name: "Modoboa",
        table: "core_user",
        columns: &[],
        quota_in_bytes: false,
        stricter: &[
            ("enabled", "the switch of a domain (admin_domain.enabled)"),
            ("is_active", "the switch of an account (core_user.is_active)"),
        ],
    },
    Program {
        profile: "iredmail",
        name: "iRedMail",
        table: "mailbox",
        columns: &[&["storagebasedirectory", "storagenode", "allow_nets"]],
        quota_in_bytes: false,
        stricter: &[("active", "the switches of accounts and domains (mailbox.active, domain.active)")],
    },
    Program {
        profile: "mailcow",
        name: "mailcow",
        table: "mailbox",
        columns: &[&["attributes", "mailbox_path_prefix", "authsource"]],
        quota_in_bytes: true,
        stricter: &[("attributes", "the flags in attributes, which permit services"), ("tfa", "a second factor (tfa)")],
    },
    Program {
        profile: "vimbadmin",
        name: "ViMbAdmin",
        table: "mailbox",
        columns: &[&["access_restriction", "homedir", "delete_pending"]],
        quota_in_bytes: true,
        stricter: &[("domain", "the switch of a domain (domain.active)")],
    },
    Program {
        profile: "postfixadmin",
        name: "PostfixAdmin",
        table: "mailbox",
        columns: &[&["username"], &["maildir", "local_part", "smtp_active", "password_expiry", "quota"]],
        quota_in_bytes: true,
        stricter: &[
            ("domain.active", "the switch of a domain (domain.active)"),
            ("password_expiry", "the expiry of passwords (password_expiry)"),
            ("smtp_active", "the switch of SMTP (smtp_active)"),
        ],
    },
    Program {
        profile: "mailu",
        name: "Mailu",
        table: "user",
        columns: &[&["displayed_name", "quota_bytes", "enable_imap", "enable_pop", "domain_name"]],
        quota_in_bytes: true,
        stricter: &[("enabled", "the switch of an account (enabled)")],
    },
    Program {
        profile: "courier",
        name: "Courier",
        table: "passwd",
        columns: &[&["crypt", "clear"]],
        quota_in_bytes: false,
        stricter: &[],
    },
];

/// A program whose tables an old file names.
#[derive(Clone, Debug, Default)]
pub struct Recognized {
    /// The program; `None` if the tables are of no program that is known.
    pub program: Option<&'static Program>,
    /// The beginning of the names of its tables.
    pub prefix: String,
}

impl Recognized {
    /// Returns the program with this profile.
    pub fn named(profile: &str) -> Recognized {
        let program = PROGRAMS.iter().find(|program| program.profile == profile);
        Recognized { program, prefix: String::new() }
    }

    /// Returns the program that the names of tables and columns belong to.
    pub fn by_names(names: &BTreeSet<String>) -> Recognized {
        let has_columns =
            |program: &Program| program.columns.iter().all(|any| any.iter().any(|column| names.contains(*column)));
        for program in PROGRAMS {
            if !has_columns(program) {
                continue;
            }
            if names.contains(program.table) {
                return Recognized { program: Some(program), prefix: String::new() };
            }
            // A word such as user is the end of too many names.
            let long = program.table.len() > 5 && program.table != "passwd";
            let prefixed = names.iter().find_map(|name| name.strip_suffix(program.table).filter(|_| long));
            if let Some(prefix) = prefixed.filter(|prefix| prefix.ends_with('_') && is_prefix(prefix)) {
                return Recognized { program: Some(program), prefix: prefix.to_owned() };
            }
        }
        Recognized::default()
    }
}

fn is_prefix(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
