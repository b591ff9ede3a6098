//! `proteus completions` and `proteus man`.

use super::failure::Failure;
use clap_complete::Shell;
use std::io::Write;
use std::path::PathBuf;

/// Print what a shell needs to complete commands and options
#[derive(clap::Args)]
#[command(after_help = "For example:
  proteus completions bash > ~/.local/share/bash-completion/completions/proteus
  proteus completions zsh > ~/.zfunc/_proteus
  proteus completions fish > ~/.config/fish/completions/proteus.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Write the manual, one page for each subcommand
#[derive(clap::Args)]
#[command(after_help = "For example:
  proteus man ~/.local/share/man/man1 && man proteus-train")]
pub struct ManArgs {
    /// Folder to write proteus.1, proteus-train.1, ... into
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs `completions`.
pub fn run(args: Args, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "proteus", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

/// Runs `man`.
pub fn man(args: ManArgs, command: clap::Command) -> Result<(), Failure> {
    let folder = args.folder.display();
    let failed = |e: std::io::Error| Failure::User(format!("cannot write the manual into {folder}: {e}"));
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(command, &args.folder).map_err(failed)
}
