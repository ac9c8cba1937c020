//! The parameters of a profile: values that stand in its SQL text, such as the folder of all mailboxes.
//!
//! A value is checked for its kind before it is put in, so that it cannot be anything but a path, a number, a part of a
//! name, or names of domains.

use super::settings::Setting;
use crate::DomainName;
use crate::printable::brief;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of domains in a list.
const MAX_DOMAINS: usize = 1000;

/// Maximum number of bytes of a path or a word.
const MAX_PATH: usize = 1024;
const MAX_WORD: usize = 64;

/// A parameter of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileParameter {
    /// What its values are.
    pub kind: ParameterKind,
    /// What it means, for messages and for the configuration's author.
    pub meaning: String,
    /// Its value if the configuration does not set it. `None`: the configuration has to set it.
    pub default: Option<Setting>,
    /// For a list of domains: the SQL text for each of them, with `{domain}` for its name and `{table}` for its table.
    pub template: Option<String>,
}

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// An absolute path.
    Path,
    /// A whole number.
    Number,
    /// A word of letters, digits and `_`.
    Word,
    /// The beginning of all names of tables.
    Prefix,
    /// A list of names of domains.
    Domains,
}

impl ProfileParameter {
    /// Returns the parameter `prefix`, which every profile has whose tables begin with it.
    pub(super) fn prefix() -> Self {
        ProfileParameter {
            kind: ParameterKind::Prefix,
            meaning: "the beginning of the names of all tables".to_owned(),
            default: Some(Setting::Text(String::new())),
            template: None,
        }
    }

    /// Returns the text that replaces the parameter in SQL.
    pub(super) fn value(&self, setting: &Setting) -> Result<Value, String> {
        let text = match (self.kind, setting) {
            (ParameterKind::Path, Setting::Text(path)) => path_value(path),
            (ParameterKind::Number, Setting::Number(number)) => Ok(number.to_string()),
            (ParameterKind::Number, Setting::Text(digits)) if is_number(digits) => Ok(digits.clone()),
            (ParameterKind::Word | ParameterKind::Prefix, Setting::Text(word)) if is_word(word) => Ok(word.clone()),
            (ParameterKind::Domains, Setting::List(names)) => return self.domains(names),
            (ParameterKind::Domains, _) => {
                Err("is not a list; write names of domains in brackets, such as [\"example.org\"]".to_owned())
            }
            (ParameterKind::Path, _) => Err("is not a string; write an absolute path in quotes".to_owned()),
            (ParameterKind::Number, _) => Err(format!("{} is not a whole number; write digits", shown(setting))),
            (ParameterKind::Word | ParameterKind::Prefix, _) => Err(format!(
                "{} is not a word; write at most {MAX_WORD} letters, digits and _ in quotes",
                shown(setting)
            )),
        }?;
        Ok(Value { text, domains: None })
    }

    /// Returns the value of a parameter whose setting is a mistake, so that the texts with it can be checked too.
    pub(super) fn placeholder(&self) -> Value {
        let text = if self.kind == ParameterKind::Number { "0" } else { "x" };
        Value { text: text.to_owned(), domains: None }
    }

    fn domains(&self, names: &[String]) -> Result<Value, String> {
        if names.len() > MAX_DOMAINS {
            return Err(format!("has more than {MAX_DOMAINS} domains; write fewer"));
        }
        let template = self.template.as_deref().unwrap_or("'{domain}'");
        let has_tables = template.contains("{table}");
        let (mut texts, mut domains, mut tables) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        for name in names {
            let domain = DomainName::parse(name).map_err(|error| error.to_string())?;
            let domain = domain.as_str();
            if !domains.insert(domain.to_owned()) {
                return Err(format!("has {domain} twice; remove one of them"));
            }
            let table = table_of(domain);
            if let Some(other) = tables.insert(table.clone(), domain.to_owned()).filter(|_| has_tables) {
                return Err(format!(
                    "has {other} and {domain}, whose accounts are in the same table {table}; remove one of them"
                ));
            }
            texts.push(template.replace("{domain}", domain).replace("{table}", &table));
        }
        Ok(Value { text: texts.join(" UNION ALL "), domains: Some(domains.into_iter().collect()) })
    }
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The text that takes its place.
    pub text: String,
    /// The domains, if it is a list of these.
    pub domains: Option<Vec<String>>,
}

/// The values of all parameters of a profile.
pub(super) type Values = BTreeMap<String, Value>;

/// Returns the name of vpopmail's table for a domain.
pub(super) fn table_of(domain: &str) -> String {
    domain.replace(['.', '-'], "_")
}

/// Puts the values of parameters into a text. Names in braces that are no parameters are left as they are, because
/// `{PLAIN}` and the like are parts of strings.
pub(super) fn filled(text: &str, values: &Values) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next_name(rest) {
        filled.push_str(before);
        match values.get(name) {
            Some(value) => filled.push_str(&value.text),
            None => {
                filled.push('{');
                filled.push_str(name);
                filled.push('}');
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Returns the names in braces that can be parameters: they have small letters, digits and `_` only.
pub(super) fn names_in(text: &str) -> Vec<&str> {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some((_, name, after)) = next_name(rest) {
        names.push(name);
        rest = after;
    }
    names
}

/// Returns the first name in braces, and the text before and after it.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        let inner = text.get(open + 1..)?;
        let length = inner.find(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '_')).unwrap_or(inner.len());
        let (name, after) = inner.split_at_checked(length)?;
        match after.strip_prefix('}') {
            Some(after) if !name.is_empty() => return Some((text.get(..open)?, name, after)),
            _ => from = open + 1,
        }
    }
}

fn path_value(path: &str) -> Result<String, String> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "/._-+@,=~".contains(c);
    if !path.starts_with('/') {
        return Err(format!("{:?} is not an absolute path; write one that begins with /", brief(path, MAX_WORD)));
    }
    if path.len() > MAX_PATH {
        return Err(format!("has more than {MAX_PATH} bytes; write a shorter path"));
    }
    if let Some(c) = path.chars().find(|c| !safe(*c)) {
        return Err(format!("has {c:?}, which must not be in it; write letters, digits and / . _ - + @ , = ~ only"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err("has .. in it; write the path without it".to_owned());
    }
    Ok(path.trim_end_matches('/').to_owned())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok()
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn shown(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => format!("{:?}", brief(text, MAX_WORD)),
        Setting::Number(number) => number.to_string(),
        Setting::Flag(flag) => flag.to_string(),
        Setting::List(_) => "a list".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: ParameterKind, template: Option<&str>) -> ProfileParameter {
        let template = template.map(str::to_owned);
        ProfileParameter { kind, meaning: "something".to_owned(), default: None, template }
    }

    fn value(kind: ParameterKind, text: &str) -> Result<String, String> {
        parameter(kind, None).value(&Setting::Text(text.to_owned())).map(|value| value.text)
    }

    fn domains(names: &[&str], template: &str) -> Result<String, String> {
        let names = Setting::List(names.iter().map(|name| (*name).to_owned()).collect());
        parameter(ParameterKind::Domains, Some(template)).value(&names).map(|value| value.text)
    }

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        let path = |text| value(ParameterKind::Path, text);
        assert_eq!(path("/var/vmail"), Ok("/var/vmail".to_owned()));
        assert_eq!(path("/var/vmail/"), Ok("/var/vmail".to_owned()));
        assert_eq!(path("/"), Ok(String::new()));
        for bad in ["/a'b", "/a\"b", "/a\\b", "/a%b", "/a{b}", "/a b", "/a\nb", "/a;b", "/ä"] {
            assert!(path(bad).unwrap_err().contains("which must not be in it; write letters"), "{bad}");
        }
        for bad in ["", "a", "./a", "~/a"] {
            assert!(path(bad).unwrap_err().contains("is not an absolute path"), "{bad}");
        }
        assert!(path("/a/../b").unwrap_err().contains("has .. in it"));
        assert_eq!(path("/a..b"), Ok("/a..b".to_owned()));
        assert!(path(&"/a".repeat(1000)).unwrap_err().contains("has more than 1024 bytes"));
    }

    #[test]
    fn numbers_and_words_are_nothing_else() {
        assert_eq!(value(ParameterKind::Number, "17"), Ok("17".to_owned()));
        let number = parameter(ParameterKind::Number, None).value(&Setting::Number(3));
        assert_eq!(number.map(|value| value.text), Ok("3".to_owned()));
        for bad in ["", "-1", "1 OR 1", "0x1", "99999999999"] {
            assert!(value(ParameterKind::Number, bad).unwrap_err().contains("is not a whole number"), "{bad}");
        }
        for kind in [ParameterKind::Word, ParameterKind::Prefix] {
            assert_eq!(value(kind, "pfa_"), Ok("pfa_".to_owned()));
            assert_eq!(value(kind, ""), Ok(String::new()));
            for bad in ["a-b", "a.b", "a b", "a'", "ä", &"x".repeat(65)] {
                assert!(value(kind, bad).unwrap_err().contains("is not a word"), "{bad}");
            }
        }
        assert!(parameter(ParameterKind::Path, None).value(&Setting::Number(1)).is_err());
    }

    #[test]
    fn a_list_of_domains_is_one_query_for_each() {
        let template = "SELECT '{domain}' AS d, t.* FROM {table} t";
        assert_eq!(
            domains(&["example.org", "A-b.example"], template).as_deref(),
            Ok(
                "SELECT 'example.org' AS d, t.* FROM example_org t UNION ALL SELECT 'a-b.example' AS d, t.* FROM a_b_example t"
            )
        );
        let twice = domains(&["a-b.example", "a.b.example"], template).unwrap_err();
        assert_eq!(
            twice,
            "has a-b.example and a.b.example, whose accounts are in the same table a_b_example; remove one of them"
        );
        assert!(domains(&["a-b.example", "a.b.example"], "'{domain}'").is_ok());
        assert!(domains(&["a.example", "A.example"], "'{domain}'").unwrap_err().contains("has a.example twice"));
        assert!(domains(&["a'b"], template).unwrap_err().contains("is not a domain's name"));
        assert_eq!(domains(&[], template), Ok(String::new()));
        assert!(value(ParameterKind::Domains, "example.org").unwrap_err().contains("in brackets"));
        let many: Vec<_> = (0..=MAX_DOMAINS).map(|n| format!("d{n}.example")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(domains(&many, template).unwrap_err().contains("has more than 1000 domains"));
    }

    #[test]
    fn only_the_names_of_parameters_are_replaced() {
        let value = Value { text: "/v".to_owned(), domains: None };
        let values = Values::from([("mail_root".to_owned(), value)]);
        let text = "CONCAT('{PLAIN}', '{mail_root}/x', '{other}', '{', '{{mail_root}')";
        assert_eq!(filled(text, &values), "CONCAT('{PLAIN}', '/v/x', '{other}', '{', '{/v')");
        assert_eq!(names_in(text), ["mail_root", "other", "mail_root"]);
    }
}
