//! Asks the programs the questions of a schema.

use mailauth_tests::schemas::{Case, Expected, Question, Want};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, pre};
use mailauth_tests::{Accounts, Mailauth, output_with_input, program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// An answer, and the values of the account or the targets that came with it.
#[derive(Debug)]
pub struct Answer {
    answer: &'static str,
    targets: Vec<String>,
    values: BTreeMap<&'static str, String>,
    said: String,
}

/// Asks a daemon over its socket, `mailauth auth` and `mailauth-exim`.
pub struct Programs<'a> {
    pub accounts: &'a Accounts,
    pub server: &'a Mailauth,
}

impl Programs<'_> {
    /// Asks all programs that know the question, and describes each wrong answer.
    pub fn faults(&self, case: &Case) -> Vec<String> {
        let mut answers = vec![("the socket", self.by_socket(case))];
        match case.question {
            Question::Login { .. } => answers.push(("mailauth auth", self.by_command(case))),
            _ => answers.push(("mailauth-exim", self.by_exim(case))),
        }
        let wrong = |(program, answer): (&str, Answer)| {
            let fault = answer.fault(case)?;
            let Case { question, input, reason, .. } = case;
            let said: String = answer.said.chars().take(200).collect();
            Some(format!("{program}: {question:?} {input:?}: {fault}; {reason} ({said:?})"))
        };
        answers.into_iter().filter_map(wrong).collect()
    }

    fn by_socket(&self, case: &Case) -> Answer {
        let send = |request: &[u8]| ask(self.server.socket(), request, Manner::Whole);
        let question = |name: &str| {
            let bytes = send(format!("ASK {name} {}\n", case.input).as_bytes()).bytes;
            Answer::of_line(&String::from_utf8_lossy(&bytes))
        };
        match case.question {
            Question::Login { service, password } => {
                Answer::of_record(send(&auth(service, case.input, password)).outcome())
            }
            Question::Lookup => Answer::of_record(send(&pre("delivery", case.input)).outcome()),
            Question::Domain => question("domain"),
            Question::Alias => question("alias"),
            Question::Recipient => question("recipient 100"),
        }
    }

    fn by_command(&self, case: &Case) -> Answer {
        let Question::Login { service, password } = case.question else { panic!("not a login") };
        let arguments = ["auth", case.input, "--service", service, "--password-stdin", "--json"];
        let output = self.accounts.try_admin(&arguments, password);
        let mut answer = Answer::of_exit(&output);
        let Ok(json) = serde_json::from_slice::<Value>(&output.stdout) else { return answer };
        for (name, key) in [("login", "login"), ("home", "home"), ("name", "name"), ("options", "options")] {
            answer.take(name, json["account"][key].as_str());
        }
        for name in ["uid", "gid"] {
            answer.take(name, json["account"][name].as_u64().map(|id| id.to_string()).as_deref());
        }
        answer.take_maildir(json["account"]["maildir"].as_str());
        answer.take_quota(json["account"]["quota"].as_str().unwrap_or_default());
        answer
    }

    fn by_exim(&self, case: &Case) -> Answer {
        let mut command = Command::new(program("mailauth-exim"));
        command.arg("--config").arg(self.accounts.config_path());
        match case.question {
            Question::Domain => command.args(["domain", case.input]),
            Question::Alias => command.args(["alias", case.input]),
            Question::Lookup => command.args(["account", case.input]),
            _ => command.args(["recipient", case.input, "100"]),
        };
        let output = output_with_input(&mut command, "");
        let mut answer = Answer::of_exit(&output);
        if case.question == Question::Alias && answer.answer == "yes" {
            answer.take_targets(&String::from_utf8_lossy(&output.stdout));
        }
        if case.question == Question::Lookup {
            answer.take_values(&String::from_utf8_lossy(&output.stdout));
        }
        // Domains and recipients are answered by words.
        let word = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match (case.question, &*word) {
            (Question::Domain, "no" | "backup") | (Question::Recipient, "unknown" | "no-mail") => answer.answer = "no",
            _ => {}
        }
        answer
    }
}

impl Answer {
    fn new(answer: &'static str, said: impl Into<String>) -> Self {
        Answer { answer, targets: Vec::new(), values: BTreeMap::new(), said: said.into() }
    }

    fn of_exit(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
        let answer = match output.status.code() {
            Some(0) => "yes",
            Some(1) => "no",
            Some(75) => "not now",
            _ => "an error",
        };
        Answer::new(answer, said)
    }

    fn of_record(outcome: Outcome) -> Self {
        let mut answer = match &outcome {
            Outcome::Account(record) => Answer::new("yes", format!("{record:?}")),
            Outcome::Fail => Answer::new("no", ""),
            Outcome::Closed => Answer::new("not now", ""),
            other => Answer::new("an error", format!("{other:?}")),
        };
        if let Outcome::Account(record) = outcome {
            for (name, line) in [
                ("login", "ADDRESS"),
                ("uid", "UID"),
                ("gid", "GID"),
                ("home", "HOME"),
                ("name", "NAME"),
                ("options", "OPTIONS"),
            ] {
                answer.take(name, record.get(line));
            }
            answer.take_maildir(record.get("MAILDIR"));
            answer.take_quota(record.get("QUOTA").unwrap_or_default());
        }
        answer
    }

    fn of_line(line: &str) -> Self {
        let mut answer = match line.split_whitespace().next() {
            Some("OK") => Answer::new("yes", line),
            Some("FAIL" | "NOMAIL") => Answer::new("no", line),
            Some("LATER") => Answer::new("not now", line),
            _ => Answer::new("an error", line),
        };
        if let Some(targets) = line.strip_prefix("OK ") {
            answer.take_targets(targets);
        }
        answer
    }

    fn take(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.values.insert(name, value.to_owned());
        }
    }

    /// Takes the values of `name="value" name="value"`.
    fn take_values(&mut self, text: &str) {
        let names = [("uid", "uid"), ("gid", "gid"), ("home", "home"), ("maildir", "maildir"), ("login", "login")];
        let limits =
            [("bytes", "quota_bytes"), ("messages", "quota_messages"), ("name", "name"), ("options", "options")];
        for (name, key) in names.into_iter().chain(limits) {
            let value = format!(" {text}").split_once(&format!(" {key}=\"")).map(|(_, rest)| rest.to_owned());
            self.take(name, value.as_deref().and_then(|rest| rest.split('"').next()));
        }
    }

    fn take_targets(&mut self, list: &str) {
        self.targets = list.trim().split(", ").filter(|target| !target.is_empty()).map(str::to_owned).collect();
    }

    fn take_maildir(&mut self, maildir: Option<&str>) {
        let home = self.values.get("home").cloned().unwrap_or_default();
        let path = Path::new(&home).join(maildir.unwrap_or("Maildir"));
        let path = path.components().collect::<std::path::PathBuf>();
        self.take("maildir", path.to_str());
    }

    fn take_quota(&mut self, quota: &str) {
        let part = |unit: char| quota.split(',').find_map(|part| part.strip_suffix(unit)).unwrap_or("0").to_owned();
        let (bytes, messages) = (part('S'), part('C'));
        self.take("bytes", Some(&bytes));
        self.take("messages", Some(&messages));
    }

    /// Describes how the answer differs from the right one.
    fn fault(&self, case: &Case) -> Option<String> {
        let (want, targets) = match case.want {
            Want::Yes(targets) => ("yes", targets),
            Want::No => ("no", &[][..]),
            Want::NotNow => ("not now", &[][..]),
        };
        if self.answer != want {
            return Some(format!("{} instead of {want}", self.answer));
        }
        if case.question == Question::Alias && self.targets != targets {
            return Some(format!("{:?} instead of {targets:?}", self.targets));
        }
        let wrong = expected(&case.account).into_iter().filter(|(name, value)| self.values.get(name) != value.as_ref());
        let wrong: Vec<String> = wrong
            .filter_map(|(name, value)| Some(format!("{name} {:?} instead of {:?}", self.values.get(name), value?)))
            .collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

fn expected(account: &Expected) -> [(&'static str, Option<String>); 9] {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    [
        ("login", text(account.login)),
        ("uid", number(account.ids.map(|(uid, _)| u64::from(uid)))),
        ("gid", number(account.ids.map(|(_, gid)| u64::from(gid)))),
        ("home", text(account.home)),
        ("maildir", text(account.maildir)),
        ("bytes", number(account.bytes)),
        ("messages", number(account.messages)),
        ("name", text(account.name)),
        ("options", text(account.options)),
    ]
}
