//! Whole installations for tests and benchmarks: real servers, the real programs as processes, and a student who uses
//! them over HTTP.

pub mod ai_server;
pub mod events;
pub mod installation;
pub mod rehearsal;
pub mod servers;
pub mod student;
pub mod walk;
