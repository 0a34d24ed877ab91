//! Lines of the terminal, while the page is served.

use std::io::BufRead as _;

use tokio::task::JoinHandle;

/// Bytes of a line that are read.
const LINE_BYTES_MAX: usize = 4096;

/// Reads lines. Nothing else reads standard input while a line is waited for.
#[derive(Default)]
pub(super) struct Terminal {
    reading: Option<JoinHandle<Option<String>>>,
    ended: bool,
}

impl Terminal {
    /// Waits for a line; forever behind the end of the input. Cancel safe: the read goes on.
    pub(super) async fn line(&mut self) -> String {
        if self.ended {
            return std::future::pending().await;
        }
        let reading = self.reading.get_or_insert_with(|| tokio::task::spawn_blocking(read));
        let line = reading.await;
        self.reading = None;
        match line {
            Ok(Some(line)) => line,
            Ok(None) | Err(_) => {
                self.ended = true;
                std::future::pending().await
            }
        }
    }
}

fn read() -> Option<String> {
    let mut line = Vec::new();
    let mut input = std::io::stdin().lock();
    loop {
        let part = input.fill_buf().ok()?;
        if part.is_empty() {
            return None;
        }
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(part.len(), |end| end + 1);
        let room = LINE_BYTES_MAX.saturating_sub(line.len());
        line.extend(part.iter().take(taken.min(room)));
        input.consume(taken);
        if end.is_some() {
            return Some(String::from_utf8_lossy(&line).into_owned());
        }
    }
}
