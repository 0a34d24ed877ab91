//! What a shell asks of a room, and what became of it.

use std::sync::Arc;

use hearth_engine::{
    EngineError,
    accord::Mismatch,
    act::{Knock, Proposed},
    agreement::{Agreement, Change},
    confirmed::Unconfirmed,
    floor::Ask,
    help::Line,
    mine::Setting,
    policy::{Act, Category, Leaf, Proposal, Record, Weighty},
    private::Report,
    reports::{DeskNote, Reported},
    share::{Share, Shown},
    state::Standing,
    turns::Order,
    words::{Reaction, Words},
};
use hearth_protocol::{
    Epoch, InviteId, MemberKey, MessageId, Millis, Role, RoomId, Seq,
    frame::{PendingKnock, RoomStatus},
    invite::Invite,
};

use super::{
    exercise::{Guide, Progress},
    help::HelpCommand,
    lanes::LaneCommand,
};
use crate::live::{LiveError, Recovery};

/// A command in one room. It names members by key and messages by place: a shell resolves words.
#[derive(Clone, Debug)]
pub enum Command {
    /// Catch up with the relay, if it can be reached.
    Refresh,
    /// Say something. What cannot go out now waits in the outbox.
    Say(Words),
    /// Send words that the client has put into the outbox.
    SendQueued {
        /// The words.
        words: Words,
        /// Their id there.
        id: MessageId,
    },
    /// Keep words in the outbox, to go out with the next message or command.
    Queue(String),
    /// An act of moderation that needs no clock of the relay.
    Act(Act),
    /// Pause the room.
    Pause {
        /// How long, from now by the relay's clock.
        millis: u64,
        /// Words to the room.
        comment: String,
        /// Whether the room opens at the end even if nobody is on duty then.
        reopens: bool,
    },
    /// Take a member out.
    Remove {
        /// The member.
        member: MemberKey,
        /// Words to that member alone.
        words: String,
        /// Words to the room.
        goodbye: String,
        /// The reason, for the moderators' notes.
        category: Category,
        /// Whether it is night where this moderator is; a shell knows the time zone.
        at_night: bool,
    },
    /// Ask a member to take a break from the room.
    TimeOut {
        /// The member.
        member: MemberKey,
        /// How long, from now by the relay's clock; 0 ends it.
        millis: u64,
        /// Words to the member.
        note: String,
    },
    /// Make an invite.
    Invite {
        /// How many people can knock with it.
        uses: u32,
        /// How long it is good, from now by the relay's clock.
        millis: u64,
        /// The role that it gives.
        role: Role,
    },
    /// Take a member's lost device out, and make the invite by which they come back on a new one.
    NewDevice {
        /// The lost device's key.
        lost: MemberKey,
        /// How long the invite is good, from now by the relay's clock.
        millis: u64,
    },
    /// Propose what takes two moderators.
    Propose(Weighty),
    /// Read what moderators propose.
    Proposals,
    /// Confirm what another moderator proposed, by the number of the proposing record.
    Confirm(u64),
    /// Void an invite.
    Revoke(InviteId),
    /// List the knocks.
    Knocks,
    /// Admit somebody who knocks.
    Admit(MemberKey),
    /// Decline a knock.
    Decline {
        /// The knocker.
        member: MemberKey,
        /// Words that only the knocker can read.
        words: String,
    },
    /// React to a message; `None` takes the reaction back.
    React {
        /// Its place in this profile's history.
        place: Seq,
        /// The reaction.
        reaction: Option<Reaction>,
    },
    /// Put other words in place of those of an own message.
    Edit {
        /// Its place in this profile's history.
        place: Seq,
        /// The words.
        text: String,
    },
    /// Put a content note on a message; an empty one takes it off.
    Cover {
        /// Its place in this profile's history.
        place: Seq,
        /// What it is about.
        topic: String,
    },
    /// Take part in turns, or hold a round.
    Turn(Turn),
    /// Ask everybody something.
    Ask {
        /// The question.
        ask: Ask,
        /// How long it is open, from now by the relay's clock.
        millis: u64,
    },
    /// Vote in an open poll.
    Vote {
        /// Place of its entry in the relay's log.
        ask: Seq,
        /// Number of the option, from 0.
        choice: u64,
    },
    /// Close a question, by the place of its entry in the relay's log.
    CloseAsk(Seq),
    /// Say that this moderator is here for the room.
    Duty {
        /// How long, from now by the relay's clock; 0: no longer.
        millis: u64,
    },
    /// Guide the room through an exercise.
    Exercise(Guide),
    /// About a call for help.
    Help(HelpCommand),
    /// Retract one message.
    Retract {
        /// Its place in this profile's history.
        place: Seq,
        /// Why, where it is another member's.
        category: Category,
    },
    /// Retract every message of a member, present or past.
    RetractAll {
        /// The member.
        member: MemberKey,
        /// Why.
        category: Category,
    },
    /// Put the relay's rules back to what the room's log says.
    RestoreRules,
    /// Leave the room.
    Depart {
        /// Whether the acknowledgement is withdrawn.
        withdrawn: bool,
        /// Words to the room.
        goodbye: Option<String>,
    },
    /// Go on after a restored backup or a split, or take the room back.
    Recover,
    /// Ask what is in force.
    Status,
    /// Read the log of moderation.
    Log,
    /// Read the digits to compare with a member, or for the whole room.
    Verify(Option<MemberKey>),
    /// Show or hide a member's words on this device.
    Mute {
        /// The member.
        member: MemberKey,
        /// Whether to hide them.
        muted: bool,
    },
    /// Set something for the room on this device.
    Set(Setting),
    /// Drop a message that waits.
    DropWaiting(MessageId),
    /// Put other words in place of those of a message that is held. It stays held.
    ChangeHeld {
        /// The message.
        id: MessageId,
        /// The words.
        text: String,
    },
    /// Send a message that is held.
    SendHeld(MessageId),
    /// Keep an unfinished text, in place of the last one. An empty one deletes it.
    KeepDraft(String),
    /// Read the unfinished text.
    Draft,
    /// Write the receipt of the last acknowledgement.
    Receipt,
    /// Read the versions of the agreement that this profile has.
    Agreements,
    /// Issue a version of the agreement.
    Amend {
        /// Its text.
        text: String,
        /// Whether the meaning changes.
        change: Change,
        /// How long people have to acknowledge it; 0: at once.
        millis: u64,
    },
    /// Acknowledge a version of the agreement that a member was shown.
    Acknowledge(Agreement),
    /// Open a breach, or close the one that is open, with words to the room.
    Breach {
        /// Whether one is opened.
        opens: bool,
        /// The words.
        words: String,
    },
    /// Put the pending version in force.
    Enact,
    /// Withdraw the pending version.
    WithdrawAmendment,
    /// Read the anonymous shares that wait.
    Shares,
    /// Read the reports.
    Reports,
    /// Read the moderators' notes.
    Notes,
    /// Send a report past those whom it is about, by sealed notes.
    PassBy(Report),
    /// Say what came of a report that came by a note.
    AnswerReport {
        /// The report.
        report: MessageId,
        /// The reporter.
        from: MemberKey,
        /// The words.
        words: String,
    },
    /// Make a report of messages and members. It is sent by [`LaneCommand::Private`], or by [`Command::PassBy`].
    Report {
        /// Places of the messages in this profile's history.
        places: Vec<Seq>,
        /// The members, besides the authors.
        about: Vec<MemberKey>,
        /// The reason.
        category: Category,
        /// The words.
        words: String,
    },
    /// Do something in one of the room's lanes.
    Lane {
        /// The lane.
        lane: RoomId,
        /// What.
        what: LaneCommand,
    },
    /// History up to a place was displayed.
    Shown(Seq),
    /// The mismatches of the view were displayed.
    Told,
}

/// Taking part in turns, or holding a round.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Ask for a turn.
    Hand,
    /// Ask no longer.
    Lower,
    /// Let the own turn go by.
    Pass,
    /// End the own turn.
    Done,
    /// Go on to the next one.
    Next {
        /// Whose turn is meant; `None`: whoever has the floor, unless it moved just now.
        after: Option<MemberKey>,
    },
    /// Begin a round.
    Start {
        /// Who comes first.
        order: Order,
        /// What it is about.
        topic: String,
        /// Seconds of a turn; 0: no limit.
        seconds: u64,
        /// When it ends by itself, from now by the relay's clock.
        millis: u64,
    },
    /// Give one member the floor.
    Call {
        /// The member.
        member: MemberKey,
        /// When it ends by itself, from now by the relay's clock.
        millis: u64,
    },
    /// Move the round's end.
    Extend {
        /// From now by the relay's clock.
        millis: u64,
    },
    /// End the round.
    End,
}

/// What became of a command.
#[derive(Debug)]
pub enum Outcome {
    /// It is done, and there is nothing to tell.
    Done,
    /// The room is as the relay has it; or why it may not be.
    Fresh(Option<Arc<LiveError>>),
    /// The message is on the relay's disk.
    Sent {
        /// Its id.
        id: MessageId,
        /// Its place in this profile's history.
        place: Seq,
    },
    /// The message waits in the outbox.
    Kept {
        /// Its id.
        id: MessageId,
        /// Why it waits.
        why: Option<Arc<LiveError>>,
    },
    /// The call for help is kept, and went out where it could.
    Called {
        /// How far it is.
        line: Line,
        /// Names of those who were told.
        told: Vec<String>,
        /// Names of those whom it did not reach.
        unreached: Vec<String>,
    },
    /// The act is in the log.
    Acted {
        /// The act.
        act: Act,
        /// The member whom it touches.
        target: Option<Leaf>,
        /// The entry that carries it.
        seq: Seq,
    },
    /// The time-out began, or ended.
    TimedOut {
        /// The member.
        leaf: Leaf,
        /// When it ends; 0: now.
        until: Millis,
        /// The entry that carries it.
        seq: Seq,
    },
    /// The invite is announced.
    Invited {
        /// The link.
        link: Box<Invite>,
        /// When it ends.
        expires: Millis,
    },
    /// The lost device is out, and its member can come back.
    NewDevice {
        /// The member's name.
        name: String,
        /// The link for that member alone.
        link: Box<Invite>,
        /// When it ends.
        expires: Millis,
    },
    /// It is proposed, and another moderator has to confirm it.
    Proposed {
        /// Number of the proposing record.
        number: u64,
        /// Until when it can be confirmed.
        until: Millis,
        /// Names of those who can.
        others: Vec<String>,
    },
    /// What moderators propose, oldest first, and what it is about, where this device was told.
    Proposals(Vec<(Proposal, Option<Proposed>)>),
    /// The knocks, each opened or with the reason.
    Knocks(Vec<Knocker>),
    /// The knocker is in the room.
    Admitted {
        /// Their name.
        name: String,
        /// Their key.
        member: MemberKey,
        /// The entry that carries the admission.
        seq: Seq,
    },
    /// A member who waits has said yes, and has knocked.
    SaidYes,
    /// A breach is opened or closed.
    Breach {
        /// The entry that carries the act.
        seq: Seq,
    },
    /// The member is in the room, and was before.
    InAlready {
        /// The member.
        leaf: Leaf,
    },
    /// The knock is declined.
    Declined {
        /// The knocker's name, if the knock opens.
        name: Option<String>,
        /// Whether words were given that could not be sealed to the knocker.
        unsaid: bool,
    },
    /// The exercise is at this step, or over.
    Guided(Box<Progress>),
    /// Messages were retracted.
    Retracted(u32),
    /// What of the relay's rules was put back.
    Restored {
        /// Whether there was anything to put back.
        restored: bool,
        /// What remains.
        remain: Vec<Mismatch>,
    },
    /// This profile has left the room.
    Departed {
        /// Messages that waited and were dropped.
        dropped: usize,
        /// Why the goodbye was not sent.
        unsaid: Option<LiveError>,
    },
    /// The room goes on.
    Recovered {
        /// Whether the relay does not keep to the room's rules.
        rules_differ: bool,
    },
    /// What the relay enforces.
    Status {
        /// The relay's word.
        status: Box<RoomStatus>,
        /// What does not agree with the log.
        mismatches: Vec<Mismatch>,
        /// Those of them that were not displayed before.
        untold: Vec<Mismatch>,
    },
    /// The log of moderation.
    Log {
        /// Its records, oldest first.
        records: Vec<Record>,
        /// The first record that does not follow from the one before.
        broken: Option<u64>,
    },
    /// Digits to compare with one member.
    MemberCode(String),
    /// Digits to compare in the whole room.
    RoomCode {
        /// The digits.
        code: String,
        /// The epoch that they are of.
        epoch: Epoch,
        /// From whom nothing has come since the last change of who is here.
        unconfirmed: Unconfirmed,
    },
    /// It is set; and whether anything is different.
    Set(bool),
    /// A message no longer waits.
    Dropped(bool),
    /// A held message goes out, under this id.
    Released(MessageId),
    /// A held message has other words, under this id.
    Changed(MessageId),
    /// The vote in a hidden poll is in this member's lane.
    Voted {
        /// Names of those who read it there.
        readers: Vec<String>,
    },
    /// The anonymous shares that wait, oldest first.
    Shares(Vec<(Share, Shown)>),
    /// Reports.
    Reports {
        /// Those of others, oldest first; none for those who do not moderate.
        reports: Vec<Reported>,
        /// Answers by note to own ones: when it was written, who answers, the words.
        answers: Vec<(Millis, String, String)>,
    },
    /// The moderators' notes, oldest first.
    Notes(Vec<DeskNote>),
    /// A report, ready to be sent.
    Report {
        /// The report.
        report: Report,
        /// Whether somebody whom it is about reads the lanes.
        passes_by: bool,
    },
    /// The report waits in notes for these members alone.
    PassedBy {
        /// Their names.
        to: Vec<String>,
    },
    /// The unfinished text.
    Draft(Option<String>),
    /// The receipt, as the file that others verify.
    Receipt(String),
    /// Versions of the agreement.
    Agreements {
        /// The version in force.
        current: Option<Agreement>,
        /// The version that this member acknowledged last.
        mine: Option<Agreement>,
        /// The version that waits for this member's acknowledgement; `Some(None)` if its text has not come.
        coming: Option<Option<Agreement>>,
    },
    /// The version is issued.
    Amended {
        /// The version.
        agreement: Agreement,
        /// Whether it is in force.
        in_force: bool,
    },
}

/// Somebody who knocks.
#[derive(Clone, Debug)]
pub struct Knocker {
    /// The knock as the relay has it.
    pub pending: PendingKnock,
    /// The knock, opened; or why it does not open.
    pub opened: Result<Knock, Arc<EngineError>>,
    /// Why no clock lets its acknowledgement in.
    pub dates: Option<String>,
    /// Who else can admit them, if this member cannot: the invite is older than their role.
    pub others_can: Option<Vec<String>>,
    /// Where they come back on a new device by an invite of this member's: digits to compare with them.
    pub digits: Option<String>,
}

/// What a person is asked before a command that a slip of the finger must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Leave the room, and drop what waits.
    Depart {
        /// Whether the acknowledgement is withdrawn.
        withdrawn: bool,
        /// Messages that wait.
        waiting: usize,
    },
    /// Retract every message of a member.
    RetractAll(String),
    /// Take a member out.
    Remove(String),
    /// End a member's place with the goodbye that was planned.
    Farewell(String),
    /// Close the place of a member who died.
    Remember(String),
    /// Do what another moderator proposed.
    Confirm {
        /// What.
        what: Weighty,
        /// The name of the member whom it is about; empty: nobody.
        name: String,
        /// The end of the time-out, if it is one.
        until: Option<Millis>,
    },
    /// End the group at a time.
    CloseGroup(Millis),
    /// Take a member's lost device out.
    LoseDevice(String),
    /// Let a new device in, in the place of a lost one.
    AdmitDevice {
        /// The member's name.
        name: String,
        /// Digits to compare with them, where this member made the invite.
        digits: Option<String>,
    },
    /// Give up the own role.
    StepDown(Role),
    /// Delete what is older, for everybody.
    Expire {
        /// Seconds that messages are kept.
        seconds: u64,
    },
    /// Take a member out all the same, though something speaks for waiting.
    RemoveNow {
        /// The member's name.
        name: String,
        /// What speaks for waiting.
        haste: Vec<Haste>,
    },
    /// End an exercise's round though turns are left.
    EndRound {
        /// How many turns, the present one too.
        turns: usize,
    },
    /// Ask a member to take a break though their call for help is not over.
    Break(String),
    /// The same, once more.
    BreakNow(String),
    /// Lengthen or shorten a break that lasts.
    ChangeBreak {
        /// The member's name.
        name: String,
        /// When the break ends.
        until: Millis,
    },
    /// Send a message that others may have.
    SendAgain(MessageId),
    /// Go on, take back, or go on from a backup.
    Recover(Recovery),
    /// Send answers to questions; they are in the words.
    SendAnswers(String),
    /// Ask those who moderate, named here, to share words without a name.
    Share {
        /// Their names.
        readers: Vec<String>,
    },
    /// Close a breach before these members have acknowledged again.
    CloseBreach {
        /// Their names.
        waiting: Vec<String>,
    },
    /// Put a new agreement in force before the others have acknowledged it.
    AmendAtOnce {
        /// Members who would be out until they acknowledge it.
        others: usize,
    },
}

/// What speaks for waiting before a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// It is night where this moderator is.
    Night,
    /// The member's call for help is not over.
    Help,
    /// This moderator's duty ends within the hour.
    LastHour,
}

impl Question {
    /// Whether a program, too, has to answer it: what follows cannot be taken back.
    pub const fn is_for_programs(&self) -> bool {
        matches!(self, Self::SendAgain(_) | Self::Recover(_))
    }
}

/// Whether a person agreed to what a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Nobody was asked.
    Unasked,
    /// To this question.
    To(Question),
    /// To whatever there is to ask.
    Whatever,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A person has to agree first.
    #[error("this needs consent")]
    NeedsConsent(Question),
    /// The text cannot be sent as it is.
    #[error(transparent)]
    Text(#[from] hearth_text::escape::TextError),
    /// A file of an exercise is at fault.
    #[error("the exercise's file, {0}")]
    Form(hearth_forms::Fault),
    /// There is no connection; nothing was done.
    #[error("the relay cannot be reached now")]
    Unreachable(Arc<LiveError>),
    /// The room, the relay or this device refuses or fails.
    #[error(transparent)]
    Live(#[from] Arc<LiveError>),
    /// A knock does not open, or does not verify.
    #[error(transparent)]
    Knock(Arc<EngineError>),
    /// A message did not go out, and stays in the outbox until its author sends or drops it.
    #[error("{0}")]
    Held(Arc<LiveError>),
    /// Who moderates takes part as long as they moderate.
    #[error("facilitators and co-facilitators cannot be given a break")]
    ModeratorTimeOut,
    /// An act needs words to whom it touches.
    #[error("the words are missing")]
    NeedsWords,
    /// A pause is shorter.
    #[error("a pause lasts 60 minutes at most")]
    PauseTooLong,
    /// A break is shorter.
    #[error("a break lasts 24 hours at most: more is an exclusion, which takes two")]
    BreakTooLong,
    /// Nobody else moderates the room.
    #[error("nobody else moderates this room")]
    NobodyElse,
    /// No such call for help is open.
    #[error("no open call for help begins with {0}")]
    NoSuchCall(String),
    /// A member leaves, and does not remove themselves.
    #[error("you cannot remove yourself")]
    IsYou,
    /// The member, named here, has no break.
    #[error("{0} has no break")]
    NoTimeOut(String),
    /// Nobody knocks under that key.
    #[error("that knock is gone")]
    NoSuchKnock,
    /// The message may be in the room already.
    #[error("the message {} may be in the room already", .0.short())]
    UnderWay(MessageId),
    /// Another version of the agreement is pending.
    #[error("another version of the agreement is pending")]
    AmendmentPending,
    /// People have until then to acknowledge.
    #[error("people have time to acknowledge")]
    NotYet(Millis),
    /// This member has not acknowledged the version, given here.
    #[error("you have not acknowledged version {0} yourself")]
    Unsigned(u32),
    /// The text of a version is not here.
    #[error("the text of that version has not reached this device")]
    NoText(Standing),
    /// The clocks are too far apart.
    #[error("this computer's clock is wrong")]
    ClockWrong(hearth_engine::clock::Moment),
    /// As many commands wait as the client takes.
    #[error("too many commands wait")]
    Busy,
    /// The client was closed or locked.
    #[error("the client is closed")]
    Closed,
}

impl From<LiveError> for AskError {
    fn from(error: LiveError) -> Self {
        Self::Live(Arc::new(error))
    }
}

impl From<EngineError> for AskError {
    fn from(error: EngineError) -> Self {
        LiveError::from(error).into()
    }
}
