//! The profile's socket: a second `hearth` has its command done by the one that has the profile open.
//!
//! The socket lies in the profile's folder, which only its owner can enter; the other end's account is checked as well. The
//! second process sends one line, the command; the first answers with lines to print, questions to ask, and how it ended.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use hearth_console::line;
use hearth_protocol::Millis;
use hearth_session::client::Client;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    time::timeout,
};

use super::{
    Context, Result,
    agreement::{self, OfAgreement},
    follow,
    inside::{Asking, perform},
    room::InRoom,
    rooms::{self, confirm, confirm_person},
};
use crate::{
    failure::{Failure, exit},
    show::{Output, Printed, Sink},
};

/// The socket's name in the profile's folder.
const NAME: &str = "hearth.sock";
/// Other processes that are answered at a time.
const PEERS_MAX: usize = 32;
/// Wait after a connection that cannot be accepted.
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Bytes of one line: the longest text, escaped.
const LINE_BYTES_MAX: u64 = 256 * 1024;
/// Longest wait for a request after a connection, and for an answer of the process that has the profile.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a person's answer.
const ASKED: Duration = Duration::from_secs(10 * 60);

/// Longest wait for another process to take one line: a reader that takes nothing keeps others from the socket.
const STALLED: Duration = Duration::from_secs(10 * 60);

/// What a second process asks for.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    /// The program's version: two versions may understand a command otherwise.
    version: String,
    json: bool,
    columns: Option<usize>,
    /// The flags with which the other one found the profile.
    flags: String,
    wanted: Wanted,
}

/// A command that the program with the open profile does for another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wanted {
    /// In a room.
    Room(InRoom),
    /// About a room's agreement.
    Agreement { room: String, command: OfAgreement },
    /// The profile's rooms.
    Rooms,
}

/// What it is answered, line by line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    /// The request is being served.
    Taken,
    /// Something to print.
    Print(Printed),
    /// Something to ask a person; [`Word`] follows.
    Ask {
        words: String,
        /// Whether a program, too, has to answer it.
        programs: bool,
    },
    /// How it ended.
    End(Option<Told>),
}

/// What a person said to a question.
#[derive(Debug, Serialize, Deserialize)]
struct Word {
    agrees: bool,
}

/// A failure as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    code: String,
    message: String,
    advice: String,
    exit: u8,
    retry_at: Option<u64>,
    kept: bool,
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, advice, exit, retry_at, kept, .. } = failure;
        let retry_at = retry_at.map(|at| at.0);
        Self { code: code.into_owned(), message, advice, exit, retry_at, kept }
    }
}

impl From<Told> for Failure {
    fn from(told: Told) -> Self {
        let Told { code, message, advice, exit, retry_at, kept } = told;
        Self { retry_at: retry_at.map(Millis), kept, ..Self::new(exit, code, message, advice) }
    }
}

/// Serves other processes for as long as it is polled. Where there can be no socket, they are told that the profile is in use.
pub(super) async fn serve(context: &Context, client: &Client) {
    let Ok(home) = context.home() else { return };
    let Ok(listening) = Listening::bind(&home) else { return };
    let mut peers = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listening.socket.accept(), if peers.len() < PEERS_MAX => {
                match accepted {
                    // A peer that goes away in the middle undoes nothing.
                    Ok((stream, _)) if is_own(&stream) => {
                        peers.push(answer(stream, client).map(|_| ()));
                    }
                    Ok(_) => {}
                    // Where descriptors are short, to try at once would only cost time.
                    Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
                }
            }
            Some(()) = peers.next(), if !peers.is_empty() => {}
        }
    }
}

/// Polls what serves beside what matters, and ends with that.
pub(super) async fn beside<T>(
    serving: impl Future<Output = ()>,
    matters: impl Future<Output = T>,
) -> T {
    let serving = async {
        serving.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        done = matters => done,
        never = serving => match never {},
    }
}

/// A bound socket, whose file goes with it.
struct Listening {
    socket: UnixListener,
    path: PathBuf,
}

impl Listening {
    fn bind(home: &Path) -> io::Result<Self> {
        let path = home.join(NAME);
        // The profile's lock is held, so that nobody listens at a file that is there.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(&path)?;
        let listening = Self { socket, path };
        fs::set_permissions(&listening.path, fs::Permissions::from_mode(0o600))?;
        Ok(listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A file that stays is removed by the next one that listens.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the other end is of the same account.
fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

async fn answer(stream: UnixStream, client: &Client) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let asked: Request = timeout(PATIENCE, read(&mut reader)).await??;
    if asked.version != env!("CARGO_PKG_VERSION") {
        let failure = Failure::new(
            exit::FAILED,
            "profile_in_use",
            format!("hearth {} has the profile open", env!("CARGO_PKG_VERSION")),
            "Close the other hearth, then repeat the command.",
        );
        return write(&mut writer, &Answer::End(Some(failure.into()))).await;
    }
    write(&mut writer, &Answer::Taken).await?;
    let sink = Arc::new(Sink::new(asked.columns));
    let out = Output::to(asked.json, Arc::clone(&sink)).with_flags(&asked.flags);
    let (reader, writer) = (Mutex::new(reader), Mutex::new(writer));
    let ended = {
        let work = async {
            let ask = async |asking: Asking<'_>| ask(&reader, &writer, &sink, asking).await;
            match &asked.wanted {
                Wanted::Room(command) if command.follows() => {
                    let until = follow::Until { stop: std::future::pending(), end: gone(&reader) };
                    follow::run(client, command.room(), &out, command.on_flag(), until).await
                }
                Wanted::Room(command) => perform(client, command, &out, ask).await,
                Wanted::Agreement { room, command } => {
                    agreement::perform(client, room, &out, command, ask).await
                }
                Wanted::Rooms => rooms::list_of(client, &out).await,
            }
        };
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => break ended,
                () = sink.printed() => print(&mut *writer.lock().await, &sink).await?,
            }
        }
    };
    let mut writer = writer.lock().await;
    print(&mut writer, &sink).await?;
    write(&mut writer, &Answer::End(ended.err().map(Told::from))).await
}

type Reader = BufReader<OwnedReadHalf>;

/// Asks the person at the other end.
async fn ask(
    reader: &Mutex<Reader>,
    writer: &Mutex<OwnedWriteHalf>,
    sink: &Sink,
    asking: Asking<'_>,
) -> Result<()> {
    let asked = async {
        let mut writer = writer.lock().await;
        print(&mut writer, sink).await?;
        let programs = asking.question.is_for_programs();
        let asked = Answer::Ask { words: asking.words.to_owned(), programs };
        write(&mut writer, &asked).await?;
        timeout(ASKED, read(&mut *reader.lock().await)).await?
    };
    match asked.await {
        Ok(Word { agrees: true }) => Ok(()),
        _ => Err(Failure::new(
            exit::FAILED,
            "not_confirmed",
            "nothing was done",
            "Type the word yes to go on.",
        )),
    }
}

/// Resolves when the other end has gone: a follower sends nothing more.
async fn gone(reader: &Mutex<Reader>) {
    let mut byte = [0];
    let mut reader = reader.lock().await;
    while matches!(reader.read(&mut byte).await, Ok(1..)) {}
}

async fn read<T: for<'a> Deserialize<'a>>(reader: &mut Reader) -> io::Result<T> {
    let mut line = String::new();
    reader.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

async fn write(writer: &mut OwnedWriteHalf, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    timeout(STALLED, writer.write_all(&line)).await?
}

async fn print(writer: &mut OwnedWriteHalf, sink: &Sink) -> io::Result<()> {
    for printed in sink.take() {
        write(writer, &Answer::Print(printed)).await?;
    }
    Ok(())
}

/// Has a command done by the process that has the profile open. `in_use` is what there is to say if that one does not answer.
pub(super) async fn run(context: &Context, wanted: Wanted, in_use: Failure) -> Result<()> {
    let path = context.home()?.join(NAME);
    let Ok(stream) = UnixStream::connect(&path).await else { return Err(in_use) };
    if !is_own(&stream) {
        return Err(in_use);
    }
    let (reader, writer) = stream.into_split();
    let (mut reader, mut writer) = (BufReader::new(reader), writer);
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        json: context.out.is_json(),
        columns: line::columns(),
        flags: context.out.flags().to_owned(),
        wanted,
    };
    let taken = async {
        write(&mut writer, &request).await?;
        timeout(PATIENCE, read::<Answer>(&mut reader)).await?
    };
    match taken.await {
        Ok(Answer::Taken) => {}
        Ok(Answer::End(Some(told))) => return Err(told.into()),
        _ => return Err(in_use),
    }
    // A follower ends by a signal, or with its input once what is there was printed, as one without a socket does.
    let follows = matches!(&request.wanted, Wanted::Room(command) if command.follows());
    let until = follow::until_stopped();
    let (mut stop, mut end) = (std::pin::pin!(until.stop), std::pin::pin!(until.end));
    let mut open = true;
    loop {
        let answer = {
            let mut reading = std::pin::pin!(read::<Answer>(&mut reader));
            loop {
                tokio::select! {
                    biased;
                    () = &mut stop, if follows => return Ok(()),
                    answer = &mut reading => break answer,
                    () = &mut end, if follows && open => {
                        open = false;
                        // If the other end has gone, the next read says so.
                        let _ = writer.shutdown().await;
                    }
                }
            }
        };
        match answer {
            Ok(Answer::Taken) => {}
            Ok(Answer::Print(Printed::Out(text))) => context.out.made(&text)?,
            Ok(Answer::Print(Printed::Err(text))) => context.out.remark(&text),
            Ok(Answer::Ask { words, programs }) => {
                let agreed = match programs {
                    true => confirm(false, &words),
                    false => confirm_person(false, &words),
                };
                let agrees = agreed.is_ok();
                // If the other end has gone, the next read says so.
                let _ = write(&mut writer, &Word { agrees }).await;
                agreed?;
            }
            Ok(Answer::End(None)) => return Ok(()),
            Ok(Answer::End(Some(told))) => return Err(told.into()),
            Err(_) if follows => {
                return Err(Failure::new(
                    exit::FAILED,
                    "profile_in_use",
                    "the other hearth ended, or nothing of this was read for 10 minutes",
                    "`hearth follow ROOM` goes on where it stopped.",
                ));
            }
            Err(_) => {
                return Err(Failure::new(
                    exit::FAILED,
                    "profile_in_use",
                    "the other hearth ended before it answered",
                    "Look before you repeat it: `hearth outbox ROOM` lists what waits, `hearth read ROOM` and `hearth log ROOM` show what was done.",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stalled_reader_is_given_up() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_reader, mut writer) = ours.into_split();
        let line = Answer::Print(Printed::Out("x".repeat(100_000)));
        let mut lines = 0;
        let error = loop {
            match write(&mut writer, &line).await {
                Ok(()) => lines += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(lines < 1_000);
        drop(theirs);
    }
}
