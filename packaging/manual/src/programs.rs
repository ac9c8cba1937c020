//! The pages of the programs that have no clap: from what they print for `--help`.

use crate::document::Document;
use crate::help_text;
use crate::supplements::see_also;

/// The part of the manual with programs of administrators.
const PART: u8 = 8;

struct Program {
    name: &'static str,
    /// Programs and links that are described on the same page.
    other_names: &'static [&'static str],
    about: &'static str,
    usage: &'static str,
}

const PROGRAMS: [Program; 5] = [
    Program {
        name: "mailauth-courier",
        other_names: &[],
        about: "daemon that answers logins and questions about mail accounts",
        usage: mailauth_courier::options::USAGE,
    },
    Program {
        name: "mailauth-mailboxes",
        other_names: &[],
        about: "examines, counts and creates mailboxes for mailauth-courier",
        usage: mailauth_mailboxes::usage::USAGE,
    },
    Program {
        name: "mailauth-pop3",
        other_names: &["mailauth-pop3-database", "mailauth-dovecot"],
        about: "checkpassword program",
        usage: mailauth_pop3::check_mode::USAGE,
    },
    Program {
        name: "mailauth-exim",
        other_names: &[],
        about: "answers Exim's questions about mail accounts",
        usage: mailauth_exim::usage::USAGE,
    },
    Program {
        name: "mailauth-exim-database",
        other_names: &[],
        about: "answers Exim's questions while the daemon is down",
        usage: mailauth_exim::usage::DATABASE_USAGE,
    },
];

/// Returns the pages of these programs.
pub fn pages() -> Vec<Document> {
    let references: Vec<String> = ["mailauth(1)", "mailauth.toml(5)", "mailauth-protocol(7)"]
        .map(str::to_owned)
        .into_iter()
        .chain(PROGRAMS.iter().map(|program| format!("{}({PART})", program.name)))
        .collect();
    let page = |program: &Program| {
        let mut page = Document::new(program.name, PART, program.about);
        page.other_names = program.other_names.iter().map(|name| (*name).to_owned()).collect();
        help_text::add(&mut page, "Description", program.usage);
        see_also(&mut page, &references);
        page
    };
    PROGRAMS.iter().map(page).collect()
}
