//! HTTP and the live streams, as a library so that tests start the real thing.

mod app;
mod auth;
mod client;
mod cursor;
mod describe;
mod error;
mod hub;
mod idempotency;
mod input;
mod limits;
mod observe;
mod openapi;
mod origin;
mod overload;
mod pages;
mod paper;
mod passwords;
mod reply;
mod revision;
pub mod routes;
pub mod server;
mod sign_in;
mod throttle;
mod upload;
