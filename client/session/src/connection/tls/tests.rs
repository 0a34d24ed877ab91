//! Certificates of an authority that is known, for the time and the name that they are for, and for others.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::AsyncReadExt as _,
    io::AsyncWriteExt as _,
    join,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// The years in which a certificate is valid, from the first to before the second.
type Years = (i32, i32);

/// An authority that the client is told to trust, and a relay with a certificate of it.
fn vouched_for(name: &str, years: Years) -> (RootCertStore, TlsAcceptor) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "A known authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap().der().clone();
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    leaf.not_before = date_time_ymd(years.0, 1, 1);
    leaf.not_after = date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    (roots, TlsAcceptor::from(Arc::new(config)))
}

/// What the client says to it, and the application bytes that the relay got.
async fn negotiated(name: &str, years: Years) -> (Result<(), ConnectError>, Vec<u8>) {
    let (roots, acceptor) = vouched_for(name, years);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = Box::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    let relay = async {
        let mut heard = Vec::new();
        if let Ok(mut tls) = acceptor.accept(listener.accept().await.unwrap().0).await {
            // A client that ends without a goodbye is none of this test's business.
            let _ = tls.read_to_end(&mut heard).await;
        }
        heard
    };
    let client = async {
        let negotiated = negotiate(stream, "localhost", Trust::Authorities(roots)).await?;
        assert!(negotiated.post_quantum);
        let mut tls = negotiated.stream;
        tls.write_all(b"hello").await.unwrap();
        tls.shutdown().await.unwrap();
        Ok(())
    };
    join!(client, relay)
}

#[tokio::test]
async fn a_known_authority_vouches_for_its_name_in_its_time_only() {
    let (opened, heard) = negotiated("localhost", (2000, 4000)).await;
    opened.unwrap();
    assert_eq!(heard, b"hello");
    let clock = ["clock", "operator of the relay", "renew"].as_slice();
    for (name, years, what, advice) in [
        ("localhost", (2000, 2001), "has expired", clock),
        ("localhost", (3999, 4000), "is not valid yet", clock),
        ("relay.example", (2000, 4000), "is for another name", &["operator", "facilitator"]),
    ] {
        let (opened, heard) = negotiated(name, years).await;
        let error = opened.unwrap_err();
        assert_eq!(heard, b"", "{what}");
        assert_eq!((error.code(), error.exit_code()), ("bad_certificate", 5), "{error:?}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(!error.may_retry());
        for word in [&["Nothing was sent"], advice].concat() {
            assert!(error.advice().contains(word), "{what}: {}", error.advice());
        }
    }
}

/// A relay with a certificate of a known authority whose TLS has X25519 and nothing later, and the pin of its key.
fn classical() -> (RootCertStore, Pin, TlsAcceptor) {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap().der().clone();
    let issuer = Issuer::new(authority, authority_key);
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().der().clone();
    let parsed = ParsedCertificate::try_from(&leaf).unwrap();
    let pin = Pin(hash::sha256(&parsed.subject_public_key_info()).0);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    (roots, pin, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn pinned_key_requires_post_quantum() {
    for pinned in [true, false] {
        let (roots, pin, acceptor) = classical();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = Box::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let trust = if pinned { Trust::Pin(pin) } else { Trust::Authorities(roots) };
        let relay = async { acceptor.accept(listener.accept().await.unwrap().0).await };
        let (negotiated, _relay) = join!(negotiate(stream, "localhost", trust), relay);
        match negotiated {
            Ok(negotiated) => assert!(!pinned && !negotiated.post_quantum),
            Err(error) => {
                assert!(pinned && matches!(error, ConnectError::NotPostQuantum), "{error:?}");
                assert_eq!((error.code(), error.exit_code()), ("not_post_quantum", 5));
                assert!(!error.may_retry() && error.advice().contains("X25519MLKEM768"));
            }
        }
    }
}
