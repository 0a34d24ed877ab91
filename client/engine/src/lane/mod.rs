//! Lanes: a private line of each member to those who moderate.
//!
//! A lane is a small MLS group without rules of its own: who sits in it follows from the records of the parent room. It is kept as a
//! [`Room`](crate::Room) of another kind, which shares outbox, cursor, history and the checks of the relay's log (decision 0025).

mod gate;
mod line;
mod record;
mod roll;
mod take;
mod words;

pub use self::{
    gate::{
        AsOf, ExpectedSeat, Known, LaneCommitView, LaneLeaf, LaneRefusal, LaneVerdict, LaneView,
        LaneWelcomeView, Parent, Whereabouts, check_lane_commit, check_lane_welcome,
    },
    line::{Lane, Opening},
    record::{
        BENCH_MAX, Chair, LanePolicy, MEMBERS_MAX, Offer, SEATS_MAX, Seat, desk_id, lane_id,
        lane_key_seed,
    },
    words::{KeptOffer, OFFERS_MAX},
};
