//! Where a member is with their yes to the agreement, in the words that a chat or a follower reads.

use hearth_engine::{act::Renewal, state::Standing};
use hearth_session::client::RoomView;

use crate::show;

/// Says where a member is who waits, or that they are back; `None` where nothing is to be said.
pub(super) fn standing(view: &RoomView, before: &Standing) -> Option<String> {
    match &view.standing {
        Standing::Lapsed => {
            let why = match view.coming == Some(view.acknowledged) {
                true => {
                    "The room went on with new keys, and you have not said yes to the agreement again yet."
                }
                false => {
                    "The agreement has changed, and you have not said yes to the new one yet."
                }
            };
            Some(format!(
                "-- {why} Until you do, new messages in the room do not reach you. You have done nothing wrong. `hearth agreement diff ROOM` shows what changed, `hearth agreement acknowledge ROOM` says yes. Not sure? Ask in your check-in: `hearth checkin ROOM WORDS`. `hearth help-now` works as before."
            ))
        }
        Standing::Returning => Some(
            "-- You have said yes. The next program of a facilitator that is there lets you in; nobody has to decide it. Your check-in and help-now work meanwhile."
                .to_owned(),
        ),
        Standing::Member if before.keeps_lane() => {
            Some("-- You are back in the room. New messages reach you from here on.".to_owned())
        }
        _ => None,
    }
}

/// Says that this member is asked to acknowledge the same version again; `None` if they are not.
pub(super) fn renewal(view: &RoomView) -> Option<String> {
    match view.renewal? {
        Renewal::Breach => Some(
            "-- Before the room goes on, each of us reads the agreement again and says yes: `hearth agreement acknowledge ROOM`. You can write in your check-in meanwhile: `hearth checkin ROOM WORDS`."
                .to_owned(),
        ),
        Renewal::Year { expires } => Some(format!(
            "-- Your yes to the agreement is good until {}. For another year: `hearth agreement renew ROOM`. Nothing stops if you wait.",
            show::date(expires)
        )),
    }
}
