//! Questions before or during the console: a passphrase without echo, an answer, a yes or no.
//!
//! Questions go to standard error, so that standard output holds only results. These functions block; call them
//! before the console starts, and from async code inside `spawn_blocking`.

use std::{
    io::{self, BufRead, BufReader, IsTerminal as _, Read, Write as _},
    process,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hearth_text::{escape, wrap};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush,
    tcgetattr, tcgetpgrp, tcsetattr,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{LINE_BYTES_MAX, LineError, lock, plain, size_of_stderr};
use crate::signals;

/// Bytes of a passphrase.
const SECRET_BYTES_MAX: usize = 1024;
/// Attempts at a yes or no.
const TRIES_MAX: usize = 3;
/// Rows of the prompt below a page.
const PAGE_PROMPT_ROWS: usize = 1;
/// Said to a person who types something where a text goes on.
const TYPED_AT_PAGE: &str =
    "-- What you typed answers nothing and went nowhere: it was asked only whether to read on.";
/// Rows kept for the question below the last page.
const QUESTION_ROWS: usize = 6;
/// Time without a key after which a paste has ended.
const PASTE_QUIET: Duration = Duration::from_millis(100);
/// Waits of [`PASTE_QUIET`] for the end of a paste.
const PASTE_WAITS_MAX: u32 = 50;

/// Means "no key" among a terminal's special codes (`_POSIX_VDISABLE`).
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// The terminal's modes before the first change; static, so that every exit can restore them. Changing the modes needs the
/// lock.
static REMEMBERED: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether a secret is being typed.
static SECRET: AtomicBool = AtomicBool::new(false);

/// Whether this process switched to the alternate screen.
static ALTERNATE: AtomicBool = AtomicBool::new(false);

/// Reasons why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The input ended.
    #[error("the input ended before an answer")]
    Ended,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// More than the limit, which exceeds any typed passphrase.
    #[error("what is typed here has at most {0} bytes")]
    SecretTooLong(usize),
    /// The answer is refused.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Reading or writing failed.
    #[error("the terminal does not work")]
    Io(#[from] io::Error),
}

/// Displays the terminal's alternate screen, which has no scrollback, until the terminal is restored.
pub(super) fn show_alternate_screen() {
    ALTERNATE.store(true, Ordering::SeqCst);
    screen("\x1b[?1049h\x1b[2J\x1b[H");
}

/// Clears the alternate screen, which some terminals keep, and returns to the main screen, if it is displayed.
pub fn leave_alternate_screen() {
    if ALTERNATE.swap(false, Ordering::SeqCst) {
        screen("\x1b[2J\x1b[H\x1b[?1049l");
    }
}

fn screen(sequence: &str) {
    let mut out = io::stdout().lock();
    // A closed terminal cannot display an error.
    let _ = out.write_all(sequence.as_bytes()).and_then(|()| out.flush());
}

/// Restores the terminal's screen and modes, if this process changed any. Call it before an exit after a signal.
pub fn restore_terminal() {
    leave_alternate_screen();
    restore(lock(&REMEMBERED).as_ref());
}

fn restore(modes: Option<&Termios>) {
    if let Some(modes) = modes {
        // A closed terminal cannot be restored.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
    }
}

/// Restores the terminal and ends the process, whatever its other threads do.
pub fn leave_terminal_and_exit(code: i32) -> ! {
    // Held to the end, so that no other thread changes the modes again.
    let remembered = lock(&REMEMBERED);
    let asked = SECRET.load(Ordering::SeqCst);
    if asked {
        forget_typed();
    }
    leave_alternate_screen();
    restore(remembered.as_ref());
    if asked {
        // A closed terminal cannot display an error.
        let _ = show("\n");
    }
    process::exit(code)
}

/// Discards typed bytes that were not yet read. A secret must not go to the next reader: a shell displays and keeps it.
pub(super) fn forget_typed() {
    // If it fails, there is nothing to discard.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Returns the number of typed bytes that were not yet read; in line mode, those of whole lines.
fn typed() -> u64 {
    rustix::io::ioctl_fionread(io::stdin()).unwrap_or(0)
}

/// Discards the rest of a paste, of which more may still arrive.
fn forget_pasted() {
    for _ in 0..PASTE_WAITS_MAX {
        forget_typed();
        thread::sleep(PASTE_QUIET);
        if typed() == 0 {
            break;
        }
    }
}

/// Drops keys that were typed without a question, because they would go to the shell, which runs and keeps them. If there are
/// any, prints `note` and waits for Enter on an empty line, because the person may still be typing.
///
/// # Errors
/// If the terminal does not work.
pub fn drop_typed(note: &str) -> io::Result<()> {
    // The system would stop a background process that changes the terminal.
    let foreground =
        tcgetpgrp(io::stdin()).map_or(true, |group| group == rustix::process::getpgrp());
    if !foreground || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    signals::restore_terminal_first()?;
    let _asked = Asked;
    SECRET.store(true, Ordering::SeqCst);
    unseen_keys()?;
    if typed() == 0 {
        return Ok(());
    }
    forget_pasted();
    loop {
        show(&wrapped(note))?;
        match secret_keys(&mut Keys, LINE_BYTES_MAX) {
            Ok(line) if !line.trim().is_empty() => {}
            Err(AskError::SecretTooLong(_) | AskError::Line(_)) => forget_pasted(),
            _ => break,
        }
        show("\n")?;
    }
    forget_pasted();
    show("\n")
}

/// Makes keys arrive one by one without echo; Ctrl-C reaches this process and cannot leave the terminal without echo.
fn unseen_keys() -> io::Result<()> {
    change_terminal(OptionalActions::Now, |modes| {
        modes.local_modes -=
            LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    })
}

/// Reads the terminal a byte at a time, so that further bytes stay where [`forget_typed`] can discard them. The standard
/// library's reader buffers more.
struct Keys;

impl Read for Keys {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = into.len().min(1);
        Ok(rustix::io::read(io::stdin(), &mut into[..end])?)
    }
}

/// Changes the terminal's modes, after saving them before the first change.
fn change_terminal(how: OptionalActions, change: impl FnOnce(&mut Termios)) -> io::Result<()> {
    let mut remembered = lock(&REMEMBERED);
    let mut modes = tcgetattr(io::stdin())?;
    if remembered.is_none() {
        *remembered = Some(modes.clone());
    }
    change(&mut modes);
    Ok(tcsetattr(io::stdin(), how, &modes)?)
}

/// Makes the terminal deliver keys one by one without echo; false if it cannot. [`restore_terminal`] undoes it.
///
/// Ctrl-C, Ctrl-Z and Ctrl-\\ become keys, so that they cannot leave the terminal in this mode.
pub(super) fn key_by_key() -> bool {
    let changed = change_terminal(OptionalActions::Drain, |modes| {
        modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN;
        modes.input_modes -= InputModes::IXON;
        modes.special_codes[SpecialCodeIndex::VINTR] = NO_KEY;
        modes.special_codes[SpecialCodeIndex::VQUIT] = NO_KEY;
        modes.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    });
    changed.is_ok()
}

/// Makes the terminal hand over what was typed of a line that is not ended, which it keeps while it edits lines. It cannot delete
/// that part of the line after this. [`edit_lines_again`] undoes it.
pub(super) fn hand_over_line() -> io::Result<()> {
    change_terminal(OptionalActions::Now, |modes| {
        modes.local_modes -= LocalModes::ICANON;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    })
}

/// Makes the terminal edit lines by itself, as before [`hand_over_line`].
pub(super) fn edit_lines_again() {
    restore(lock(&REMEMBERED).as_ref());
}

/// Asks for a secret without displaying it. Without a terminal it reads one line, and prints no question.
///
/// # Errors
/// See [`AskError`].
pub fn read_secret(prompt: &str) -> Result<Zeroizing<String>, AskError> {
    if !io::stdin().is_terminal() {
        return secret_line(&mut io::stdin().lock());
    }
    typed_unseen(prompt, |input| secret_keys(input, SECRET_BYTES_MAX))
}

/// Reads keys at the terminal with the echo off.
fn typed_unseen(
    prompt: &str,
    read: impl FnOnce(&mut Keys) -> Result<Zeroizing<String>, AskError>,
) -> Result<Zeroizing<String>, AskError> {
    // Before the echo is disabled, because a signal's default action would leave it disabled.
    signals::restore_terminal_first()?;
    let asked = Asked;
    SECRET.store(true, Ordering::SeqCst);
    forget_typed();
    unseen_keys()?;
    show(&wrapped(prompt))?;
    let secret = read(&mut Keys);
    // Discards the rest of too long a secret or of a paste.
    if secret.is_err() || typed() > 0 {
        forget_pasted();
    }
    drop(asked);
    show("\n")?;
    secret
}

/// Asks for a text that may be pasted in several lines, without displaying it, until it is complete, or until an empty line follows
/// an incomplete beginning: `begun` recognises that from the words before it. Bytes pasted after it are dropped.
///
/// # Errors
/// See [`AskError`].
pub fn read_pasted(
    prompt: &str,
    bytes_max: usize,
    begun: impl Fn(&str) -> bool,
    whole: impl Fn(&str) -> bool,
) -> Result<Zeroizing<String>, AskError> {
    typed_unseen(prompt, |input| {
        let text = pasted(input, bytes_max, &begun, &whole, |begun| {
            let more = match (typed() > 0, begun) {
                (true, _) => return Ok(()),
                (false, true) => "(not whole yet: go on, or press Enter alone) ",
                (false, false) => "(no link yet: paste it, or press Ctrl-C) ",
            };
            show(more)
        });
        forget_pasted();
        text
    })
}

/// Reads lines until the text is complete, or an empty line ends an incomplete beginning. Before each further line, `more` gets
/// whether one has begun.
fn pasted(
    input: &mut impl Read,
    bytes_max: usize,
    begun: impl Fn(&str) -> bool,
    whole: impl Fn(&str) -> bool,
    mut more: impl FnMut(bool) -> io::Result<()>,
) -> Result<Zeroizing<String>, AskError> {
    let mut text = Zeroizing::new(String::with_capacity(bytes_max));
    loop {
        let line = secret_keys(input, bytes_max)?;
        if text.len() + line.len() >= bytes_max {
            return Err(AskError::SecretTooLong(bytes_max));
        }
        text.push_str(&line);
        let has_begun = begun(&text);
        if (line.trim().is_empty() && has_begun) || whole(&text) {
            return Ok(text);
        }
        text.push('\n');
        more(has_begun)?;
    }
}

/// Asks for one line. At a terminal, keys typed before the question or pasted after the line are not an answer.
///
/// # Errors
/// See [`AskError`].
pub fn ask(prompt: &str) -> Result<String, AskError> {
    if !io::stdin().is_terminal() {
        return ask_of(&mut io::stdin().lock(), prompt);
    }
    forget_typed();
    let answer = ask_of(&mut BufReader::with_capacity(1, Keys), prompt);
    if answer.is_err() || typed() > 0 {
        forget_pasted();
    }
    answer
}

/// Shows a text on standard error, broken between words. On a terminal of a known height it is shown a page at a time: Enter shows
/// the next, and the end is reached before this returns, with room below it for a question.
///
/// # Errors
/// See [`AskError`].
pub fn show_pages(text: &str) -> Result<(), AskError> {
    let Some((columns, rows)) = size_of_stderr() else { return Ok(show(&format!("{text}\n"))?) };
    let broken = wrap::lines(text, columns);
    let pages = pages(&broken, columns, rows.saturating_sub(PAGE_PROMPT_ROWS));
    let count = pages.len();
    for (number, page) in (1..).zip(&pages) {
        show(&format!("{}\n", page.join("\n")))?;
        let prompt = match number == count {
            false => format!("-- page {number} of {count}: Enter shows the next "),
            true if rows_of(page, columns) + QUESTION_ROWS > rows => {
                format!("-- page {number} of {count}, the end: press Enter ")
            }
            true => continue,
        };
        loop {
            match ask(&prompt) {
                Ok(line) if line.trim().is_empty() => break,
                Ok(_) | Err(AskError::Line(_)) => show(&format!("{}\n", wrapped(TYPED_AT_PAGE)))?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Splits lines into pages of so many rows.
fn pages(text: &str, columns: usize, rows: usize) -> Vec<Vec<&str>> {
    let mut pages: Vec<Vec<&str>> = vec![Vec::new()];
    let mut used = 0;
    for line in text.split('\n') {
        let wanted = rows_of(&[line], columns);
        if used > 0 && used + wanted > rows {
            pages.push(Vec::new());
            used = 0;
        }
        used += wanted;
        if let Some(page) = pages.last_mut() {
            page.push(line);
        }
    }
    pages
}

/// Returns the rows of lines, of which one may be a word that is broken.
fn rows_of(lines: &[&str], columns: usize) -> usize {
    lines.iter().map(|line| escape::width(line).div_ceil(columns).max(1)).sum()
}

fn ask_of(input: &mut impl BufRead, prompt: &str) -> Result<String, AskError> {
    show(&wrapped(&escape::one_line(prompt)))?;
    let line = plain::read_line(input, LINE_BYTES_MAX, |_| {})?;
    Ok(line.ok_or(AskError::Ended)??)
}

/// Asks for a yes or no. Without a clear answer after three attempts, or at the end of input, the answer is no.
///
/// # Errors
/// See [`AskError`].
pub fn confirm(prompt: &str) -> Result<bool, AskError> {
    for _ in 0..TRIES_MAX {
        match ask(&format!("{prompt} [yes/no] ")).map(|answer| yes_or_no(&answer)) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) | Err(AskError::Line(_)) => show("Please type yes or no.\n")?,
            Err(AskError::Ended) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Restores the terminal when a question for a secret ends, also by an error.
struct Asked;

impl Drop for Asked {
    fn drop(&mut self) {
        restore_terminal();
        SECRET.store(false, Ordering::SeqCst);
    }
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// Breaks a prompt between words, because a terminal breaks it anywhere. The space behind it stays.
fn wrapped(prompt: &str) -> String {
    let Some((columns, _)) = size_of_stderr() else { return prompt.to_owned() };
    let words = prompt.trim_end_matches(' ');
    format!("{}{}", wrap::lines(words, columns), &prompt[words.len()..])
}

fn yes_or_no(answer: &str) -> Option<bool> {
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

/// Reads one line as a secret, byte by byte into a buffer that never grows, so that no copy is left in memory.
fn secret_line(input: &mut impl Read) -> Result<Zeroizing<String>, AskError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    loop {
        match next_byte(input)? {
            None if bytes.is_empty() => return Err(AskError::Ended),
            None | Some(b'\n') => break,
            Some(byte) => push(&mut bytes, byte, SECRET_BYTES_MAX)?,
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    into_text(bytes, SECRET_BYTES_MAX)
}

/// Reads a secret from single keys, with backspace, Ctrl-U, Ctrl-C and Ctrl-D in their usual meanings.
fn secret_keys(input: &mut impl Read, bytes_max: usize) -> Result<Zeroizing<String>, AskError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
    loop {
        match next_byte(input)? {
            None => return Err(AskError::Ended),
            Some(3) => return Err(AskError::Interrupted),
            Some(4) if bytes.is_empty() => return Err(AskError::Ended),
            Some(4 | b'\n' | b'\r') => break,
            Some(8 | 0x7f) => {
                let kept = match core::str::from_utf8(&bytes) {
                    Ok(text) => escape::cluster_before(text, text.len()),
                    Err(_) => bytes.len().saturating_sub(1),
                };
                bytes[kept..].zeroize();
                bytes.truncate(kept);
            }
            Some(0x15) => {
                bytes.zeroize();
                bytes.reserve_exact(bytes_max + 1);
            }
            Some(byte) => push(&mut bytes, byte, bytes_max)?,
        }
    }
    into_text(bytes, bytes_max)
}

fn next_byte(input: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn push(bytes: &mut Vec<u8>, byte: u8, bytes_max: usize) -> Result<(), AskError> {
    if bytes.len() > bytes_max {
        return Err(AskError::SecretTooLong(bytes_max));
    }
    bytes.push(byte);
    Ok(())
}

fn into_text(
    mut bytes: Zeroizing<Vec<u8>>,
    bytes_max: usize,
) -> Result<Zeroizing<String>, AskError> {
    if bytes.len() > bytes_max {
        return Err(AskError::SecretTooLong(bytes_max));
    }
    match String::from_utf8(core::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(LineError::NotUtf8.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Result<String, String> {
        let secret = secret_keys(&mut &*bytes, SECRET_BYTES_MAX);
        secret.map(|secret| secret.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_edit_a_secret() {
        for (typed, secret) in [
            (&b"hunter2\n"[..], "hunter2"),
            (b"hunter3\x7f2\r", "hunter2"),
            ("né\x7fe\n".as_bytes(), "ne"),
            ("a👨\u{200d}👩\u{200d}👧\x7fb\n".as_bytes(), "ab"),
            (b"\x7f\x08ok\n", "ok"),
            (b"wrong\x15right\n", "right"),
            (b"two words\x04", "two words"),
            (b"\n", ""),
        ] {
            assert_eq!(keys(typed).as_deref(), Ok(secret));
        }
    }

    #[test]
    fn secret_can_be_refused() {
        assert_eq!(keys(b"hun\x03"), Err("interrupted".into()));
        for ended in [&b"\x04"[..], b"", b"no line feed"] {
            assert_eq!(keys(ended), Err("the input ended before an answer".into()));
        }
        assert_eq!(keys(b"\xff\n"), Err(LineError::NotUtf8.to_string()));
        assert_eq!(keys(&[b'x'; 5000]), Err(AskError::SecretTooLong(SECRET_BYTES_MAX).to_string()));
    }

    #[test]
    fn secret_is_read_from_a_pipe() {
        for (piped, secret) in [
            (&b"hunter2\nrest"[..], "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b"hunter2", "hunter2"),
        ] {
            assert_eq!(*secret_line(&mut &*piped).unwrap(), secret);
        }
        assert!(matches!(secret_line(&mut &b""[..]), Err(AskError::Ended)));
        assert!(secret_line(&mut &[b'x'; 5000][..]).is_err());
    }

    #[test]
    fn blank_lines_end_begun_links_only() {
        let read = |typed: &str| {
            let (begun, whole) = (|t: &str| t.contains("link"), |t: &str| t.contains("link!"));
            let text = pasted(&mut typed.as_bytes(), 100, begun, whole, |_| Ok(()));
            text.map(|text| text.to_string()).map_err(|error| error.to_string())
        };
        for (typed, text) in [
            ("link!\n", "link!"),
            ("Dear Ben,\n\nhere is the link!\nFay\n", "Dear Ben,\n\nhere is the link!"),
            ("\n\nlink!\n", "\n\nlink!"),
            ("a link\n\nlink!\n", "a link\n"),
        ] {
            assert_eq!(read(typed).as_deref(), Ok(text), "{typed:?}");
        }
        assert!(read("Dear Ben,\n\n").unwrap_err().contains("ended"));
        assert!(read(&"\n".repeat(200)).unwrap_err().contains("100 bytes"));
    }

    #[test]
    fn pages_hold_every_line_once() {
        let text = (0..50).map(|n| format!("{n}")).collect::<Vec<_>>().join("\n");
        for rows in 0..60 {
            let pages = pages(&text, 40, rows);
            assert_eq!(pages.concat().join("\n"), text);
            assert!(pages.iter().all(|page| (1..=rows.max(1)).contains(&page.len())), "{rows}");
        }
        // A word of three rows.
        let text = format!("one\n{}\ntwo", "x".repeat(50));
        assert_eq!(pages(&text, 20, 4), [vec!["one", &"x".repeat(50)], vec!["two"]]);
    }

    #[test]
    fn only_a_clear_answer_counts() {
        for (answer, meaning) in [
            ("yes", Some(true)),
            (" Y ", Some(true)),
            ("NO", Some(false)),
            ("n", Some(false)),
            ("", None),
            ("yess", None),
            ("ja", None),
        ] {
            assert_eq!(yes_or_no(answer), meaning);
        }
    }
}
