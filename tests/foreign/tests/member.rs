//! A member whose MLS is mls-rs, and who does as they please.

use std::{collections::VecDeque, time::Duration};

use ed25519_dalek::SigningKey;
use hearth_engine::{
    agreement::{AckTerms, Acknowledgement, facilitators_hash},
    companion::Companion,
    content::{Body, Envelope},
    join::open_preview,
    state::KnockBody,
};
use hearth_protocol::{
    Entry, EntryContent, MemberKey, MessageId, codec,
    frame::{AckTriple, PendingKnock},
    handshake,
    invite::{self, Invite},
    mls_header,
    seal::{self, Purpose},
};
use mls_rs::{
    CipherSuite, Client, Extension, ExtensionList, Group, IdentityProvider, MlsMessage,
    client_builder::{
        BaseConfig, PaddingMode, WithCryptoProvider, WithIdentityProvider, WithMlsRules,
    },
    error::MlsError,
    extension::ExtensionType,
    group::{CommitBuilder, ReceivedMessage},
    identity::{
        CredentialType, SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
    mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions},
    psk::{ExternalPskId, PreSharedKey},
    time::MlsTime,
};
use mls_rs_core::identity::MemberValidationContext;

use super::{
    meddle::{Meddler, Sealed},
    stage::NOW,
};

/// Group context extension with the room's policy.
pub(crate) const POLICY: ExtensionType = ExtensionType::new(0xff01);
/// Leaf extension with the acknowledgement.
pub(crate) const ACKNOWLEDGEMENT: ExtensionType = ExtensionType::new(0xff02);
/// Leaf extension with what goes beside it.
pub(crate) const COMPANION: ExtensionType = ExtensionType::new(0xff03);
/// A pre-shared key that the foreign member knows.
pub(crate) const PSK: &[u8] = b"known to some";

/// The configuration of mls-rs.
pub(crate) type Config = WithIdentityProvider<
    Anybody,
    WithMlsRules<DefaultMlsRules, WithCryptoProvider<Meddler, BaseConfig>>,
>;

/// Takes anybody's basic credential, and any successor: what is right is for others to judge.
#[derive(Clone)]
pub(crate) struct Anybody;

impl IdentityProvider for Anybody {
    type Error = <BasicIdentityProvider as IdentityProvider>::Error;

    fn validate_member(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    fn identity(&self, who: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Self::Error> {
        Ok(who.signature_key.as_bytes().to_vec())
    }

    fn valid_successor(
        &self,
        _: &SigningIdentity,
        _: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

/// How a foreign member is set up, where it matters.
pub(crate) struct Setup {
    /// Display name.
    pub(crate) name: &'static str,
    /// Seed of the room key.
    pub(crate) seed: u8,
    /// From when to when the key package is good.
    pub(crate) lifetime: (u64, u64),
    /// The cipher suite.
    pub(crate) suite: CipherSuite,
    /// Whether handshakes go encrypted.
    pub(crate) encrypted: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let suite = CipherSuite::CURVE25519_CHACHA;
        Self { name: "Fox", seed: 77, lifetime: (0, u64::MAX), suite, encrypted: true }
    }
}

/// Somebody with another implementation.
pub(crate) struct Foreign {
    pub(crate) name: &'static str,
    pub(crate) key: SigningKey,
    pub(crate) acknowledgement: Option<Acknowledgement>,
    pub(crate) client: Client<Config>,
    /// When the key package begins to be good.
    not_before: u64,
    pub(crate) group: Option<Group<Config>>,
    pub(crate) meddler: Meddler,
    /// Where the answer to the knock is to be sealed to.
    pub(crate) reply_key: Vec<u8>,
    /// What was read: the sender's leaf and the content.
    pub(crate) heard: Vec<(u32, Envelope)>,
    /// Payloads that came from here.
    sent: Vec<Vec<u8>>,
    counter: u64,
}

impl Foreign {
    pub(crate) fn new(setup: &Setup) -> Self {
        let key = SigningKey::from_bytes(&[setup.seed; 32]);
        let meddler = Meddler::default();
        let options = CommitOptions::new().with_path_required(true);
        let encryption = EncryptionOptions::new(setup.encrypted, PaddingMode::StepFunction);
        let rules =
            DefaultMlsRules::new().with_commit_options(options).with_encryption_options(encryption);
        let client = Client::builder()
            .crypto_provider(meddler.clone())
            .mls_rules(rules)
            .identity_provider(Anybody)
            .extension_types([POLICY, ACKNOWLEDGEMENT, COMPANION])
            .key_package_lifetime(Duration::from_secs(setup.lifetime.1 - setup.lifetime.0))
            .psk(ExternalPskId::new(PSK.to_vec()), PreSharedKey::new(vec![5; 32]))
            .signing_identity(
                identity(setup.name, &key),
                key.to_keypair_bytes().to_vec().into(),
                setup.suite,
            )
            .build();
        Self {
            name: setup.name,
            key,
            acknowledgement: None,
            client,
            not_before: setup.lifetime.0,
            group: None,
            meddler,
            reply_key: vec![9; 32],
            heard: Vec::new(),
            sent: Vec::new(),
            counter: 0,
        }
    }

    pub(crate) fn member(&self) -> MemberKey {
        MemberKey(self.key.verifying_key().to_bytes())
    }

    /// Reads the preview, acknowledges, and knocks as any client does.
    pub(crate) fn knock(&mut self, link: &Invite, sealed_preview: &[u8]) -> PendingKnock {
        let preview = open_preview(link, sealed_preview).unwrap();
        let terms = AckTerms {
            room: link.room,
            agreement: &preview.agreement,
            facilitators: facilitators_hash(&preview.facilitators),
            now: NOW,
            nonce: [7; 16],
            answers: Vec::new(),
            breach: None,
        };
        let acknowledgement = Acknowledgement::sign(&self.key, terms);
        let key_package = self.key_package(&acknowledgement.to_bytes());
        let name = self.name.to_owned();
        let reply_key = self.reply_key.clone();
        let body = KnockBody { name, key_package, offer: None, reply_key };
        let knock_key = invite::knock_key(&link.secret);
        let body = codec::encode(&body);
        let body = seal::seal(&knock_key, [3; 24], Purpose::Knock, &link.room, &body).unwrap();
        let (agreement, digest) =
            (preview.agreement.commitment(&link.room), acknowledgement.digest());
        let transcript =
            handshake::knock_transcript(&link.room, &self.member(), &agreement, &digest);
        self.acknowledgement = Some(acknowledgement);
        PendingKnock {
            member: self.member(),
            invite: invite::invite_id(&link.token()),
            at: NOW,
            acknowledgement: AckTriple {
                agreement,
                digest,
                signature: handshake::sign(&self.key, &transcript),
            },
            body,
        }
    }

    /// Makes a key package with an acknowledgement in its leaf.
    pub(crate) fn key_package(&self, acknowledgement: &[u8]) -> Vec<u8> {
        let leaf = acknowledging(acknowledgement);
        let message = self.client.generate_key_package_message(
            ExtensionList::new(),
            leaf,
            Some(MlsTime::from(self.not_before)),
        );
        // A knock holds the bare KeyPackage: without the MLSMessage's version and wire format.
        message.unwrap().to_bytes().unwrap().split_off(4)
    }

    /// Joins by a Welcome.
    pub(crate) fn join(&mut self, welcome: &[u8]) {
        let welcome = MlsMessage::from_bytes(welcome).unwrap();
        let (group, _) = self.client.join_group(None, &welcome, None).unwrap();
        self.group = Some(group);
    }

    pub(crate) fn group(&mut self) -> &mut Group<Config> {
        self.group.as_mut().unwrap()
    }

    /// Processes one payload.
    pub(crate) fn process(&mut self, payload: &[u8]) -> Result<ReceivedMessage, MlsError> {
        let message = MlsMessage::from_bytes(payload)?;
        self.group().process_incoming_message(message)
    }

    /// Processes everything that others sent.
    pub(crate) fn follow(&mut self, entries: &[Entry]) -> Result<(), MlsError> {
        for entry in entries {
            let EntryContent::Payload(payload) = &entry.content else { continue };
            if self.sent.contains(payload) {
                continue;
            }
            if let ReceivedMessage::ApplicationMessage(message) = self.process(payload)? {
                let marked = message.authenticated_data == mls_header::MARK;
                let envelope = Envelope::from_padded(message.data(), marked).unwrap();
                self.heard.push((message.sender_index, envelope));
            }
        }
        Ok(())
    }

    /// The words that were read.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let words = self.heard.iter().filter_map(|(_, envelope)| match &envelope.body {
            Body::Text(text) => Some(text.as_str()),
            _ => None,
        });
        words.collect()
    }

    /// Says something as an honest client would.
    pub(crate) fn say(&mut self, words: &str) -> Vec<u8> {
        let envelope = self.envelope(words);
        self.post(&envelope.to_padded().unwrap(), &[])
    }

    /// The next message.
    pub(crate) fn envelope(&mut self, words: &str) -> Envelope {
        self.counter += 1;
        let mut id = [self.key.to_bytes()[0]; 16];
        id[..8].copy_from_slice(&self.counter.to_be_bytes());
        Envelope {
            format: 2,
            salt: [6; 16],
            id: MessageId(id),
            counter: self.counter,
            seen: None,
            sent_at: NOW,
            body: Body::Text(words.into()),
        }
    }

    /// Encrypts any content.
    pub(crate) fn post(&mut self, content: &[u8], authenticated: &[u8]) -> Vec<u8> {
        let made = self.group().encrypt_application_message(content, authenticated.to_vec());
        self.keep(&made.unwrap())
    }

    /// Renews the own keys, as an honest client would.
    pub(crate) fn renews(&mut self) -> Vec<u8> {
        let commit = self.group().commit_builder().build().unwrap();
        self.group().apply_pending_commit().unwrap();
        self.keep(commit.commit_message())
    }

    /// Makes a commit and forgets it: this member stays where the others are.
    pub(crate) fn forges(
        &mut self,
        plan: impl FnOnce(CommitBuilder<'_, Config>) -> Result<CommitBuilder<'_, Config>, MlsError>,
    ) -> Result<Vec<u8>, MlsError> {
        let before = self.group().clone();
        let made = plan(self.group().commit_builder()).and_then(CommitBuilder::build);
        self.group = Some(before);
        Ok(self.keep(made?.commit_message()))
    }

    /// Sends something made from the group, and leaves the group as it was but for the used-up keys.
    pub(crate) fn proposes(
        &mut self,
        make: impl FnOnce(&mut Group<Config>) -> Result<MlsMessage, MlsError>,
    ) -> Vec<u8> {
        let message = make(self.group()).unwrap();
        self.group().clear_proposal_cache();
        self.keep(&message)
    }

    /// The signed words of another member, encrypted again as that member's next message (RFC 9750 section 8).
    ///
    /// Every member can: the ratchets of all senders follow from the group's secrets.
    pub(crate) fn copy(&mut self, payload: &[u8]) -> Vec<u8> {
        self.copy_ahead(payload, 1)
    }

    /// The same, so many messages further on.
    pub(crate) fn copy_ahead(&mut self, payload: &[u8], ahead: u32) -> Vec<u8> {
        let mut reader = self.group().clone();
        self.meddler.orders().opened.clear();
        reader.process_incoming_message(MlsMessage::from_bytes(payload).unwrap()).unwrap();
        let opened = std::mem::take(&mut self.meddler.orders().opened);
        let [(_, _, sender), (_, _, content)] = opened.as_slice() else {
            panic!("a PrivateMessage has sender data and content");
        };
        // SenderData: leaf index, generation, reuse guard (RFC 9420 section 6.3.2).
        let number = |at: usize| u32::from_be_bytes(sender[at..at + 4].try_into().unwrap());
        let (leaf, next) = (number(0), number(4) + ahead);
        let key = key_of(&mut reader, leaf, next);
        self.meddler.orders().seals = VecDeque::from([
            Sealed { with: Some(key), plaintext: Some(content.clone()) },
            Sealed { with: None, plaintext: Some(claim(leaf, next)) },
        ]);
        let mut writer = self.group().clone();
        let copy = writer.encrypt_application_message(b"", Vec::new()).unwrap();
        assert!(self.meddler.orders().seals.is_empty());
        self.keep(&copy)
    }

    /// Says something as the message of another generation, in the name of a leaf, with the key that belongs there.
    pub(crate) fn say_at(&mut self, words: &str, leaf: u32, generation: u32) -> Vec<u8> {
        let key = key_of(&mut self.group().clone(), leaf, generation);
        self.say_with(words, Some(key), claim(leaf, generation))
    }

    /// Says something with the key of the next generation and the claim that it is another.
    pub(crate) fn say_claiming(&mut self, words: &str, generation: u32) -> Vec<u8> {
        let leaf = self.group().current_member_index();
        self.say_with(words, None, claim(leaf, generation))
    }

    /// The group stays as it was: no key of the ratchet is used up by this.
    fn say_with(&mut self, words: &str, with: Option<Key>, claim: Vec<u8>) -> Vec<u8> {
        let content = self.envelope(words).to_padded().unwrap();
        self.meddler.orders().seals = VecDeque::from([
            Sealed { with, plaintext: None },
            Sealed { with: None, plaintext: Some(claim) },
        ]);
        let mut writer = self.group().clone();
        let made = writer.encrypt_application_message(&content, Vec::new()).unwrap();
        assert!(self.meddler.orders().seals.is_empty());
        self.keep(&made)
    }

    fn keep(&mut self, message: &MlsMessage) -> Vec<u8> {
        let payload = message.to_bytes().unwrap();
        self.sent.push(payload.clone());
        payload
    }
}

/// A key and its nonce.
type Key = (Vec<u8>, Vec<u8>);

/// The key of a leaf's message of some generation. The reader is of no use for that leaf afterwards.
fn key_of(reader: &mut Group<Config>, leaf: u32, generation: u32) -> Key {
    // mls-rs takes no more steps than this at once.
    const STRIDE: usize = 1000;
    // mls-rs counts nodes here, not leaves: a leaf is every second node (RFC 9420 appendix C).
    let mut key = |generation| reader.derive_decryption_key(2 * leaf, generation);
    for on_the_way in (0..generation).step_by(STRIDE) {
        // What was used before is behind, which is as good.
        let _ = key(on_the_way);
    }
    let key = key(generation).unwrap();
    (key.key().to_vec(), key.nonce().to_vec())
}

/// SenderData: leaf index, generation, reuse guard (RFC 9420 section 6.3.2).
fn claim(leaf: u32, generation: u32) -> Vec<u8> {
    [leaf.to_be_bytes(), generation.to_be_bytes(), [0; 4]].concat()
}

/// A basic credential with a key.
pub(crate) fn identity(name: &str, key: &SigningKey) -> SigningIdentity {
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    SigningIdentity::new(credential, key.verifying_key().to_bytes().to_vec().into())
}

/// The extensions of a leaf.
pub(crate) fn acknowledging(acknowledgement: &[u8]) -> ExtensionList {
    let mut extensions = ExtensionList::new();
    extensions.set(Extension::new(ACKNOWLEDGEMENT, acknowledgement.to_vec()));
    let companion = Companion { format: 1, salt: [8; 16], note: None };
    extensions.set(Extension::new(COMPANION, codec::encode(&companion)));
    extensions
}
