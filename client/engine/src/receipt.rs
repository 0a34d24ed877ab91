//! A member's proof of their acknowledgement, verifiable offline with only the public keys inside it.

use data_encoding::BASE64;
use hearth_protocol::{RoomId, codec, handshake};
use minicbor::{Decode, Encode};

use super::{
    agreement::{Acknowledgement, Agreement, countersign_transcript},
    error::EngineError,
    room::Room,
    state::Countersignature,
};

/// First line of a receipt's file.
const HEADER: &str = "-----BEGIN HEARTH RECEIPT-----";
/// Last line of a receipt's file.
const FOOTER: &str = "-----END HEARTH RECEIPT-----";
const LINE_CHARS: usize = 64;
/// Maximum bytes of a receipt's file.
pub const RECEIPT_BYTES_MAX: u64 = 256 * 1024;

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// Layout; 2.
    #[n(0)]
    pub format: u16,
    /// The room.
    #[n(1)]
    pub room: RoomId,
    /// The acknowledged agreement, whole.
    #[n(2)]
    pub agreement: Agreement,
    /// The signed acknowledgement.
    #[n(3)]
    pub acknowledgement: Acknowledgement,
    /// The admitting facilitator's countersignature; the founder has none.
    #[n(4)]
    pub countersigned: Option<Countersignature>,
}

impl Room<'_> {
    /// Returns my receipt for my last acknowledgement.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn receipt(&self) -> Result<Receipt, EngineError> {
        let acknowledgement = self.acknowledgement()?;
        let agreement =
            self.agreement(&acknowledgement.agreement)?.ok_or(EngineError::DamagedRecord)?;
        // A countersignature covers the acknowledgement of the admission, not a later one.
        let countersigned = self.state().countersigned.filter(|c| {
            let transcript = countersign_transcript(&self.id(), &acknowledgement.digest(), c.at);
            handshake::verify(&c.facilitator, &transcript, &c.signature)
        });
        Ok(Receipt { format: 2, room: self.id(), agreement, acknowledgement, countersigned })
    }
}

impl Receipt {
    /// Checks every signature and hash in the receipt.
    ///
    /// # Errors
    /// [`EngineError::BadReceipt`] or [`EngineError::Acknowledgement`].
    pub fn verify(&self) -> Result<(), EngineError> {
        let ack = &self.acknowledgement;
        // This is not the refusal of an admission: the receipt was altered.
        if ack.verify(&self.room, &ack.member).is_err() {
            return Err(EngineError::BadReceipt("the acknowledgement's signature does not verify"));
        }
        if self.agreement.id() != ack.agreement || self.agreement.version != ack.version {
            return Err(EngineError::BadReceipt("the text is not the one acknowledged"));
        }
        if let Some(c) = &self.countersigned {
            let transcript = countersign_transcript(&self.room, &ack.digest(), c.at);
            if !handshake::verify(&c.facilitator, &transcript, &c.signature) {
                return Err(EngineError::BadReceipt("the countersignature does not verify"));
            }
        }
        Ok(())
    }

    /// Returns the text of a receipt's file.
    pub fn to_text(&self) -> String {
        let body = BASE64.encode(&codec::encode(self));
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(LINE_CHARS)
            .map(|line| std::str::from_utf8(line).unwrap_or_default())
            .collect();
        format!("{HEADER}\n{}\n{FOOTER}\n", lines.join("\n"))
    }

    /// Whether a text contains the first line of a receipt.
    pub fn is_meant(text: &str) -> bool {
        text.contains(HEADER)
    }

    /// Reads the text of a receipt's file.
    ///
    /// # Errors
    /// [`EngineError::BadReceipt`].
    pub fn from_text(text: &str) -> Result<Self, EngineError> {
        let (_, rest) =
            text.split_once(HEADER).ok_or(EngineError::BadReceipt("this is not a receipt"))?;
        let (body, _) =
            rest.split_once(FOOTER).ok_or(EngineError::BadReceipt("its end is missing"))?;
        let body: String = body.split_whitespace().collect();
        let bytes =
            BASE64.decode(body.as_bytes()).map_err(|_| EngineError::BadReceipt("it is damaged"))?;
        let receipt: Self =
            codec::decode(&bytes).map_err(|_| EngineError::BadReceipt("it is damaged"))?;
        (receipt.format == 2)
            .then_some(receipt)
            .ok_or(EngineError::BadReceipt("it is from a newer version"))
    }
}
