//! The forms that come with the program.

use std::sync::LazyLock;

use crate::{Exercise, Questionnaire};

macro_rules! files {
    ($folder:literal: $($id:literal),+) => {
        [$(($id, include_str!(concat!("../", $folder, "/", $id, ".toml")))),+]
    };
}

/// By id, in the order in which they are listed.
static EXERCISES: [(&str, &str); 8] = files!(
    "exercises": "opening-round", "closing-round", "grounding", "thought-record", "week-goal", "all-right", "urge-wave",
    "plan-in-reach"
);
static QUESTIONNAIRES: [(&str, &str); 1] = files!("questionnaires": "week-check");

/// The forms that come with the program.
#[derive(Debug)]
pub struct Catalogue {
    exercises: Vec<Exercise>,
    questionnaires: Vec<Questionnaire>,
}

impl Catalogue {
    /// Returns the exercises, in the order in which they are listed.
    pub fn exercises(&self) -> &[Exercise] {
        &self.exercises
    }

    /// Returns the questionnaires.
    pub fn questionnaires(&self) -> &[Questionnaire] {
        &self.questionnaires
    }

    /// Returns the exercise of an id.
    pub fn exercise(&self, id: &str) -> Option<&Exercise> {
        self.exercises.iter().find(|exercise| exercise.id == id)
    }

    /// Returns the questionnaire of an id.
    pub fn questionnaire(&self, id: &str) -> Option<&Questionnaire> {
        self.questionnaires.iter().find(|form| form.id == id)
    }
}

/// Returns the forms that come with the program, read once.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
        // A test reads each, so none is left out here.
        exercises: read(&EXERCISES, Exercise::parse),
        questionnaires: read(&QUESTIONNAIRES, Questionnaire::parse),
    });
    &CATALOGUE
}

fn read<T, E>(files: &[(&str, &str)], parse: impl Fn(&str, &[u8]) -> Result<T, E>) -> Vec<T> {
    files.iter().filter_map(|(id, text)| parse(id, text.as_bytes()).ok()).collect()
}

/// Returns the file of a form that comes with the program: its digest names the form, and its text is a start for one's own.
pub fn source(id: &str) -> Option<&'static str> {
    let file = EXERCISES.iter().chain(&QUESTIONNAIRES).find(|(name, _)| *name == id);
    file.map(|(_, text)| *text)
}
