//! Quotes in reports: what a row keeps to prove its words, quotes made of rows, and quotes judged by a reader's own rows.
//!
//! `docs/protocol.md` section 7.14.

use hearth_protocol::{Digest, MemberKey, MessageId, Seq, codec, hash};
use minicbor::{Decode, Encode, bytes::ByteVec};

use super::{
    content::Body,
    error::EngineError,
    private::{QUOTES_MAX, Quote},
    room::Room,
    state::{Row, RowContent},
    words::Talk,
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What a row keeps of its message's envelope, so that a quote of it can be judged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proof {
    /// See [`words_hash`]. It stays as long as the row, also after a retraction.
    #[n(0)]
    pub words: Digest,
    /// What the hash is of; `None` once the message is retracted, so that nobody can try words against the hash, and for a message
    /// without words.
    #[n(1)]
    original: Option<Original>,
}

/// Salt and body of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Original {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    salt: [u8; 16],
    /// The body; `None` while the row's content says the same.
    #[n(1)]
    body: Option<ByteVec>,
}

/// What a reader's own rows say of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Finding {
    /// The author wrote these words at that place.
    #[n(0)]
    Verified,
    /// A message was at that place, and this reader cannot tell its words.
    #[n(1)]
    Unproven,
    /// This reader knows nothing of that place.
    #[n(2)]
    Unverified,
    /// Another author, or other words, were at that place.
    #[n(3)]
    NotSaid,
}

/// Returns the hash of a message's words. Nobody can try words against it without the salt.
pub fn words_hash(author: &MemberKey, message: &MessageId, salt: &[u8; 16], body: &[u8]) -> Digest {
    let parts = [author.as_bytes().as_slice(), message.as_bytes(), salt, body];
    Digest(hash::labelled("hearth words v1", &parts))
}

impl Proof {
    /// Makes the proof of a message whose row is not complete yet.
    pub(crate) fn of(author: &MemberKey, message: &MessageId, salt: [u8; 16], body: &Body) -> Self {
        let bytes = codec::encode(body);
        let words = words_hash(author, message, &salt, &bytes);
        let original = is_quotable(body).then(|| Original { salt, body: Some(bytes.into()) });
        Self { words, original }
    }

    /// Drops the body where the row's content says the same, so that no message is stored twice.
    pub(crate) fn beside(mut self, content: &RowContent, talk: &Talk) -> Self {
        let said = body_of(content, talk).map(|body| codec::encode(&body));
        if let Some(original) = &mut self.original
            && original.body.as_ref().map(|body| body.as_slice()) == said.as_deref()
        {
            original.body = None;
        }
        self
    }
}

impl Row {
    /// Keeps the words as they were sent, because an edit is about to change them.
    pub(crate) fn keep_original(&mut self) {
        let said = body_of(&self.content, &self.talk);
        if let (Some(Proof { original: Some(original), .. }), Some(said)) = (&mut self.proof, said)
            && original.body.is_none()
        {
            original.body = Some(codec::encode(&said).into());
        }
    }

    /// Forgets what the words can be guessed by; the hash stays.
    pub(crate) fn forget_original(&mut self) {
        if let Some(proof) = &mut self.proof {
            proof.original = None;
        }
    }

    /// Returns the quote of the message as it was sent, by a place in the relay's present log; `None` if nothing can be quoted.
    fn quote(&self, seq: Seq) -> Option<Quote> {
        let (author, message) = (self.from?, self.id?);
        let original = self.proof.as_ref()?.original.as_ref()?;
        let body = match &original.body {
            Some(body) => body.to_vec(),
            None => codec::encode(&body_of(&self.content, &self.talk)?),
        };
        Some(Quote { seq, digest: self.digest, author, message, salt: original.salt, body })
    }

    /// Judges a quote of the entry that this row is of.
    fn judges(&self, quote: &Quote) -> Finding {
        if self.is_unknown() {
            return Finding::Unverified;
        }
        if self.digest != quote.digest {
            return Finding::NotSaid;
        }
        match &self.proof {
            Some(proof) => {
                let said = words_hash(&quote.author, &quote.message, &quote.salt, &quote.body);
                if proof.words == said { Finding::Verified } else { Finding::NotSaid }
            }
            // A record of moderation has no author who said it.
            None if self.from.is_some() && self.id.is_none() && self.was_read() => Finding::NotSaid,
            None => Finding::Unproven,
        }
    }
}

impl Quote {
    /// Returns the quoted words; `None` if the body has none.
    pub fn text(&self) -> Option<String> {
        match codec::decode::<Body>(&self.body).ok()? {
            Body::Text(text)
            | Body::Say { text, .. }
            | Body::Edit { text, .. }
            | Body::Shared(text)
            | Body::Ask { text, .. }
            | Body::Answer { text: Some(text), .. } => Some(text),
            _ => None,
        }
    }
}

impl Room<'_> {
    /// Quotes messages by their places: each as it was sent and, if it was edited, as it stands now.
    ///
    /// # Errors
    /// [`EngineError::NoWords`] if a place has no words to quote; [`EngineError::TooManyQuotes`].
    pub fn quotes_of(&self, places: &[Seq]) -> Result<Vec<Quote>> {
        let mut quotes: Vec<Quote> = Vec::new();
        for place in places {
            let row = self.row_at(*place)?.ok_or(EngineError::NoWords(*place))?;
            let last = row.talk.edits.last().map(|edit| self.row(edit.seq)).transpose()?.flatten();
            for row in std::iter::once(row).chain(last) {
                let seq = self.present_seq(&row)?.unwrap_or(row.seq);
                let quote = row.quote(seq).ok_or(EngineError::NoWords(*place))?;
                if !quotes.contains(&quote) {
                    quotes.push(quote);
                }
            }
            if quotes.len() > QUOTES_MAX {
                return Err(EngineError::TooManyQuotes(QUOTES_MAX));
            }
        }
        Ok(quotes)
    }

    /// Judges a quote by this profile's own rows.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn judge_quote(&self, quote: &Quote) -> Result<Finding> {
        let finding = match self.row(quote.seq)? {
            Some(row) => row.judges(quote),
            None => Finding::Unverified,
        };
        if finding != Finding::NotSaid || self.cursor.breaks.is_empty() {
            return Ok(finding);
        }
        // Made before the relay was restored, it names a place of the old log.
        let bases = self.cursor.breaks.iter().map(|b| b.base);
        for base in bases.chain([0]) {
            let old = self.row_at(Seq(quote.seq.0.saturating_add(base)))?;
            if let Some(old) = old.filter(|old| old.digest == quote.digest) {
                return Ok(old.judges(quote));
            }
        }
        Ok(Finding::Unverified)
    }
}

/// Whether a body holds words that a member may report.
const fn is_quotable(body: &Body) -> bool {
    matches!(
        body,
        Body::Text(_)
            | Body::Say { .. }
            | Body::Edit { .. }
            | Body::Ask { .. }
            | Body::Shared(_)
            | Body::Answer { text: Some(_), .. }
    )
}

/// Returns the body that a row's content most likely came from.
fn body_of(content: &RowContent, talk: &Talk) -> Option<Body> {
    Some(match content {
        RowContent::Text(text) => {
            let text = text.clone();
            match (talk.answers, talk.reply, talk.topic.clone()) {
                (Some(ask), ..) => Body::Answer { ask, choice: None, text: Some(text), salt: None },
                (None, None, None) => Body::Text(text),
                (None, reply, topic) => Body::Say { text, reply, topic },
            }
        }
        RowContent::Shared(text) => Body::Shared(text.clone()),
        RowContent::Asked(ask) => ask.clone().into(),
        _ => return None,
    })
}
