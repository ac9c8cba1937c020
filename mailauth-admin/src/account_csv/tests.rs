use super::{AccountCsv, values};
use crate::account_columns;
use crate::csv_import::{self, CsvTable};
use csv::WriterBuilder;
use mailauth_core::Services;
use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::config::Config;
use mailauth_core::mailbox::MailboxDefaults;
use mailauth_core::store::AccountRecord;
use proptest::prelude::*;
use std::io;

fn try_to_read(text: &[u8]) -> io::Result<(Vec<AccountRow>, Vec<String>)> {
    let mailbox = MailboxDefaults {
        uid: Some(5000),
        gid: Some(5000),
        min_uid: Some(1),
        root: Some("/".into()),
        ..MailboxDefaults::default()
    };
    let config = Config { mailbox, ..Config::default() };
    let (records, problems) = csv_import::try_to_read(&AccountCsv { config: &config, update: false }, text)?;
    let row = |AccountRecord { login, change }| {
        let mut row = AccountRow::new(login);
        change.apply(&mut row);
        row
    };
    Ok((records.into_iter().map(row).collect(), problems))
}

fn read(text: &str) -> (Vec<AccountRow>, Vec<String>) {
    try_to_read(text.as_bytes()).unwrap()
}

fn refused(text: &str) -> String {
    let error = try_to_read(text.as_bytes()).expect_err(text);
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.to_string()
}

#[test]
fn columns_may_be_missing_and_in_any_order() {
    let (rows, problems) = read("name,login\nAnna,Anna@Example.org\n\n,ben@example.org\n");
    assert_eq!((rows.len(), problems.len()), (2, 0), "{problems:?}");
    assert_eq!((rows[0].login.as_str(), rows[0].name.as_deref()), ("anna@example.org", Some("Anna")));
    assert_eq!(rows[1], AccountRow::new(Login::parse(b"ben@example.org", None).unwrap()));
}

#[test]
fn the_csv_of_spreadsheets_is_read() {
    let (rows, problems) =
        read("\u{feff}login,\"name\",quota\r\n\"a@x.example\",\"A \"\"B\"\", C\",\"1G,10\"\r\nb@x.example,,");
    assert_eq!(problems, [""; 0]);
    assert_eq!(rows[0].name.as_deref(), Some("A \"B\", C"));
    assert_eq!((rows[0].quota_bytes, rows[0].quota_messages), (Some(1 << 30), Some(10)));
    assert_eq!(rows.len(), 2);
}

#[test]
fn white_space_is_ignored_around_values_but_not_around_passwords() {
    let text = "login , maildir,quota,services,enabled,name,uid,password\n\
                \u{a0}anna@x.example , Maildir ,1000C , imap ,\tno , Anna , 7 ,{PLAIN}se cret \n";
    let (rows, problems) = read(text);
    assert_eq!(problems, [""; 0]);
    let row = &rows[0];
    assert_eq!((row.login.as_str(), row.maildir.as_deref(), row.uid), ("anna@x.example", Some("Maildir"), Some(7)));
    assert_eq!((row.quota_bytes, row.quota_messages, row.enabled), (None, Some(1000), false));
    assert_eq!((row.services.to_string().as_str(), row.name.as_deref()), ("imap", Some("Anna")));
    assert_eq!(row.password, Password("{PLAIN}se cret ".into()));
}

#[test]
fn null_is_an_empty_column() {
    for null in ["NULL", "\\N", "null", " NULL ", "(NULL)"] {
        let values = [null; 10].join(",");
        let (rows, problems) = read(&format!(
            "login,password,uid,gid,home,maildir,quota,services,name,options,enabled\na@x.example,{values}\n"
        ));
        assert_eq!(problems, [""; 0], "{null}");
        assert_eq!(rows, [AccountRow::new(Login::parse(b"a@x.example", None).unwrap())], "{null}");
        let (rows, problems) = read(&format!("login,name\n{null},Anna\n"));
        assert!(rows.is_empty() && problems[0].starts_with("2: login: it is NULL"), "{null}: {problems:?}");
    }
    let (rows, _) = read("login,name\na@x.example,Null\n");
    assert_eq!(rows[0].name.as_deref(), Some("Null"));
}

#[test]
fn separators_and_negative_numbers_are_rejected_with_a_correction() {
    for (quota, reason) in [
        ("\"1,024\"", "write numbers without separators"),
        ("1.024", "write numbers without separators"),
        ("-1", "write none"),
        ("1.5G", "write 1536M"),
        ("1G;1000", "is not a quota"),
    ] {
        let (rows, problems) = read(&format!("login,quota\na@x.example,{quota}\n"));
        assert!(rows.is_empty() && problems[0].starts_with("2: quota: "), "{problems:?}");
        assert!(problems[0].contains(reason), "{problems:?}");
    }
    let (_, problems) = read("login,quota\na@x.example,1G,1000\n");
    assert!(
        problems[0].contains("it has 3 values, but the header has 2; a value that contains a comma"),
        "{problems:?}"
    );
}

#[test]
fn a_switch_is_written_in_many_ways() {
    let words = ["yes", "Y", "t", "TRUE", "1", "", "No", "n", "F", "false", "0"];
    let csv: String = words.iter().enumerate().map(|(n, word)| format!("a{n}@x.example,{word}\n")).collect();
    let (rows, problems) = read(&format!("login,enabled\n{csv}b@x.example,perhaps\n"));
    let on = [true, true, true, true, true, true, false, false, false, false, false];
    assert_eq!(rows.iter().map(|row| row.enabled).collect::<Vec<_>>(), on);
    assert_eq!(problems, ["13: enabled: write yes or no"]);
}

#[test]
fn rows_with_only_commas_are_skipped() {
    let (rows, problems) = read("login,name,quota\na@x.example,,\n,,\n , ,\r\n,,\n");
    assert_eq!((rows.len(), problems.len()), (1, 0), "{problems:?}");
    assert!(refused("\u{feff}\u{feff}login\n").contains("there is no column"));
    let utf16: Vec<u8> = "\u{feff}login\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(try_to_read(&utf16).unwrap_err().to_string().contains("it is UTF-16; save it as CSV in UTF-8"));
}

#[test]
fn every_invalid_row_is_reported_with_its_line_and_reason() {
    let text = "login,password,uid,quota,services,enabled,name\n\
                anna@example.org,,5000,1G,imap,yes,\"two\nlines\"\n\
                bad login@example.org,$6$short,0,lots,imap;pop3,perhaps,\n\
                bare,,,,,,\n\
                ben@example.org,,,\n\
                clara@example.org,!,,,none,no,Clara\n";
    let (rows, problems) = read(text);
    assert_eq!(rows.iter().map(|row| row.login.as_str()).collect::<Vec<_>>(), ["clara@example.org"]);
    assert_eq!((rows[0].enabled, &rows[0].services), (false, &Services::Only(Vec::new())));
    let starts = [
        "2: name: it holds a control character",
        "4: login: the login holds a control character or a space",
        "4: password: the SHA512-CRYPT value is truncated",
        "4: uid: 0 is root",
        "4: quota: \"lots\" is not a quota",
        "4: services: \"imap;pop3\" is not a service name",
        "4: enabled: write yes or no",
        "5: login: the login has no domain",
        "6: it has 4 values, but the header has 7",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem} / {start}");
    }
}

#[test]
fn lines_are_counted_with_any_line_end_and_with_empty_lines() {
    for end in ["\n", "\r\n"] {
        let text = ["login,name", "", "bare", "a@x.example,\"1", "2\"", "", "", "worse"].join(end);
        let starts: Vec<_> = read(&text).1.iter().map(|problem| problem[..2].to_owned()).collect();
        assert_eq!(starts, ["3:", "4:", "8:"], "{end:?}");
    }
}

#[test]
fn a_row_that_does_not_end_is_rejected() {
    let text = format!("login,name\na@x.example,\nb@x.example,\"{}", "a quote is missing\n".repeat(200_000));
    assert!(refused(&text).starts_with("the row after line 2 has more than 1048576 bytes"), "{}", refused(&text));
    let (rows, problems) = read(&format!("login,name\nb@x.example,\"{}\"\n", "x".repeat(1_000_000)));
    assert_eq!((rows.len(), problems.len()), (0, 1));
}

#[test]
fn an_invalid_header_is_rejected() {
    assert!(refused("login,pasword\n").starts_with("line 1: there is no column \"pasword\""));
    assert!(refused("login,pasword\n").ends_with("; did you mean password?"));
    assert!(
        refused("Login,Quota\n").contains("\"Login\"")
            && refused("Login,Quota\n").contains("write quota, in lower case")
    );
    assert!(refused("login;password;quota\na@x.example;;1G\n").contains("there are semicolons between the values"));
    assert!(refused("login\tpassword\na@x.example\t!\n").contains("there are tabs between the values"));
    assert!(refused("login,login\n").contains("twice"));
    assert!(refused("anna@example.org,x\n").contains("there is no column"));
    assert!(refused("name\n").contains("there is no column login"));
    assert!(refused("").contains("there is no column login"));
}

#[test]
fn a_password_that_is_not_utf_8_is_a_problem_of_its_row() {
    let (rows, problems) = try_to_read(b"login,password\na@x.example,{PLAIN}\xff\n").unwrap();
    assert!(rows.is_empty() && problems[0].starts_with("2: password: it is not UTF-8"), "{problems:?}");
}

fn text() -> impl Strategy<Value = Option<String>> {
    let text = proptest::option::of("[^\\p{C}]{1,20}").prop_map(|text| text.map(|text| text.trim().to_owned()));
    let fits = |text: &String| !text.is_empty() && !text.contains("..") && !account_columns::is_null("", text);
    text.prop_map(move |text| text.filter(fits))
}

proptest! {
    #[test]
    fn an_import_reads_what_an_export_wrote(
        texts in (text(), text(), text()),
        numbers in (proptest::option::of(1..u32::MAX), proptest::option::of(0..=1u64 << 60), proptest::option::of(0..9u64)),
        enabled: bool,
        services in prop::sample::select(vec!["", "none", "imap", "pop3,ftp"]),
    ) {
        let row = AccountRow {
            password: Password("$1$abcdefgh$XTVfMWw0tRfpY7uj3PT5V.".into()),
            enabled,
            services: Services::parse(services).unwrap(),
            uid: numbers.0,
            home: texts.0.map(|text| format!("/{text}")),
            maildir: texts.1.filter(|text| text != "default"),
            quota_bytes: numbers.1,
            quota_messages: numbers.2,
            name: texts.2,
            ..AccountRow::new(Login::parse(b"anna@example.org", None).unwrap())
        };
        let mut writer = WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(AccountCsv::COLUMNS).unwrap();
        writer.write_record(values(&row)).unwrap();
        let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let (rows, problems) = read(&written);
        prop_assert_eq!(problems, Vec::<String>::new());
        prop_assert_eq!(rows, vec![row]);
    }

    #[test]
    fn any_bytes_are_rows_or_problems(text in "(login|password|uid)(,(name|quota|enabled)){0,3}\n((?s).{0,80})") {
        let _ = try_to_read(text.as_bytes());
    }
}
