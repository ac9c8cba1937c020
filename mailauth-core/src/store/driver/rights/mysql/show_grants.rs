//! Parses the output of `SHOW GRANTS` of MySQL and MariaDB, such as
//! ``GRANT SELECT, UPDATE (`password`) ON `mail`.`accounts` TO `mailauth`@`%` ``.

/// One privilege on one object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// `SELECT`, `ALL PRIVILEGES`, `GRANT OPTION`...
    pub(super) name: String,
    /// Columns that it is limited to; empty for the whole object.
    pub(super) columns: Vec<String>,
    /// `*.*`, `mail.*`, `mail.accounts`.
    pub(super) object: String,
    /// The object, quoted as the server prints it.
    pub(super) quoted: String,
    /// The user or role that has it, quoted.
    pub(super) grantee: String,
}

/// The grant of a role to the user or to another role, both quoted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) role: String,
    pub(super) member: String,
}

/// Parses the privileges of one line; a line that grants a role has none.
pub(super) fn parse(line: &str) -> Vec<Right> {
    let Some((names, rest)) = line.strip_prefix("GRANT ").and_then(|rest| split_outside(rest, " ON ")) else {
        return Vec::new();
    };
    let (quoted, rest) = split_outside(rest, " TO ").unwrap_or((rest, ""));
    let grantee = names_at(rest);
    // A backslash escapes the wildcards _ and % in the name of a database.
    let object = unquoted(quoted).replace('\\', "");
    let right = |name: &str, columns| Right {
        name: name.trim().to_owned(),
        columns,
        object: object.clone(),
        quoted: quoted.to_owned(),
        grantee: grantee.clone(),
    };
    let mut rights = Vec::new();
    let mut names = names;
    while !names.is_empty() {
        let (name, columns, after) = match (names.find(','), names.find('(')) {
            (comma, Some(open)) if comma.is_none_or(|comma| open < comma) => {
                let (columns, after) = names[open + 1..].split_once(')').unwrap_or((&names[open + 1..], ""));
                (&names[..open], columns, after.strip_prefix(',').unwrap_or(after))
            }
            (Some(comma), _) => (&names[..comma], "", &names[comma + 1..]),
            (None, _) => (names, "", ""),
        };
        let columns = columns.split(',').map(|column| column.trim().trim_matches('`').to_owned());
        rights.push(right(name, columns.filter(|column| !column.is_empty()).collect()));
        names = after.trim_start();
    }
    if rest.ends_with("WITH GRANT OPTION") {
        rights.push(right("GRANT OPTION", Vec::new()));
    }
    rights
}

/// Parses a line that grants a role; returns `None` for any other line.
pub(super) fn membership(line: &str) -> Option<Membership> {
    let rest = line.strip_prefix("GRANT ").filter(|rest| split_outside(rest, " ON ").is_none())?;
    let (role, member) = split_outside(rest, " TO ")?;
    Some(Membership { role: names_at(role), member: names_at(member) })
}

/// Splits `text` at the first `word` outside quotes.
pub(super) fn split_outside<'t>(text: &'t str, word: &str) -> Option<(&'t str, &'t str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '`' || c == '\'' => quote = Some(c),
            None => {
                if let Some(after) = text.get(at..).and_then(|rest| rest.strip_prefix(word)) {
                    return Some((&text[..at], after));
                }
            }
        }
    }
    None
}

/// Returns the name at the beginning of `text`, with the one after an `@` if there is one, each quoted by [`quote`].
pub(super) fn names_at(text: &str) -> String {
    let end = split_outside(text, " ").map_or(text, |(name, _)| name);
    match split_outside(end, "@") {
        Some((name, host)) => format!("{}@{}", quote(&unquoted(name)), quote(&unquoted(host))),
        None => quote(&unquoted(end)),
    }
}

/// Removes the quotes of the names in `text`.
pub(super) fn unquoted(text: &str) -> String {
    let (mut out, mut quote, mut chars) = (String::with_capacity(text.len()), None, text.chars().peekable());
    while let Some(c) = chars.next() {
        match quote {
            // A quote inside a name is doubled.
            Some(open) if c == open && chars.next_if_eq(&open).is_some() => out.push(c),
            Some(open) if c == open => quote = None,
            None if c == '`' || c == '\'' => quote = Some(c),
            _ => out.push(c),
        }
    }
    out
}

/// Quotes a name so that both servers accept it, whatever their sql_mode.
pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Parses `CURRENT_ROLE()`, such as ``  `reader`@`%`,`writer`@`%`  ``, into quoted roles; `NONE` has none.
pub(in crate::store::driver) fn roles(list: &str) -> Vec<String> {
    let (mut roles, mut rest) = (Vec::new(), list);
    while !rest.is_empty() && rest != "NONE" {
        let (role, after) = split_outside(rest, ",").unwrap_or((rest, ""));
        roles.push(names_at(role.trim()));
        rest = after;
    }
    roles
}

/// Quotes the value of `CURRENT_USER()`. The host in it contains no `@`.
pub(in crate::store::driver) fn quoted_user(user: &str) -> String {
    match user.rsplit_once('@') {
        Some((name, host)) => format!("{}@{}", quote(name), quote(host)),
        None => quote(user),
    }
}
