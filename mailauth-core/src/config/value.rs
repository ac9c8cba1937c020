//! Converting the values of a configuration to the types of their keys. Error messages follow the key's name: first
//! what is wrong with the value, then what to write.

use super::{DatabaseUrl, MetricsAddress, nearest};
use crate::detail::Delimiters;
use crate::model::limits::Limits;
use crate::password::{DefaultScheme, NewScheme};
use crate::policy::RefusalTime;
use crate::schema::Profile;
use crate::throttle::NetworkRange;
use crate::{DomainName, Service, Services, system_ids};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeValue;

/// The result of a conversion; the error says what is wrong with the value, and what to write.
pub(super) type Result<T> = std::result::Result<T, String>;

/// Maximum bytes of a unix socket's path: the 107 of `sun_path` in unix(7), minus those of `.new`, which a server
/// appends while it creates the socket.
const MAX_SOCKET_PATH: usize = 103;

/// Maximum number of characters of a value that a message repeats.
const MAX_SHOWN: usize = 40;

/// The value of one key.
pub(super) struct Value<'v>(pub &'v DeValue<'v>);

impl Value<'_> {
    /// Returns the value as it is shown in messages.
    fn shown(&self) -> String {
        match self.0 {
            DeValue::String(text) if text.chars().nth(MAX_SHOWN).is_some() => {
                format!("{:?}...", text.chars().take(MAX_SHOWN).collect::<String>())
            }
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(word) => word.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a section".to_owned(),
        }
    }

    pub fn wrong<T>(&self, what: &str, advice: &str) -> Result<T> {
        Err(format!("{} is not {what}; {advice}", self.shown()))
    }

    fn out_of_range<T>(&self, advice: &str) -> Result<T> {
        Err(format!("{} is out of range; {advice}", self.shown()))
    }

    pub fn boolean(&self) -> Result<bool> {
        self.0.as_bool().map_or_else(|| self.wrong("a boolean", "write true or false"), Ok)
    }

    /// Returns a string, which must not be empty or contain control characters.
    pub fn text(&self) -> Result<&str> {
        let Some(text) = self.0.as_str() else { return self.wrong("a string", "write it in quotes") };
        if text.is_empty() {
            return Err("is empty; write a value, or leave the key out".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{} contains a control character; write it without control characters", self.shown()));
        }
        Ok(text)
    }

    pub fn number(&self, range: RangeInclusive<u64>) -> Result<u64> {
        let integer = self.0.as_integer();
        let number = integer.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        if let Some(number) = number.filter(|n| range.contains(n)) {
            return Ok(number);
        }
        let (least, most) = range.into_inner();
        let advice = format!("write a whole number from {least} to {most}, without quotes");
        if integer.is_some() { self.out_of_range(&advice) } else { self.wrong("a whole number", &advice) }
    }

    /// Does the same as [`Value::number`] for a smaller type. The range must fit into the type.
    pub fn small<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<T> {
        let number = self.number(range)?;
        T::try_from(number).or_else(|_| self.out_of_range("write a smaller number"))
    }

    /// Returns a user or group id. The largest number is not one; it means "no id" to the system.
    pub fn id(&self) -> Result<u32> {
        self.small(0..=u64::from(u32::MAX - 1))
    }

    /// Returns the id of a user, given as a number or as the name of a user of this system.
    pub fn user(&self) -> Result<u32> {
        self.id_by_name("user", |name| system_ids::user(name).map(|user| user.map(|user| user.uid)))
    }

    /// Returns the id of a group, given as a number or as the name of a group of this system.
    pub fn group(&self) -> Result<u32> {
        self.id_by_name("group", system_ids::group)
    }

    fn id_by_name(&self, kind: &str, find: impl FnOnce(&str) -> io::Result<Option<u32>>) -> Result<u32> {
        let Some(name) = self.0.as_str() else { return self.id() };
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
            let number = name.parse().ok().filter(|id| *id < u32::MAX);
            return number.map_or_else(|| self.out_of_range("write a smaller number"), Ok);
        }
        match find(self.text()?) {
            Ok(Some(id)) => Ok(id),
            Ok(None) => self.wrong(
                &format!("a {kind} of this system"),
                &format!("create the {kind} first, or write another name or a number"),
            ),
            Err(error) => Err(format!("{} cannot be looked up: {error}; write the number of the {kind}", self.shown())),
        }
    }

    /// Returns a duration, such as `500ms`, `3s`, `2m`, `1h` or `30d`.
    pub fn duration(&self, range: RangeInclusive<Duration>) -> Result<Duration> {
        let example = "write a number and a unit (ms, s, m, h or d) in quotes, such as \"3s\"";
        let Some(text) = self.0.as_str() else { return self.wrong("a duration", example) };
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit.trim_start() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return self.wrong("a duration", example),
        };
        let duration = match number.parse::<u64>().ok().and_then(|n| n.checked_mul(milliseconds)) {
            Some(product) => Duration::from_millis(product),
            None => return self.wrong("a duration", example),
        };
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (written(*range.start()), written(*range.end()));
        self.out_of_range(&format!("write a duration from \"{least}\" to \"{most}\""))
    }

    /// Returns `auto` or a duration of at most 10 seconds.
    pub fn refusal_time(&self) -> Result<RefusalTime> {
        match self.0.as_str() {
            Some("auto") => Ok(RefusalTime::Auto),
            _ => self.duration(Duration::ZERO..=Duration::from_secs(10)).map(RefusalTime::Fixed),
        }
    }

    /// Returns a number of bytes, given as a number or as a string with K, M or G (powers of 1024).
    pub fn bytes(&self, range: RangeInclusive<u64>) -> Result<u64> {
        let number = match self.0 {
            DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
            DeValue::String(text) => {
                let (digits, shift) = match text.char_indices().next_back() {
                    Some((at, 'K' | 'k')) => (&text[..at], 10),
                    Some((at, 'M' | 'm')) => (&text[..at], 20),
                    Some((at, 'G' | 'g')) => (&text[..at], 30),
                    _ => (text.as_ref(), 0),
                };
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                plain.then(|| digits.parse().ok()).flatten().and_then(|n: u64| n.checked_mul(1 << shift))
            }
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Ok(number),
            Some(_) => {
                let (least, most) = range.into_inner();
                self.out_of_range(&format!("write a size from {least} to {most} bytes"))
            }
            None => {
                self.wrong("a size", "write a number of bytes, or a number with K, M or G in quotes, such as \"512M\"")
            }
        }
    }

    /// Returns a number of bytes in KiB.
    pub fn kib<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<T> {
        let bytes = self.bytes(range)?;
        T::try_from(bytes >> 10).or_else(|_| self.out_of_range("write a smaller size"))
    }

    /// Returns the scheme of new hashes.
    pub fn scheme(&self) -> Result<NewScheme> {
        self.word(&NewScheme::ALL.map(|scheme| (scheme.name(), scheme)))
    }

    /// Returns the scheme of stored values that do not name theirs.
    pub fn default_scheme(&self) -> Result<DefaultScheme> {
        match self.0.as_str().and_then(DefaultScheme::from_name) {
            Some(scheme) => Ok(scheme),
            None => self.wrong("a supported scheme", &format!("write one of {}", DefaultScheme::names().join(", "))),
        }
    }

    /// Returns the meaning of one of `words`.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        match words.iter().find(|(word, _)| self.0.as_str() == Some(word)) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                self.wrong("a valid value", &format!("write {}", known.join(" or ")))
            }
        }
    }

    /// Returns a path. If it is relative, it is relative to the folder of the configuration file.
    pub fn path(&self) -> Result<PathBuf> {
        self.text().map(PathBuf::from)
    }

    /// Returns an absolute path.
    pub fn absolute_path(&self) -> Result<PathBuf> {
        let path = self.path()?;
        if path.is_absolute() { Ok(path) } else { self.wrong("an absolute path", "write one that begins with /") }
    }

    /// Returns an absolute path as a string, to compare it with paths in strings.
    pub fn absolute_text(&self) -> Result<String> {
        self.absolute_path()?;
        self.text().map(str::to_owned)
    }

    /// Returns a service, given by any of its names.
    pub fn service(&self) -> Result<Service> {
        match Services::parse(self.text()?) {
            Ok(Services::Only(mut list)) if list.len() == 1 => Ok(list.remove(0)),
            _ => self.wrong("the name of a service", "write one such as \"pop3\""),
        }
    }

    /// Returns the address at which metrics are served. It must be on this machine, because clients are not
    /// authenticated.
    pub fn metrics_address(&self) -> Result<MetricsAddress> {
        let advice = "write a socket such as \"unix:/run/mailauth/metrics.sock\", or a port of this machine such as \
                    \"127.0.0.1:9187\" or \"[::1]:9187\"";
        let text = self.text()?;
        if let Some(path) = text.strip_prefix("unix:") {
            if !Path::new(path).is_absolute() {
                return self.wrong("an absolute path after unix:", advice);
            }
            return self.socket_path(path).map(MetricsAddress::Unix);
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => self.wrong("an address with a usable port", advice),
            Ok(address) if address.ip().is_loopback() => Ok(MetricsAddress::Tcp(address)),
            Ok(_) => self.wrong("a loopback address, and metrics are served only on this machine", advice),
            Err(_) => self.wrong("an address with a port", advice),
        }
    }

    /// Returns the path of a unix socket.
    pub fn socket(&self) -> Result<PathBuf> {
        self.socket_path(self.text()?)
    }

    /// Returns the absolute path of a unix socket, or `None` if the value is empty. A relative path is refused because
    /// several programs read it.
    pub fn socket_or_none(&self) -> Result<Option<PathBuf>> {
        if self.0.as_str() == Some("") {
            return Ok(None);
        }
        match self.socket()? {
            path if path.is_absolute() => Ok(Some(path)),
            _ => self.wrong("an absolute path", "write one that begins with /, or \"\" for none"),
        }
    }

    fn socket_path(&self, path: &str) -> Result<PathBuf> {
        if path.len() > MAX_SOCKET_PATH {
            return Err(format!(
                "{} is too long for the path of a socket; write one of at most {MAX_SOCKET_PATH} bytes",
                self.shown()
            ));
        }
        Ok(path.into())
    }

    /// Returns permission bits, written as for chmod(1).
    pub fn mode(&self) -> Result<u32> {
        let advice = "write four octal digits such as \"0660\"";
        let digits =
            self.0.as_str().filter(|text| matches!(text.len(), 3 | 4) && text.bytes().all(|b| b.is_ascii_digit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 8).ok()) {
            Some(mode) if mode <= 0o777 => Ok(mode),
            _ => self.wrong("a file mode", advice),
        }
    }

    /// Returns the name or number of a user or group.
    pub fn name(&self) -> Result<String> {
        if matches!(self.0, DeValue::Integer(_)) {
            return self.id().map(|id| id.to_string());
        }
        let name = self.text()?;
        if name.contains([':', ',', '/']) || name.contains(char::is_whitespace) {
            return self.wrong("the name of a user or group", "write a name without : , / or spaces, or a number");
        }
        Ok(name.to_owned())
    }

    /// Returns a list of names or numbers of users or groups.
    pub fn names(&self) -> Result<Vec<String>> {
        let Some(list) = self.0.as_array() else {
            return self.wrong("a list", "write names in brackets, such as [\"exim\", \"daemon\"]");
        };
        list.iter().map(|item| Value(item.get_ref()).name()).collect()
    }

    /// Returns a list of texts.
    pub fn texts(&self) -> Result<Vec<String>> {
        let Some(list) = self.0.as_array() else {
            return self.wrong("a list", "write strings in brackets, such as [\"a\", \"b\"]");
        };
        list.iter().map(|item| Value(item.get_ref()).text().map(str::to_owned)).collect()
    }

    /// Returns the name of a profile of `[schema]`.
    pub fn profile(&self) -> Result<String> {
        let names = || Profile::names().collect::<Vec<_>>().join(", ");
        match (self.0.as_str(), self.0.as_str().and_then(|name| nearest(name, Profile::names()))) {
            (Some(name), Some(near)) if name == near => Ok(name.to_owned()),
            (_, Some(near)) => self.wrong("a profile", &format!("did you mean {near:?}? write one of {}", names())),
            (_, None) => self.wrong("a profile", &format!("write one of {}", names())),
        }
    }

    /// Returns a list of networks or single addresses.
    pub fn networks(&self) -> Result<Vec<NetworkRange>> {
        let Some(list) = self.0.as_array() else {
            return self.wrong("a list", "write networks in brackets, such as [\"192.0.2.0/24\", \"2001:db8::/32\"]");
        };
        let network = |item: &Value<'_>| match item.text()?.parse() {
            Ok(network) => Ok(network),
            Err(_) => item.wrong("a network", "write one such as \"192.0.2.0/24\" or \"2001:db8::1\""),
        };
        list.iter().map(|item| network(&Value(item.get_ref()))).collect()
    }

    /// Returns a list of percentages.
    pub fn percents(&self) -> Result<Vec<u8>> {
        let Some(list) = self.0.as_array() else {
            return self.wrong("a list", "write percentages in brackets, such as [80, 95]");
        };
        list.iter().map(|item| Value(item.get_ref()).small(1..=100)).collect()
    }

    /// Returns the name of a domain.
    pub fn domain(&self) -> Result<String> {
        DomainName::parse(self.text()?).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
    }

    /// Returns the characters that may replace the `@` of a login. Characters of domain names are refused, because a
    /// domain name would be split at them.
    pub fn separators(&self) -> Result<String> {
        // It may be empty.
        let Some(text) = self.0.as_str() else { return self.wrong("a string", "write it in quotes") };
        let fits = |c: char| c.is_ascii_punctuation() && !matches!(c, '@' | '.' | '-' | '_');
        match text.chars().find(|c| !fits(*c)) {
            None => Ok(text.to_owned()),
            Some(c) => Err(format!(
                "{c:?} cannot separate a name from its domain; write punctuation such as \"%\", except @ . - _"
            )),
        }
    }

    /// Returns the characters that separate details in addresses.
    pub fn delimiters(&self) -> Result<Delimiters> {
        // It may be empty.
        let Some(text) = self.0.as_str() else { return self.wrong("a string", "write it in quotes") };
        Delimiters::parse(text)
    }

    pub fn quota(&self) -> Result<Limits> {
        Limits::parse_human(self.text()?).map_err(|error| error.to_string())
    }

    /// Returns a path with the placeholders of [`crate::mailbox::MailboxDefaults::home`].
    pub fn template(&self) -> Result<String> {
        let text = self.text()?;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '%' && !matches!(chars.next(), Some('u' | 'n' | 'd' | '%')) {
                let advice = "write %u for the login, %n for its local part, %d for its domain, %% for a percent sign";
                return self.wrong("a valid template", advice);
            }
        }
        Ok(text.to_owned())
    }

    /// Returns an absolute path with these placeholders.
    pub fn absolute_template(&self) -> Result<String> {
        let text = self.template()?;
        if text.starts_with('/') { Ok(text) } else { self.wrong("an absolute path", "begin it with /") }
    }

    /// Returns the same; empty if there is no default, so that each account has to have a path of its own.
    pub fn absolute_template_or_none(&self) -> Result<String> {
        if self.0.as_str() == Some("") { Ok(String::new()) } else { self.absolute_template() }
    }

    /// Returns the URL of the database. Messages never repeat it, because it may contain a password.
    pub fn url(&self) -> Result<DatabaseUrl> {
        let text = self.0.as_str().ok_or("is not a string; write it in quotes")?;
        text.parse().map_err(|error: super::UrlError| error.to_string())
    }
}

/// Formats a duration as it is written in the configuration.
pub(super) fn written(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `text` as a TOML value, and converts it with `as_what`.
    fn read<T>(text: &str, as_what: impl Fn(&Value<'_>) -> Result<T>) -> Result<T> {
        as_what(&Value(DeValue::parse(text).unwrap().get_ref()))
    }

    #[test]
    fn a_mode_is_octal_digits_in_quotes() {
        assert_eq!(read("'0660'", |v| v.mode()), Ok(0o660));
        assert_eq!(read("'777'", |v| v.mode()), Ok(0o777));
        for text in ["'0999'", "'1777'", "'66'", "'00660'", "660", "0o660", "'+660'", "''", "'rw'"] {
            let error = read(text, |v| v.mode()).unwrap_err();
            assert!(error.contains("octal digits such as \"0660\""), "{text}: {error}");
        }
    }

    #[test]
    fn metrics_are_served_only_on_this_machine() {
        let address = |text: &str| read(text, |v| v.metrics_address()).map(|address| address.to_string());
        for text in ["unix:/run/m.sock", "127.0.0.1:9187", "127.9.9.9:1", "[::1]:9187"] {
            assert_eq!(address(&format!("'{text}'")), Ok(text.to_owned()));
        }
        for (text, problem) in [
            ("0.0.0.0:9187", "is not a loopback address"),
            ("192.0.2.1:9187", "is not a loopback address"),
            ("[::]:9187", "is not a loopback address"),
            ("127.0.0.1", "is not an address with a port"),
            ("localhost:9187", "is not an address with a port"),
            ("127.0.0.1:0", "a usable port"),
            ("unix:m.sock", "an absolute path"),
            ("unix:", "an absolute path"),
        ] {
            let error = address(&format!("'{text}'")).unwrap_err();
            assert!(error.contains(problem) && error.contains("127.0.0.1:9187"), "{text}: {error}");
        }
        assert!(address(&format!("'unix:/{}'", "x".repeat(200))).unwrap_err().contains("at most"));
    }

    #[test]
    fn a_duration_has_a_unit_and_a_range() {
        let range = Duration::from_millis(10)..=Duration::from_secs(60);
        let duration = |text| read(text, |v| v.duration(range.clone()));
        assert_eq!(duration("'500ms'"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("'3 s'"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("'1m'"), Ok(Duration::from_secs(60)));
        let long = |text| read(text, |v| v.duration(Duration::ZERO..=Duration::from_secs(30 * 86_400)));
        assert_eq!((long("'30d'"), long("'0s'")), (Ok(Duration::from_secs(2_592_000)), Ok(Duration::ZERO)));
        assert!(long("'31d'").unwrap_err().contains("from \"0s\" to \"30d\""));
        for text in ["3", "'3'", "'s'", "''", "'-3s'", "'3.5s'", "'3sec'", "'99999999999999999999s'", "'ü'"] {
            assert!(duration(text).unwrap_err().contains("such as \"3s\""), "{text}");
        }
        assert_eq!(duration("'2m'").unwrap_err(), r#""2m" is out of range; write a duration from "10ms" to "1m""#);
    }

    #[test]
    fn a_size_is_bytes_or_has_a_letter() {
        let bytes = |text| read(text, |v| v.bytes(1..=1 << 40));
        assert_eq!((bytes("5"), bytes("'5'"), bytes("'2K'"), bytes("'512M'")), (Ok(5), Ok(5), Ok(2048), Ok(512 << 20)));
        assert!(bytes("'0'").unwrap_err().contains("is out of range"));
        for text in ["'M'", "''", "'5T'", "'5 M'", "-5", "5.0", "'99999999999G'", "'9ü'"] {
            assert!(bytes(text).unwrap_err().contains("such as \"512M\""), "{text}");
        }
    }

    #[test]
    fn a_template_has_only_known_placeholders() {
        assert_eq!(read("'/m/%d/%n/%u%%'", |v| v.absolute_template()), Ok("/m/%d/%n/%u%%".to_owned()));
        for text in ["'/m/%x'", "'/m/%'", "'m/%d'", "''"] {
            assert!(read(text, |v| v.absolute_template()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_a_number_or_a_name_of_the_system() {
        for text in ["0", "'0'", "'root'"] {
            assert_eq!((read(text, |v| v.user()), read(text, |v| v.group())), (Ok(0), Ok(0)), "{text}");
        }
        let unknown = read("'no-such-user'", |v| v.user()).unwrap_err();
        assert!(unknown.contains("\"no-such-user\" is not a user of this system; create the user first"), "{unknown}");
        assert!(read("'no-such-group'", |v| v.group()).unwrap_err().contains("is not a group of this system"));
        for text in ["-1", "'-1'", "4294967295", "'4294967295'", "''", "true", "'a\\tb'"] {
            assert!(read(text, |v| v.user()).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_addresses_with_or_without_a_length() {
        let networks = |text| read(text, |v| v.networks());
        let shown = networks("['192.0.2.1', '10.0.0.0/8', '2001:db8::/32']").unwrap();
        assert_eq!(format!("{shown:?}"), "[192.0.2.1/32, 10.0.0.0/8, 2001:db8::/32]");
        for text in ["'10.0.0.0/8'", "['10.0.0.0/33']", "['localhost']", "[10]", "['']"] {
            assert!(networks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn users_are_given_by_name_or_number() {
        assert_eq!(read("[ 'exim', 107 ]", |v| v.names()), Ok(vec!["exim".to_owned(), "107".to_owned()]));
        for text in ["['a b']", "['a,b']", "[true]", "'exim'", "[-1]", "[4294967295]", "['']"] {
            assert!(read(text, |v| v.names()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_repeats_only_the_beginning_of_a_long_value() {
        let error = read(&format!("'{}'", "x".repeat(5000)), |v| v.boolean()).unwrap_err();
        assert!(error.len() < 120, "{error}");
    }
}
