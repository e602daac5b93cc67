//! What is asked of the servers: single routes, and the mix.

use std::fmt::Write;

use super::servers::{Kind, Running};
use super::world::World;

/// One kind of load.
#[derive(Debug)]
pub(crate) struct Load {
    /// As the tables call it.
    pub(crate) name: &'static str,
    /// Where its answers come from.
    pub(crate) source: Source,
    /// What is asked, with how many of a hundred requests.
    shares: &'static [(Route, usize)],
}

/// Where answers come from, once they have been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// All of them out of the server's own memory.
    Cache,
    /// Some of them from PostgreSQL.
    Stores,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A test with its questions.
    Test,
    /// The same by who has it already.
    TestUnchanged,
    /// The list of tests.
    Tests,
    /// The first page of one's notifications.
    Notifications,
    /// The best of a test, and where one stands.
    Leaderboard,
    /// One of one's attempts.
    Attempt,
    /// The first page of one's attempts.
    Attempts,
    /// A vote that changes something.
    Vote,
}

/// The mix by the budget of a core: nine of ten come out of caches, one goes to PostgreSQL.
pub(crate) const MIX: Load = Load {
    name: "the mix",
    source: Source::Stores,
    shares: &[
        (Route::Test, 40),
        (Route::TestUnchanged, 15),
        (Route::Tests, 20),
        (Route::Notifications, 15),
        (Route::Leaderboard, 4),
        (Route::Attempt, 3),
        (Route::Attempts, 2),
        (Route::Vote, 1),
    ],
};

/// All loads, in the order in which they run.
pub(crate) const LOADS: &[Load] = &[
    Load { name: "a test", source: Source::Cache, shares: &[(Route::Test, 100)] },
    Load { name: "a test, unchanged (304)", source: Source::Cache, shares: &[(Route::TestUnchanged, 100)] },
    Load { name: "the list of tests", source: Source::Cache, shares: &[(Route::Tests, 100)] },
    Load { name: "own notifications", source: Source::Cache, shares: &[(Route::Notifications, 100)] },
    Load { name: "a leaderboard", source: Source::Stores, shares: &[(Route::Leaderboard, 100)] },
    MIX,
];

/// A load is so many requests, again and again.
const LENGTH: usize = 20_000;
/// Shares are of so many.
const WHOLE: usize = 100;
/// Prime to [`WHOLE`]: spreads what is asked over a hundred requests.
const STRIDE: usize = 37;
/// Lets the students take turns at each route.
const DRIFT: usize = 7;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Which route it asks.
    pub(crate) route: Route,
    /// GET or POST.
    pub(crate) method: &'static str,
    /// With its query.
    pub(crate) path: String,
    /// Of whoever is signed in.
    pub(crate) token: String,
    /// What the client has already.
    pub(crate) etag: String,
    /// JSON.
    pub(crate) body: String,
}

impl Load {
    /// What `server` is asked; none if it has no such route. The bare handler is asked for as many bytes as we answer, with
    /// the same headers.
    pub(crate) fn requests(&self, world: &World, server: &Running) -> Option<Vec<Request>> {
        let mut requests = Vec::with_capacity(LENGTH);
        for place in 0..LENGTH {
            let mut request = request(self.route(place), place, world);
            if request.route == Route::TestUnchanged {
                server.etags.get(&request.path).cloned().unwrap_or_default().clone_into(&mut request.etag);
                if request.etag.is_empty() && self.shares.len() == 1 && server.kind() != Kind::Bare {
                    return None;
                }
            }
            if server.kind() == Kind::Bare {
                let bytes = if request.route == Route::TestUnchanged { 0 } else { *server.sizes.get(&request.path)? };
                let path = format!("/bytes/{bytes}");
                request = Request { path, ..request };
            }
            requests.push(request);
        }
        Some(requests)
    }

    fn route(&self, place: usize) -> Route {
        let mut at = place * STRIDE % WHOLE;
        for (route, share) in self.shares {
            if at < *share {
                return *route;
            }
            at -= share;
        }
        unreachable!("the shares are a hundred")
    }
}

/// The `place`-th request of a load, if it is of `route`. Each student votes anew whenever the load has been asked once more.
pub(crate) fn request(route: Route, place: usize, world: &World) -> Request {
    let turn = place / WHOLE;
    let student = if route == Route::Vote { turn % WHOLE } else { (place + DRIFT * turn) % world.students.len() };
    let student = &world.students[student];
    let (method, path, body) = match route {
        Route::Test | Route::TestUnchanged => {
            ("GET", format!("/api/tests/{}", world.tests[turn % world.tests.len()]), String::new())
        }
        Route::Tests => ("GET", "/api/tests".to_owned(), String::new()),
        Route::Notifications => ("GET", "/api/notifications".to_owned(), String::new()),
        Route::Leaderboard => ("GET", format!("/api/leaderboard?test_id={}", world.tests[0]), String::new()),
        Route::Attempts => ("GET", "/api/attempts".to_owned(), String::new()),
        Route::Attempt => {
            let attempt = student.attempts[turn % student.attempts.len()];
            ("GET", format!("/api/attempts/{attempt}"), String::new())
        }
        Route::Vote => {
            let value = if (turn / WHOLE).is_multiple_of(2) { 1 } else { -1 };
            ("POST", format!("/api/models/{}/vote", world.model), format!(r#"{{"value":{value}}}"#))
        }
    };
    let is_public = matches!(route, Route::Test | Route::TestUnchanged | Route::Tests);
    let token = if is_public { String::new() } else { student.token.clone() };
    Request { route, method, path, token, etag: String::new(), body }
}

/// A request a line, as `replay.lua` reads them.
pub(crate) fn lines(requests: &[Request]) -> String {
    let mut lines = String::new();
    for Request { method, path, token, etag, body, .. } in requests {
        writeln!(lines, "{method}\t{path}\t{token}\t{etag}\t{body}").expect("writing to a string does not fail");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_each_load_are_a_hundred_and_kept() {
        for load in LOADS {
            let total: usize = load.shares.iter().map(|(_, share)| share).sum();
            assert_eq!(total, WHOLE, "{}", load.name);
            for (route, share) in load.shares {
                let asked = (0..WHOLE).filter(|place| load.route(*place) == *route).count();
                assert_eq!(asked, *share, "{} {route:?}", load.name);
            }
        }
    }
}
