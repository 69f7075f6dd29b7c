//! Stories told through the real binary: what an author types, what is printed, how it ends, what a registry then has.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

mod bad_inputs;
mod check;
mod clients;
mod desk;
mod integrity;
mod login;
mod pack;
mod pin;
mod push;
mod round_trip;
mod server;
