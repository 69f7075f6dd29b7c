//! Plugins published to servers in this process, over the real client.

#![cfg(test)]

mod desk;
mod push;
mod upload;
