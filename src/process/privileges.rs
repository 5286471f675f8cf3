//! Giving up what a gateway does not need once it has its sockets: the file system, root, its groups, and the way
//! back to any of them.

use std::path::PathBuf;

use rustix::process::{
    DumpableBehavior, Gid, Uid, chroot, getegid, geteuid, getgroups, set_dumpable_behavior,
};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::accounts::{Kind, id_of};
use super::daemon::threads;
use super::inherit::close_inherited_folders;
use crate::config::{Account, Diagnostic, Privileges, Written};

/// Whom the process is to become, with the names looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The folder that becomes the root of its file system.
    pub chroot: Option<PathBuf>,
    /// The user; `None` = the one it has.
    pub uid: Option<u32>,
    /// The group; `None` = the one it has.
    pub gid: Option<u32>,
}

/// `set-dumpable`: lets the kernel write a core dump of a process that has changed its user (management §3).
///
/// # Errors
/// The kernel does not allow it.
pub fn stay_dumpable() -> Result<(), String> {
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(|error| format!("set-dumpable: {error}"))
}

impl Identity {
    /// Looks the names of a configuration up. A 0 stands for no change, as in HAProxy.
    ///
    /// # Errors
    /// Every name that is not known here.
    pub fn of(privileges: &Privileges) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut id = |kind, account: &Option<Written<Account>>| {
            let written = account.as_ref()?;
            let id = match &written.value {
                Account::Id(id) => *id,
                Account::Name(name) => {
                    id_of(kind, name).map_err(|message| errors.push(written.error(message))).ok()?
                }
            };
            (id != 0).then_some(id)
        };
        let uid = id(Kind::User, &privileges.user);
        let gid = id(Kind::Group, &privileges.group);
        let chroot = privileges.chroot.as_ref().map(|written| written.value.clone());
        if errors.is_empty() { Ok(Self { chroot, uid, gid }) } else { Err(errors) }
    }

    /// Whether [`take_on`](Self::take_on) leaves a process that can no longer read its configuration or open
    /// the ports it may name.
    pub fn loses_rights(&self) -> bool {
        let has_root = geteuid().is_root();
        self.chroot.is_some() || (has_root && self.uid.is_some())
    }

    /// Becomes it, for good: folder (and no other one open), groups, group, user, in this order, since each step needs what the next
    /// ones give up. Supplementary groups are dropped where a user or group is set. Whatever there is to become,
    /// no program that the process might be made to run can have more rights than it (`no_new_privs`).
    ///
    /// The changes are one thread's, so there is to be no other one.
    ///
    /// # Errors
    /// A message that names what could not be done.
    pub fn take_on(&self) -> Result<(), String> {
        // An assertion and no error: qemu's user emulation has threads of its own.
        debug_assert!(*self == Self::default() || threads().is_none_or(|count| count == 1));
        if let Some(folder) = &self.chroot {
            let failed =
                |error| explain(&format!("cannot change the root folder to {}", folder.display()), error);
            close_inherited_folders();
            chroot(folder).map_err(|error| failed(error.into()))?;
            std::env::set_current_dir("/").map_err(failed)?;
        }
        if self.uid.is_some() || self.gid.is_some() {
            drop_groups()?;
        }
        if let Some(gid) = self.gid {
            let gid = Gid::from_raw(gid);
            set_thread_res_gid(gid, gid, gid)
                .map_err(|error| explain(&format!("cannot become group {gid}"), error.into()))?;
        }
        if let Some(uid) = self.uid {
            let uid = Uid::from_raw(uid);
            set_thread_res_uid(uid, uid, uid)
                .map_err(|error| explain(&format!("cannot become user {uid}"), error.into()))?;
            if set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok() {
                return Err(format!(
                    "the change to user {uid} could be undone: not going on with root's rights"
                ));
            }
        }
        set_no_new_privs(true).map_err(|error| format!("cannot set no_new_privs: {error}"))
    }
}

/// What only groups beside the main one allow is given up. Who is not root cannot, and is told so.
fn drop_groups() -> Result<(), String> {
    let Err(error) = set_thread_groups(&[]) else { return Ok(()) };
    let left = getgroups().unwrap_or_default();
    if left.iter().all(|group| *group == getegid()) {
        return Ok(());
    }
    let message = explain("cannot drop the supplementary groups", error.into());
    if geteuid().is_root() {
        return Err(message);
    }
    log::warn!("{message}");
    Ok(())
}

fn explain(what: &str, error: std::io::Error) -> String {
    let why = match error.kind() {
        std::io::ErrorKind::PermissionDenied if !geteuid().is_root() => ": only root can",
        _ => "",
    };
    format!("{what}: {error}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    fn privileges(lines: &str) -> Privileges {
        let text = format!("global\n{lines}\nlisten l\n bind :1\n");
        let loaded = load(&[Source::new("p.cfg", text)], &|_| None);
        loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)).global.privileges
    }

    #[test]
    fn names_and_numbers_become_an_identity() {
        let identity = Identity::of(&privileges(" user nobody\n gid 7\n chroot /srv")).unwrap();
        assert_eq!(identity, Identity { chroot: Some("/srv".into()), uid: Some(65_534), gid: Some(7) });
        assert_eq!(Identity::of(&privileges("")).unwrap(), Identity::default());
        // As HAProxy: no change.
        assert_eq!(Identity::of(&privileges(" user root\n gid 0")).unwrap(), Identity::default());
    }

    #[test]
    fn every_unknown_name_is_told_with_its_line() {
        let errors = Identity::of(&privileges(" user nobdy\n group no-such-group")).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(texts[0].starts_with("p.cfg:2: error: there is no user `nobdy` in /etc/passwd"), "{texts:?}");
        assert!(texts[0].ends_with("\n     user nobdy\n          ^^^^^"), "{texts:?}");
        assert!(texts[1].starts_with("p.cfg:3: error: there is no group `no-such-group`"), "{texts:?}");
    }
}
