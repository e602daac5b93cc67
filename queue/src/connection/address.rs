//! The address of Redis as an operator writes it.

use redis::{ClientTlsConfig, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
use url::{Url, form_urlencoded};

use super::access::{Access, Node};
use super::sentinels::Sentinels;
use super::server::{Server, Topology};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// An address that cannot be used. Its message names no password.
#[derive(Debug, thiserror::Error)]
#[error("the address of Redis {0}")]
pub struct AddressError(String);

enum Kind {
    Single,
    Sentinel,
    Cluster,
}

/// The parts between `://` and the end.
struct Parts<'a> {
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Server, AddressError> {
    let unknown = || {
        wrong(
            "begins with none of redis, rediss, unix, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster, followed by ://",
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(unknown)?;
    let (kind, tls) = match scheme {
        "redis" | "unix" | "redis+unix" | "valkey" => (Kind::Single, false),
        "rediss" | "valkeys" => (Kind::Single, true),
        "redis+sentinel" => (Kind::Sentinel, false),
        "rediss+sentinel" => (Kind::Sentinel, true),
        "redis+cluster" => (Kind::Cluster, false),
        "rediss+cluster" => (Kind::Cluster, true),
        _ => return Err(unknown()),
    };
    if rest.contains('#') {
        return Err(wrong("has a #, but certificates are always verified: write %23 if it is part of a password"));
    }
    let parts = Parts::of(rest);
    let certificates = if tls { Some(certificates(parts.query)?) } else { None };
    let server = match kind {
        Kind::Single => single(text, certificates)?,
        Kind::Sentinel => sentinel(&parts, certificates)?,
        Kind::Cluster => cluster(&parts, certificates)?,
    };
    server.check()?;
    Ok(server)
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Self {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { user, hosts, path, query }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }

    /// User, password and protocol, read as in the address of a single server.
    fn login(&self, database: &str) -> Result<RedisConnectionInfo, AddressError> {
        login(&format!("redis://{}@host/{database}?{}", self.user, self.query))
    }

    fn nodes(&self, default_port: u16) -> Result<Vec<Node>, AddressError> {
        self.hosts.split(',').map(|host| node(host, default_port)).collect()
    }
}

fn single(text: &str, certificates: Option<TlsCertificates>) -> Result<Server, AddressError> {
    let info = text.into_connection_info().map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let access = Access::new(info.redis_settings().clone(), certificates);
    Ok(Server { topology: Topology::Single(info.addr().clone()), access })
}

fn sentinel(parts: &Parts<'_>, certificates: Option<TlsCertificates>) -> Result<Server, AddressError> {
    let (master, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if master.is_empty() {
        return Err(wrong("names no master: write redis+sentinel://host:26379,host:26379/name"));
    }
    let mut entry = RedisConnectionInfo::default();
    if let Some(password) = parts.parameter("sentinel_password") {
        entry = entry.set_password(password);
    }
    if let Some(user) = parts.parameter("sentinel_user") {
        entry = entry.set_username(user);
    }
    let sentinels = Sentinels {
        nodes: parts.nodes(SENTINEL_PORT)?,
        access: Access::new(entry, certificates.clone()),
        master: master.to_owned(),
    };
    Ok(Server { topology: Topology::Sentinel(sentinels), access: Access::new(parts.login(database)?, certificates) })
}

fn cluster(parts: &Parts<'_>, certificates: Option<TlsCertificates>) -> Result<Server, AddressError> {
    if !parts.path.is_empty() {
        return Err(wrong("has a path, but a cluster has only one database"));
    }
    let seeds = parts.nodes(REDIS_PORT)?;
    Ok(Server { topology: Topology::Cluster(seeds), access: Access::new(parts.login("")?, certificates) })
}

fn node(host: &str, default_port: u16) -> Result<Node, AddressError> {
    let unreadable = || wrong(&format!("has a host that cannot be read: `{host}`"));
    let url = Url::parse(&format!("redis://{host}")).map_err(|_| unreadable())?;
    let name = match url.host().ok_or_else(unreadable)? {
        url::Host::Domain(name) => name.to_owned(),
        url::Host::Ipv4(address) => address.to_string(),
        url::Host::Ipv6(address) => address.to_string(),
    };
    Ok(Node { host: name, port: url.port().unwrap_or(default_port) })
}

fn login(url: &str) -> Result<RedisConnectionInfo, AddressError> {
    let info = url.into_connection_info().map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    Ok(info.redis_settings().clone())
}

/// What the parameters `ca`, `cert` and `key` name: files in PEM format.
fn certificates(query: &str) -> Result<TlsCertificates, AddressError> {
    let read = |name: &str| {
        let unreadable = |error| wrong(&format!("names a file in `{name}` that cannot be read: {error}"));
        parameter(query, name).map(|path| std::fs::read(path).map_err(unreadable)).transpose()
    };
    let client_tls = match (read("cert")?, read("key")?) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(wrong("has one of the parameters `cert` and `key`, but needs both or none")),
    };
    Ok(TlsCertificates { client_tls, root_cert: read("ca")? })
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn wrong(what: &str) -> AddressError {
    AddressError(what.to_owned())
}

impl Server {
    /// Finds out now whether the certificates can be used.
    fn check(&self) -> Result<(), AddressError> {
        let address = match &self.topology {
            Topology::Single(address) => address.clone(),
            Topology::Sentinel(_) | Topology::Cluster(_) => {
                self.access.address(&Node { host: "host".into(), port: REDIS_PORT })
            }
        };
        self.access.client(address).map(drop).map_err(|error| wrong(&format!("cannot be used: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(server: &Server) -> Vec<String> {
        let nodes = match &server.topology {
            Topology::Sentinel(sentinels) => &sentinels.nodes,
            Topology::Cluster(seeds) => seeds,
            Topology::Single(address) => return vec![address.to_string()],
        };
        nodes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_topology_has_an_address() {
        let server = parse("redis://user:p%40ss@host:7000/3?protocol=resp3").unwrap();
        assert_eq!(nodes(&server), ["host:7000"]);
        let login = &server.access.login;
        assert_eq!((login.username(), login.password(), login.db()), (Some("user"), Some("p@ss"), 3));
        assert!(login.protocol().supports_resp3());

        let server = parse("redis+sentinel://user:p%40ss@one,[::1]:7/main/2?sentinel_password=s&protocol=3").unwrap();
        assert_eq!(nodes(&server), ["one:26379", "::1:7"]);
        let Topology::Sentinel(sentinels) = &server.topology else { panic!("sentinels") };
        assert_eq!((&*sentinels.master, sentinels.access.login.password()), ("main", Some("s")));
        let login = &server.access.login;
        assert_eq!((login.password(), login.db(), login.protocol().supports_resp3()), (Some("p@ss"), 2, true));

        let server = parse("rediss+cluster://one:7000,two").unwrap();
        assert_eq!(nodes(&server), ["one:7000", "two:6379"]);
        assert!(server.access.tls.is_some() && parse("redis+cluster://one").unwrap().access.tls.is_none());
        assert_eq!(nodes(&parse("unix:///run/redis.sock").unwrap()), ["/run/redis.sock"]);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, reason) in [
            ("host:6379", "begins with none of"),
            ("http://secret@host", "begins with none of"),
            ("redis://:secret@host/x", "Invalid database number"),
            ("redis+sentinel://:secret@host", "names no master"),
            ("redis+cluster://:secret@host/1", "only one database"),
            ("redis+cluster://:secret@host:port", "cannot be read: `host:port`"),
            ("redis+cluster://:secret@", "cannot be read: ``"),
            ("rediss://:secret@host?ca=/nowhere", "names a file in `ca` that cannot be read"),
            ("rediss+cluster://host?cert=/dev/null", "needs both or none"),
            ("redis+cluster://host?protocol=4", "Invalid protocol version"),
            ("rediss://host/#insecure", "certificates are always verified"),
        ] {
            let error = parse(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
