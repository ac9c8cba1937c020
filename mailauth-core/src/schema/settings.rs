//! What `[schema]` sets, before it is applied to a profile.

use std::collections::BTreeMap;

/// The keys of `[schema.accounts]`, and of the section `[accounts]` of a profile.
pub(crate) const ACCOUNT_KEYS: [&str; 22] = [
    "from",
    "find",
    "where",
    "key",
    "login",
    "password",
    "enabled",
    "domain_enabled",
    "services",
    "receives",
    "uid",
    "gid",
    "home",
    "maildir",
    "quota",
    "quota_bytes",
    "quota_messages",
    "quota_plain_is_bytes",
    "name",
    "options",
    "options_disable_services",
    "write_password",
];

/// `[schema]`: the program that the tables belong to, and what differs from its profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaConfig {
    /// `profile`: name of the profile. `own` by default: the tables that `mailauth init` creates.
    pub profile: String,
    /// The other keys of `[schema]`: the parameters of the profile.
    pub parameters: BTreeMap<String, Setting>,
    /// `[schema.accounts]`
    pub accounts: BTreeMap<String, Setting>,
    /// `[schema.domains]`
    pub domains: BTreeMap<String, Setting>,
    /// `[schema.aliases]`
    pub aliases: BTreeMap<String, Setting>,
    /// `[schema.alias_domains]`
    pub alias_domains: BTreeMap<String, Setting>,
}

impl Default for SchemaConfig {
    fn default() -> Self {
        let (parameters, accounts, domains, aliases, alias_domains) = Default::default();
        SchemaConfig { profile: super::OWN.to_owned(), parameters, accounts, domains, aliases, alias_domains }
    }
}

impl SchemaConfig {
    /// Returns the section, and each of its sub-sections with its name.
    pub(crate) fn sections(&self) -> [(&'static str, &BTreeMap<String, Setting>); 5] {
        [
            ("schema", &self.parameters),
            ("schema.accounts", &self.accounts),
            ("schema.domains", &self.domains),
            ("schema.aliases", &self.aliases),
            ("schema.alias_domains", &self.alias_domains),
        ]
    }

    /// Returns the keys of a section by its name.
    pub(crate) fn section_mut(&mut self, name: &str) -> Option<&mut BTreeMap<String, Setting>> {
        match name {
            "schema" => Some(&mut self.parameters),
            "schema.accounts" => Some(&mut self.accounts),
            "schema.domains" => Some(&mut self.domains),
            "schema.aliases" => Some(&mut self.aliases),
            "schema.alias_domains" => Some(&mut self.alias_domains),
            _ => None,
        }
    }
}

/// The value of a key of `[schema]` or of a profile.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A boolean.
    Flag(bool),
    /// A whole number.
    Number(u64),
    /// Text, such as an SQL expression.
    Text(String),
    /// A list of texts, such as the columns of a key.
    List(Vec<String>),
}

impl Setting {
    /// Returns the value as SQL text. A number is an expression too.
    pub(crate) fn sql(&self) -> Result<String, String> {
        match self {
            Setting::Text(text) => Ok(text.clone()),
            Setting::Number(number) => Ok(number.to_string()),
            Setting::Flag(_) | Setting::List(_) => Err("is not a string; write SQL text in quotes".to_owned()),
        }
    }

    /// Returns the value as a list; one text is a list of one.
    pub(crate) fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Setting::Text(text) if text.is_empty() => Ok(Vec::new()),
            Setting::Text(text) => Ok(vec![text.clone()]),
            Setting::List(list) => Ok(list.clone()),
            Setting::Flag(_) | Setting::Number(_) => {
                Err("is not a list; write strings in brackets, such as [\"a\", \"b\"]".to_owned())
            }
        }
    }

    /// Returns the value as a boolean.
    pub(crate) fn flag(&self) -> Result<bool, String> {
        match self {
            Setting::Flag(flag) => Ok(*flag),
            _ => Err("is not a boolean; write true or false".to_owned()),
        }
    }
}

/// A mistake in `[schema]`, or in what it makes of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// Name of the section, such as `schema.accounts`.
    pub section: &'static str,
    /// Name of the key. It may be one that is missing.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
    /// True if there is no such key, so that its name is wrong and not its value.
    pub is_unknown: bool,
}
