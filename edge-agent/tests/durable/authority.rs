//! A hospital's certificates for a test: an authority, a broker, a hub, a gateway.

use super::Place;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ring::digest::{SHA256, digest};
use std::path::PathBuf;

pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) fingerprint: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
}

pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, certificate.der()).as_ref());
        Self { pem: certificate.pem(), fingerprint, issuer: Issuer::new(params, key) }
    }

    fn params(name: &str, hosts: &[&str]) -> CertificateParams {
        let mut params =
            CertificateParams::new(hosts.iter().map(|&host| host.into()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params
    }

    pub(crate) fn certify(&self, name: &str, hosts: &[&str]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = Self::params(name, hosts).signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Valid from one day of the calendar to another.
    pub(crate) fn certify_between(
        &self,
        name: &str,
        hosts: &[&str],
        from: (i32, u8, u8),
        until: (i32, u8, u8),
    ) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = Self::params(name, hosts);
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn sign_request(&self, name: &str, csr_pem: &str) -> String {
        let request = rcgen::CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        Self::params(name, &[]).signed_by(&request.public_key, &self.issuer).unwrap().pem()
    }
}

/// The files of an enrolled gateway.
pub(crate) fn enrolled(
    place: &Place,
    trusts: &Authority,
    signed_by: &Authority,
    port: u16,
    server_name: &str,
) -> PathBuf {
    let pair = signed_by.certify("gw-01", &[]);
    enrolled_as(place, trusts, &pair, port, server_name)
}

pub(crate) fn enrolled_as(
    place: &Place,
    trusts: &Authority,
    pair: &Pair,
    port: u16,
    server_name: &str,
) -> PathBuf {
    let directory = place.path().join("credentials");
    let hub = cotside_edge_agent::uplink::credentials::HubAddress {
        agent: "gw-01".into(),
        bed: Some("01".into()),
        mqtt: format!("127.0.0.1:{port}"),
        server_name: server_name.into(),
    };
    cotside_edge_agent::uplink::credentials::write(
        &directory,
        &pair.key,
        &pair.certificate,
        &trusts.pem,
        &hub,
    )
    .unwrap();
    directory
}
