//! Root is given up on the board: another user in an empty folder, and a keeper for what that user could not do.

use crate::control::{self, PIDFILE, SCRIPT};
use crate::story::Story;
use crate::support::eventually;
use crate::traffic;

/// What the configuration says for this; the board has no names of users.
const LINES: &str = "chroot /var/empty\\n    uid 65534\\n    gid 65534";

/// The gateway runs without rights, and then with them again.
pub fn all(story: &mut Story) {
    story.guest.expect("mkdir -p /var/empty; cp /etc/oneport.cfg /tmp/root.cfg");
    story.guest.expect(&format!("sed -i 's|^global$|global\\n    {LINES}|' /etc/oneport.cfg"));
    story.guest.expect(&format!("{SCRIPT} restart"));
    story.wait_answer(control::START);

    let worker = story.guest.expect(&format!("cat {PIDFILE}")).trim().to_string();
    let status = story.guest.expect(&format!("cat /proc/{worker}/status"));
    let has = |name: &str, words: &[&str]| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).eq(words.iter().copied())
    };
    assert!(has("Uid:", &["65534"; 4]) && has("Gid:", &["65534"; 4]) && has("Groups:", &[]), "{status}");
    assert!(has("CapEff:", &["0000000000000000"]) && has("NoNewPrivs:", &["1"]), "{status}");
    assert_eq!(story.guest.expect(&format!("readlink /proc/{worker}/root")).trim(), "/var/empty");
    story.proved("restarted as user 65534 in an empty folder");

    // Which the process itself can neither read nor look up.
    let (first, second) = (story.web.port, story.other_web.port);
    story.guest.expect(&format!("sed -i s/host.boot.test:{first}/host.boot.test:{second}/ /etc/oneport.cfg"));
    control::reload(story);
    let named = story.ports.named;
    eventually("the reloaded file is in force", || traffic::get(named, "/").text().starts_with("second"));
    assert_eq!(story.guest.expect(&format!("cat {PIDFILE}")).trim(), worker);
    traffic::idle_timeout(story);

    story.guest.expect(&format!("{SCRIPT} stop"));
    eventually("neither the gateway nor its keeper is left", || {
        story.guest.run("pidof oneport").text.is_empty()
    });
    story.guest.expect(&format!("mv /tmp/root.cfg /etc/oneport.cfg; {SCRIPT} start"));
    story.wait_answer(control::START);
    story.proved("without rights: reload through the keeper, and both end");
}
