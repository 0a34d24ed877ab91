//! A member who has not said yes yet, over a connection: notes and the own lane go on, and an answer to the knock is taken in.

use hearth_engine::{EngineError, Room, state::Standing};
use hearth_protocol::RejectCode;

use super::{Live, LiveError, Result, door, role_of};
use crate::connection::RequestError;

impl Live<'_> {
    /// Does what a member who waits can do: takes in the answer to their knock, sends and reads notes, and talks in their lane.
    pub(super) async fn tend_waiting(&mut self) -> Result<()> {
        if std::mem::take(&mut self.answered) {
            let standing = door::authenticate(&mut self.connection, &self.room).await?;
            let role = role_of(&standing);
            match door::settle(&mut self.connection, &mut self.room, standing).await {
                Ok(_) => {
                    self.role = role;
                    self.subscribe().await?;
                    self.catch_up().await?;
                    return Box::pin(self.tend()).await;
                }
                Err(error) => self.room.goes_on_waiting(error)?,
            }
        }
        match self.exchange_notes_here().await {
            // A relay that keeps nothing of this member any more takes no notes.
            Ok(()) | Err(LiveError::Request(RequestError::Rejected { .. })) => {}
            Err(error) => return Err(error),
        }
        self.tend_waiting_lanes().await
    }
}

/// What a room says to an answer of the relay's while its member waits.
pub(super) trait Waits {
    /// Lets go on what says that the member still waits; a forgotten knock is made again when they say yes again.
    fn goes_on_waiting(&mut self, error: LiveError) -> Result<()>;
}

impl Waits for Room<'_> {
    fn goes_on_waiting(&mut self, error: LiveError) -> Result<()> {
        match error {
            LiveError::KnockForgotten => Ok(self.set_standing(Standing::Lapsed)?),
            LiveError::NotInside(_) | LiveError::Engine(EngineError::NotMember(_))
                if self.state().standing.keeps_lane() =>
            {
                Ok(())
            }
            // The relay has forgotten that this member was in; the lane has keys of its own.
            LiveError::Request(RequestError::Rejected { code: RejectCode::NotMember, .. })
                if self.state().standing == Standing::Lapsed =>
            {
                Ok(())
            }
            error => Err(error),
        }
    }
}
