//! Which command is which module.

use crate::cli::{Args, Command};
use crate::environment::Environment;
use crate::failure::{Failure, Status};
use crate::{check, integrity, login, pack, pin, push};

/// Does what was typed.
pub(crate) fn run(args: &Args, environment: &Environment) -> Result<Status, Failure> {
    match &args.command {
        Command::Check(check) => check::run(check, args, environment),
        Command::Pack(pack) => pack::run(pack),
        Command::Push(push) => push::run(push, args, environment),
        Command::Integrity(integrity) => integrity::run(integrity, args, environment),
        Command::Pin(pin) => pin::run(pin, args, environment),
        Command::Login(login) => login::log_in(login, args, environment),
        Command::Logout(logout) => login::log_out(logout, args, environment),
    }
}
