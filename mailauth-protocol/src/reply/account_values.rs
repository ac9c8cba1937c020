//! Reading the text that answers [`Question::Account`](crate::Question::Account).

/// Returns the names and values of the text of an account, such as `name="value" name="value"`; `None` if it is no such
/// text. Exim accepts more forms than this, and reads some in other ways: a text that Exim could read differently is
/// rejected.
pub fn account_values(text: &str) -> Option<Vec<(&str, String)>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let (name, quoted) = rest.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return None;
        }
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next().filter(|c| matches!(c, '\\' | '"'))?),
                c => value.push(c),
            }
        }
        found.push((name, value));
        rest = match chars.as_str() {
            "" => return Some(found),
            more => more.strip_prefix(' ')?,
        };
    }
}

/// Returns the value of this name in the text of an account; `None` if there is none, or it is no such text.
pub fn value_in_account(text: &str, name: &str) -> Option<String> {
    account_values(text)?.into_iter().find(|(other, _)| *other == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::account_text;
    use mailauth_core::account::{Account, Login, Password};
    use mailauth_core::quota::Limits;
    use mailauth_core::routing::Destination;

    #[test]
    fn the_values_of_an_account_are_read_as_they_were_written() {
        let account = Account {
            login: Login::parse(b"anna@x.example", None).unwrap(),
            uid: 5000,
            gid: 5001,
            home: r#"/mail/a "b" \\ c"#.into(),
            maildir: Some("Maildir".into()),
            quota: Limits::NONE,
            name: r#"home="/etc" \"#.into(),
            options: String::new(),
            password: Password("{PLAIN}x".into()),
        };
        let text = account_text(&Destination { account: Box::new(account), detail: "news".into() }).unwrap();
        let value = |name| value_in_account(&text, name);
        assert_eq!(value("maildir").unwrap(), r#"/mail/a "b" \\ c/Maildir"#);
        assert_eq!(value("home").unwrap(), r#"/mail/a "b" \\ c"#);
        assert_eq!((value("uid").unwrap(), value("gid").unwrap()), ("5000".into(), "5001".into()));
        assert_eq!((value("detail").unwrap(), value("options").unwrap()), ("news".into(), String::new()));
        assert_eq!((value("maildi"), value("")), (None, None));
        assert_eq!(value_in_account("maildir=/etc", "maildir"), None);
    }
}
