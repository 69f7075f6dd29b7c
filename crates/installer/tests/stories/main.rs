//! Stories told through the real binary: what an operator writes, what the log says, how the run ends, what is on the
//! volume.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test works with paths and with the environment it is started in")]

mod acceptance;
mod app_config;
mod cache;
mod check;
mod command_line;
mod dist;
mod docker_registry;
mod explain;
mod hub;
mod inventory;
mod killed;
mod lock;
mod metrics;
mod mistakes;
mod network;
mod plan;
mod portal;
mod report;
mod rhdh;
mod rhdh_failure;
mod rhdh_images;
mod rhdh_index;
mod rhdh_local;
mod rhdh_npm;
mod rhdh_once;
mod rhdh_registries;
mod sandbox;
mod secrets;
mod trust;
mod volume;
