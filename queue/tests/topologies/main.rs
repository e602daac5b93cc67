//! The engine on every topology of Redis, and through what can happen to it, on real servers that the tests start.
//!
//! `TEST_REDIS_SERVER` names another binary than the `redis-server` of the system, such as a valkey-server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acl;
mod cluster;
mod deployments;
mod failover;
mod life;
mod outages;
mod refusals;
mod replication;
mod resp3;
mod sentinel;
mod shards;
#[allow(dead_code, reason = "shared with the tests of the engine")]
#[path = "../engine/support.rs"]
mod support;
mod tls;
