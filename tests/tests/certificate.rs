//! A relay whose certificate nobody vouches for is not talked to.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use hearth_kit::{AGREEMENT, Person, Relay, RelayOptions, text_file};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Writes a certificate for a name, signed by an authority that nobody knows, and its key.
fn issue(folder: &Path, name: &str) -> Vec<String> {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "An authority that nobody knows");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let (certificate_path, key_path) = (folder.join("chain.pem"), folder.join("leaf.pem"));
    fs::write(&certificate_path, leaf.pem()).unwrap();
    fs::write(&key_path, key.serialize_pem()).unwrap();
    fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)).unwrap();
    let word = |path: &Path| path.to_str().unwrap().to_owned();
    vec!["--tls-cert".into(), word(&certificate_path), "--tls-key".into(), word(&key_path)]
}

#[test]
fn a_strange_authority_and_a_wrong_name_are_refused() {
    for name in ["localhost", "somewhere-else.example"] {
        let folder = tempfile::tempdir().unwrap();
        let more = issue(folder.path(), name);
        let relay = Relay::start_with(RelayOptions { more, ..RelayOptions::default() });
        let url = format!("wss://localhost:{}", relay.address().port());
        let grant = relay.grant_with(&["--url", &url]);
        let rules = text_file(AGREEMENT);
        let fay = Person::new();
        let create = ["room", "create", "Tuesday", "--grant", &grant, "--as", "Fay", "--agreement"];
        let answer = fay.run(&[&create[..], &[rules.path().to_str().unwrap()]].concat());
        answer.refused(5, "bad_certificate");
        assert!(fay.does(&["room", "list"]).is_empty());
    }
}
