//! Members, messages and knocks, found by the words that people type.

use hearth_engine::{
    EngineError,
    floor::Asked,
    policy::{Leaf, Pin},
    room::{find_member, one_message},
    state::{Row, RowContent},
    turns::FloorError,
};
use hearth_protocol::{MemberKey, MessageId, RoomId, Seq};
use hearth_session::client::{AskError, Command, Knocker, Outcome, PAGE_MAX, Page};
use hearth_text::{
    escape,
    name::{Look, confusable},
};

use crate::{
    commands::{
        Result,
        shell::{Shell, unexpected, view_failure},
    },
    failure::{Failure, exit},
};

/// Characters of an id that name a message of a check-in: fewer would be a slip.
const ID_CHARS_MIN: usize = 4;

impl Shell {
    /// Finds a member who can be given a time-out.
    pub(super) async fn at_rest(&self, wanted: &str) -> Result<MemberKey> {
        let member = self.member(wanted).await?.member;
        let view = self.view();
        match view.policy.as_ref().map(|policy| policy.role(&member)) {
            Some(role) if role.moderates() => Err(AskError::ModeratorTimeOut.into()),
            _ => Ok(member),
        }
    }

    /// Returns the member of this name who has not said yes yet, and is in no roster.
    pub(super) fn waiting_member(&self, wanted: &str) -> Option<MemberKey> {
        let view = self.view();
        let mut waiting = view.policy.as_ref()?.waiting().iter();
        waiting.find(|waiter| confusable(&waiter.name, wanted.trim())).map(|waiter| waiter.member)
    }

    pub(super) async fn member(&self, wanted: &str) -> Result<Leaf> {
        // Somebody may have come in since this profile was here last.
        self.ask(Command::Refresh).await?;
        let view = self.view();
        if view.policy.is_none() {
            return Err(view_failure(&view));
        }
        Ok(find_member(&view.roster, wanted)?.clone())
    }

    /// Finds somebody whose device is lost, or is to be taken out: a place that is kept comes first.
    pub(super) async fn device(&self, wanted: &str) -> Result<MemberKey> {
        self.ask(Command::Refresh).await?;
        let view = self.view();
        let Some(policy) = &view.policy else { return Err(view_failure(&view)) };
        let kept = policy.more.kept().iter().map(|place| (place.lost, Some(place.name.clone())));
        match fitting(kept, wanted).as_slice() {
            [one] => Ok(*one),
            _ => Ok(find_member(&view.roster, wanted)?.member),
        }
    }

    /// Finds the place of a message: by id or number, or `last`.
    pub(super) async fn message_place(&self, wanted: &str) -> Result<Seq> {
        let wanted = bare_id(wanted);
        if wanted.eq_ignore_ascii_case(LAST) {
            return self.last_message(Whose::Others).await;
        }
        Ok(one_message(wanted, self.message(wanted).await?)?.place)
    }

    /// Finds the last message that has words.
    pub(super) async fn last_message(&self, whose: Whose) -> Result<Seq> {
        self.ask(Command::Refresh).await?;
        let me = self.view().me;
        let mut before = Seq(u64::MAX);
        loop {
            let rows = self.client.rows(&self.room, Page::Before(before, PAGE_MAX)).await?;
            let Some(first) = rows.first() else { break };
            before = first.place;
            let fits = |row: &&Row| {
                let mine = row.from == Some(me);
                matches!(row.content, RowContent::Text(_)) && mine == (whose == Whose::Mine)
            };
            if let Some(row) = rows.iter().rev().find(fits) {
                return Ok(row.place);
            }
        }
        let (message, advice) = match whose {
            Whose::Mine => ("you have said nothing here yet", "Type something first."),
            Whose::Others => {
                ("nobody else has said anything here yet", "Name a message by its id.")
            }
        };
        Err(Failure::new(exit::USAGE, "no_such_message", message, advice))
    }

    /// Takes a message from the front of what was typed, if one is named there, and the words behind it.
    pub(super) async fn message_and_words(
        &self,
        args: &[String],
        whose: Whose,
    ) -> Result<(Seq, String)> {
        let Some((first, words)) = args.split_first() else {
            return Ok((self.last_message(whose).await?, String::new()));
        };
        let last = bare_id(first).eq_ignore_ascii_case(LAST) && !words.is_empty();
        let named = !last && !first.contains(char::is_whitespace) && names_message(first);
        if named {
            let found = self.message(bare_id(first)).await?;
            // What could be an id and is none is a word, unless nothing but an id looks like that. What replaces words is not guessed at.
            let is_word = is_word(first) && (whose == Whose::Others || !is_whole_id(first));
            if !found.is_empty() || !is_word {
                return Ok((one_message(bare_id(first), found)?.place, words.join(" ")));
            }
        }
        if whose == Whose::Mine && self.view().posts() && !self.view().outbox.is_empty() {
            return Err(Failure::new(
                exit::REFUSED,
                "words_wait",
                "the last words that you wrote are not said yet",
                "Nothing was changed. `hearth outbox ROOM` lists them. To change an earlier message, name it: `hearth edit ROOM ID WORDS`.",
            ));
        }
        let place = self.last_message(whose).await?;
        Ok((place, if last { words.join(" ") } else { args.join(" ") }))
    }

    /// Takes messages from the front of what was typed, at least one, and the words behind them.
    pub(super) async fn messages_and_words(&self, args: &[String]) -> Result<(Vec<Seq>, String)> {
        let typed = args.join(" ");
        let (first, mut rest) = typed.split_once(char::is_whitespace).unwrap_or((&typed, ""));
        let mut places = vec![self.message_place(first).await?];
        while let Some((next, behind)) = rest.trim_start().split_once(char::is_whitespace) {
            let marked = next.starts_with(['#', '[']);
            let in_full = next.len() == 32 && next.chars().all(|c| c.is_ascii_hexdigit());
            if !marked && !in_full && !is_whole_id(next) {
                break;
            }
            let found = self.message(bare_id(next)).await?;
            // A word of eight letters is a word unless a message has it for its id.
            if found.is_empty() && !marked {
                break;
            }
            places.push(one_message(bare_id(next), found)?.place);
            rest = behind;
        }
        Ok((places, rest.trim().to_owned()))
    }

    /// Takes a question from the front of what was typed, if one is named there or only one is open; returns its place in the
    /// relay's log and the words behind it.
    pub(super) async fn open_ask(&self, args: &[String]) -> Result<(Seq, String)> {
        let (asked, words) = self.open_one(args, |_| true).await?;
        Ok((asked.ask.seq, words))
    }

    /// Does the same with an open question that wants words.
    pub(super) async fn open_question(&self, args: &[String]) -> Result<(Asked, String)> {
        match self.open_one(args, |asked| !asked.form.is_poll()).await {
            Ok(found) => Ok(found),
            Err(_)
                if self.view().floor.asks.iter().all(|asked| asked.form.is_poll())
                    && !self.view().floor.asks.is_empty() =>
            {
                Err(EngineError::Floor(FloorError::WantsVote).into())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Does the same with an open poll.
    pub(super) async fn open_poll(&self, args: &[String]) -> Result<(Asked, String)> {
        self.open_one(args, |asked| asked.form.is_poll()).await
    }

    async fn open_one(&self, args: &[String], fits: fn(&Asked) -> bool) -> Result<(Asked, String)> {
        // It may have been asked since this profile was here last.
        self.ask(Command::Refresh).await?;
        let view = self.view();
        let named = args.first().and_then(|first| first.strip_prefix('#')?.parse().ok());
        let open = || view.floor.asks.iter().filter(|asked| fits(asked));
        let words = |from: usize| args.get(from..).unwrap_or_default().join(" ");
        if let Some(seq) = named.map(Seq) {
            let found = open().find(|asked| asked.ask.seq == seq).cloned();
            let found = found.ok_or(EngineError::Floor(FloorError::NotAsked))?;
            return Ok((found, words(1)));
        }
        match (open().next(), open().count()) {
            (Some(only), 1) => Ok((only.clone(), words(0))),
            (None, _) => Err(EngineError::Floor(FloorError::NothingAsked).into()),
            (Some(first), _) if first.form.is_poll() => Err(Failure::new(
                exit::USAGE,
                "several_asks",
                "several questions are open",
                format!(
                    "Name one by its number: `hearth asks ROOM` lists them; `hearth vote ROOM \"#{}\" 1` votes in the first.",
                    first.ask.seq.0
                ),
            )),
            (Some(first), _) => Err(Failure::new(
                exit::USAGE,
                "several_asks",
                "several questions are open",
                format!(
                    "Name one by its number: `hearth asks ROOM` lists them; `hearth answer ROOM #{} WORDS` answers the first.",
                    first.ask.seq.0
                ),
            )),
        }
    }

    async fn message(&self, wanted: &str) -> Result<Vec<Row>> {
        self.ask(Command::Refresh).await?;
        Ok(self.client.find(&self.room, wanted).await?)
    }

    pub(super) async fn pin(&self, wanted: &str) -> Result<Pin> {
        let wanted = bare_id(wanted);
        let row = match wanted.eq_ignore_ascii_case(LAST) {
            true => {
                let place = self.last_message(Whose::Others).await?;
                one_message(wanted, self.message(&format!("#{}", place.0)).await?)?
            }
            false => one_message(wanted, self.message(wanted).await?)?,
        };
        let message = row.id.ok_or_else(|| EngineError::NoSuchMessage(wanted.to_owned()))?;
        Ok(Pin { message, seq: row.seq })
    }

    /// Finds the message to retract. Plain members retract their own only: another's of the same id does not stand in the way.
    pub(super) async fn to_retract(&self, wanted: &str) -> Result<Seq> {
        let wanted = bare_id(wanted);
        if wanted.eq_ignore_ascii_case(LAST) {
            return self.last_message(Whose::Mine).await;
        }
        let mut found = self.message(wanted).await?;
        let view = self.view();
        if !view.moderates() && found.iter().any(|row| row.from == Some(view.me)) {
            found.retain(|row| row.from == Some(view.me));
        }
        Ok(one_message(wanted, found)?.place)
    }

    /// Finds an own message in the check-ins, by the first characters of its id.
    pub(super) async fn own_in_lanes(&self, wanted: &str) -> Result<Option<(RoomId, Seq)>> {
        let (view, wanted) = (self.view(), bare_id(wanted).to_ascii_lowercase());
        let is_it = |row: &Row| {
            let mine = row.id.filter(|_| row.from == Some(view.me));
            let gone =
                matches!(row.content, RowContent::Tombstone { .. } | RowContent::Retraction(_));
            let fits =
                |id: MessageId| id.short().starts_with(&wanted) || id.to_hex().starts_with(&wanted);
            !gone && mine.is_some_and(fits)
        };
        let mut found = Vec::new();
        for lane in view.lanes.iter().filter(|_| wanted.len() >= ID_CHARS_MIN) {
            let rows = self.rows_of_lane(lane.id).await?;
            found.extend(rows.iter().filter(|row| is_it(row)).map(|row| (lane.id, row.seq)));
        }
        match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(EngineError::Ambiguous(wanted).into()),
        }
    }

    pub(super) fn waiting(&self, wanted: &str) -> Result<MessageId> {
        let view = self.view();
        let wanted = bare_id(wanted).to_ascii_lowercase();
        match view.waiting(&wanted).as_slice() {
            [] => Err(EngineError::NoSuchMessage(wanted).into()),
            [one] => Ok(one.id),
            _ => Err(EngineError::Ambiguous(wanted).into()),
        }
    }

    /// Finds a member, or a former one by the history: their words stay after them.
    pub(super) async fn sender(&self, wanted: &str) -> Result<MemberKey> {
        self.ask(Command::Refresh).await?;
        let nobody = match find_member(&self.view().roster, wanted) {
            Err(error @ EngineError::NoSuchMember(_)) => error,
            found => return Ok(found?.member),
        };
        let names = self.client.names(&self.room).await?;
        let all = names.into_iter().map(|(member, name)| (member, Some(name)));
        match fitting(all, wanted).as_slice() {
            [] => Err(nobody.into()),
            [one] => Ok(*one),
            _ => Err(EngineError::Ambiguous(wanted.to_owned()).into()),
        }
    }

    /// Finds a knock by id, or by name if it opens.
    pub(super) async fn knocker(&self, wanted: &str) -> Result<Knocker> {
        let Outcome::Knocks(knockers) = self.ask(Command::Knocks).await? else {
            return Err(unexpected());
        };
        let all = knockers.iter().map(|knocker| {
            let name = knocker.opened.as_ref().ok().map(|knock| knock.name.clone());
            (knocker.pending.member, name)
        });
        match fitting(all, wanted).as_slice() {
            [] => Err(Failure::new(
                exit::USAGE,
                "no_such_knock",
                format!("nobody called {:?} knocks", escape::one_line(wanted.trim())),
                "`hearth knocks ROOM` lists who does.",
            )),
            [one] => {
                let found = knockers.into_iter().find(|knocker| knocker.pending.member == *one);
                Ok(found.ok_or(AskError::NoSuchKnock)?)
            }
            _ => Err(EngineError::Ambiguous(wanted.trim().to_owned()).into()),
        }
    }
}

/// Stands for the last message.
const LAST: &str = "last";

/// Whose message is meant where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The member's own.
    Mine,
    /// Anybody else's.
    Others,
}

/// Whether a word has the form of a message's id or number.
fn names_message(word: &str) -> bool {
    let bare = bare_id(word);
    let id = bare.len() >= 4 && bare.chars().all(|c| c.is_ascii_alphanumeric());
    let number = bare.strip_prefix('#').unwrap_or(bare);
    id || (!number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
}

/// Whether a word has the form of a whole short id.
fn is_whole_id(word: &str) -> bool {
    word.len() == 8 && word.chars().all(|c| matches!(c, 'a'..='z' | '2'..='7'))
}

/// Whether a word could be meant as a word: nobody writes `[ab12]`, `#12` or `ab12` in a sentence's place.
fn is_word(word: &str) -> bool {
    word.chars().all(char::is_alphabetic)
}

/// Takes a message's id out of the brackets in which it is shown.
fn bare_id(wanted: &str) -> &str {
    let wanted = wanted.trim();
    wanted.strip_prefix('[').and_then(|id| id.strip_suffix(']')).unwrap_or(wanted).trim()
}

/// Returns the keys that fit: by name, else by a name that looks alike ("ben"), else by id.
fn fitting(all: impl Iterator<Item = (MemberKey, Option<String>)>, wanted: &str) -> Vec<MemberKey> {
    let (wanted, lower) = (wanted.trim(), wanted.trim().to_ascii_lowercase());
    let look = Look::of(wanted);
    let (mut exact, mut alike, mut by_id) = (Vec::new(), Vec::new(), Vec::new());
    for (member, name) in all {
        let has_id = lower.len() >= 4
            && (member.to_hex().starts_with(&lower) || member.short().starts_with(&lower));
        match name {
            Some(name) if name == wanted => exact.push(member),
            Some(name) if look.is_like(&Look::of(&name)) => alike.push(member),
            _ if has_id => by_id.push(member),
            _ => {}
        }
    }
    [exact, alike, by_id].into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}
