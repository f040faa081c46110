//! A gateway whose clock is wrong (S10): it connects where that is safe, and says what is wrong where it is not.

use crate::authority::{Authority, Pair, enrolled_as};
use crate::broker::{Agent, block_on};
use crate::{Place, at};
use cotside_edge_agent::row::BedNotice;
use cotside_protocol::model::Wall;
use cotside_systemd::clock::Clock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(20);
/// Later than this software was built, as every hub's certificate is.
const FOUNDED: (i32, u8, u8) = (2026, 11, 14);
const ENDS: (i32, u8, u8) = (2028, 11, 14);

fn year(year: u16) -> Wall {
    Wall::of_calendar([year, 6, 1], [12, 0, 0]).unwrap()
}

/// A hub that does TLS and nothing else, and a gateway enrolled with it.
struct Scene {
    place: Place,
    listener: TcpListener,
    tls: TlsAcceptor,
    credentials: PathBuf,
}

impl Scene {
    async fn new(issued: (i32, u8, u8)) -> Self {
        let (place, authority) = (Place::new(), Authority::new("ward"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = acceptor(&authority.certify_between("hub", &["hub.test"], FOUNDED, ENDS));
        let pair = authority.certify_between("gw-01", &[], issued, ENDS);
        let port = listener.local_addr().unwrap().port();
        let credentials = enrolled_as(&place, &authority, &pair, port, "hub.test");
        Self { place, listener, tls, credentials }
    }

    fn agent(&self, machine: Wall) -> Agent {
        Agent::start_by(Clock::start_saying(machine), &self.place, self.credentials.clone())
    }

    /// One connection attempt as the hub sees it.
    async fn is_taken(&self) -> bool {
        let attempt = async {
            let (socket, _) = self.listener.accept().await.unwrap();
            self.tls.accept(socket).await.is_ok()
        };
        timeout(PATIENCE, attempt).await.unwrap()
    }
}

fn acceptor(pair: &Pair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn s10_a_gateway_whose_clock_starts_in_1970_or_2000_reaches_its_hub() {
    block_on(async {
        for machine in [Wall(40_000_000), year(2000), year(2025)] {
            let scene = Scene::new((2026, 11, 15)).await;
            let agent = scene.agent(machine);
            assert!(scene.is_taken().await, "{machine}");
            assert!(agent.stages.stop().await);
        }
    });
}

#[test]
fn s10_expiry_is_never_skipped_and_a_clock_years_ahead_is_told_to_be_set() {
    block_on(async {
        let scene = Scene::new((2026, 11, 15)).await;
        let mut agent = scene.agent(year(2036));
        assert!(!scene.is_taken().await);
        let said = async {
            let (mut clock, mut hub) = (None, None);
            while clock.is_none() || hub.is_none() {
                match agent.notices.recv().await.unwrap() {
                    BedNotice::ClockRefuses(words) => clock = words,
                    BedNotice::Hub { detail, .. } => hub = Some(detail),
                    _ => {}
                }
            }
            (clock.unwrap(), hub.unwrap())
        };
        let (clock, hub) = timeout(PATIENCE, said).await.unwrap();
        assert_eq!(clock, "says 2036-06-01; hub's certificate ended 2028-11-14");
        assert!(
            hub.contains("this gateway's clock says 2036-06-01: if that is not today, set the clock"),
            "{hub}"
        );
        assert!(agent.stages.stop().await);
    });
}

#[test]
fn s10_without_any_proof_of_the_date_a_certificate_that_begins_later_is_not_taken() {
    block_on(async {
        // The gateway's own certificate is as old as the software: it proves nothing.
        let scene = Scene::new((2026, 10, 1)).await;
        let mut agent = scene.agent(Wall(40_000_000));
        assert!(!scene.is_taken().await);
        let words = agent.hub_words("begins on 2026-11-14").await;
        assert!(words.contains("clock is not set"), "{words}");
        assert!(at(0).wall < Wall::of_calendar([2026, 11, 14], [0, 0, 0]).unwrap());
        assert!(agent.stages.stop().await);
    });
}
