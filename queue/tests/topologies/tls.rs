//! TLS, with an authority of the operator's own.

use bellwork_queue::{Engine, Server, Trouble};
use bellwork_testkit::DEADLINE;
use bellwork_testkit::folder::Folder;
use bellwork_testkit::program::free_port;
use bellwork_testkit::redis_server::RedisServer;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::life::ordinary_life;
use crate::support::{QUEUE, Trial, jobs, until, within};

/// An authority, and certificates by it.
struct Authority {
    folder: Folder,
    ca: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = Folder::new();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let ca = folder.file("ca.pem", &params.self_signed(&key).unwrap().pem());
        Self { folder, ca, issuer: Issuer::new(params, key) }
    }

    /// The files of a certificate and its key.
    fn certify(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind, text: &str| self.folder.file(&format!("{name}.{kind}"), text);
        (file("pem", &certificate.pem()), file("key", &key.serialize_pem()))
    }

    /// A server that speaks TLS on the port it returns, and an ordinary one beside it.
    async fn server(&self, clients: &str, options: &[&str]) -> (RedisServer, u16) {
        let ((certificate, key), port) = (self.certify("localhost"), free_port());
        let port_text = port.to_string();
        let mut tls = vec!["--tls-port", &port_text, "--tls-auth-clients", clients, "--tls-ca-cert-file", &self.ca];
        tls.extend(["--tls-cert-file", &certificate, "--tls-key-file", &key]);
        tls.extend(options);
        (RedisServer::start(&tls).await, port)
    }
}

#[tokio::test]
async fn the_engine_works_over_tls_with_an_authority_of_its_own() {
    let authority = Authority::new();
    let (_redis, port) = authority.server("no", &[]).await;
    ordinary_life(&Trial::on(&format!("rediss://localhost:{port}?ca={}", authority.ca)).await).await;
}

#[tokio::test]
async fn both_ends_may_ask_for_certificates() {
    let authority = Authority::new();
    let (_redis, port) = authority.server("yes", &[]).await;
    let (certificate, key) = authority.certify("worker");
    let url = format!("rediss://localhost:{port}?ca={}", authority.ca);
    let trial = Trial::on(&format!("{url}&cert={certificate}&key={key}")).await;
    assert_eq!(trial.push(jobs(1)).await, 1);
    let error = Engine::new(url.parse().unwrap(), "test").producer().push(QUEUE, jobs(1)).await;
    error.expect_err("the server wants to know who comes");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_at_once() {
    let authority = Authority::new();
    let (_redis, port) = authority.server("no", &[]).await;
    let other = Authority::new();
    for parameters in [String::new(), format!("?ca={}", other.ca)] {
        let server: Server = format!("rediss://localhost:{port}{parameters}").parse().unwrap();
        // With a patience that no test has: whoever waits for it is too late.
        let server = server.with_timeouts(2 * DEADLINE, 2 * DEADLINE);
        let error = within(Engine::new(server, "test").producer().push(QUEUE, jobs(1))).await.unwrap_err();
        assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::Certificate), false), "{error}");
        assert!(error.to_string().contains("ca="), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_no_reason_to_speak_without() {
    let authority = Authority::new();
    let (redis, _) = authority.server("no", &[]).await;
    let server = format!("rediss://localhost:{}?ca={}", redis.port, authority.ca).parse().unwrap();
    Engine::new(server, "test").producer().push(QUEUE, jobs(1)).await.unwrap_err();
}

/// The nodes name each other's ports, with and without TLS.
#[tokio::test]
async fn a_cluster_speaks_tls_on_every_node() {
    let authority = Authority::new();
    let (_, bus) = (free_port(), free_port().to_string());
    let cluster =
        ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--tls-replication", "yes", "--cluster-port", &bus];
    let (redis, port) = authority.server("no", &cluster).await;
    let _: String = redis.ask("CLUSTER ADDSLOTSRANGE 0 16383").await.unwrap();
    until(async || redis.ask::<String>("CLUSTER INFO").await.unwrap().contains("cluster_state:ok")).await;
    ordinary_life(&Trial::on(&format!("rediss+cluster://localhost:{port}?ca={}", authority.ca)).await).await;
}
