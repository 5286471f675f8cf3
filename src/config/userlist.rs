//! `userlist` sections: who may come in with which password (configuration §3.4).

use super::diagnostics::{Fault, Spot};

/// A `userlist` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserList {
    /// Its name.
    pub name: String,
    /// Its users, in file order.
    pub users: Vec<User>,
}

impl UserList {
    /// The user with this name and this password.
    #[must_use]
    pub fn user(&self, name: &[u8], password: &[u8]) -> Option<&User> {
        let user = self.users.iter().find(|user| user.name.as_bytes() == name)?;
        let Password::Plain(right) = &user.password else { return None };
        // How long it takes does not tell where the first wrong byte stands.
        let wrong = right.iter().zip(password).fold(0, |wrong, (a, b)| wrong | (a ^ b));
        (wrong == 0 && right.len() == password.len()).then_some(user)
    }
}

/// `user NAME …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What is compared with the password that comes.
    pub password: Password,
    /// The groups it is in, without repetitions.
    pub groups: Vec<String>,
}

/// The password of a [`User`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// None was written: nobody comes in under this name.
    None,
    /// `insecure-password`: as it is.
    Plain(Vec<u8>),
}

/// A list before its groups are known to be right.
#[derive(Default)]
pub(crate) struct Draft {
    pub list: UserList,
    /// `group NAME [users U,…]`: its members with their place.
    pub groups: Vec<(String, Vec<String>, Spot)>,
    /// Groups that `user` lines name, with their place.
    pub named: Vec<(String, Spot)>,
}

impl Draft {
    /// The finished list, with the members that `group` lines name; `fault` hears of names that do not exist.
    pub fn finish(mut self, mut fault: impl FnMut(Spot, String)) -> UserList {
        for (group, spot) in self.named {
            if !self.groups.iter().any(|(name, ..)| *name == group) {
                fault(spot, format!("this list has no group `{group}`"));
            }
        }
        for (group, members, spot) in self.groups {
            for member in members {
                let user = self.list.users.iter_mut().find(|user| user.name == member);
                match user {
                    None => fault(spot.clone(), format!("this list has no user `{member}`")),
                    Some(user) if user.groups.contains(&group) => {}
                    Some(user) => user.groups.push(group.clone()),
                }
            }
        }
        self.list
    }

    /// A user or group of this name, where there is one already.
    ///
    /// # Errors
    /// There is.
    pub fn is_new(&self, what: &str, name: &str, is_there: bool) -> Result<(), Fault> {
        match is_there {
            true => Err(Fault::line(format_args!("`{}` has a {what} `{name}` already", self.list.name))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_name_and_password() {
        let user = |name: &str, password| User { name: name.to_owned(), password, groups: Vec::new() };
        let list = UserList {
            name: "people".to_owned(),
            users: vec![user("ann", Password::Plain(b"secret".to_vec())), user("cat", Password::None)],
        };
        let known = |name: &str, password: &str| list.user(name.as_bytes(), password.as_bytes()).is_some();
        assert!(known("ann", "secret"));
        for (name, password) in [
            ("ann", "secre"),
            ("ann", "secrets"),
            ("ann", ""),
            ("ann", "Secret"),
            ("cat", ""),
            ("ben", "secret"),
        ] {
            assert!(!known(name, password), "{name} {password}");
        }
    }
}
