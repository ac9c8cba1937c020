//! The requests whose answer the protocol defines, as data: what a server has to send to its clients, and where the
//! real courier-authdaemond differs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{KeyInit, Mac};
use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, EMIL, PASSWORD, UNKNOWN};
use mailauth_tests::wire::{Manner, auth, auth_body, passwd, pre};
use std::time::Duration;

/// One request on one connection.
pub struct Case {
    pub name: &'static str,
    pub request: Vec<u8>,
    pub manner: Manner,
    /// The correct outcomes. More than one if no client can distinguish them or be harmed.
    pub right: &'static [&'static str],
    /// What authdaemond does instead, and why mailauth should not.
    pub real: Option<(&'static [&'static str], &'static str)>,
}

const ACCOUNT: &[&str] = &["ACCOUNT"];
const FAIL: &[&str] = &["FAIL"];
const CLOSED: &[&str] = &["CLOSED"];
const LIST: &[&str] = &["LIST"];
/// For requests that no client sends: either refusal is harmless.
const REFUSED: &[&str] = &["FAIL", "CLOSED"];
const STRICTER: &str = "harmless, but no client sends it and a strict reader is a simple one";

fn case(name: &'static str, request: impl Into<Vec<u8>>, right: &'static [&'static str]) -> Case {
    Case { name, request: request.into(), manner: Manner::Whole, right, real: None }
}

impl Case {
    fn half_close(self) -> Self {
        Case { manner: Manner::HalfClose, ..self }
    }

    fn pieces(self, bytes: usize, pause: Duration) -> Self {
        Case { manner: Manner::Pieces(bytes, pause), ..self }
    }

    fn but_real(self, outcomes: &'static [&'static str], why: &'static str) -> Self {
        Case { real: Some((outcomes, why)), ..self }
    }
}

/// Returns the lookups by `PRE`.
pub fn look_ups() -> Vec<Case> {
    let good = pre("imap", ANNA);
    let line_of = |bytes: usize| pre("imap", &"x".repeat(bytes - pre("imap", "").len() + 1));
    let mut cases = vec![
        case("a look-up", good.clone(), ACCOUNT),
        case("an unknown login", pre("imap", UNKNOWN), FAIL),
        case("an unknown module", format!("PRE authnosuch imap {ANNA}\n"), FAIL),
        case("a command and no more", "PRE\n", CLOSED),
        case("a command and a space", "PRE \n", CLOSED),
        case("no service", "PRE .\n", CLOSED),
        case("no login", "PRE . imap\n", CLOSED),
        case("an empty login", "PRE . imap \n", REFUSED),
        case("runs of spaces count as one", format!("PRE   .   imap   {ANNA}\n"), ACCOUNT),
        case("tabs are no spaces", format!("PRE\t.\timap\t{ANNA}\n"), CLOSED),
        case("a command in lower case", format!("pre . imap {ANNA}\n"), CLOSED),
        case("a CR is part of the login", format!("PRE . imap {ANNA}\r\n"), FAIL),
        case("a space after the login", pre("imap", &format!("{ANNA} ")), ACCOUNT)
            .but_real(&["FAIL", "ACCOUNT"], "only MySQL pads with spaces before it compares"),
        case("a login in upper case", pre("imap", &ANNA.to_uppercase()), ACCOUNT)
            .but_real(&["FAIL", "ACCOUNT"], "the database's collation decides"),
        case("a login without its domain", pre("imap", "anna"), FAIL),
        case("a login with a space", pre("imap", "two words@example.org"), FAIL),
        case("a login with an equals sign", pre("imap", "a=b@example.org"), FAIL),
        case("a quote is no SQL", pre("imap", &format!("{ANNA}' OR '1'='1")), FAIL),
        case("a backslash is no SQL", pre("imap", &format!("{ANNA}\\' OR 1=1 -- ")), FAIL),
        case("a percent sign is no pattern", pre("imap", "%"), FAIL),
        case("an underscore is no pattern", pre("imap", "_nna@example.org"), FAIL),
        case("a login beyond ASCII", pre("imap", "usér@exämple.example"), FAIL),
        case("a letter that a collation takes for another", pre("imap", "ánna@example.org"), FAIL),
        case("a login that is not UTF-8", *b"PRE . imap \xff\xfe\x80@example.org\n", FAIL)
            .but_real(REFUSED, "on MySQL and PostgreSQL the query fails, which is no answer to an unknown login"),
        case("a login of control characters", *b"PRE . imap \x01\x02\x1b[2J\x7f@example.org\n", FAIL),
        case("a NUL does not end a login", format!("PRE . imap {ANNA}\0junk\n"), REFUSED)
            .but_real(ACCOUNT, "it looks up another login than was sent"),
        case("a login of 4,000 bytes", pre("imap", &"x".repeat(4000)), FAIL),
        case("a line as long as a line may be", line_of(8190), FAIL),
        case("a line one byte longer", line_of(8191), CLOSED),
        case("a line of 100,000 bytes", line_of(100_000), CLOSED),
        case("a line that does not end", good[..good.len() - 1].to_vec(), CLOSED).half_close(),
        case("a client that shuts its side down", good.clone(), ACCOUNT).half_close(),
        case("a second request on a connection", good.repeat(2), ACCOUNT),
        case("a byte at a time", good.clone(), ACCOUNT).pieces(1, Duration::ZERO),
        case("a disabled account", pre("imap", CARLA), FAIL).but_real(ACCOUNT, "it knows of none"),
        case("a service that the account may not use", pre("imap", BRUNO), FAIL).but_real(ACCOUNT, "it knows of none"),
        case("a service that the account may use", pre("pop3s", BRUNO), ACCOUNT),
        case("delivery to an account that may not log in there", pre("courier", BRUNO), ACCOUNT),
    ];
    for service in ["pop3", "esmtp", "smtp", "webmail", "login", "courier", "exim", "no-such-service"] {
        cases.push(case("a service of any name", pre(service, ANNA), ACCOUNT));
    }
    cases.push(case("a service of 3,000 bytes", pre(&"x".repeat(3000), ANNA), ACCOUNT));
    cases
}

/// Returns the logins by `AUTH` with a password.
pub fn logins() -> Vec<Case> {
    let good = auth("imap", ANNA, PASSWORD);
    let with_password =
        |password: &[u8]| auth_body(&[format!("imap\nlogin\n{ANNA}\n").as_bytes(), password, b"\n"].concat());
    let of_type = |kind: &str| auth_body(format!("imap\n{kind}\n{ANNA}\n{PASSWORD}\n").as_bytes());
    let body_of = |bytes: usize| with_password(&vec![b'x'; bytes - "imap\nlogin\n\n\n".len() - ANNA.len()]);
    let lenient = |case: Case| case.but_real(ACCOUNT, STRICTER);
    let mut cases = vec![
        case("the right password", good.clone(), ACCOUNT),
        case("a wrong password", auth("imap", ANNA, "wrong"), FAIL),
        case("an unknown login", auth("imap", UNKNOWN, PASSWORD), FAIL),
        case("an account without a password", auth("imap", EMIL, PASSWORD), FAIL),
        case("a disabled account", auth("imap", CARLA, PASSWORD), FAIL).but_real(ACCOUNT, "it knows of none"),
        case("a service that the account may not use", auth("imap", BRUNO, PASSWORD), FAIL)
            .but_real(ACCOUNT, "it knows of none"),
        case("a service that the account may use", auth("pop3", BRUNO, PASSWORD), ACCOUNT),
        case("a password that is stored in clear", auth("imap", DORA, DORAS_PASSWORD), ACCOUNT),
        case("an empty password", auth("imap", ANNA, ""), FAIL),
        case("an empty login", auth("imap", "", PASSWORD), FAIL),
        case("both empty", auth("imap", "", ""), FAIL),
        case("no line for the password", auth_body(format!("imap\nlogin\n{ANNA}\n").as_bytes()), FAIL),
        case("no line for the login", auth_body(b"imap\nlogin\n"), FAIL),
        case("no line for the type", auth_body(b"imap\n"), CLOSED),
        case("an empty body", auth_body(b""), CLOSED),
        case("an empty service", auth("", ANNA, PASSWORD), ACCOUNT),
        case("a service named as a command", auth("ENUMERATE", ANNA, PASSWORD), ACCOUNT)
            .but_real(&["EXTRA"], "the body is read again as a command, and the whole listing follows"),
        case("an unknown type", of_type("plain"), FAIL),
        case("a type in upper case", of_type("LOGIN"), FAIL),
        case("an empty type", of_type(""), FAIL),
        case("EXTERNAL, which never reaches the socket", of_type("EXTERNAL"), FAIL),
        case("no line end after the password", auth_body(&good[8..good.len() - 1]), ACCOUNT),
        lenient(case("a line too many", with_password(b"correct horse\nextra"), FAIL)),
        lenient(case("an empty line before the login", auth("imap", &format!("\n{ANNA}"), PASSWORD), FAIL)),
        lenient(case("an empty line before the password", auth("imap", ANNA, "\ncorrect horse"), FAIL)),
        lenient(case("a line end in the login", auth("imap", &format!("{ANNA}\n{PASSWORD}"), "other"), FAIL)),
        case("a CR is part of the password", with_password(b"correct horse\r"), FAIL),
        case("a space after the password", auth("imap", ANNA, "correct horse "), FAIL),
        case("a space before the password", auth("imap", ANNA, " correct horse"), FAIL),
        case("a password in upper case", auth("imap", ANNA, "CORRECT HORSE"), FAIL),
        case("a password of eight-bit bytes", with_password(&(128..=255).collect::<Vec<u8>>()), FAIL),
        case("a password of control characters", with_password(b"\x01\x02\x03\x1b\x7f"), FAIL),
        case("the hash is no password", auth("imap", ANNA, mailauth_tests::people::CHEAP_HASH), FAIL),
        case("a NUL does not end a password", with_password(b"correct horse\0junk"), REFUSED)
            .but_real(ACCOUNT, "it checks another password than was sent"),
        case("a NUL does not end a login", auth("imap", &format!("{ANNA}\0junk"), PASSWORD), REFUSED),
        case("a login that is not UTF-8", auth_body(b"imap\nlogin\n\xff\xfe@example.org\ncorrect horse\n"), FAIL),
        case("a quote is no SQL", auth("imap", &format!("{ANNA}' OR '1'='1"), PASSWORD), FAIL),
        case("a comment is no SQL", auth("imap", &format!("{ANNA}' -- "), PASSWORD), FAIL),
        case("a password of 4,000 bytes", auth("imap", ANNA, &"x".repeat(4000)), FAIL),
        case("a login of 4,000 bytes", auth("imap", &"x".repeat(4000), PASSWORD), FAIL),
        case("a body as long as a body may be", body_of(8191), FAIL),
        case("a body one byte longer", body_of(8192), CLOSED),
        case("a body of 100,000 bytes", body_of(100_000), CLOSED),
        case("Cyrus SASL sends a byte more than it counts", [&good[..], b"\n"].concat(), ACCOUNT),
        case("Exim shuts its side down", good.clone(), ACCOUNT).half_close(),
        case("a second request on a connection", good.repeat(2), ACCOUNT),
        case("a kilobyte of junk behind", [&good[..], &[0xff; 1000]].concat(), ACCOUNT),
        case("64 kilobytes of junk behind", [&good[..], &[b'x'; 65536]].concat(), ACCOUNT)
            .but_real(&["ACCOUNT", "RESET"], "what is left unread makes the kernel reset the connection"),
        case("a byte at a time", good.clone(), ACCOUNT).pieces(1, Duration::ZERO),
        case("slowly but steadily", good.clone(), ACCOUNT).pieces(16, Duration::from_millis(100)),
        case("the body half a second later", good.clone(), ACCOUNT).pieces(8, Duration::from_millis(80)),
    ];
    for service in ["pop3", "esmtp", "smtp", "webmail", "calendar"] {
        cases.push(case("a service of any name", auth(service, ANNA, PASSWORD), ACCOUNT));
    }
    cases
}

/// Returns `AUTH` requests with all kinds of lengths.
pub fn lengths() -> Vec<Case> {
    let body = format!("imap\nlogin\n{ANNA}\n{PASSWORD}\n");
    let right = body.len();
    let of = |length: String| format!("AUTH {length}\n{body}");
    let lenient = |case: Case| case.but_real(ACCOUNT, STRICTER);
    vec![
        case("no length", of(String::new()), CLOSED),
        case("zero", of("0".into()), CLOSED),
        case("negative", of(format!("-{right}")), CLOSED),
        case("a word", of("many".into()), CLOSED),
        case("thirty digits", of("9".repeat(30)), CLOSED),
        case("2^32 more", of((right as u64 + (1 << 32)).to_string()), CLOSED).but_real(ACCOUNT, "it wraps"),
        case("2^64 more", of((right as u128 + (1 << 64)).to_string()), CLOSED).but_real(REFUSED_OR_ACCOUNT, "it wraps"),
        case("zeros before", of(format!("000{right}")), &["ACCOUNT", "CLOSED"]),
        lenient(case("a plus sign", of(format!("+{right}")), CLOSED)),
        lenient(case("junk after", of(format!("{right}abc")), CLOSED)),
        lenient(case("a CR after", of(format!("{right}\r")), CLOSED)),
        lenient(case("spaces before", of(format!("   {right}")), CLOSED)),
        case("one too few cuts the line end", of((right - 1).to_string()), ACCOUNT),
        case("two too few cuts the password", of((right - 2).to_string()), FAIL),
        case("one too many, and then the end", of((right + 1).to_string()), CLOSED).half_close(),
        case("a line that does not end", "AUTH 10", CLOSED).half_close(),
    ]
}

const REFUSED_OR_ACCOUNT: &[&str] = &["FAIL", "CLOSED", "ACCOUNT"];

const EMPTY_KEY: &str = "on SQLite it takes a clear password that is NULL for an empty one: anybody logs in as anybody";

/// Returns the logins by `AUTH` with the response to a challenge.
pub fn challenges() -> Vec<Case> {
    let wrong_hash = cram("cram-md5", &digest::<sha1::Sha1>(DORAS_PASSWORD), DORA);
    let md5 = digest::<md5::Md5>(DORAS_PASSWORD);
    let lines = |lines: &str| auth_body(format!("imap\n{lines}").as_bytes());
    vec![
        case("MD5", cram("cram-md5", &md5, DORA), ACCOUNT),
        case("SHA-1", cram("cram-sha1", &digest::<sha1::Sha1>(DORAS_PASSWORD), DORA), ACCOUNT),
        case("SHA-256", cram("cram-sha256", &digest::<sha2::Sha256>(DORAS_PASSWORD), DORA), ACCOUNT),
        case("MD5, wrong password", cram("cram-md5", &digest::<md5::Md5>("wrong"), DORA), FAIL),
        case("SHA-1, wrong password", cram("cram-sha1", &digest::<sha1::Sha1>("wrong"), DORA), FAIL),
        case("SHA-256, wrong password", cram("cram-sha256", &digest::<sha2::Sha256>("wrong"), DORA), FAIL),
        case("a digest in upper case", cram("cram-md5", &md5.to_uppercase(), DORA), ACCOUNT),
        case("a type in upper case", cram("CRAM-MD5", &md5, DORA), FAIL),
        case("half a type", cram("cram-", &md5, DORA), FAIL),
        case("another hash than the type's", wrong_hash, FAIL),
        case("a digest that is too short", cram("cram-md5", &md5[2..], DORA), FAIL),
        case("an empty digest", cram("cram-md5", "", DORA), FAIL),
        case("an unknown login", cram("cram-md5", &md5, UNKNOWN), FAIL),
        case("an account whose password is a hash", cram("cram-md5", &digest::<md5::Md5>(PASSWORD), ANNA), FAIL),
        case("the empty key for an account with a hash", cram("cram-md5", &digest::<md5::Md5>(""), ANNA), FAIL)
            .but_real(REFUSED_OR_ACCOUNT, EMPTY_KEY),
        case("the empty key for an account without a password", cram("cram-md5", &digest::<md5::Md5>(""), EMIL), FAIL)
            .but_real(REFUSED_OR_ACCOUNT, EMPTY_KEY),
        case("no base64", lines("cram-md5\n!!!!\n????\n"), FAIL),
        case("no response", lines("cram-md5\nPDE+\n"), FAIL),
        case("a response of one word", lines(&format!("cram-md5\nPDE+\n{}\n", STANDARD.encode("one"))), FAIL),
        case("empty lines", lines("cram-md5\n\n\n"), FAIL),
    ]
}

const CHALLENGE: &str = "<1896.697170952@host.example>";

fn digest<H>(password: &str) -> String
where
    hmac::Hmac<H>: KeyInit + Mac,
    H: hmac::EagerHash,
{
    let mut mac = <hmac::Hmac<H> as KeyInit>::new_from_slice(password.as_bytes()).expect("a key of any length");
    mac.update(CHALLENGE.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cram(kind: &str, digest: &str, login: &str) -> Vec<u8> {
    let (challenge, response) = (STANDARD.encode(CHALLENGE), STANDARD.encode(format!("{login} {digest}")));
    auth_body(format!("imap\n{kind}\n{challenge}\n{response}\n").as_bytes())
}

/// Returns the `PASSWD` requests that must not change anything.
pub fn refused_changes() -> Vec<Case> {
    vec![
        case("a wrong old password", passwd(ANNA, "wrong", "new words"), FAIL),
        case("an empty old password", passwd(ANNA, "", "new words"), FAIL),
        case("an unknown login", passwd(UNKNOWN, "old", "new words"), FAIL),
        case("no new password", format!("PASSWD imap\t{ANNA}\t{PASSWORD}\n"), CLOSED),
        case("no old password", format!("PASSWD imap\t{ANNA}\n"), CLOSED),
        case("no field at all", "PASSWD\n", CLOSED),
        case("spaces for tabs", "PASSWD imap anna@example.org old new\n", CLOSED),
        case("a control character", passwd(ANNA, PASSWORD, "n\x01ew words"), FAIL),
        case("a CR", passwd(ANNA, PASSWORD, "new words\r"), FAIL),
        case("a quote is no SQL", passwd(&format!("{ANNA}' OR '1'='1"), PASSWORD, "new words"), FAIL),
    ]
}

/// Returns `ENUMERATE` requests, and invalid commands.
pub fn others() -> Vec<Case> {
    let good = auth("imap", ANNA, PASSWORD);
    let behind = |text: &str| [text.as_bytes(), &good].concat();
    vec![
        case("the listing", "ENUMERATE\n", LIST),
        case("the listing, half closed", "ENUMERATE\n", LIST).half_close(),
        case("the listing with an argument", "ENUMERATE x\n", CLOSED).but_real(LIST, STRICTER),
        case("the listing with a CR", "ENUMERATE\r\n", CLOSED),
        case("the listing in lower case", "enumerate\n", CLOSED),
        case("the listing without a line end", "ENUMERATE", CLOSED).half_close(),
        case("an empty line", "\n", CLOSED),
        case("an empty line before a request", behind("\n"), CLOSED),
        case("5,000 empty lines", vec![b'\n'; 5000], CLOSED),
        case("an unknown command", "HELO there\n", CLOSED),
        case("a space before a command", behind(" "), CLOSED),
        case("all bytes there are", (0..=255).collect::<Vec<u8>>().repeat(16), CLOSED).half_close(),
        case("NULs", [vec![0; 4096], vec![b'\n']].concat(), CLOSED),
        case("nothing", "", CLOSED).half_close(),
        case("100,000 bytes and no line end", vec![b'x'; 100_000], CLOSED),
        case("the client's address", behind("TCPREMOTEIP=192.0.2.1\n"), ACCOUNT),
        case("the client's address before a look-up", format!("TCPREMOTEIP=::1\nPRE . imap {ANNA}\n"), ACCOUNT),
        case("unknown metadata", behind("FOO=bar\n"), ACCOUNT),
        case("long metadata", behind(&format!("TCPREMOTEIP={}\n", "1".repeat(4000))), ACCOUNT),
        case("metadata without a name", behind("=x\n"), &["ACCOUNT", "CLOSED"]),
        case("1,000 lines of metadata", behind(&"TCPREMOTEIP=192.0.2.1\n".repeat(1000)), &["ACCOUNT", "CLOSED"]),
        case("metadata and no command", "TCPREMOTEIP=::1\n", CLOSED).half_close(),
        case("a command as metadata", format!("PRE=. imap {ANNA}\n"), CLOSED).half_close(),
    ]
}

/// Returns requests that never become complete, each of which takes the server's ten seconds.
pub fn unfinished() -> Vec<Case> {
    let good = auth("imap", ANNA, PASSWORD);
    let body = format!("imap\nlogin\n{ANNA}\n{PASSWORD}\n");
    vec![
        case("silence", "", CLOSED),
        case("half a line", "PRE . im", CLOSED),
        case("half a body", good[..good.len() - 3].to_vec(), CLOSED),
        case("a length that is one too many", format!("AUTH {}\n{body}", body.len() + 1), CLOSED),
    ]
}
