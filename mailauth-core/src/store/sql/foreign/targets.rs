//! Targets of aliases, as another program stores them: one in each row, or a list in one value.

use crate::alias::check_target;
use crate::schema::{ForeignModel, Separator};
use crate::store::StoreError;
use crate::store::driver::{Cell, Row};
use crate::store::sql::aliases::{MOST_TARGETS, unusable};
use crate::{DomainName, Login, spelling};
use std::collections::HashSet;

/// Maximum number of bytes of all targets of one address: more than [`MOST_TARGETS`] addresses of usual length have.
const MOST_BYTES: usize = 256 << 10;

/// Index of the address, and of its targets.
const ADDRESS: usize = 0;
const TARGETS: usize = 1;

/// The targets of one address, while its rows are read.
pub(in crate::store) struct ForeignTargets<'a> {
    address: &'a str,
    model: &'a ForeignModel,
    separator: Separator,
    /// The values of its rows.
    values: Vec<Vec<u8>>,
    bytes: usize,
    problem: Option<String>,
}

impl<'a> ForeignTargets<'a> {
    pub fn new(address: &'a str, model: &'a ForeignModel) -> Self {
        let separator = model.aliases.as_ref().map(|aliases| aliases.separator).unwrap_or_default();
        ForeignTargets { address, model, separator, values: Vec::new(), bytes: 0, problem: None }
    }

    /// Adds a row if it is of exactly this address: a collation may consider others equal.
    pub fn add(&mut self, row: &dyn Row) {
        if !matches!(row.cell(ADDRESS), Cell::Text(stored) if stored == self.address.as_bytes()) {
            return;
        }
        self.add_value(row.cell(TARGETS));
    }

    /// Adds the targets of a row that is known to be of this address.
    pub fn add_value(&mut self, targets: Cell<'_>) {
        match targets {
            Cell::Null => {}
            Cell::Text(value) => {
                self.bytes = self.bytes.saturating_add(value.len());
                match self.bytes > MOST_BYTES || self.values.len() > MOST_TARGETS {
                    true => self.problem = Some(self.too_many()),
                    false => self.values.push(value.to_vec()),
                }
            }
            Cell::Int(_) | Cell::Other => {
                self.problem = Some("its targets are not text; cast them to text in [schema.aliases]".to_owned());
            }
        }
    }

    /// Returns the targets in order, each once, if all of them can be used; none if the address leads only to itself.
    ///
    /// # Errors
    /// Fails if a target is neither an address nor `@domain`.
    pub fn usable(self) -> Result<Vec<String>, StoreError> {
        let address = self.address;
        let raise = |problem: String| unusable(address, problem);
        if let Some(problem) = &self.problem {
            return Err(raise(problem.clone()));
        }
        let (mut targets, mut seen) = (Vec::new(), HashSet::new());
        for value in &self.values {
            let Ok(value) = std::str::from_utf8(value) else {
                return Err(raise(format!("a target is not UTF-8; correct it {}", self.model.place())));
            };
            for target in split(value, self.separator) {
                let Target { text, folded } = self.read(target).map_err(raise)?;
                if seen.insert(folded) {
                    targets.push(text);
                }
                if targets.len() > MOST_TARGETS {
                    return Err(raise(self.too_many()));
                }
            }
        }
        let leads_to_itself = targets.len() == 1 && seen.contains(address);
        Ok(if leads_to_itself { Vec::new() } else { targets })
    }

    fn too_many(&self) -> String {
        format!("it has more than {MOST_TARGETS} targets, or more than {MOST_BYTES} bytes of them; use a mailing list")
    }

    fn read(&self, target: &str) -> Result<Target, String> {
        if let Some(Ok(domain)) = target.strip_prefix('@').map(DomainName::parse) {
            let text = format!("@{domain}");
            return Ok(Target { folded: text.clone(), text });
        }
        check_target(target).map_err(|why| {
            let place = self.model.place();
            format!("its target {target:?} is not an address as name@example.org: {why}; correct it {place}")
        })?;
        // Even mail servers that accept only ASCII addresses can use this spelling.
        let text = spelling::respelt_target(target).into_owned();
        let folded = Login::parse(text.as_bytes(), None).map_or_else(|_| text.clone(), |login| login.to_string());
        Ok(Target { text, folded })
    }
}

/// A target, as mail is sent to it, and as it is compared with others.
struct Target {
    text: String,
    folded: String,
}

/// Returns the targets in a value, without the spaces around them and without empty ones.
fn split(value: &str, separator: Separator) -> impl Iterator<Item = &str> {
    let is_separator = move |c: char| match separator {
        Separator::None => false,
        Separator::Comma => c == ',',
        Separator::Space => c.is_whitespace(),
    };
    value.split(is_separator).map(str::trim).filter(|target| !target.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;

    fn targets(address: &str, separator: Separator, values: &[&str]) -> Result<Vec<String>, String> {
        let mut model = model();
        model.aliases.as_mut().unwrap().separator = separator;
        let mut targets = ForeignTargets::new(address, &model);
        values.iter().for_each(|value| targets.add_value(Cell::Text(value.as_bytes())));
        targets.usable().map_err(|error| error.to_string())
    }

    const INFO: &str = "info@x.example";

    #[test]
    fn targets_are_split_by_their_separator_in_order() {
        let both = vec!["a@x.example".to_owned(), "b@x.example".to_owned()];
        for (separator, values) in [
            (Separator::Comma, &["a@x.example,b@x.example"][..]),
            (Separator::Comma, &[" a@x.example , ,b@x.example,\r\n"]),
            (Separator::Comma, &["a@x.example,", "b@x.example,A@x.example"]),
            (Separator::Space, &["a@x.example  b@x.example "]),
            (Separator::None, &["a@x.example", "b@x.example", "", "a@X.example"]),
        ] {
            assert_eq!(targets(INFO, separator, values), Ok(both.clone()), "{values:?}");
        }
        assert_eq!(targets(INFO, Separator::Comma, &["", ","]), Ok(Vec::new()));
        let refused = targets(INFO, Separator::None, &["a@x.example,b@x.example"]).unwrap_err();
        assert!(refused.contains("','"), "{refused}");
    }

    #[test]
    fn an_address_that_leads_only_to_itself_is_no_alias() {
        assert_eq!(targets(INFO, Separator::Comma, &["Info@X.example", "info@x.example,"]), Ok(Vec::new()));
        let kept = targets(INFO, Separator::Comma, &["info@x.example,a@y.example"]).unwrap();
        assert_eq!(kept, [INFO, "a@y.example"]);
        assert_eq!(targets("@x.example", Separator::None, &["@X.example"]), Ok(Vec::new()));
    }

    #[test]
    fn a_target_may_be_a_domain() {
        assert_eq!(targets("@x.example", Separator::None, &["@Müller.example"]).unwrap(), ["@xn--mller-kva.example"]);
    }

    #[test]
    fn a_target_that_is_no_address_is_an_error_with_its_place() {
        for value in ["root", "|/bin/vacation", "/var/mail/anna/", ":fail: gone", "@", "@a b", "a@b@c"] {
            let refused = targets(INFO, Separator::Comma, &[value]).unwrap_err();
            assert!(refused.contains(INFO) && refused.ends_with("; correct it in Kontor"), "{refused}");
            assert!(!refused.contains("mailauth"), "{refused}");
        }
    }

    #[test]
    fn the_number_and_the_length_of_targets_are_limited() {
        let many = |count: usize| (0..count).map(|n| format!("a{n}@x.example")).collect::<Vec<_>>().join(",");
        assert_eq!(targets(INFO, Separator::Comma, &[&many(MOST_TARGETS)]).unwrap().len(), MOST_TARGETS);
        assert!(targets(INFO, Separator::Comma, &[&many(MOST_TARGETS + 1)]).unwrap_err().contains("more than 1000"));
        let long = ",".repeat(MOST_BYTES + 1);
        assert!(targets(INFO, Separator::Comma, &[&long]).unwrap_err().contains("bytes of them"));
    }

    #[test]
    fn a_value_that_is_not_text_is_an_error() {
        let model = model();
        let mut found = ForeignTargets::new(INFO, &model);
        found.add_value(Cell::Null);
        assert_eq!(ForeignTargets::new(INFO, &model).usable(), Ok(Vec::new()));
        found.add_value(Cell::Int(5));
        assert!(found.usable().unwrap_err().to_string().contains("cast them to text in [schema.aliases]"));
    }
}
