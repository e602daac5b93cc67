//! HTTP and the live streams, as a library so that tests start the real thing.

mod app;
mod auth;
mod cursor;
mod error;
mod hub;
mod input;
mod observe;
mod passwords;
pub mod routes;
pub mod server;
