//! Keywords of `userlist` sections (configuration §3.4).

use super::{Keyword, Sections};
use crate::config::builder::{Builder, Statement};
use crate::config::diagnostics::Fault;
use crate::config::lexer::Word;
use crate::config::userlist::{Password, User};

/// Users or groups of one list.
const NAMES_MAX: usize = 4_096;

pub(super) const TABLE: &[Keyword] = &[
    Keyword::new(
        "user",
        Sections::USERLIST,
        "1.4",
        "<name> [insecure-password <password>] [groups <group>,…]",
        "who may come in; `password` with a hash is refused, for no hash is built",
        user,
    ),
    Keyword::new(
        "group",
        Sections::USERLIST,
        "1.4",
        "<name> [users <user>,…]",
        "a name for some of the users",
        group,
    ),
];

fn user(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let [name, args @ ..] = st.args() else {
        return Err(st.wrong("expected `user NAME insecure-password PASSWORD`"));
    };
    let mut user = User { name: name.text()?.to_owned(), password: Password::None, groups: Vec::new() };
    let mut words = args.iter();
    let mut named = Vec::new();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| word.wrong(" needs a value"));
        match word.as_str() {
            "insecure-password" => user.password = Password::Plain(value?.bytes.clone()),
            "password" => {
                return Err(Fault::at(
                    word.span,
                    "no password hash is built; write `insecure-password` with the password itself",
                ));
            }
            "groups" => {
                let value = value?;
                for group in names(value)? {
                    named.push((group.clone(), b.spot(st, Some(value.span))));
                    if !user.groups.contains(&group) {
                        user.groups.push(group);
                    }
                }
            }
            _ => {
                return Err(word.wrong(": expected `insecure-password` or `groups`"));
            }
        }
    }
    let list = b.user_list()?;
    list.is_new("user", &user.name, list.list.users.iter().any(|known| known.name == user.name))?;
    bounded(list.list.users.len())?;
    list.named.extend(named);
    list.list.users.push(user);
    Ok(())
}

fn group(b: &mut Builder<'_>, st: &Statement<'_>) -> Result<(), Fault> {
    let (name, members) = match st.args() {
        [name] => (name, None),
        [name, users, members] if users.is("users") => (name, Some(members)),
        _ => return Err(st.wrong("expected `group NAME [users USER,…]`")),
    };
    let spot = b.spot(st, Some(members.unwrap_or(name).span));
    let name = name.text()?.to_owned();
    let members = members.map(names).transpose()?.unwrap_or_default();
    let list = b.user_list()?;
    list.is_new("group", &name, list.groups.iter().any(|(known, ..)| *known == name))?;
    bounded(list.groups.len())?;
    list.groups.push((name, members, spot));
    Ok(())
}

fn bounded(len: usize) -> Result<(), Fault> {
    if len < NAMES_MAX {
        Ok(())
    } else {
        Err(Fault::line(format_args!("a list has at most {NAMES_MAX} of these")))
    }
}

/// The names of a list with commas.
fn names(word: &Word) -> Result<Vec<String>, Fault> {
    let names: Vec<String> = word.text()?.split(',').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(Fault::at(word.span, "a name in this list is empty"));
    }
    Ok(names)
}
