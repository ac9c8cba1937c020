//! The steps of a setup, shown before they are carried out in order.

use super::answers::Answers;
use super::configuration::Configuration;
use super::{host_steps, server_steps, service_steps, table_steps};
use crate::failure::Failure;
use crate::output::{json, say, speaks_json};
use serde::Serialize;

/// What a step would do.
pub enum Look {
    /// Nothing, because of this.
    Done(String),
    /// What these lines say: files with their content, statements, commands.
    Todo(Vec<String>),
}

/// A part of the setup. It may be carried out again after it was interrupted.
pub trait Step {
    /// Name of the step, in the plan and in errors.
    fn name(&self) -> &'static str;

    /// Finds out what is to be done, and changes nothing. Fails if it is known already that the step would fail.
    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure>;

    /// Does what is to be done, and leaves alone what is done already.
    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure>;
}

pub struct Plan {
    steps: Vec<(Box<dyn Step>, Look)>,
}

#[derive(Serialize)]
struct StepJson<'a> {
    step: &'a str,
    done: Option<&'a str>,
    plan: &'a [String],
}

impl Plan {
    /// Looks at all steps. All failures are reported at once.
    pub fn make(answers: &Answers, configuration: &Configuration) -> Result<Self, Failure> {
        let mut steps: Vec<Box<dyn Step>> = host_steps::before(configuration);
        steps.extend(server_steps::users(configuration));
        steps.push(host_steps::configuration());
        steps.extend(table_steps::all(configuration));
        steps.push(service_steps::services());
        let (mut looked, mut failures) = (Vec::new(), Vec::new());
        for mut step in steps {
            match step.look(answers, configuration) {
                Ok(look) => looked.push((step, look)),
                Err(Failure { exit, message }) => failures.push((exit, format!("{}: {message}", step.name()))),
            }
        }
        match failures.first() {
            None => Ok(Plan { steps: looked }),
            Some((exit, _)) => {
                let lines: Vec<_> = failures.iter().map(|(_, line)| line.as_str()).collect();
                Err(Failure::new(*exit, format!("{}\nnothing was changed", lines.join("\n"))))
            }
        }
    }

    /// Returns true if there is something to do.
    pub fn is_needed(&self) -> bool {
        self.steps.iter().any(|(_, look)| matches!(look, Look::Todo(_)))
    }

    pub fn show(&self) -> Result<(), Failure> {
        if speaks_json() {
            let steps = self.steps.iter().map(|(step, look)| match look {
                Look::Done(why) => StepJson { step: step.name(), done: Some(why), plan: &[] },
                Look::Todo(lines) => StepJson { step: step.name(), done: None, plan: lines },
            });
            return json(&steps.collect::<Vec<_>>());
        }
        say("Plan:")?;
        for (number, (step, look)) in self.steps.iter().enumerate() {
            let (number, name) = (number + 1, step.name());
            match look {
                Look::Done(why) => say(format_args!("{number:2}. {name}: nothing to do, {why}"))?,
                Look::Todo(lines) => {
                    say(format_args!("{number:2}. {name}:"))?;
                    for line in lines.iter().flat_map(|text| text.lines()) {
                        say(format_args!("      {line}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Carries out the steps that are needed. A failure names the step and what was done before it.
    pub fn carry_out(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let mut done = Vec::new();
        let count = self.steps.len();
        for (number, (step, look)) in self.steps.iter_mut().enumerate() {
            if matches!(look, Look::Done(_)) {
                continue;
            }
            let name = step.name();
            step.run(answers, configuration).map_err(|Failure { exit, message }| {
                let before = if done.is_empty() { "nothing".to_owned() } else { done.join(", ") };
                Failure::new(
                    exit,
                    format!(
                        "step {} of {count}, {name}: {message}\ndone before it: {before}; correct this and run 'mailauth setup' \
                         again with the same answers, which continues here",
                        number + 1
                    ),
                )
            })?;
            say(format_args!("done: {name}"))?;
            done.push(name);
        }
        Ok(())
    }
}
