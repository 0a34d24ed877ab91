//! Members who are known to have followed the room to its present roster.
//!
//! A relay that withholds a removal from a member keeps that member, and their messages, in the old group. The new group
//! cannot read those messages, so a member whose entry came since is known to have followed. `docs/protocol.md`
//! section 7.6.

use hearth_protocol::{MemberKey, Seq};

use super::{
    error::EngineError,
    policy::{Act, Leaf},
    room::Room,
    state::{Row, RowContent},
};

/// Maximum rows of history searched.
const ROWS_MAX: usize = 4096;

/// Members without an entry since the roster changed.
#[derive(Clone, Debug)]
pub struct Unconfirmed {
    /// The entry that changed the roster, if this profile still has it.
    pub since: Option<Seq>,
    /// Members other than me without an entry after it.
    pub members: Vec<Leaf>,
}

impl Room<'_> {
    /// Returns the members without an entry since the last change of the roster.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn unconfirmed(&mut self) -> Result<Unconfirmed, EngineError> {
        const PAGE: usize = 256;
        let mut heard: Vec<MemberKey> = vec![self.me()];
        let (mut since, mut before) = (None, Seq(u64::MAX));
        for _ in 0..ROWS_MAX / PAGE {
            let rows = self.history_back(before, PAGE)?;
            let Some(last) = rows.iter().map(|row| row.place).min() else { break };
            before = last;
            let newest_first = || rows.iter().rev();
            let change = newest_first().position(changes_roster);
            let after = newest_first().take(change.unwrap_or(rows.len()) + 1);
            // The actor of the change has followed it, too.
            heard.extend(after.filter_map(|row| row.from));
            if let Some(at) = change {
                since = newest_first().nth(at).map(|row| row.seq);
                break;
            }
        }
        let members = self.roster()?.into_iter().filter(|l| !heard.contains(&l.member)).collect();
        Ok(Unconfirmed { since, members })
    }
}

/// Whether a row changes the roster.
fn changes_roster(row: &Row) -> bool {
    let RowContent::Moderation { record, .. } = &row.content else { return false };
    let act = &record.act;
    let puts_out = matches!(act, Act::Enact | Act::CloseBreach { .. });
    puts_out || act.admission().is_some() || act.takes_out().is_some()
}
