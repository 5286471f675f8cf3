//! Text to a checked, typed [`Config`]. Opens no socket, looks no name up.
//!
//! `source` reads the files, `lexer` cuts lines into words, `builder` finds each line's entry in the table of
//! `keywords` and lets its parser add to the `draft`, `resolve` turns names into indexes and checks sections
//! against each other. Everything that is wrong is said in one go ([`Diagnostic`]).

mod acl;
mod address;
mod arguments;
mod blocks;
mod builder;
mod checks;
mod condition;
mod converter;
mod diagnostics;
mod draft;
mod environment;
pub(crate) mod fetches;
mod format;
pub mod keywords;
mod lexer;
mod lint;
pub mod model;
mod patterns;
mod predicate;
mod preset;
mod privileges;
mod probes;
mod resolve;
mod sample;
mod source;
mod states;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;
mod userlist;
mod values;

pub use diagnostics::{DIAGNOSTICS_MAX, Diagnostic, Severity};
pub use model::*;
pub use patterns::{ReadFile, read_file};
pub use predicate::COMPATIBLE_WITH;
pub use preset::preset;
pub use privileges::{Account, Privileges, Written};
pub use source::{FILE_BYTES_MAX, Reading, Source, SourceCause, SourceError, read_sources};
pub(crate) use suggest::hint;
pub use userlist::{Password, User, UserList};

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` when there was any error.
    pub config: Option<Config>,
    /// Errors and warnings in the order they were found, bounded.
    pub diagnostics: Vec<Diagnostic>,
}

/// Whether a condition of a conditional block holds (`-cc`). `env` looks up environment variables.
///
/// # Errors
/// It cannot be understood: why, with the condition and a caret under the place.
pub fn condition_holds(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<bool, String> {
    // Read as a line of a configuration is: quotes and variables.
    let text = match lexer::split(text.as_bytes(), env) {
        Ok(words) => {
            words.iter().map(|word| String::from_utf8_lossy(&word.bytes)).collect::<Vec<_>>().join(" ")
        }
        Err(fault) => return Err(fault.into_message()),
    };
    let text = text.as_str();
    predicate::holds(text, env).map_err(|(at, message)| {
        let line = diagnostics::printable(text.as_bytes());
        let column = text.get(..at).unwrap_or_default().chars().count();
        format!("{message}\n    {line}\n    {:column$}^", "")
    })
}

/// Loads texts as one configuration. `env` looks up environment variables (`${NAME}`).
#[must_use]
pub fn load(sources: &[Source], env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    load_with(sources, env, None)
}

/// The same; `files` reads the files that the texts name, `None` = from this machine.
#[must_use]
pub fn load_with(
    sources: &[Source],
    env: &dyn Fn(&str) -> Option<String>,
    files: Option<ReadFile>,
) -> Loaded {
    let environment = environment::Environment::new(env);
    let look_up = |name: &str| environment.get(name);
    let mut builder = builder::Builder::new(&look_up, &environment);
    builder.shared.files.read = files;
    for source in sources {
        builder.read(source);
    }
    let config = resolve::resolve(&mut builder);
    let mut sink = std::mem::take(&mut builder.sink);
    if config.global.zero_warning && sink.has_warnings() {
        let message = "there are warnings, and `zero-warning` in the `global` section allows none";
        sink.push(Severity::Error, diagnostics::Spot::default(), message);
    }
    let config = (!sink.has_errors()).then_some(config);
    Loaded { config, diagnostics: sink.finish() }
}
