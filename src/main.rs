//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    proteus::cli::main()
}
