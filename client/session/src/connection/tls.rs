//! TLS 1.3 as links ask for it: a pinned key, or the public authorities and the name.

#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use hearth_protocol::{
    handshake::{CHANNEL_BINDING_LABEL, ChannelBinding},
    hash,
    id::Pin,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, NamedGroup, RootCertStore,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    version::TLS13,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Stream, error::ConnectError};

/// What vouches for the relay's key.
pub(super) enum Trust {
    /// The link: exactly this key.
    Pin(Pin),
    /// Authorities, for the name and the time.
    Authorities(RootCertStore),
}

impl Trust {
    /// What a link asks for: its pin, or else the public authorities.
    pub(super) fn of_link(pin: Option<Pin>) -> Self {
        pin.map_or_else(
            || Self::Authorities(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
            Self::Pin,
        )
    }
}

/// What TLS agreed on.
pub(super) struct Negotiated {
    pub(super) stream: TlsStream<Box<dyn Stream>>,
    pub(super) channel: ChannelBinding,
    /// Whether what passes stays secret from a quantum computer that comes later.
    pub(super) post_quantum: bool,
}

/// Negotiates TLS. A pinned key asks for X25519MLKEM768, because its relay is `hearthd`, which has it; behind a public
/// certificate there may be a proxy that does not.
pub(super) async fn negotiate(
    stream: Box<dyn Stream>,
    host: &str,
    trust: Trust,
) -> Result<Negotiated, ConnectError> {
    let pinned = matches!(trust, Trust::Pin(_));
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::BadAddress)?;
    let connector = TlsConnector::from(Arc::new(config(trust).map_err(ConnectError::NoTls13)?));
    let tls = connector.connect(name, stream).await.map_err(classify)?;
    let session = tls.get_ref().1;
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    let post_quantum = group == Some(NamedGroup::X25519MLKEM768);
    if pinned && !post_quantum {
        return Err(ConnectError::NotPostQuantum);
    }
    let channel = session
        .export_keying_material([0; 32], CHANNEL_BINDING_LABEL, None)
        .map_err(ConnectError::NoTls13)?;
    Ok(Negotiated { stream: tls, channel, post_quantum })
}

fn config(trust: Trust) -> Result<ClientConfig, Error> {
    // aws-lc-rs with `prefer-post-quantum` offers X25519MLKEM768 first.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
    let mut config = match trust {
        Trust::Pin(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier { pin, provider }))
            .with_no_client_auth(),
        Trust::Authorities(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
    };
    // A ticket would let the relay link two connections of one person, and would skip the pin.
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts exactly one key, whatever its certificate says of names and dates.
///
/// The link vouches for the key, so expiry and names add nothing, and a self-signed certificate has no issuer
/// to ask. That the other side *holds* the key is still proved by the handshake's signature.
#[derive(Debug)]
struct PinVerifier {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        if hash::sha256(&key).0 == self.pin.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            // Only this line gives that error, so `classify` can tell a wrong pin from the rest.
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Never offered; were it ever reached, refusing is the safe answer.
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Sorts a failed handshake by whose fault it is.
fn classify(error: io::Error) -> ConnectError {
    let tls = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(tls) => tls.clone(),
        None => return ConnectError::Unreachable(error),
    };
    match tls {
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            ConnectError::WrongPin
        }
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
            ConnectError::BadCertificate(tls)
        }
        // Not TLS at all: plain HTTP, or noise.
        Error::InvalidMessage(_) => ConnectError::NotARelay { status: None },
        _ => ConnectError::NoTls13(tls),
    }
}
