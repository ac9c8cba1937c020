//! Variables in the statements of the old files, such as `%u`, `%{user | domain}` and `$(local_part)`.
//!
//! In the statement, each variable is replaced by one character of a private-use plane of Unicode, so that the statement
//! can be taken apart as SQL first.

/// The first character that replaces a variable.
const FIRST: u32 = 0xF_0000;

/// Maximum number of variables of a statement.
const MAX_VARIABLES: u32 = 1000;

/// Returns true if the character replaces a variable.
pub fn is_variable(c: char) -> bool {
    (FIRST..FIRST + MAX_VARIABLES).contains(&u32::from(c))
}

/// What the old program puts in for a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The whole login.
    Login,
    /// The part before the `@`.
    Local,
    /// The part after the `@`.
    Domain,
    /// The name of the service, in this case of letters.
    Service(Letters),
    /// `secured` on a connection with TLS.
    Secured,
    /// The home.
    Home,
    /// The password.
    Password,
    /// Anything else, which a condition cannot keep.
    Other,
}

/// The case of letters in which a variable is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    Lower,
    Upper,
}

impl Meaning {
    /// Returns true for the login and its parts.
    pub fn is_login(self) -> bool {
        matches!(self, Meaning::Login | Meaning::Local | Meaning::Domain)
    }

    /// Returns true for the service and what belongs to it.
    pub fn is_service(self) -> bool {
        matches!(self, Meaning::Service(_) | Meaning::Secured)
    }
}

/// The variables of a statement.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    list: Vec<(Meaning, String)>,
}

/// A statement in which each variable is one character.
#[derive(Clone, Debug)]
pub struct Statement {
    pub sql: String,
    pub variables: Variables,
}

impl Variables {
    /// Returns the variable that the character replaces, if it replaces one.
    pub fn meaning(&self, c: char) -> Option<Meaning> {
        self.get(c).map(|(meaning, _)| *meaning)
    }

    fn get(&self, c: char) -> Option<&(Meaning, String)> {
        let index = u32::from(c).checked_sub(FIRST)?;
        self.list.get(usize::try_from(index).ok()?)
    }

    /// Returns the text with the variables as they are written in the old file.
    pub fn written(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len());
        for c in text.chars() {
            match self.get(c) {
                Some((_, variable)) => written.push_str(variable),
                None => written.push(c),
            }
        }
        written
    }

    /// Returns the meanings of all variables in the text.
    pub fn meanings<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Meaning> + 'a {
        text.chars().filter_map(|c| self.meaning(c))
    }

    /// Returns the first variable whose meaning is `wanted`, as it is written.
    pub fn first(&self, text: &str, wanted: impl Fn(Meaning) -> bool) -> Option<String> {
        text.chars().filter_map(|c| self.get(c)).find(|(meaning, _)| wanted(*meaning)).map(|(_, text)| text.clone())
    }

    fn add(&mut self, meaning: Meaning, written: &str) -> Result<char, String> {
        let index = u32::try_from(self.list.len()).ok().filter(|index| *index < MAX_VARIABLES);
        let c = index.and_then(|index| char::from_u32(FIRST + index));
        let c = c.ok_or_else(|| format!("has more than {MAX_VARIABLES} variables"))?;
        self.list.push((meaning, written.to_owned()));
        Ok(c)
    }
}

/// Reads one variable at the beginning of a text: its meaning and its length, or `None` for a sign that is only itself.
type Reader = fn(&str) -> Option<Read>;

/// What stands at the beginning of a text.
enum Read {
    /// A variable of this many bytes.
    Variable(Meaning, usize),
    /// A character, written in this many bytes.
    Escaped(char, usize),
}

fn statement(text: &str, sign: char, read: Reader) -> Result<Statement, String> {
    if text.contains(is_variable) {
        return Err("contains a character that no statement needs (private use of Unicode)".to_owned());
    }
    let (mut sql, mut variables, mut rest) = (String::with_capacity(text.len()), Variables::default(), text);
    while let Some(position) = rest.find(sign) {
        let (before, from) = rest.split_at(position);
        sql.push_str(before);
        let length = match read(from) {
            None => {
                sql.push(sign);
                sign.len_utf8()
            }
            Some(Read::Escaped(c, length)) => {
                sql.push(c);
                length
            }
            Some(Read::Variable(meaning, length)) => {
                sql.push(variables.add(meaning, from.get(..length).unwrap_or(from))?);
                length
            }
        };
        rest = from.get(length..).unwrap_or("");
    }
    sql.push_str(rest);
    Ok(Statement { sql, variables })
}

/// Reads a statement of Courier, with variables such as `$(local_part)`.
pub fn of_courier(text: &str) -> Result<Statement, String> {
    statement(text, '$', |text| {
        let name = text.strip_prefix("$(")?.split_once(')')?.0;
        let meaning = match name {
            "local_part" => Meaning::Local,
            "domain" => Meaning::Domain,
            "service" => Meaning::Service(Letters::Lower),
            "newpass" | "newpass_crypt" => Meaning::Password,
            _ => Meaning::Other,
        };
        Some(Read::Variable(meaning, name.len() + 3))
    })
}

/// Reads a statement of Dovecot 2.3, with variables such as `%u`, `%Ls` and `%{user}`.
pub fn of_dovecot_23(text: &str) -> Result<Statement, String> {
    statement(text, '%', |text| {
        let after = text.get(1..).unwrap_or("");
        if after.starts_with('%') {
            return Some(Read::Escaped('%', 2));
        }
        let modifiers = after.len() - after.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
        let (modifiers, rest) = after.split_at(modifiers);
        let numbers = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-').len();
        let (numbers, rest) = rest.split_at(numbers);
        // A hash may follow its width, as in %2.256Nu.
        let more = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
        let (more, name) = rest.split_at(more);
        let (meaning, length) = match name.strip_prefix('{').and_then(|name| name.split_once('}')) {
            Some((name, _)) => (long_name(name), name.len() + 2),
            None => (name.chars().next().map_or(Meaning::Other, letter), name.chars().next().map_or(0, char::len_utf8)),
        };
        let plain = numbers.is_empty() && more.is_empty();
        let meaning = match (modifiers, meaning) {
            (_, Meaning::Password) => Meaning::Password,
            ("" | "L" | "E" | "LE" | "EL", meaning) if plain => meaning,
            ("U", Meaning::Service(_)) if plain => Meaning::Service(Letters::Upper),
            _ => Meaning::Other,
        };
        Some(Read::Variable(meaning, 1 + modifiers.len() + numbers.len() + more.len() + length))
    })
}

fn letter(name: char) -> Meaning {
    match name {
        'u' => Meaning::Login,
        'n' => Meaning::Local,
        'd' => Meaning::Domain,
        's' => Meaning::Service(Letters::Lower),
        'c' => Meaning::Secured,
        'h' => Meaning::Home,
        'w' => Meaning::Password,
        _ => Meaning::Other,
    }
}

fn long_name(name: &str) -> Meaning {
    match name {
        "user" | "orig_user" | "auth_user" | "original_user" => Meaning::Login,
        "username" | "orig_username" | "auth_username" => Meaning::Local,
        "domain" | "orig_domain" | "auth_domain" => Meaning::Domain,
        "service" => Meaning::Service(Letters::Lower),
        "secured" => Meaning::Secured,
        "home" => Meaning::Home,
        "password" => Meaning::Password,
        _ => Meaning::Other,
    }
}

/// Reads a statement of Dovecot 2.4, with variables such as `%{user | domain}`.
pub fn of_dovecot_24(text: &str) -> Result<Statement, String> {
    statement(text, '%', |text| {
        let after = text.get(1..).unwrap_or("");
        if after.starts_with('%') {
            return Some(Read::Escaped('%', 2));
        }
        let Some((inside, _)) = after.strip_prefix('{').and_then(|name| name.split_once('}')) else {
            let letter = after.chars().next().filter(|c| c.is_ascii_alphabetic())?;
            return Some(Read::Variable(Meaning::Other, 1 + letter.len_utf8()));
        };
        Some(Read::Variable(filtered(inside), inside.len() + 3))
    })
}

/// Returns the meaning of a name and its filters.
fn filtered(inside: &str) -> Meaning {
    let mut parts = inside.split('|').map(str::trim);
    let mut meaning = match parts.next() {
        Some("user" | "original_user" | "auth_user") => Meaning::Login,
        Some("username") => Meaning::Local,
        Some("domain") => Meaning::Domain,
        Some("protocol" | "service") => Meaning::Service(Letters::Lower),
        Some("secured") => Meaning::Secured,
        Some("home") => Meaning::Home,
        Some("password") => return Meaning::Password,
        _ => Meaning::Other,
    };
    for filter in parts {
        meaning = match (filter, meaning) {
            ("lower", meaning) => meaning,
            ("upper", Meaning::Service(_)) => Meaning::Service(Letters::Upper),
            ("username", Meaning::Login) => Meaning::Local,
            ("domain", Meaning::Login) => Meaning::Domain,
            _ => Meaning::Other,
        };
    }
    meaning
}
