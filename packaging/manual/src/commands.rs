//! The pages of the `mailauth` command and of its sub-commands.

use crate::document::{Block, Document, Span, spans};
use crate::help_text;
use crate::supplements::see_also;
use clap::{Arg, ArgAction, Command};

/// The part of the manual with commands of users.
const PART: u8 = 1;

/// What the page of the command itself refers to.
const RELATED: [&str; 6] = [
    "mailauth.toml(5)",
    "mailauth-protocol(7)",
    "mailauth-courier(8)",
    "mailauth-exim(8)",
    "mailauth-mailboxes(8)",
    "mailauth-pop3(8)",
];

/// Returns the page of the command and those of all sub-commands.
pub fn pages(command: Command) -> Vec<Document> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let exit_status = after_help(&command);
    let mut pages = Vec::new();
    collect(&command, None, &exit_status, &mut pages);
    pages
}

/// Adds the page of a command, and those of its sub-commands after it.
fn collect(command: &Command, parent: Option<&Command>, exit_status: &[Block], pages: &mut Vec<Document>) {
    pages.push(page(command, parent, exit_status));
    for sub in subcommands(command) {
        collect(sub, Some(command), exit_status, pages);
    }
}

/// Returns the exit codes that the help of the whole command lists.
fn after_help(command: &Command) -> Vec<Block> {
    let mut page = Document::new("", PART, "");
    help_text::add(&mut page, "", &text(command.get_after_help()));
    let codes = page.sections().iter().find(|section| section.heading == "EXIT STATUS");
    codes.map(|section| section.blocks.clone()).unwrap_or_default()
}

fn page(command: &Command, parent: Option<&Command>, exit_status: &[Block]) -> Document {
    let mut page = Document::new(name(command), PART, &text(command.get_about()));
    page.add("Synopsis", synopses(command));
    help_text::add(&mut page, "Description", &as_sentence(&text(command.get_long_about().or(command.get_about()))));
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) = visible(command).partition(|arg| arg.is_positional());
    let (last, first): (Vec<&Arg>, Vec<&Arg>) = options.into_iter().partition(|arg| is_general(command, arg));
    page.add("Options", positional.into_iter().chain(first).chain(last).map(option).collect());
    page.add("Commands", subcommands(command).map(reference).collect());
    help_text::add(&mut page, "Notes", &text(command.get_after_long_help().or(command.get_after_help())));
    if !page.sections().iter().any(|section| section.heading == "EXIT STATUS") && !command.is_subcommand_required_set()
    {
        page.add("Exit status", exit_status.to_vec());
    }
    let related = subcommands(command).map(|sub| format!("{}({PART})", name(sub)));
    let related = related.chain(parent.map(|parent| format!("{}({PART})", name(parent))));
    let related = related.chain(parent.map(|_| "mailauth(1)".to_owned()));
    let general = RELATED.iter().filter(|page| parent.is_none() || page.starts_with("mailauth.toml"));
    see_also(&mut page, &related.chain(general.map(|page| (*page).to_owned())).collect::<Vec<_>>());
    page
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn text(styled: Option<&clap::builder::StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn visible(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

/// Returns true for options that every command has.
fn is_general(command: &Command, arg: &Arg) -> bool {
    let prints =
        matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version);
    let is_root = !name(command).contains('-');
    prints || !is_root && (arg.is_global_set() || arg.get_id() == "json")
}

/// Returns the command lines: that of the command itself, or one for each sub-command.
fn synopses(command: &Command) -> Vec<Block> {
    let shown = |arg: &&Arg| !arg.is_positional() && !is_general(command, arg);
    let options = alternatives(command, visible(command).filter(shown)).into_iter().map(|group| {
        let terms: Vec<Vec<Span>> =
            group.iter().map(|arg| with_values(arg, vec![Span::Bold(option_name(arg))])).collect();
        bracketed(group.iter().any(|arg| arg.is_required_set()), terms.join(&Span::Roman("|".to_owned())))
    });
    let options: Vec<Vec<Span>> = options.collect();
    let is_root = !name(command).contains('-');
    if is_root || !command.has_subcommands() {
        return vec![synopsis(command, options, is_root)];
    }
    // A command that also does something without a sub-command has a line of its own.
    let own = (!command.is_subcommand_required_set()).then(|| synopsis(command, options, false));
    let abbreviated = || vec![help_text::arguments("[OPTIONS]")];
    let subs = subcommands(command).map(|sub| synopsis(sub, abbreviated(), sub.has_subcommands()));
    own.into_iter().chain(subs).collect()
}

/// Returns the line of a command with these options and the arguments of the command.
fn synopsis(command: &Command, mut words: Vec<Vec<Span>>, has_command: bool) -> Block {
    let arguments = visible(command).filter(|arg| arg.is_positional());
    words.extend(arguments.map(|arg| bracketed(arg.is_required_set(), placeholders(arg))));
    if has_command {
        words.push(vec![Span::Italic("COMMAND".to_owned())]);
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    Block::Synopsis(name.to_owned(), words.join(&Span::Roman(" ".to_owned())))
}

/// Groups options that follow one another and exclude one another, such as `--enabled` and `--disabled`.
fn alternatives<'a>(command: &Command, options: impl Iterator<Item = &'a Arg>) -> Vec<Vec<&'a Arg>> {
    let excludes =
        |one: &Arg, other: &Arg| command.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id());
    let mut groups: Vec<Vec<&Arg>> = Vec::new();
    for option in options {
        match groups.last_mut() {
            Some(group) if group.iter().all(|other| excludes(other, option) || excludes(option, other)) => {
                group.push(option);
            }
            _ => groups.push(vec![option]),
        }
    }
    groups
}

/// Puts what is not required in brackets.
fn bracketed(is_required: bool, inner: Vec<Span>) -> Vec<Span> {
    if is_required {
        return inner;
    }
    let roman = |text: &str| Span::Roman(text.to_owned());
    let joined = inner.into_iter().map(|span| if span == roman(" ") { roman("\u{a0}") } else { span });
    std::iter::once(roman("[")).chain(joined).chain([roman("]")]).collect()
}

/// Returns the names of an option with its values.
fn term(arg: &Arg) -> Vec<Span> {
    let mut spans = vec![Span::Bold(option_name(arg))];
    if let (Some(short), Some(_)) = (arg.get_short(), arg.get_long()) {
        spans.splice(0..0, [Span::Bold(format!("-{short}")), Span::Roman(", ".to_owned())]);
    }
    with_values(arg, spans)
}

/// Returns the long name of an option, or its letter if it has no other name.
fn option_name(arg: &Arg) -> String {
    let letter = || arg.get_short().map(|short| format!("-{short}"));
    arg.get_long().map(|long| format!("--{long}")).or_else(letter).unwrap_or_default()
}

/// Adds the values of an option to its name.
fn with_values(arg: &Arg, mut spans: Vec<Span>) -> Vec<Span> {
    if arg.get_action().takes_values() {
        spans.push(Span::Roman(" ".to_owned()));
        spans.extend(placeholders(arg));
    }
    spans
}

/// Returns the names of the values of an argument.
fn placeholders(arg: &Arg) -> Vec<Span> {
    let names: Vec<String> = match arg.get_value_names() {
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => vec![arg.get_id().as_str().to_uppercase()],
    };
    let mut spans = vec![Span::Italic(names.join(" "))];
    let is_repeated = arg.get_num_args().is_some_and(|number| number.max_values() > names.len())
        || arg.is_positional() && matches!(arg.get_action(), ArgAction::Append);
    if is_repeated {
        spans.push(Span::Roman("...".to_owned()));
    }
    spans
}

fn option(arg: &Arg) -> Block {
    let term = if arg.is_positional() { placeholders(arg) } else { term(arg) };
    let mut body = Document::new("", PART, "");
    help_text::add(&mut body, "Text", &described(arg));
    Block::Entry(vec![term], body.sections().iter().flat_map(|section| section.blocks.clone()).collect())
}

/// Returns what is said about an argument, with its values and its default, as the help prints it.
fn described(arg: &Arg) -> String {
    match arg.get_action() {
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong => return "Print a help text".to_owned(),
        ArgAction::Version => return "Print the version".to_owned(),
        _ => {}
    }
    let mut described = text(arg.get_long_help().or(arg.get_help()));
    if !arg.get_action().takes_values() {
        return described;
    }
    let values: Vec<_> = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    let has_help = values.iter().any(|value| value.get_help().is_some());
    if !values.is_empty() && !has_help && !arg.is_hide_possible_values_set() {
        let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
        described.push_str(&format!(" [possible values: {}]", names.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && !arg.is_hide_default_value_set() {
        described.push_str(&format!(" [default: {}]", defaults.join(",")));
    }
    if has_help && !arg.is_hide_possible_values_set() {
        described.push_str("\n\nValues:");
        let lines = values.iter().map(|value| format!("\n  {}  {}", value.get_name(), text(value.get_help())));
        described.extend(lines);
    }
    described
}

/// Ends the first paragraph with a full stop, which a summary lacks.
fn as_sentence(text: &str) -> String {
    let (first, rest) = text.split_at(text.find("\n\n").unwrap_or(text.len()));
    let end = if first.ends_with(['.', ':']) || first.is_empty() { "" } else { "." };
    format!("{first}{end}{rest}")
}

fn reference(command: &Command) -> Block {
    let term = vec![Span::Bold(name(command).to_owned()), Span::Roman(format!("({PART})"))];
    let about = spans(&text(command.get_about()));
    Block::Entry(vec![term], vec![Block::Paragraph(about)])
}
