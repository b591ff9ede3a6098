//! The program as a user runs it.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program with these arguments in `folder`, away from the data sets of this machine.
pub fn command(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proteus"));
    command.args(args).current_dir(folder).env_remove("PROTEUS_DATA").env("NO_COLOR", "1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn proteus(args: &[&str], folder: &Path) -> Output {
    command(args, folder).output().expect("the program starts")
}

/// What it wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A user's mistake: exit code 2 and one clear line with all of `parts`.
#[track_caller]
pub fn refused(output: &Output, parts: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 1, "one line: {message}");
    assert!(lines[0].starts_with("error: "), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' in {message}");
    }
}
