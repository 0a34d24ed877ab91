//! Lines from any byte stream, bounded.

use std::io::{self, BufRead};

use super::LineError;

/// Reads one line without its line feed (or CR LF); `None` at the end. A line that is too long is read to its end
/// and refused whole, in bounded memory. `begun` gets what has come of the line, as often as more of it comes without its end.
pub(super) fn read_line(
    input: &mut impl BufRead,
    bytes_max: usize,
    mut begun: impl FnMut(&[u8]),
) -> io::Result<Option<Result<String, LineError>>> {
    let mut line = Vec::new();
    let mut any = false;
    let mut too_long = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        // One more for a CR before the line feed.
        if line.len() + part.len() > bytes_max + 1 {
            too_long = true;
            line = Vec::new();
        }
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            break;
        }
        begun(&line);
    }
    if !any {
        return Ok(None);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if too_long || line.len() > bytes_max {
        return Ok(Some(Err(LineError::TooLong)));
    }
    Ok(Some(String::from_utf8(line).map_err(|_| LineError::NotUtf8)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// Interrupts and splits reads, as a pipe may.
    struct Stutter<'a>(&'a [u8], bool);

    impl Read for Stutter<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let end = self.0.len().min(1);
            self.0.read(&mut into[..end])
        }
    }

    fn all(bytes: &[u8], bytes_max: usize) -> Vec<Result<String, LineError>> {
        let mut whole = bytes;
        let mut stuttering = BufReader::new(Stutter(bytes, false));
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut whole, bytes_max, |_| {}).unwrap() {
            assert_eq!(read_line(&mut stuttering, bytes_max, |_| {}).unwrap(), Some(line.clone()));
            lines.push(line);
        }
        lines
    }

    /// Or with the end of the input.
    #[test]
    fn lines_end_with_lf_or_crlf() {
        let expected = ["one", "", "two", "three\rx", "last"].map(|line| Ok(line.to_owned()));
        assert_eq!(all(b"one\n\r\ntwo\r\nthree\rx\nlast", 100), expected);
        assert!(all(b"", 100).is_empty());
    }

    /// The next line is read.
    #[test]
    fn long_lines_are_refused_whole() {
        let lines = all(b"12345\n123456\r\n1234567890\nok\n1234567", 5);
        let long = Err(LineError::TooLong);
        assert_eq!(lines, [Ok("12345".into()), long.clone(), long.clone(), Ok("ok".into()), long]);
        assert_eq!(all(b"12345\r\n", 5), [Ok("12345".into())]);
        let mut megabyte = vec![b'x'; 1 << 20];
        megabyte.extend(b"\nnext\n");
        let mut input = megabyte.as_slice();
        assert_eq!(read_line(&mut input, 1024, |_| {}).unwrap(), Some(Err(LineError::TooLong)));
        assert_eq!(read_line(&mut input, 1024, |_| {}).unwrap(), Some(Ok("next".into())));
    }

    #[test]
    fn begun_line_is_told() {
        let mut told = Vec::new();
        let mut input = BufReader::new(Stutter(b"ab\nc", false));
        let mut next = || read_line(&mut input, 100, |line| told.push(line.to_vec())).unwrap();
        assert_eq!(next(), Some(Ok("ab".into())));
        assert_eq!(next(), Some(Ok("c".into())));
        assert_eq!(told, [&b"a"[..], b"ab", b"c"]);
    }

    #[test]
    fn invalid_utf8_is_not_fatal() {
        let lines = all(b"\xff\xfe\nnext\0\n", 100);
        assert_eq!(lines, [Err(LineError::NotUtf8), Ok("next\0".into())]);
    }
}
