//! TLS 1.3 as tandem uses it: one version, one key exchange, raw Ed25519 keys both ways, each side
//! pinned.
//!
//! Owns the provider and the two configurations. The verifiers check one thing: that the presented
//! key hashes to an expected fingerprint and signed the handshake. They decide nothing else.
//! Resumption, tickets, 0-RTT and SNI are off. A full handshake costs only about a millisecond, and
//! a resumed session would be a way in on which nobody checks the pin.
//!
//! The standards: RFC 8446 (TLS 1.3), RFC 7250 (raw public keys), draft-ietf-tls-ecdhe-mlkem
//! (X25519MLKEM768).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, CipherSuite, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName,
    Error, ServerConfig, SignatureScheme, version,
};

use crate::identity::{Fingerprint, Identity, PublicKey};

/// The application protocol; its number changes with every incompatible wire change.
const ALPN: &[u8] = b"tandem/1";
/// Label of the exporter (RFC 8446 section 7.5) that gives both ends of a control lane the same
/// session id.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-tandem-session-v1";
/// Never sent (SNI is off); rustls needs a name to key its configuration by.
const SERVER_NAME: &str = "peer.invalid";

/// The fingerprint that a listener lets in; `None` refuses every peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected(Arc<RwLock<Option<Fingerprint>>>);

impl Expected {
    /// Lets in only `fingerprint` from now on.
    pub(crate) fn set(&self, fingerprint: Option<Fingerprint>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fingerprint;
    }

    /// The peer that this listener lets in.
    pub(crate) fn current(&self) -> Option<Fingerprint> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every lane of one peer needs to prove its identity.
pub(crate) struct TlsIdentity {
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(…)")
    }
}

impl TlsIdentity {
    /// Prepares the provider and the signing key of `identity`.
    pub(crate) fn new(identity: &Identity) -> Result<Self, Error> {
        let provider = Arc::new(provider());
        let pkcs8 = identity.pkcs8_der();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
        let signing_key = provider.key_provider.load_private_key(der)?;
        let spki = CertificateDer::from(identity.public_key().spki_der().to_vec());
        let key = Arc::new(CertifiedKey::new(vec![spki], signing_key));
        Ok(Self { provider, key })
    }

    /// The configuration of a dialler that talks only to `expected`.
    pub(crate) fn client_config(&self, expected: Fingerprint) -> Result<Arc<ClientConfig>, Error> {
        self.client_config_with(&self.provider, expected)
    }

    pub(super) fn client_config_with(
        &self,
        provider: &Arc<CryptoProvider>,
        expected: Fingerprint,
    ) -> Result<Arc<ClientConfig>, Error> {
        let pin = Arc::new(Pin {
            accepted: Accepted::One(expected),
            algorithms: self.algorithms(),
        });
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pin)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.key.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// The configuration of a listener that lets in the peer that `expected` names at that moment.
    pub(crate) fn server_config(&self, expected: Expected) -> Result<Arc<ServerConfig>, Error> {
        let pin = Arc::new(Pin {
            accepted: Accepted::Current(expected),
            algorithms: self.algorithms(),
        });
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(pin)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.key.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }

    fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.provider.signature_verification_algorithms
    }
}

/// The name that a dialler hands to rustls; it never appears on the wire.
pub(crate) fn server_name() -> Result<ServerName<'static>, Error> {
    ServerName::try_from(SERVER_NAME).map_err(|e| Error::General(e.to_string()))
}

/// Checks what rustls does not: it lets in a peer that offers no ALPN at all.
pub(crate) fn check_protocol(connection: &CommonState) -> Result<(), Error> {
    match connection.alpn_protocol() {
        Some(ALPN) => Ok(()),
        _ => Err(Error::NoApplicationProtocol),
    }
}

/// The fingerprint of the peer at the other end of a finished handshake.
pub(crate) fn remote_fingerprint(connection: &CommonState) -> Result<Fingerprint, Error> {
    let presented = connection.peer_certificates().and_then(|chain| chain.first());
    fingerprint_of(presented.ok_or(Error::NoCertificatesPresented)?)
}

/// The 32 bytes that only the two ends of one control lane can derive.
pub(crate) fn session_secret(
    export: impl FnOnce([u8; 32], &[u8], Option<&[u8]>) -> Result<[u8; 32], Error>,
) -> Result<[u8; 32], Error> {
    export([0; 32], EXPORTER_LABEL, Some(b""))
}

fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    provider.cipher_suites.retain(|suite| {
        matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_256_GCM_SHA384 | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        )
    });
    provider
}

fn fingerprint_of(spki: &CertificateDer<'_>) -> Result<Fingerprint, Error> {
    let key = PublicKey::from_spki_der(spki.as_ref());
    key.map(|key| Fingerprint::of(&key))
        .map_err(|_| CertificateError::BadEncoding.into())
}

#[derive(Debug)]
enum Accepted {
    One(Fingerprint),
    Current(Expected),
}

/// The whole trust decision: the presented key is the expected one, and it signed this handshake.
#[derive(Debug)]
struct Pin {
    accepted: Accepted,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pin {
    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        let fingerprint = fingerprint_of(presented)?;
        let expected = match &self.accepted {
            Accepted::One(expected) => Some(*expected),
            Accepted::Current(expected) => expected.current(),
        };
        if expected == Some(fingerprint) {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn check_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(spki.as_ref());
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &spki, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not supported".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pin {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not supported".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
