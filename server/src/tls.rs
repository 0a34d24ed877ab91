//! TLS 1.3 (RFC 8446): the relay's certificate, self-signed at first start or given, and its replacement at run time.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use hearth_protocol::{Pin, handshake, hash};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::{
    CipherSuite, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConnection},
    sign::CertifiedKey,
};

use crate::data_dir::Address;

/// Why the relay has no usable certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// Other users can read the key.
    #[error("{0} can be read by everyone on this machine")]
    KeyExposed(PathBuf),
    /// The file holds no certificate, or an unreadable one.
    #[error("{0} holds no usable certificate")]
    NoCertificate(PathBuf),
    /// The file holds no key, or an unreadable one.
    #[error("{0} holds no usable private key")]
    NoKey(PathBuf),
    /// Key and certificate do not match.
    #[error("the private key is not the certificate's")]
    Mismatch,
    /// The data directory's key is lost or was replaced. The relay makes no new one, because members pin the key.
    #[error("{0} {1}")]
    OwnKey(PathBuf, &'static str),
    /// The data directory's certificate is damaged or was replaced. The relay can make it again from the key.
    #[error("{0} {1}")]
    OwnCertificate(PathBuf, &'static str),
    /// Making a certificate failed.
    #[error("no certificate could be made: {0}")]
    Generate(#[from] rcgen::Error),
    /// rustls refused the configuration.
    #[error("TLS cannot be configured: {0}")]
    Configure(#[from] rustls::Error),
}

/// A certificate that can be replaced while connections go on.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<Loaded>>,
    /// The last reported error of the files, and their state at the time.
    complaint: Mutex<Option<(Changed, String)>>,
}

#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    pin: Pin,
    self_signed: bool,
    changed: Changed,
}

/// Modification times of the certificate's and the key's file.
type Changed = [Option<SystemTime>; 2];

/// Outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    /// The files have not changed.
    Unchanged,
    /// The files are as bad as when they were reported.
    StillBad,
    /// New connections get the new certificate.
    Replaced,
}

impl Identity {
    /// Loads a certificate chain and its key.
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let loaded = load(certificate, key)?;
        Ok(Arc::new(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Arc::new(loaded)),
            complaint: Mutex::default(),
        }))
    }

    /// Loads the data directory's own key and certificate, making the missing ones.
    ///
    /// The key is written before the certificate and before anything names its pin. So a killed first start leaves
    /// at most a key, which the next start certifies, and a key that is missing beside other traces is lost. `pinned` is the pin
    /// in the store, which is the only trace in a folder restored from the store alone.
    pub(crate) fn load_or_make(
        dir: &Path,
        names: &[String],
        pinned: Option<Pin>,
    ) -> Result<Arc<Self>, TlsError> {
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        let recorded = || Address::read(dir).ok().and_then(|address| address.pin);
        let pinned = pinned.or_else(recorded);
        if !is_written(&key)? {
            if is_written(&certificate)? || pinned.is_some() {
                return Err(TlsError::OwnKey(key, "is missing or empty, and members pinned it"));
            }
            let pair = KeyPair::generate()?;
            write(&key, zeroize::Zeroizing::new(pair.serialize_pem()).as_bytes())?;
        }
        if !is_written(&certificate)? {
            let pair = own_pair(&key)?;
            if pinned.is_some_and(|pin| pin != pin_of(&pair)) {
                return Err(TlsError::OwnKey(key, "is not the key that members pinned"));
            }
            write(&certificate, certify(&pair, names)?.as_bytes())?;
        }
        let is_pinned = || own_pair(&key).is_ok_and(|pair| pinned == Some(pin_of(&pair)));
        let loaded = Self::load(&certificate, &key).map_err(|error| match error {
            TlsError::NoKey(_) => unusable(&key),
            TlsError::NoCertificate(path) => {
                TlsError::OwnCertificate(path, "holds no usable certificate")
            }
            TlsError::Mismatch if is_pinned() => {
                TlsError::OwnCertificate(certificate, "does not belong to key.pem")
            }
            TlsError::Mismatch => TlsError::OwnKey(key.clone(), "does not belong to cert.pem"),
            error => error,
        })?;
        if pinned.is_some_and(|pin| pin != loaded.pin()) {
            return Err(TlsError::OwnKey(key, "is not the key that members pinned"));
        }
        Ok(loaded)
    }

    fn current(&self) -> Arc<Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo.
    pub(crate) fn pin(&self) -> Pin {
        self.current().pin
    }

    /// Whether links must carry the pin, because no authority vouches for the certificate.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.current().self_signed
    }

    /// Loads the files again if they changed. On an error the old certificate stays.
    ///
    /// Bad files are tried again each time, because a change of rights changes no date; but the same error
    /// of the same files is returned once, so that it does not fill the log.
    pub(crate) fn reload(&self) -> Result<Reload, TlsError> {
        let seen = changed(&self.certificate, &self.key);
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if seen == self.current().changed {
            *complaint = None;
            return Ok(Reload::Unchanged);
        }
        match load(&self.certificate, &self.key) {
            Ok(loaded) => {
                *complaint = None;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
                Ok(Reload::Replaced)
            }
            Err(error) => {
                let new = (seen, error.to_string());
                if complaint.as_ref() == Some(&new) {
                    return Ok(Reload::StillBad);
                }
                *complaint = Some(new);
                Err(error)
            }
        }
    }

    /// Returns the configuration for the listener.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(self.clone())));
        // No tickets, so that nothing links two connections of a member and an idle one costs no memory. No early data,
        // because it can be replayed (RFC 8446 section 8).
        config.send_tls13_tickets = 0;
        config.ignore_client_order = true;
        config.max_early_data_size = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

/// Returns the provider, which prefers a suite with SHA-256: processors have instructions for it, and the key schedule of a
/// handshake with SHA-384 costs as much as verifying a member's signature. Keys stay at 256 bits.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    let preferred = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != preferred);
    provider
}

#[derive(Debug)]
struct Resolver(Arc<Identity>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current().certified.clone())
    }
}

/// Returns the bytes that bind an authentication to this channel (RFC 9266 section 4.2).
pub(crate) fn channel_binding(
    connection: &ServerConnection,
) -> Result<handshake::ChannelBinding, rustls::Error> {
    connection.export_keying_material([0; 32], handshake::CHANNEL_BINDING_LABEL, None)
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> TlsError + '_ {
    move |source| TlsError::File { path: path.to_owned(), source }
}

fn changed(certificate: &Path, key: &Path) -> Changed {
    [certificate, key].map(|path| fs::metadata(path).and_then(|m| m.modified()).ok())
}

fn load(certificate: &Path, key: &Path) -> Result<Loaded, TlsError> {
    // Read first, so that the next reload notices a change in between.
    let changed = changed(certificate, key);
    let mode = fs::metadata(key).map_err(file_error(key))?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(TlsError::KeyExposed(key.to_owned()));
    }
    let pem = fs::read(certificate).map_err(file_error(certificate))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::NoCertificate(certificate.to_owned()))?;
    let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|_| TlsError::NoCertificate(certificate.to_owned()))?;
    let pin = Pin(hash::sha256(parsed.public_key().raw).0);
    let self_signed = parsed.subject() == parsed.issuer();
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&read_key(key)?)
        .map_err(|_| TlsError::NoKey(key.to_owned()))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|_| TlsError::Mismatch)?;
    Ok(Loaded { certified: Arc::new(certified), pin, self_signed, changed })
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = zeroize::Zeroizing::new(fs::read(path).map_err(file_error(path))?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NoKey(path.to_owned()))
}

/// Reads the data directory's own key.
fn own_pair(path: &Path) -> Result<KeyPair, TlsError> {
    let der = read_key(path).map_err(|error| match error {
        TlsError::NoKey(_) => unusable(path),
        error => error,
    })?;
    KeyPair::try_from(&der).map_err(|_| unusable(path))
}

/// Returns the pin of a key in a file; nothing if there is none, or no usable one.
pub(crate) fn pin_of_key(path: &Path) -> Option<Pin> {
    own_pair(path).ok().map(|pair| pin_of(&pair))
}

/// Loads a certificate and its key as a start does; returns the end-entity certificate.
pub(crate) fn leaf(certificate: &Path, key: &Path) -> Result<CertificateDer<'static>, TlsError> {
    let loaded = load(certificate, key)?;
    let leaf = loaded.certified.cert.first().cloned();
    leaf.ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))
}

fn unusable(key: &Path) -> TlsError {
    TlsError::OwnKey(key.to_owned(), "holds no usable private key")
}

fn pin_of(pair: &KeyPair) -> Pin {
    Pin(hash::sha256(&pair.subject_public_key_info()).0)
}

/// Whether a file exists and is not empty. A full disk leaves empty files.
fn is_written(path: &Path) -> Result<bool, TlsError> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.len() > 0),
        // Any other error may hide an existing file, so it must not lead to a new one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error(path)(error)),
    }
}

/// Validity of a self-signed certificate in days.
const VALID_DAYS: u64 = 3650;

/// Returns a self-signed certificate of a key, in PEM.
fn certify(pair: &KeyPair, names: &[String]) -> Result<String, TlsError> {
    let mut params = rcgen::CertificateParams::new(names.to_vec())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Written as `openssl req -x509` would today, so that a scan of the network does not recognise relays by their certificates.
    // Members pin the key and ignore name and dates.
    params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let today = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs());
    params.not_before = today;
    params.not_after = today + Duration::from_secs(VALID_DAYS * 86_400);
    Ok(params.self_signed(pair)?.pem())
}

/// Writes a file whole or not at all, because the next start would take half a key for a damaged one.
fn write(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let next = path.with_extension("pem.next");
    let replace = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    replace().map_err(file_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    }

    /// Replaces both files, as an operator does.
    fn replace(certificate: &Path, key: &Path) {
        let pair = KeyPair::generate().unwrap();
        write(certificate, certify(&pair, &names()).unwrap().as_bytes()).unwrap();
        write(key, pair.serialize_pem().as_bytes()).unwrap();
    }

    /// Starts in a folder; returns the pin, or the name of the refused file.
    fn start(dir: &Path) -> Result<Pin, &'static str> {
        match Identity::load_or_make(dir, &names(), None) {
            Ok(identity) => Ok(identity.pin()),
            Err(TlsError::OwnKey(path, _)) if path == dir.join("key.pem") => Err("key.pem"),
            Err(TlsError::OwnCertificate(path, _)) if path == dir.join("cert.pem") => {
                Err("cert.pem")
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Records a relay's address, as a start does after it opened the store.
    fn record(dir: &Path, pin: &str) {
        fs::write(dir.join("address"), format!("wss://x:1 {pin}\n")).unwrap();
    }

    #[test]
    fn lost_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let pin = start(dir.path()).unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let backup = fs::read(&key).unwrap();
        fs::remove_file(&key).unwrap();
        assert_eq!(start(dir.path()), Err("key.pem"));
        fs::write(&key, "").unwrap();
        assert_eq!(start(dir.path()), Err("key.pem"));
        fs::rename(&certificate, dir.path().join("aside")).unwrap();
        record(dir.path(), &pin.to_hex());
        assert_eq!(start(dir.path()), Err("key.pem"));
        assert_eq!(fs::metadata(&key).unwrap().len(), 0);
        assert!(!certificate.exists());
        write(&key, &backup).unwrap();
        assert_eq!(start(dir.path()), Ok(pin));
        // No member pins a key of a relay without TLS.
        fs::remove_file(&certificate).unwrap();
        fs::remove_file(&key).unwrap();
        record(dir.path(), "-");
        assert_ne!(start(dir.path()).unwrap(), pin);
    }

    #[test]
    fn certificate_is_made_again_from_key() {
        let dir = tempfile::tempdir().unwrap();
        let pin = start(dir.path()).unwrap();
        let certificate = dir.path().join("cert.pem");
        for recorded in [false, true] {
            if recorded {
                record(dir.path(), &pin.to_hex());
            }
            // A first start killed after writing the key leaves this.
            fs::remove_file(&certificate).unwrap();
            assert_eq!(start(dir.path()), Ok(pin));
            fs::write(&certificate, "").unwrap();
            assert_eq!(start(dir.path()), Ok(pin));
        }
        // The operator may have put such a file there.
        for bad in ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&certificate, bad).unwrap();
            assert_eq!(start(dir.path()), Err("cert.pem"));
            assert_eq!(fs::read(&certificate).unwrap(), bad.as_bytes());
        }
    }

    #[test]
    fn foreign_key_is_not_certified() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (pin, _) = (start(dir.path()).unwrap(), start(other.path()).unwrap());
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let good = fs::read(&key).unwrap();
        let foreign = fs::read(other.path().join("key.pem")).unwrap();
        for recorded in [false, true] {
            if recorded {
                record(dir.path(), &pin.to_hex());
            }
            write(&key, &foreign).unwrap();
            assert_eq!(start(dir.path()), Err("key.pem"));
            write(&key, &good).unwrap();
        }
        // With the pinned key, the certificate is the foreign one.
        let own = fs::read(&certificate).unwrap();
        fs::copy(other.path().join("cert.pem"), &certificate).unwrap();
        assert_eq!(start(dir.path()), Err("cert.pem"));
        write(&certificate, &own).unwrap();
        assert_eq!(start(dir.path()), Ok(pin));
        // Without the certificate, `address` names the pin.
        fs::remove_file(&certificate).unwrap();
        let half = &good[..good.len() / 2];
        let garbled = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for bad in [&foreign[..], half, b"nonsense", garbled] {
            write(&key, bad).unwrap();
            assert_eq!(start(dir.path()), Err("key.pem"));
        }
        assert!(!certificate.exists());
        write(&certificate, &own).unwrap();
        for bad in [half, b"nonsense", garbled] {
            write(&key, bad).unwrap();
            assert_eq!(start(dir.path()), Err("key.pem"));
        }
    }

    /// Only its owner can read the key.
    #[test]
    fn own_certificate_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::load_or_make(dir.path(), &names(), None).unwrap();
        let mode = fs::metadata(dir.path().join("key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = Identity::load_or_make(dir.path(), &names(), None).unwrap();
        assert_eq!(first.pin(), second.pin());
        assert!(first.is_self_signed());
        first.server_config().unwrap();
    }

    #[test]
    fn c4_certificate_has_neutral_name_and_dates() {
        let dir = tempfile::tempdir().unwrap();
        Identity::load_or_make(dir.path(), &names(), None).unwrap();
        let pem = fs::read(dir.path().join("cert.pem")).unwrap();
        let der = CertificateDer::from_pem_slice(&pem).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=localhost");
        let bytes = der.to_ascii_lowercase();
        for word in [&b"hearth"[..], b"relay", b"rcgen"] {
            assert!(!bytes.windows(word.len()).any(|part| part == word));
        }
        let validity = certificate.validity();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let since = validity.not_before.timestamp();
        assert!(since.abs_diff(now as i64) < 600, "{since} {now}");
        assert_eq!(validity.not_after.timestamp() - since, 3650 * 86_400);
    }

    #[test]
    fn exposed_or_wrong_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Identity::load_or_make(dir.path(), &names(), None).unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identity::load(&certificate, &key), Err(TlsError::KeyExposed(_))));
        let other = tempfile::tempdir().unwrap();
        Identity::load_or_make(other.path(), &names(), None).unwrap();
        let foreign = other.path().join("key.pem");
        assert!(matches!(Identity::load(&certificate, &foreign), Err(TlsError::Mismatch)));
        fs::write(&foreign, "").unwrap();
        assert!(matches!(Identity::load(&certificate, &foreign), Err(TlsError::NoKey(_))));
        let empty = other.path().join("cert.pem");
        fs::write(&empty, "").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Identity::load(&empty, &key), Err(TlsError::NoCertificate(_))));
    }

    #[test]
    fn bad_new_file_keeps_old_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_make(dir.path(), &names(), None).unwrap();
        let pin = identity.pin();
        assert_eq!(identity.reload().unwrap(), Reload::Unchanged);
        let certificate = dir.path().join("cert.pem");
        fs::write(&certificate, "nonsense").unwrap();
        let later = SystemTime::now() + Duration::from_secs(9);
        fs::File::options().write(true).open(&certificate).unwrap().set_modified(later).unwrap();
        assert!(identity.reload().is_err());
        assert_eq!(identity.pin(), pin);
        // The same error is returned once, until another one occurs.
        assert_eq!(identity.reload().unwrap(), Reload::StillBad);
        fs::remove_file(&certificate).unwrap();
        assert!(matches!(identity.reload(), Err(TlsError::File { .. })));
        assert_eq!(identity.reload().unwrap(), Reload::StillBad);
        replace(&certificate, &dir.path().join("key.pem"));
        assert_eq!(identity.reload().unwrap(), Reload::Replaced);
        assert_ne!(identity.pin(), pin);
    }

    #[test]
    fn key_is_accepted_after_chmod() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_make(dir.path(), &names(), None).unwrap();
        let pin = identity.pin();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        replace(&certificate, &key);
        let later = SystemTime::now() + Duration::from_secs(9);
        fs::File::options().write(true).open(&key).unwrap().set_modified(later).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(identity.reload(), Err(TlsError::KeyExposed(_))));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(identity.reload().unwrap(), Reload::Replaced);
        assert_ne!(identity.pin(), pin);
    }
}
