//! Words in the room beyond a plain text: replies, content notes, reactions, edits.
//!
//! Each is a message of its own in the log, so every member sees the same, also who was offline. What a message adds to an earlier one
//! is stored with the row of the earlier one.

use hearth_protocol::{MemberKey, MessageId, Millis, Seq};
use minicbor::{Decode, Encode};

use super::{
    content::{Body, Ref},
    error::EngineError,
    room::Room,
    state::{Row, RowContent},
    turns::Later,
};

/// Characters of a content note at most.
pub const TOPIC_CHARS_MAX: usize = 80;

/// Time after its target, by the relay's times, in which an edit counts: 15 minutes.
pub const EDIT_MILLIS: u64 = 15 * 60 * 1000;

/// Edits of one message at most.
pub const EDITS_MAX: usize = 5;

/// Characters of a quote.
const QUOTE_CHARS: usize = 120;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What a member says without words of their own. The set is small and supportive; nothing counts reactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// "heard"
    Heard,
    /// "with you"
    WithYou,
    /// "thank you"
    ThankYou,
    /// "me too"
    MeToo,
}

impl Reaction {
    /// Every reaction, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Heard, Self::WithYou, Self::ThankYou, Self::MeToo];

    /// Returns the number on the wire (`docs/protocol.md` section 7.6); 0 takes a reaction back.
    pub const fn number(self) -> u32 {
        match self {
            Self::Heard => 1,
            Self::WithYou => 2,
            Self::ThankYou => 3,
            Self::MeToo => 4,
        }
    }

    /// Returns the reaction of a number; `None` for those of later versions.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reaction| reaction.number() == number)
    }

    /// Returns the words that are shown.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::WithYou => "with you",
            Self::ThankYou => "thank you",
            Self::MeToo => "me too",
        }
    }
}

/// What belongs to a row's words beside the words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Talk {
    /// The message that they answer.
    #[n(0)]
    pub reply: Option<Ref>,
    /// Their author's content note.
    #[n(1)]
    pub topic: Option<String>,
    /// A moderator's content note.
    #[n(2)]
    pub cover: Option<Cover>,
    /// The edits that counted, oldest first; at most [`EDITS_MAX`].
    #[n(3)]
    #[cbor(default)]
    pub edits: Vec<EditOf>,
    /// Each member's reaction, in the order of their first one.
    #[n(4)]
    #[cbor(default)]
    pub reactions: Vec<Reacted>,
    /// Why they are shown with a later entry: see [`Row::shows`].
    #[n(5)]
    pub later: Option<Later>,
    /// The question that they answer.
    #[n(6)]
    pub answers: Option<Ref>,
    /// What the row answers, reacts to, covers or edits, as it stands now. Not stored: see [`Room::quote`].
    #[cbor(skip)]
    pub quote: Option<Quote>,
}

impl Talk {
    /// Returns the content note in force: a moderator's comes before the author's.
    pub fn note(&self) -> Option<&str> {
        let cover = self.cover.as_ref().map(|cover| cover.topic.as_str());
        cover.or(self.topic.as_deref())
    }
}

/// A moderator's content note.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cover {
    /// The moderator.
    #[n(0)]
    pub by: MemberKey,
    /// The moderator's name at that time.
    #[n(1)]
    pub name: String,
    /// What the words are about.
    #[n(2)]
    pub topic: String,
}

/// An edit that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EditOf {
    /// Its position in the log.
    #[n(0)]
    pub seq: Seq,
    /// Its message id.
    #[n(1)]
    pub message: MessageId,
}

/// A member's reaction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reacted {
    /// The member.
    #[n(0)]
    pub by: MemberKey,
    /// The member's name at that time.
    #[n(1)]
    pub name: String,
    /// Number of the reaction.
    #[n(2)]
    pub kind: u32,
}

/// An earlier message as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its place in this profile's history.
    pub place: Seq,
    /// Its message id.
    pub id: Option<MessageId>,
    /// Its author.
    pub from: Option<MemberKey>,
    /// Its author's name.
    pub name: String,
    /// Its time, as its row shows it.
    pub at: Millis,
    /// Its words up to the first line's end, shortened; none if a content note covers them.
    pub text: Option<String>,
    /// Its content note in force.
    pub note: Option<String>,
    /// Its author's content note, which a moderator's may stand before.
    pub topic: Option<String>,
    /// Whether the note in force is a moderator's.
    pub covered: bool,
}

/// Words that a member wants to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words.
    pub text: String,
    /// Place of the message that they answer.
    pub reply: Option<Seq>,
    /// Their content note.
    pub topic: Option<String>,
    /// Place in the relay's log of the question that they answer.
    pub answers: Option<Seq>,
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Room<'_> {
    /// Returns the body that carries some words.
    pub(super) fn body_of(&mut self, words: Words) -> Result<Body> {
        let Words { text, reply, topic, answers } = words;
        if let Some(ask) = answers {
            let ask = self.answerable(ask)?;
            return Ok(Body::Answer { ask, choice: None, text: Some(text), salt: None });
        }
        if let Some(topic) = &topic {
            check_topic(topic)?;
        }
        let reply = reply.map(|place| self.reference(place)).transpose()?;
        Ok(match (reply, topic) {
            (None, None) => Body::Text(text),
            (reply, topic) => Body::Say { text, reply, topic },
        })
    }

    /// Returns the reference to a message of the history that can be answered.
    fn reference(&self, place: Seq) -> Result<Ref> {
        let row = self.row_at(place)?.filter(is_said);
        let row = row.ok_or(EngineError::NoWords(place))?;
        let seq = self.present_seq(&row)?.ok_or(EngineError::NoWords(place))?;
        Ok(Ref { seq, digest: row.digest })
    }

    /// Queues a reaction to a message; `None` takes it back.
    ///
    /// # Errors
    /// [`EngineError::NoWords`] if there are no words at that place; see [`EngineError`].
    pub fn queue_reaction(
        &mut self,
        place: Seq,
        reaction: Option<Reaction>,
        now: Millis,
    ) -> Result<MessageId> {
        let to = self.reference(place)?;
        let kind = reaction.map_or(0, Reaction::number);
        self.queue(Body::React { to, kind }, Vec::new(), now)
    }

    /// Queues other words in place of those of an own message.
    ///
    /// # Errors
    /// [`EngineError::NoWords`], [`EngineError::NotAuthor`], [`EngineError::TooLateToEdit`] or [`EngineError::TooManyEdits`];
    /// [`EngineError::TooLong`]; see [`EngineError`].
    pub fn queue_edit(
        &mut self,
        place: Seq,
        text: String,
        relay_now: Millis,
        now: Millis,
    ) -> Result<MessageId> {
        let row = self.row_at(place)?.filter(is_said).ok_or(EngineError::NoWords(place))?;
        let message = row.id.filter(|_| row.from == Some(self.me()));
        let message = message.ok_or(EngineError::NotAuthor)?;
        if row.talk.edits.len() >= EDITS_MAX {
            return Err(EngineError::TooManyEdits);
        }
        if relay_now.0.saturating_sub(row.stamp.0) > EDIT_MILLIS {
            return Err(EngineError::TooLateToEdit);
        }
        self.check_length(&text)?;
        let seq = self.reference(place)?.seq;
        self.queue(Body::Edit { message, seq, text }, Vec::new(), now)
    }

    /// Queues a moderator's content note on another's words; an empty one takes it off.
    ///
    /// # Errors
    /// [`EngineError::NoWords`], [`EngineError::TopicTooLong`], or the refusal of who does not moderate; see [`EngineError`].
    pub fn queue_cover(&mut self, place: Seq, topic: String, now: Millis) -> Result<MessageId> {
        if !self.my_role()?.moderates() {
            return Err(EngineError::Rule(super::policy::RuleError::NotFacilitator));
        }
        check_topic(&topic)?;
        let to = self.reference(place)?;
        self.queue(Body::Cover { to, topic }, Vec::new(), now)
    }

    /// Adds to each row what it answers or changes, as that stands now. What arrived before `since`, by the own clock, is not quoted.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn quote(&mut self, rows: &mut [Row], since: Millis) -> Result<()> {
        let hidden = self.hidden_places()?;
        let me = self.me();
        for row in rows {
            let place = match &row.content {
                RowContent::Text(_) => row.talk.reply.map(|to| self.cursor.place(to.seq)),
                RowContent::Reaction { to, .. }
                | RowContent::Edit { of: to, .. }
                | RowContent::Cover { to, .. } => Some(*to),
                _ => None,
            };
            let Some(place) = place else { continue };
            let digest = row.talk.reply.map(|to| to.digest);
            row.talk.quote = self
                .row_at(place)?
                .filter(|target| digest.is_none_or(|digest| digest == target.digest))
                .filter(|target| is_said(target) && target.arrived >= since)
                .map(|target| {
                    let shown = target.from == Some(me) || !hidden.contains(&target.place);
                    Quote { text: quote_text(&target).filter(|_| shown), ..quote_of(&target) }
                });
        }
        Ok(())
    }

    /// Returns the row that a message refers to, if it has words.
    fn target(&mut self, row: &Row, to: Ref) -> Result<Option<Row>> {
        if to.seq >= row.seq {
            return Ok(None);
        }
        let target = self.row(to.seq)?;
        let target = target.filter(|target| target.digest == to.digest);
        // A second copy stands for the first.
        let target = match target {
            Some(target) => match target.id {
                Some(id) => Some(self.shown_row(target, &id)?),
                None => None,
            },
            None => None,
        };
        // What waits for a turn is not there yet for anybody but its author.
        let hidden = self.held_places()?;
        Ok(target.filter(|target| {
            is_said(target) && (row.from == target.from || !hidden.contains(&target.place))
        }))
    }

    pub(super) fn take_say(
        &self,
        row: &mut Row,
        text: String,
        to: Option<Ref>,
        topic: Option<&str>,
    ) {
        row.content = RowContent::Text(text);
        row.talk.reply = to.filter(|to| to.seq < row.seq);
        row.talk.topic = topic.and_then(shortened);
    }

    /// Takes a reaction. One to what is retracted or not here changes nothing.
    pub(super) fn take_reaction(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        to: Ref,
        kind: u32,
    ) -> Result<()> {
        let Some(mut target) = self.target(row, to)? else { return Ok(()) };
        let reactions = &mut target.talk.reactions;
        let mine = reactions.iter().position(|reacted| reacted.by == sender);
        match (mine, kind) {
            (None, 0) => return Ok(()),
            (Some(at), 0) => drop(reactions.remove(at)),
            (Some(at), _) => {
                if let Some(reacted) = reactions.get_mut(at) {
                    reacted.kind = kind;
                }
            }
            (None, _) => reactions.push(Reacted { by: sender, name: row.name.clone(), kind }),
        }
        self.save_row(&target)?;
        row.content = RowContent::Reaction { to: target.place, kind };
        Ok(())
    }

    /// Takes an edit. Any that does not count changes nothing.
    pub(super) fn take_edit(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        message: MessageId,
        seq: Seq,
        text: String,
    ) -> Result<()> {
        if seq >= row.seq {
            return Ok(());
        }
        let target = self.row(seq)?.map(|target| self.shown_row(target, &message)).transpose()?;
        let counts = |target: &Row| {
            target.from == Some(sender)
                && target.id == Some(message)
                && is_said(target)
                && target.talk.edits.len() < EDITS_MAX
                && row.stamp.0.saturating_sub(target.stamp.0) <= EDIT_MILLIS
        };
        let Some(mut target) = target.filter(counts) else { return Ok(()) };
        let Some(own) = row.id else { return Ok(()) };
        target.keep_original();
        target.talk.edits.push(EditOf { seq: row.seq, message: own });
        target.content = RowContent::Text(text.clone());
        self.save_row(&target)?;
        // Words that are not shown yet come with their change.
        if sender == self.me() || !self.hidden_places()?.contains(&target.place) {
            row.content = RowContent::Edit { of: target.place, text };
        }
        Ok(())
    }

    pub(super) fn take_cover(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        to: Ref,
        topic: &str,
    ) -> Result<()> {
        if !self.policy()?.role(&sender).moderates() {
            return Ok(());
        }
        let Some(mut target) = self.target(row, to)? else { return Ok(()) };
        let topic = shortened(topic);
        target.talk.cover = topic.clone().map(|topic| {
            let name = row.name.clone();
            Cover { by: sender, name, topic }
        });
        self.save_row(&target)?;
        row.content = RowContent::Cover { to: target.place, topic: topic.unwrap_or_default() };
        Ok(())
    }

    /// Takes the words of a retracted message from its row and from the rows of its edits.
    pub(super) fn bury(&self, mut row: Row, content: &RowContent) -> Result<()> {
        for edit in std::mem::take(&mut row.talk.edits) {
            let edited = self.row(edit.seq)?.filter(|row| row.id == Some(edit.message));
            if let Some(mut edited) = edited {
                edited.content = RowContent::Nothing;
                edited.forget_original();
                self.save_row(&edited)?;
            }
        }
        row.talk = Talk::default();
        row.content = content.clone();
        row.forget_original();
        self.save_row(&row)
    }
}

/// Whether a row shows words that a member said.
fn is_said(row: &Row) -> bool {
    matches!(row.content, RowContent::Text(_))
}

fn quote_of(row: &Row) -> Quote {
    Quote {
        place: row.place,
        id: row.id,
        from: row.from,
        name: row.name.clone(),
        at: row.at,
        text: quote_text(row),
        note: row.talk.note().map(str::to_owned),
        topic: row.talk.topic.clone(),
        covered: row.talk.cover.is_some(),
    }
}

/// Returns the words of a quote, unless a content note covers them.
fn quote_text(row: &Row) -> Option<String> {
    let RowContent::Text(text) = &row.content else { return None };
    if row.talk.note().is_some() {
        return None;
    }
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(QUOTE_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    Some(short)
}

pub(super) fn check_topic(topic: &str) -> Result<()> {
    let chars = topic.chars().count();
    if chars > TOPIC_CHARS_MAX { Err(EngineError::TopicTooLong(chars)) } else { Ok(()) }
}

/// Shortens a content note that somebody else sent; `None` if it says nothing.
fn shortened(topic: &str) -> Option<String> {
    let topic: String = topic.trim().chars().take(TOPIC_CHARS_MAX).collect();
    (!topic.is_empty()).then_some(topic)
}
