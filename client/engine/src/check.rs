//! The checks that stop an attacker, by name: a test can switch one off and must then see the attack succeed.
//!
//! The switches exist in this crate's own tests and with the feature `sabotage`, which `hearth-tests` alone enables.
//! Even then nothing from outside (no flag, file, variable or frame) reaches them.

/// A check of the gate, of the rules, or of what comes in.
///
/// A check that cannot be missed proves nothing: `tests/sabotage.rs` has one attack for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A commit holds only the kinds of proposals that rooms use, by value, from the committer.
    ProposalKinds,
    /// The group context keeps everything besides the policy.
    ContextUnchanged,
    /// A committer's new leaf keeps key, name and acknowledgement.
    OwnLeafUnchanged,
    /// Nobody comes and nobody goes without a record.
    PolicyRequired,
    /// The record's actor is the committer.
    ActorIsCommitter,
    /// One commit adds one member.
    OneAdd,
    /// An added leaf holds a good acknowledgement.
    Acknowledgement,
    /// The new policy is what the record makes of the old one.
    PolicyRecomputed,
    /// The commit adds exactly whom its record names.
    AddsMatchRecord,
    /// The commit removes exactly whom its record names.
    RemovesMatchRecord,
    /// A new name does not look like another member's.
    Names,
    /// A record continues the chain.
    RecordChain,
    /// The actor's role allows the act.
    Authority,
    /// A key that left does not come back.
    Revoked,
    /// The admitting facilitator signed under the acknowledgement.
    Countersigned,
    /// A departure is signed by who departs.
    DepartureSigned,
    /// A Welcome is for the room of the invite.
    WelcomeRoom,
    /// A Welcome is signed by a facilitator whom the invite pins.
    WelcomeSigner,
    /// A Welcome admits me, by the acknowledgement that I signed.
    WelcomeOwnAcknowledgement,
    /// Everybody in a Welcome's roster has acknowledged.
    WelcomeRoster,
    /// A message is shown once.
    DuplicateMessage,
    /// A sender's messages are counted.
    CounterGap,
    /// The last entry that a sender saw is what I saw there.
    Fork,
    /// All that a sender saw since their last message is what I saw, in that order.
    Window,
    /// A post against a pause is held.
    PauseHold,
    /// An entry that is shown again is the same.
    Overlap,
    /// Invites and agreements come from those who may make them.
    MessageAuthority,
    /// A leaf's encryption key can be encrypted to.
    EncryptionKey,
    /// Nothing goes out once somebody went on from an epoch that this profile is past of.
    Split,
}

/// Whether a check is made; outside of tests always.
#[cfg(not(any(test, feature = "sabotage")))]
pub(crate) const fn on(_: Check) -> bool {
    true
}

#[cfg(any(test, feature = "sabotage"))]
pub(crate) use switches::on;
#[cfg(any(test, feature = "sabotage"))]
pub use switches::{lawless, without};

/// The switches: a call in the same process and thread, and nothing else, turns a check off.
#[cfg(any(test, feature = "sabotage"))]
mod switches {
    use std::cell::Cell;

    use super::Check;

    thread_local! {
        /// One bit for each check that is off.
        static OFF: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether a check is made; tests only can switch one off.
    pub(crate) fn on(check: Check) -> bool {
        OFF.get() & (1 << check as u32) == 0
    }

    /// Runs something with one more check switched off.
    pub fn without<T>(check: Check, run: impl FnOnce() -> T) -> T {
        with_off(OFF.get() | (1 << check as u32), run)
    }

    /// Runs something with all checks switched off, as a modified client does.
    pub fn lawless<T>(run: impl FnOnce() -> T) -> T {
        with_off(u64::MAX, run)
    }

    fn with_off<T>(off: u64, run: impl FnOnce() -> T) -> T {
        struct Restore(u64);
        impl Drop for Restore {
            fn drop(&mut self) {
                OFF.set(self.0);
            }
        }
        let _restore = Restore(OFF.replace(off));
        run()
    }
}
