//! Environment variables as the text sees them: the process's own, with what `setenv` and its kin have changed for
//! the lines that follow (configuration §3.1).

use super::lexer::Env;
use std::cell::RefCell;

/// Variables that a text can set.
const CHANGES_MAX: usize = 1_024;

/// The process's environment and what the text has changed. The process's own stays as it is: a reload begins anew.
pub(crate) struct Environment<'a> {
    outer: Env<'a>,
    changes: RefCell<Changes>,
}

#[derive(Default)]
struct Changes {
    /// `resetenv`: of the process's variables only these are seen.
    kept: Option<Vec<String>>,
    /// `None` = unset.
    list: Vec<(String, Option<String>)>,
}

impl<'a> Environment<'a> {
    /// Nothing is changed yet.
    pub fn new(outer: Env<'a>) -> Self {
        Self { outer, changes: RefCell::default() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        let changes = self.changes.borrow();
        if let Some((_, value)) = changes.list.iter().find(|(changed, _)| changed == name) {
            return value.clone();
        }
        match &changes.kept {
            Some(kept) if !kept.iter().any(|one| one == name) => None,
            _ => (self.outer)(name),
        }
    }

    /// Sets a variable, or takes it away. False: there are too many.
    pub fn set(&self, name: &str, value: Option<String>) -> bool {
        let mut changes = self.changes.borrow_mut();
        if let Some((_, before)) = changes.list.iter_mut().find(|(changed, _)| changed == name) {
            *before = value;
            return true;
        }
        let fits = changes.list.len() < CHANGES_MAX;
        if fits {
            changes.list.push((name.to_owned(), value));
        }
        fits
    }

    /// Takes every variable away but these.
    pub fn keep_only(&self, names: Vec<String>) {
        let mut changes = self.changes.borrow_mut();
        changes.list.retain(|(name, _)| names.contains(name));
        let before = changes.kept.take();
        let still = |name: &String| before.as_ref().is_none_or(|before| before.contains(name));
        changes.kept = Some(names.into_iter().filter(still).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_hide_what_was_there() {
        let outer = |name: &str| matches!(name, "A" | "B").then(|| "outer".to_owned());
        let environment = Environment::new(&outer);
        let get = |name| environment.get(name);
        assert!(environment.set("A", Some("new".to_owned())) && environment.set("C", Some("c".to_owned())));
        assert_eq!((get("A").as_deref(), get("B").as_deref()), (Some("new"), Some("outer")));
        environment.set("B", None);
        assert_eq!(get("B"), None);
        environment.keep_only(vec!["A".to_owned()]);
        assert_eq!((get("A").as_deref(), get("C")), (Some("new"), None));
        environment.set("A", None);
        environment.keep_only(vec!["A".to_owned(), "B".to_owned()]);
        assert_eq!((get("A"), get("B")), (None, None));
        environment.set("B", Some("again".to_owned()));
        assert_eq!(get("B").as_deref(), Some("again"));
    }

    #[test]
    fn there_is_a_limit() {
        let outer = |_: &str| None;
        let environment = Environment::new(&outer);
        assert!((0..CHANGES_MAX).all(|i| environment.set(&i.to_string(), None)));
        assert!(!environment.set("one more", None) && environment.set("0", None));
    }
}
