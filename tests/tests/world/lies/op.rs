//! The lies, by name.

/// One kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// An entry is left out, and those after it move up.
    Drop,
    /// An entry is left out, and its place stays empty.
    Hole,
    /// An entry comes twice.
    Duplicate,
    /// An old entry comes again at a new place.
    Replay,
    /// An entry comes after the next one.
    Reorder,
    /// One bit is flipped.
    Flip,
    /// An entry is cut short.
    Truncate,
    /// An entry of another room is mixed in, as it is or relabelled.
    Splice,
    /// An entry is passed off as retracted.
    Tombstone,
    /// An entry's time is far off.
    Time,
    /// An entry's time is where no clock will be, or a year away.
    FarTime,
    /// Slow mode is on, and no record says so.
    SilentLimit,
    /// Words are deleted, and no retraction says so.
    SilentRetract,
    /// A member is not in the roster, or is said to be out.
    SilentRemove,
    /// A member is in a time-out, and no note says so.
    FalseTimeout,
    /// A knock was declined, and nobody signed that.
    FalseDecline,
    /// A bit of a frame is flipped.
    FrameFlip,
    /// A frame is cut short.
    FrameTruncate,
    /// A frame of entries comes twice.
    FrameAgain,
    /// Two frames of entries change places.
    FrameSwap,
    /// A frame of entries names another room.
    FrameForeign,
    /// The entry that was shown last is another one now.
    Rewrite,
    /// The log is shorter than it was.
    RollBack,
    /// The store is said to be another.
    Stream,
    /// Entries are said to have expired.
    Floor,
    /// A submission is accepted, and shown to its sender alone.
    AcceptLie,
    /// A submission is accepted, and the answer is lost.
    AcceptLost,
    /// A submission is accepted, the answer is lost, and the retry is accepted as another.
    AcceptAgain,
    /// A submission is refused by a conflict, and shown to the others all the same.
    AcceptTwice,
    /// A submission is refused by a conflict that there is none of.
    ConflictLie,
    /// A submission is accepted at a place where something else is.
    AcceptElsewhere,
    /// Two knocks exchange their bodies.
    SwapBody,
    /// A knock is another's.
    SwapMember,
    /// A knock's acknowledgement is altered.
    ForgeTriple,
    /// A Welcome is noise.
    WelcomeGarbage,
    /// A Welcome is another than the one of the admission: older, for another, or of another group.
    WelcomeOther,
}

impl Op {
    /// Lies about rules and members that no record backs.
    pub const RULE: [Self; 5] = [
        Self::SilentLimit,
        Self::SilentRetract,
        Self::SilentRemove,
        Self::FalseTimeout,
        Self::FalseDecline,
    ];
    /// Lies about an entry on its way.
    pub const ENTRY: [Self; 11] = [
        Self::Drop,
        Self::Hole,
        Self::Duplicate,
        Self::Replay,
        Self::Reorder,
        Self::Flip,
        Self::Truncate,
        Self::Splice,
        Self::Tombstone,
        Self::Time,
        Self::FarTime,
    ];
    /// Lies about frames and subscriptions.
    pub const FRAME: [Self; 9] = [
        Self::FrameFlip,
        Self::FrameTruncate,
        Self::FrameAgain,
        Self::FrameSwap,
        Self::FrameForeign,
        Self::Rewrite,
        Self::RollBack,
        Self::Stream,
        Self::Floor,
    ];
    /// Lies about submissions.
    pub const SUBMIT: [Self; 6] = [
        Self::AcceptLie,
        Self::AcceptLost,
        Self::AcceptAgain,
        Self::AcceptTwice,
        Self::ConflictLie,
        Self::AcceptElsewhere,
    ];
    /// Lies about admission.
    pub const DOOR: [Self; 5] = [
        Self::SwapBody,
        Self::SwapMember,
        Self::ForgeTriple,
        Self::WelcomeGarbage,
        Self::WelcomeOther,
    ];
}
