//! At the room's door: proving the key, opening a room, reading an invite, knocking, being welcomed.

use hearth_engine::{
    Crypto, EngineError, Room,
    agreement::{Agreement, Preview},
    join::{Founding, Joining, KnockRequest, open_preview},
    state::Standing,
    store::Store,
};
use hearth_protocol::{
    BlobId, ClientFrame, RejectCode, RoomId, RoomNumbers, Seq, ServerFrame,
    frame::{Notice, Standing as RelayStanding},
    hash,
    invite::{Grant, Invite},
    limits::BLOB_BYTES_MAX,
};

use super::{Live, LiveError, Result};
use crate::{
    backoff::Backoff,
    connection::{Connection, RequestError},
    contacts,
    network::Network,
};

/// Requests for one room, as long as answers are lost.
const OPENING_TRIES: u32 = 5;

/// How waiting at the door ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Admitted, and the Welcome passed the gate.
    Admitted,
    /// Declined.
    Declined {
        /// The facilitator's words.
        words: String,
        /// Whether a facilitator whom the invite names signed them; otherwise the relay alone says so.
        signed: bool,
    },
}

/// Founds a room in the store, then opens it at the relay; if the grant is refused at once, nothing stays.
///
/// A grant is spent by the first request that arrives, and the same request again opens no second room: so a lost answer
/// is asked for again, a few times, and by the next call with the same grant and the same founding.
///
/// # Errors
/// See [`LiveError`].
pub async fn open_room<'s>(
    network: &Network,
    store: &'s Store,
    crypto: &'s Crypto,
    grant: &Grant,
    founding: Founding,
) -> Result<Room<'s>> {
    let mut connection = Connection::open(network, &grant.address).await?;
    let numbers = founding.numbers.clone();
    let begun = Room::being_opened(store, crypto, grant, &founding)?;
    // Something may have been written in it since.
    let is_new = begun.is_none();
    let mut room = match begun {
        Some(room) => room,
        None => Room::found(store, crypto, grant, founding, crypto.now())?,
    };
    let mut backoff = Backoff::new();
    let mut tries = 1;
    loop {
        let asked = send_opening(&mut connection, &room, grant, numbers.clone()).await;
        let error = match asked {
            Ok(()) => {
                connection.close().await;
                room.opened()?;
                // Without it the room is open all the same; the next opening of it tries again.
                let _ = contacts::keep(&mut room);
                return Ok(room);
            }
            Err(error) => error,
        };
        let again = loop {
            if !error.is_connection() || tries == OPENING_TRIES {
                break None;
            }
            tries += 1;
            tokio::time::sleep(backoff.next_delay()).await;
            if let Ok(connection) = Connection::open(network, &grant.address).await {
                break Some(connection);
            }
        };
        let Some(again) = again else {
            let is_refused = matches!(
                error,
                LiveError::Request(RequestError::Rejected {
                    code: RejectCode::GrantInvalid | RejectCode::RoomExists,
                    ..
                })
            );
            if is_new && is_refused {
                room.wipe()?;
            }
            return Err(error);
        };
        connection = again;
    }
}

async fn send_opening(
    connection: &mut Connection,
    room: &Room<'_>,
    grant: &Grant,
    numbers: RoomNumbers,
) -> Result<()> {
    let (id, key) = (room.id(), room.state().signing_key());
    let agreement = hearth_engine::agreement::commitment(&id, &room.state().agreement);
    let signature = connection.auth_signature(&key, id);
    connection
        .request(|req| ClientFrame::OpenRoom {
            req,
            room: id,
            member: room.me(),
            signature,
            grant: grant.secret.clone(),
            numbers,
            agreement,
        })
        .await?;
    Ok(())
}

/// Fetches an invite's preview and verifies it.
///
/// # Errors
/// See [`LiveError`].
pub async fn look(network: &Network, link: &Invite) -> Result<(Connection, Preview)> {
    let mut connection = Connection::open(network, &link.address).await?;
    let (room, token) = (link.room, link.token());
    let reply = connection.request(|req| ClientFrame::Preview { req, room, token }).await?;
    let ServerFrame::Preview { sealed, .. } = reply else {
        return Err(LiveError::UnexpectedReply);
    };
    let preview = open_preview(link, &sealed)?;
    Ok((connection, preview))
}

/// Signs the acknowledgement, knocks, and returns the room that waits.
///
/// # Errors
/// See [`LiveError`].
pub async fn knock<'s>(
    store: &'s Store,
    crypto: &'s Crypto,
    mut connection: Connection,
    link: &Invite,
    preview: &Preview,
    joining: Joining,
) -> Result<(Room<'s>, Connection)> {
    let before = Room::all(store, crypto)?.into_iter().find(|r| r.id() == link.room);
    let before = before.map(|room| room.state().standing.clone());
    let (mut room, request) = Room::knock(store, crypto, link, preview, joining, crypto.now())?;
    match send_knock(&mut connection, &room, request).await {
        Ok(()) => {
            let _ = contacts::keep(&mut room);
            Ok((room, connection))
        }
        Err(error) => {
            // Only a refusal says that nobody has the knock; after a lost answer the key must stay.
            if let LiveError::Request(RequestError::Rejected { .. }) = &error {
                match before {
                    None => room.wipe()?,
                    // Whoever gave up a room that went on without them has no keys for it any more.
                    Some(Standing::Member) => room.set_standing(Standing::Left)?,
                    Some(standing) => room.set_standing(standing)?,
                }
            }
            Err(error)
        }
    }
}

async fn send_knock(
    connection: &mut Connection,
    room: &Room<'_>,
    request: KnockRequest,
) -> Result<()> {
    let (id, key) = (room.id(), room.state().signing_key());
    let signature = connection.auth_signature(&key, id);
    connection
        .request(|req| ClientFrame::Knock {
            req,
            room: id,
            member: room.me(),
            signature,
            token: request.token,
            acknowledgement: request.acknowledgement,
            body: request.body,
        })
        .await?;
    Ok(())
}

impl Live<'_> {
    /// Says yes to the agreement for a member who waits: signs it, and knocks by the return invite over this connection.
    ///
    /// # Errors
    /// [`EngineError::NoText`] if the way back is unknown here; [`EngineError::AgreementMismatch`] if it leads to another agreement than
    /// the one that was read; see [`LiveError`].
    pub async fn say_yes(&mut self, agreement: &Agreement) -> Result<()> {
        let link = self.room.return_link()?.ok_or(EngineError::NoText)?;
        let (id, token) = (link.room, link.token());
        let reply = self.request(|req| ClientFrame::Preview { req, room: id, token }).await?;
        let ServerFrame::Preview { sealed, .. } = reply else {
            return Err(LiveError::UnexpectedReply);
        };
        let preview = open_preview(&link, &sealed)?;
        if preview.agreement.id() != agreement.id() {
            return Err(EngineError::AgreementMismatch.into());
        }
        let joining = Joining {
            name: self.room.state().name.clone(),
            local_name: self.room.state().local_name.clone(),
            // Whoever says yes has given these: another answer is asked for again.
            answers: agreement.right_answers(),
        };
        let (store, crypto, _) = self.room.parts();
        // By the earlier clock, so that one that is ahead keeps nobody out.
        let now = self.earlier_now();
        let (room, request) = Room::knock(store, crypto, &link, &preview, joining, now)?;
        self.room = room;
        let sent = send_knock(&mut self.connection, &self.room, request).await;
        // After a lost answer the knock may be there.
        if let Err(LiveError::Request(RequestError::Rejected { .. })) = &sent {
            self.room.set_standing(Standing::Lapsed)?;
        }
        sent
    }
}

/// Waits until a facilitator answers the knock. Cancel safe: the knock stays.
///
/// # Errors
/// See [`LiveError`].
pub async fn await_answer(connection: &mut Connection, room: &mut Room<'_>) -> Result<Answer> {
    loop {
        let frame = connection.next().await?;
        let ServerFrame::Notice { room: id, notice: Notice::Standing(standing) } = frame else {
            continue;
        };
        if id != room.id() || matches!(standing, RelayStanding::Knocking) {
            continue;
        }
        match settle(connection, room, standing).await {
            Ok(_) => return Ok(Answer::Admitted),
            Err(LiveError::Engine(EngineError::NotMember(_)) | LiveError::NotInside(_)) => {
                if let Some(answer) = declined(room) {
                    return Ok(answer);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Proves the key again after a lost connection; returns the answer if it came meanwhile.
///
/// # Errors
/// [`LiveError::KnockForgotten`] and [`LiveError::WelcomeGone`] if there is nothing to wait for; see [`LiveError`].
pub async fn resume_waiting(
    connection: &mut Connection,
    room: &mut Room<'_>,
) -> Result<Option<Answer>> {
    let standing = authenticate(connection, room).await?;
    if matches!(standing, RelayStanding::Knocking) {
        return Ok(None);
    }
    match settle(connection, room, standing).await {
        Ok(_) => Ok(Some(Answer::Admitted)),
        Err(LiveError::Engine(EngineError::NotMember(_)) | LiveError::NotInside(_)) => {
            Ok(declined(room))
        }
        Err(error) => Err(error),
    }
}

fn declined(room: &Room<'_>) -> Option<Answer> {
    match &room.state().standing {
        Standing::Declined { words, by } => {
            Some(Answer::Declined { words: words.clone(), signed: by.is_some() })
        }
        _ => None,
    }
}

pub(super) async fn authenticate(
    connection: &mut Connection,
    room: &Room<'_>,
) -> Result<RelayStanding> {
    let (id, key) = (room.id(), room.state().signing_key());
    let signature = connection.auth_signature(&key, id);
    let reply = connection
        .request(|req| ClientFrame::Authenticate { req, room: id, member: room.me(), signature })
        .await;
    match reply {
        Ok(ServerFrame::Authenticated { standing, .. }) => Ok(standing),
        Ok(_) => Err(LiveError::UnexpectedReply),
        Err(RequestError::Rejected { code: RejectCode::NotMember, .. })
            if room.state().standing.has_knocked() =>
        {
            Err(LiveError::KnockForgotten)
        }
        Err(RequestError::Rejected { code: RejectCode::NotMember, .. })
            if matches!(room.state().standing, Standing::Opening(_)) =>
        {
            Err(LiveError::NotInside(room.state().standing.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Brings the profile in line with what the relay says of us: joins if we were admitted.
///
/// Returns the last entry that we may read, if the relay says that we are out.
pub(super) async fn settle(
    connection: &mut Connection,
    room: &mut Room<'_>,
    standing: RelayStanding,
) -> Result<Option<Seq>> {
    match (standing, room.state().standing.clone()) {
        // That the knock was declined was the relay's word alone; it may be admitted all the same.
        (
            RelayStanding::Member { joined, welcome: Some(blob), .. },
            Standing::Knocking | Standing::Returning | Standing::Declined { by: None, .. },
        ) => {
            let welcome = fetch(connection, room.id(), blob).await?;
            room.welcomed(&welcome, joined, room.now())?;
            Ok(None)
        }
        (RelayStanding::Member { welcome: None, .. }, local) if local.has_knocked() => {
            Err(LiveError::WelcomeGone)
        }
        (RelayStanding::Gone { .. }, local) if local.has_knocked() => {
            Err(LiveError::KnockForgotten)
        }
        (RelayStanding::Member { .. }, Standing::Member) => Ok(None),
        (RelayStanding::Member { .. }, Standing::Opening(_)) => {
            room.opened()?;
            Ok(None)
        }
        (RelayStanding::Gone { at }, Standing::Member) => Ok(Some(at)),
        (RelayStanding::Declined { note }, local) if local.has_knocked() => {
            room.declined(&note)?;
            Err(LiveError::NotInside(room.state().standing.clone()))
        }
        (RelayStanding::Knocking, local) if local.has_knocked() => {
            Err(EngineError::NotMember("you wait to be admitted").into())
        }
        (_, local) => Err(LiveError::NotInside(local)),
    }
}

pub(super) async fn fetch(
    connection: &mut Connection,
    room: RoomId,
    blob: BlobId,
) -> Result<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let offset = u32::try_from(bytes.len()).map_err(|_| LiveError::UnexpectedReply)?;
        let reply =
            connection.request(|req| ClientFrame::GetBlob { req, room, blob, offset }).await?;
        let ServerFrame::BlobPart { total, part, .. } = reply else {
            return Err(LiveError::UnexpectedReply);
        };
        let total = total as usize;
        if part.is_empty() || total > BLOB_BYTES_MAX || bytes.len() + part.len() > total {
            return Err(LiveError::UnexpectedReply);
        }
        bytes.extend(part);
        if bytes.len() == total {
            break;
        }
    }
    let whole = hash::sha256(&bytes).0 == blob.0;
    whole.then_some(bytes).ok_or(LiveError::UnexpectedReply)
}
