//! Who is let in: a code that opens once and for a minute, and the key that it is exchanged for.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Life of a code: a browser takes a few seconds to start.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(60);

const CODE_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// A hash of a secret. Hashes are compared, so the time of a comparison says nothing about the secret.
type Hash = [u8; 32];

/// The code that is good now, and the key of the page that is in. Neither is kept itself.
#[derive(Default)]
pub(crate) struct Gate {
    code: Option<(Hash, Instant)>,
    key: Option<Hash>,
}

/// Why a code opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not the last one that was made, or was used.
    Unknown,
    /// Its minute is over.
    Late,
}

impl Gate {
    /// Makes a code, in place of the last one.
    pub(crate) fn offer(&mut self, now: Instant) -> Result<Zeroizing<String>, getrandom::Error> {
        let code = secret::<CODE_BYTES>()?;
        self.code = Some((hash(&code), now + CODE_LIFE));
        Ok(code)
    }

    /// Uses up a code.
    pub(crate) fn redeem(&mut self, code: &str, now: Instant) -> Result<(), Refused> {
        let (_, until) =
            self.code.take_if(|(good, _)| *good == hash(code)).ok_or(Refused::Unknown)?;
        if now < until { Ok(()) } else { Err(Refused::Late) }
    }

    /// Makes the key of the page that was let in. The key of a page before it opens nothing from now on.
    pub(crate) fn admit(&mut self) -> Result<Zeroizing<String>, getrandom::Error> {
        let key = secret::<KEY_BYTES>()?;
        self.key = Some(hash(&key));
        Ok(key)
    }

    /// Whether a key is that of the page that is in.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.key.is_some_and(|good| good == hash(key))
    }
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

fn secret<const BYTES: usize>() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut random = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *random)?;
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(&*random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn code_opens_once() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let code = gate.offer(now).unwrap();
        assert_eq!(gate.redeem("guess", now), Err(Refused::Unknown));
        assert_eq!(gate.redeem(&code, now), Ok(()));
        assert_eq!(gate.redeem(&code, now), Err(Refused::Unknown));
    }

    #[tokio::test]
    async fn code_ends_after_a_minute() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let code = gate.offer(now).unwrap();
        assert_eq!(gate.redeem(&code, now + CODE_LIFE), Err(Refused::Late));
        let code = gate.offer(now).unwrap();
        assert_eq!(gate.redeem(&code, now + CODE_LIFE - Duration::from_millis(1)), Ok(()));
    }

    #[tokio::test]
    async fn newer_code_and_key_replace_older() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let (old, new) = (gate.offer(now).unwrap(), gate.offer(now).unwrap());
        assert_eq!(gate.redeem(&old, now), Err(Refused::Unknown));
        assert_eq!(gate.redeem(&new, now), Ok(()));
        let (first, second) = (gate.admit().unwrap(), gate.admit().unwrap());
        assert!(!gate.knows(&first) && gate.knows(&second) && !gate.knows(""));
        // 256 bits, and no two alike.
        assert_eq!(BASE64URL_NOPAD.decode(second.as_bytes()).unwrap().len(), 32);
        assert_ne!(*first, *second);
    }
}
