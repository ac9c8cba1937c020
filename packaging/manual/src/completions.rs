//! Completions of the `mailauth` command for shells.

use clap_complete::{Generator, Shell};
use std::fs;
use std::io;
use std::path::Path;

/// Shells, with their folder below `completions`.
const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")];

/// Name of the command.
const COMMAND: &str = "mailauth";

/// Writes a file for each shell, with the name that the shell expects.
pub fn write(folder: &Path) -> io::Result<()> {
    for (shell, name) in SHELLS {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let file = match shell {
            Shell::Bash => COMMAND.to_owned(),
            shell => shell.file_name(COMMAND),
        };
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut mailauth_admin::command(), COMMAND, &mut text);
        fs::write(folder.join(file), text)?;
    }
    Ok(())
}
