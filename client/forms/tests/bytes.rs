//! No file makes the reader panic, and every fault names a line of the file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use hearth_forms::{
    Day, Exercise, FILE_BYTES_MAX, HELP_COLUMNS, HELP_LINES_MAX, Help, Questionnaire, catalogue,
    plain_of, source,
};

/// Xorshift, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }
}

/// Pieces by which files go wrong.
const PIECES: [&str; 32] = [
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\n",
    "\r\n",
    "\r",
    "#",
    "\u{feff}",
    "\\u202e",
    "\\",
    "0",
    "-1",
    "4294967296",
    "true",
    "1979-05-27",
    "inf",
    "1e9",
    "[[steps]]\n",
    "[[mark]]\n",
    "ask = 'a'\n",
    "to = 'lane'\n",
    "“",
    "a.a.a.a",
];

fn lines(bytes: &[u8]) -> usize {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.split(|byte| *byte == b'\n').count()
}

/// Reads bytes as both forms; what is taken keeps its promises.
fn read(bytes: &[u8]) -> usize {
    let exercise = Exercise::parse("file", bytes);
    let form = Questionnaire::parse("file", bytes);
    for fault in [exercise.as_ref().err(), form.as_ref().err()].into_iter().flatten() {
        let said = fault.to_string();
        assert!(
            (1..=lines(bytes)).contains(&fault.line),
            "{said}: {:?}",
            bytes.escape_ascii().to_string()
        );
        assert!(!said.contains('\n') && said.chars().count() < 400, "{said}");
    }
    if let Ok(form) = &form {
        let highest = form.choices.iter().map(|choice| choice.score).max();
        let given = vec![highest; form.items.len()];
        let answers = form.check(&given).unwrap();
        assert_eq!(answers.marks().count(), form.marks.len());
        if let hearth_forms::Score::Total(total) = answers.score() {
            assert_eq!(form.band(total).is_some(), !form.bands.is_empty());
        }
    }
    usize::from(exercise.is_ok()) + usize::from(form.is_ok())
}

fn seeds() -> Vec<Vec<u8>> {
    let exercises = catalogue().exercises().iter().map(|exercise| exercise.id.as_str());
    let forms = catalogue().questionnaires().iter().map(|form| form.id.as_str());
    let mut seeds: Vec<Vec<u8>> =
        exercises.chain(forms).map(|id| source(id).unwrap().as_bytes().to_vec()).collect();
    seeds.push(
        b"notice = 'a'\nask = 'b'\nchoices = [['c', 0], ['d', 2]]\nitems = ['e', 'f']\n\
          score = { sum = 'all answered, else no total' }\nbands = [[0, 1, 'g'], [2, 4, 'h']]\n"
            .to_vec(),
    );
    seeds
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3000 {
        let length = random.below(200);
        let printable = random.below(2) == 0;
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                let byte = random.below(256);
                u8::try_from(if printable { 32 + byte % 95 } else { byte }).unwrap()
            })
            .collect();
        read(&bytes);
    }
}

#[test]
fn changed_files_never_panic() {
    let seeds = seeds();
    assert_eq!(seeds.iter().map(|seed| read(seed)).sum::<usize>(), 10);
    let mut random = Random(42);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() + 1);
            let end = (at + random.below(12)).min(bytes.len());
            match random.below(5) {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
                2 => drop(bytes.splice(at..end, PIECES[random.below(PIECES.len())].bytes())),
                3 => {
                    let other = &seeds[random.below(seeds.len())];
                    let from = random.below(other.len());
                    let to = (from + random.below(80)).min(other.len());
                    bytes.splice(at..end, other[from..to].iter().copied());
                }
                _ => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
            }
        }
        if read(&bytes) > 0 { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 300 && refused > 3000, "{taken} taken, {refused} refused");
}

/// A help block that is taken fits the screen, and its plain copy shows the same.
#[test]
fn changed_help_blocks_never_panic() {
    let block = "country = 'GB'\npresent = ['a']\n[[contact]]\nkind = 'emergency'\nname = 'b'\nnumber = '000'\n\
                 hours = 'always'\nchecked = { on = 2026-11-28, by = 'c', how = 'official page' }\n[[contact]]\n\
                 kind = 'text'\nname = 'd'\ntext_to = '00 1'\nkeyword = 'E'\nhours = 'f'\ncost = 'g'\nlanguage = ['en']\n\
                 checked = { on = '2026-11-28', by = 'c', how = 'dialled' }\n";
    let seed = format!("One.\n```help\n{block}```\nTwo.\n").into_bytes();
    let mut random = Random(7);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut bytes = seed.clone();
        for _ in 0..=random.below(2) {
            let at = random.below(bytes.len() + 1);
            let end = (at + random.below(8)).min(bytes.len());
            match random.below(3) {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..end, PIECES[random.below(PIECES.len())].bytes())),
                _ => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match Help::read(&text) {
            Ok(read) => {
                for help in &read {
                    let shown = help.contact_lines(HELP_COLUMNS);
                    assert!(shown.len() <= HELP_LINES_MAX, "{text}");
                    let plain = Help::parse(&plain_of(help)).unwrap();
                    assert_eq!(plain.contact_lines(HELP_COLUMNS), shown, "{text}");
                    assert!(help.checked_over(0, Day(u32::MAX)).is_some());
                }
                taken += 1;
            }
            Err(fault) => {
                let said = fault.to_string();
                assert!((1..=lines(text.as_bytes())).contains(&fault.line), "{said}: {text}");
                assert!(!said.contains('\n') && said.chars().count() < 400, "{said}");
                refused += 1;
            }
        }
    }
    assert!(taken > 300 && refused > 2000, "{taken} taken, {refused} refused");
}

/// The worst that fits into a file, on a thread with a small stack.
#[test]
fn worst_files_cost_little() {
    let fill = |piece: &str| piece.repeat(FILE_BYTES_MAX / piece.len());
    let check = move || {
        for piece in [
            "[",
            "{a=",
            "a.",
            "a=1\n",
            "[a]\n",
            "[[steps]]\n",
            "\"",
            "\\",
            "\n",
            "é",
            "\u{301}",
            "'''",
            "a.b.c.d.e=",
            "0",
            "#",
        ] {
            read(fill(piece).as_bytes());
            read(
                format!("title = \"{}", fill(piece)).get(..FILE_BYTES_MAX).unwrap_or("").as_bytes(),
            );
        }
        for inner in ["a", "\u{202e}", "a\u{301}\u{301}\u{301}\u{301}\u{301}"] {
            let words = inner.repeat((FILE_BYTES_MAX - 20) / inner.len());
            read(format!("title = \"{words}\"").as_bytes());
            read(format!("\"{words}\" = 1").as_bytes());
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(check).unwrap().join().unwrap();
}
