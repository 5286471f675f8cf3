//! What `make BOARD=name package` makes: looked into with the tools that install it. Not part of a plain
//! `cargo test`, since it needs boards to be built: `make test-boards` runs it.
//!
//! `ONEPORT_BOARDS` names the boards, separated by spaces.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn boards() -> Vec<String> {
    let names =
        std::env::var("ONEPORT_BOARDS").expect("ONEPORT_BOARDS names the boards; make test-boards sets it");
    let boards: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    assert!(!boards.is_empty(), "ONEPORT_BOARDS is empty");
    boards
}

fn out(board: &str) -> PathBuf {
    root().join("target/boards").join(board)
}

/// A variable of a board's board.mk.
fn value(board: &str, variable: &str) -> String {
    let text = fs::read_to_string(root().join("boards").join(board).join("board.mk")).unwrap();
    let prefix = format!("{variable} =");
    text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().trim().to_owned()
}

/// The one file of a board's packages with this ending.
fn package(board: &str, ending: &str) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(out(board))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    assert_eq!(files.len(), 1, "{board}: {ending}: {files:?}; make BOARD={board} package makes it");
    files.into_iter().next().unwrap()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Unpacks a tar into a folder.
fn untar(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    succeeds(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder));
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .permissions()
        .mode()
        & 0o7777
}

/// What every package lays out under a root: the binary of the board, an example, the way it starts.
fn assert_layout(board: &str, folder: &Path, init: &str) {
    let installed = folder.join(value(board, "DAEMON_PATH").trim_start_matches('/'));
    assert_eq!(fs::read(&installed).unwrap(), fs::read(out(board).join("oneport")).unwrap(), "{board}");
    assert_eq!(mode(&installed), 0o755);
    let config = folder.join(value(board, "CONFIG_PATH").trim_start_matches('/'));
    assert_eq!(mode(&config), 0o644);
    let check = run(Command::new(env!("CARGO_BIN_EXE_oneport")).args(["-c", "-f"]).arg(&config));
    assert!(check.status.success(), "{board}: {}", String::from_utf8_lossy(&check.stderr));
    let (script, bits) = match init {
        "busybox" => ("etc/init.d/S50oneport", 0o755),
        "procd" => ("etc/init.d/oneport", 0o755),
        "systemd" => ("usr/lib/systemd/system/oneport.service", 0o644),
        other => panic!("{board}: INIT = {other}"),
    };
    assert_eq!(mode(&folder.join(script)), bits);
    let text = fs::read_to_string(folder.join(script)).unwrap();
    assert!(text.contains(&value(board, "DAEMON_PATH")), "{board}: {script} starts another program");
}

#[test]
fn packing_again_under_another_umask_and_time_zone_gives_the_same_bytes() {
    for board in boards() {
        let before = fs::read_to_string(out(&board).join("SHA256SUMS")).unwrap();
        assert!(before.lines().count() >= 4, "{board}: {before}");
        let elsewhere = tempfile::tempdir().unwrap();
        let make = format!(
            "umask 077; exec make --no-print-directory BOARD={board} BOARDS= OUT={} package",
            elsewhere.path().display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &make]).current_dir(root()).env("TZ", "Asia/Tokyo");
        // Each of these once got into the bytes, or led into another checkout.
        let decoy = tempfile::tempdir().unwrap();
        fs::create_dir_all(decoy.path().join("boards/package")).unwrap();
        fs::create_dir_all(decoy.path().join("cross")).unwrap();
        command.env("CDPATH", decoy.path()).env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
        command.env("RUSTFLAGS", "-C opt-level=1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        succeeds(&mut command);
        let after = fs::read_to_string(elsewhere.path().join("SHA256SUMS")).unwrap();
        assert_eq!(after, before, "{board}");
    }
}

#[test]
fn an_ipk_is_what_opkg_reads() {
    for board in boards() {
        let ipk = package(&board, ".ipk");
        let members = succeeds(Command::new("tar").arg("-tzf").arg(&ipk));
        assert_eq!(
            members, "./debian-binary\n./control.tar.gz\n./data.tar.gz\n",
            "{board}: their order counts"
        );
        let owners = succeeds(Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(&ipk));
        assert!(owners.lines().all(|line| line.contains(" 0/0 ")), "{board}: {owners}");
        let dir = tempfile::tempdir().unwrap();
        untar(&ipk, dir.path());
        assert_eq!(fs::read_to_string(dir.path().join("debian-binary")).unwrap(), "2.0\n");
        untar(&dir.path().join("control.tar.gz"), &dir.path().join("control"));
        untar(&dir.path().join("data.tar.gz"), &dir.path().join("data"));
        assert_layout(&board, &dir.path().join("data"), &value(&board, "INIT"));
        let control = fs::read_to_string(dir.path().join("control/control")).unwrap();
        let arch = value(&board, "OPKG_ARCH");
        // opkg compares this line with its own list of architectures, and refuses any other.
        assert!(control.contains(&format!("\nArchitecture: {arch}\n")), "{control}");
        assert!(ipk.to_string_lossy().ends_with(&format!("_{arch}.ipk")));
        assert!(control.starts_with("Package: oneport\nVersion: "), "{control}");
        let conffiles = fs::read_to_string(dir.path().join("control/conffiles")).unwrap();
        assert_eq!(conffiles.trim_end(), value(&board, "CONFIG_PATH"));
        for script in ["postinst", "prerm"] {
            let path = dir.path().join("control").join(script);
            assert_eq!(mode(&path), 0o755);
            succeeds(Command::new("busybox").args(["sh", "-n"]).arg(&path));
            // Into an image: nothing is started there.
            succeeds(Command::new("busybox").arg("sh").arg(&path).env("IPKG_INSTROOT", "/nowhere"));
        }
    }
}

#[test]
fn a_deb_installs_where_it_fits_and_is_refused_elsewhere() {
    let native = succeeds(Command::new("dpkg").arg("--print-architecture")).trim().to_owned();
    for board in boards() {
        let arch = value(&board, "DEB_ARCH");
        if arch.is_empty() {
            // Debian has no such architecture, and so no package must stand there.
            assert!(
                !fs::read_dir(out(&board)).unwrap().any(|e| e
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|e| e == "deb"))
            );
            continue;
        }
        let deb = package(&board, ".deb");
        assert_eq!(succeeds(Command::new("dpkg-deb").arg("-f").arg(&deb).arg("Architecture")).trim(), arch);
        // A root of its own, with dpkg's records in it.
        let dir = tempfile::tempdir().unwrap();
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("var/lib/dpkg/status"), "").unwrap();
        let mut install = Command::new("dpkg");
        // Its scripts would want a shell in that root; they are tried by themselves below.
        install
            .arg(format!("--root={}", dir.path().display()))
            .args(["--force-not-root", "--force-script-chrootless"]);
        let output = run(install
            .arg("--install")
            .arg(&deb)
            .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"));
        let said = String::from_utf8_lossy(&output.stderr);
        if arch == native {
            assert!(output.status.success(), "{board}: {said}");
            assert_layout(&board, dir.path(), "systemd");
        } else {
            assert!(!output.status.success(), "{board}: a package for {arch} was installed on {native}");
            assert!(said.contains("does not match system"), "{board}: {said}");
            assert!(!dir.path().join("usr").exists());
        }
    }
}

/// A package's script with everything of the machine's in a folder: systemd or the init script writes down what it
/// is asked. What it was asked.
fn asked(text: &str, replace: &str, script: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (stub, record) = (dir.path().join("systemctl"), dir.path().join("record"));
    fs::write(&stub, format!("#!/bin/sh\necho \"$@\" >>'{}'\n{script}\n", record.display())).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("script");
    let replaced = if replace.starts_with("/run/") { dir.path().to_path_buf() } else { stub.clone() };
    assert!(text.contains(replace), "{text}");
    fs::write(&file, text.replace(replace, replaced.to_str().unwrap())).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    succeeds(Command::new("sh").arg(&file).args(args).env("PATH", path).envs(env.iter().copied()));
    fs::read_to_string(record).unwrap_or_default()
}

#[test]
fn an_update_leaves_a_service_off_that_was_switched_off() {
    for board in boards() {
        let dir = tempfile::tempdir().unwrap();
        untar(&package(&board, ".ipk"), dir.path());
        untar(&dir.path().join("control.tar.gz"), &dir.path().join("ipk"));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let (script, on, off) = match value(&board, "INIT").as_str() {
            "procd" => ("/etc/init.d/oneport", "enable\n", "disable\n"),
            _ => ("/etc/init.d/S50oneport", "", ""),
        };
        let ipk = |name: &str, env| asked(&read(name), script, "", &[], env);
        assert_eq!(ipk("ipk/postinst", &[]), format!("{on}restart\n"), "{board}");
        assert_eq!(ipk("ipk/prerm", &[]), format!("stop\n{off}"), "{board}");
        assert_eq!(ipk("ipk/postinst", &[("PKG_UPGRADE", "1")]), "restart\n", "{board}");
        assert_eq!(ipk("ipk/prerm", &[("PKG_UPGRADE", "1")]), "stop\n", "{board}");

        if value(&board, "DEB_ARCH").is_empty() {
            continue;
        }
        succeeds(Command::new("dpkg-deb").arg("-e").arg(package(&board, ".deb")).arg(dir.path().join("deb")));
        let deb = |name: &str, args: &[&str], systemctl: &str| {
            let text = read(name);
            let image = dir.path().to_str().unwrap();
            let all = asked(&text, "/run/systemd/system", "", args, &[("DPKG_ROOT", image)]);
            let of_image = format!("enable --quiet --root={image} ");
            assert!(
                all.lines().all(|line| line.starts_with(&of_image)),
                "{board}: not this machine's: {all}"
            );
            assert_eq!(all.is_empty(), args != ["configure", ""], "{board}: {all}");
            asked(&text, "/run/systemd/system", systemctl, args, &[])
        };
        let is_off = "case $1 in is-*) exit 1 ;; esac";
        let all = deb("deb/postinst", &["configure", ""], "");
        assert!(
            all.starts_with("enable --quiet --root=/ oneport.service\n") && all.contains("\nrestart "),
            "{all}"
        );
        let all = deb("deb/postinst", &["configure", "0.0.1"], "");
        assert!(!all.contains("enable --quiet --root") && all.contains("\nrestart "), "{all}");
        let all = deb("deb/postinst", &["configure", "0.0.1"], is_off);
        assert!(!all.contains("enable --quiet --root") && !all.contains("\nrestart"), "{all}");
        assert_eq!(deb("deb/prerm", &["upgrade", "0.0.2"], ""), "");
        assert_eq!(deb("deb/prerm", &["remove"], ""), "stop oneport.service\n");
    }
}

#[test]
fn the_overlays_hold_the_same_files_all_of_root() {
    for board in boards() {
        let dir = tempfile::tempdir().unwrap();
        let cpio = package(&board, ".cpio.gz");
        let unpack = format!("gzip -dc '{}' | cpio --quiet -idm --no-preserve-owner", cpio.display());
        succeeds(Command::new("sh").args(["-c", &unpack]).current_dir(dir.path()));
        assert_layout(&board, dir.path(), &value(&board, "INIT"));
        let listing = format!("gzip -dc '{}' | cpio --quiet -itv --numeric-uid-gid", cpio.display());
        let listing = succeeds(Command::new("sh").args(["-c", &listing]));
        assert!(
            listing.lines().all(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                (words[2], words[3]) == ("0", "0")
            }),
            "{board}: {listing}"
        );
        if value(&board, "INIT") == "procd" {
            let links: Vec<_> =
                fs::read_dir(dir.path().join("etc/rc.d")).unwrap().map(|e| e.unwrap().path()).collect();
            assert_eq!(links.len(), 2, "started and stopped: {links:?}");
            assert!(links.iter().all(|link| link.canonicalize().unwrap().ends_with("etc/init.d/oneport")));
        }
        let squashed = dir.path().join("squashed");
        succeeds(
            Command::new("unsquashfs")
                .args(["-q", "-n", "-d"])
                .arg(&squashed)
                .arg(package(&board, ".squashfs")),
        );
        assert_layout(&board, &squashed, &value(&board, "INIT"));
        let listing = succeeds(Command::new("unsquashfs").arg("-lln").arg(package(&board, ".squashfs")));
        assert!(
            listing.lines().filter(|line| line.contains("squashfs-root")).all(|line| line.contains(" 0/0 ")),
            "{listing}"
        );
    }
}

/// Buildroot itself cannot be had here: a stand-in for its `generic-package` that calls a package's commands in
/// the order and with the variables that Buildroot does.
const BUILDROOT: &str = r#"
INSTALL := $(shell command -v install)
qstrip = $(strip $(subst ",,$(1)))
BR2_EXTERNAL_ONEPORT_PATH := $(EXTERNAL)
BR2_PACKAGE_ONEPORT_BOARD := "$(CHOSEN)"
BR2_PACKAGE_ONEPORT_CONFIG := ""
TARGET_DIR := $(WORK)/target
define generic-package
$$(WORK)/build/.stamp_built:
	@test -f $$(ONEPORT_SITE)/$$(ONEPORT_LICENSE_FILES) && test "$$(ONEPORT_SITE_METHOD)" = local
	rsync -au --chmod=u=rwX,go=rX $$(ONEPORT_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS) --exclude=.git $$(ONEPORT_SITE)/ $$(@D)
	$$(PREPARE)
	+$$(ONEPORT_BUILD_CMDS)
	+$$(ONEPORT_INSTALL_TARGET_CMDS)
	$$(ONEPORT_INSTALL_INIT_SYSV)
	$$(ONEPORT_INSTALL_INIT_SYSTEMD)
endef
include $(EXTERNAL)/external.mk
"#;

/// In a copy of the sources, as Buildroot makes one: so it also shows that the bytes do not depend on where the
/// checkout stands. One board, since it is compiled anew; what others wrote is taken over from our target folder.
#[test]
fn buildroot_builds_and_installs_by_our_commands_and_gets_the_same_bytes() {
    let board = &boards()[0];
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Makefile"), BUILDROOT).unwrap();
    let prepare = format!(
        "cd {} && for way in target/cross-*; do if [ -d $$way/{target} ]; then mkdir -p {build}/$$way && \
         cp -a $$way/release $$way/{target} {build}/$$way/; fi; done",
        root().display(),
        target = value(board, "TARGET"),
        build = dir.path().join("build").display(),
    );
    succeeds(
        Command::new("make")
            .arg(dir.path().join("build/.stamp_built"))
            .arg(format!("EXTERNAL={}", root().join("boards/buildroot").display()))
            .arg(format!("WORK={}", dir.path().display()))
            .arg(format!("CHOSEN={board}"))
            .arg(format!("PREPARE={prepare}"))
            .current_dir(dir.path())
            .env_remove("BOARD")
            .env_remove("BOARDS"),
    );
    let target = dir.path().join("target");
    let installed = fs::read(target.join("usr/sbin/oneport")).unwrap();
    assert!(
        installed == fs::read(out(board).join("oneport")).unwrap(),
        "{board}: other bytes than in {}",
        out(board).display()
    );
    assert_eq!(mode(&target.join("usr/sbin/oneport")), 0o755);
    assert_eq!(mode(&target.join("etc/init.d/S50oneport")), 0o755);
    assert_eq!(mode(&target.join("etc/oneport.cfg")), 0o644);
    assert!(target.join("usr/lib/systemd/system/oneport.service").exists());
}

/// Reads our Config.in with kconfiglib and prints the board that an architecture gets.
const KCONFIG: &str = r#"
import os, sys, kconfiglib
arch = sys.argv[2:]
names = ["BR2_x86_64", "BR2_aarch64", "BR2_arm", "BR2_ARM_CPU_ARMV5", "BR2_ARM_CPU_ARMV6", "BR2_ARM_CPU_ARMV7A",
         "BR2_ARM_CPU_ARMV8A", "BR2_ARM_CPU_HAS_VFPV3", "BR2_mips", "BR2_mipsel", "BR2_MIPS_CPU_MIPS32",
         "BR2_MIPS_CPU_MIPS32R2", "BR2_MIPS_CPU_MIPS32R3", "BR2_MIPS_CPU_MIPS32R5", "BR2_MIPS_CPU_MIPS32R6",
         "BR2_riscv", "BR2_RISCV_64", "BR2_sparc"]
with open(sys.argv[1], "w") as f:
    for name in names:
        f.write(f"config {name}\n\tbool \"{name}\"\n")
    f.write('source "$BR2_EXTERNAL_ONEPORT_PATH/Config.in"\n')
k = kconfiglib.Kconfig(sys.argv[1], warn_to_stderr=False)
for name in arch:
    k.syms[name].set_value("y")
k.syms["BR2_PACKAGE_ONEPORT"].set_value("y")
if k.warnings: sys.exit("\n".join(k.warnings))
print(k.syms["BR2_PACKAGE_ONEPORT"].str_value, k.syms["BR2_PACKAGE_ONEPORT_BOARD"].str_value)
"#;

#[test]
fn buildroots_menu_chooses_the_board_by_the_architecture() {
    let dir = tempfile::tempdir().unwrap();
    let choose = |arch: &str| {
        succeeds(
            Command::new("/usr/bin/python3")
                .args(["-c", KCONFIG])
                .arg(dir.path().join("Kconfig"))
                .args(arch.split_whitespace())
                .env("BR2_EXTERNAL_ONEPORT_PATH", root().join("boards/buildroot")),
        )
        .trim()
        .to_owned()
    };
    for (arch, board) in [
        ("BR2_x86_64", "generic-x86_64"),
        ("BR2_aarch64", "generic-aarch64"),
        ("BR2_arm BR2_ARM_CPU_ARMV7A BR2_ARM_CPU_HAS_VFPV3", "rpi-armv7"),
        ("BR2_arm BR2_ARM_CPU_ARMV7A", "arm-v6"),
        ("BR2_arm BR2_ARM_CPU_ARMV6", "arm-v6"),
        ("BR2_arm BR2_ARM_CPU_ARMV5", "armv5te"),
        ("BR2_mips BR2_MIPS_CPU_MIPS32R2", "ath79-mips"),
        ("BR2_mipsel BR2_MIPS_CPU_MIPS32R2", "mt7621-mipsel"),
        ("BR2_mipsel BR2_MIPS_CPU_MIPS32R5", "mt7621-mipsel"),
        ("BR2_riscv BR2_RISCV_64", "riscv64"),
    ] {
        assert_eq!(choose(arch), format!("y {board}"), "{arch}");
        assert!(root().join("boards").join(board).join("board.mk").exists(), "{board}");
    }
    assert_eq!(choose("BR2_sparc"), "n", "an architecture without a board is not offered");
    assert_eq!(choose("BR2_riscv"), "n");
    for cpu in ["BR2_MIPS_CPU_MIPS32", "BR2_MIPS_CPU_MIPS32R6"] {
        assert_eq!(
            choose(&format!("BR2_mipsel {cpu}")),
            "n",
            "the binary would meet illegal instructions there"
        );
    }
}

#[test]
fn an_unknown_board_is_answered_with_the_list() {
    let make = |args: &[&str]| {
        let output =
            run(Command::new("make").args(args).current_dir(root()).env_remove("BOARD").env_remove("BOARDS"));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for args in [
        &["BOARD=nosuch"][..],
        &["BOARD=nosuch", "package"],
        &["test-boards", "BOARDS=nosuch"],
        &["all-boards", "BOARDS="],
        &["package"],
    ] {
        let (status, said) = make(args);
        assert_eq!(status, Some(2), "{args:?}: {said}");
        assert!(said.contains("ath79-mips") && said.contains("virt-armv7"), "{args:?}: {said}");
    }
}

#[test]
fn a_missing_toolchain_is_answered_with_the_ways_to_get_it() {
    let empty = tempfile::tempdir().unwrap();
    let build = |key: &str, value: &Path| {
        let output = run(Command::new("make")
            .arg("BOARD=ath79-mips")
            .current_dir(root())
            .env(key, value)
            .env_remove("BOARDS"));
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(build("ONEPORT_CACHE", empty.path()).contains("make cross-setup"));
    // There is no prebuilt library for MIPS, wherever this runs.
    let said = build("ONEPORT_ROUTE", Path::new("prebuilt"));
    for way in ["rustup target add", "rustup component add rust-src", "rustc-web rust-web-src"] {
        assert!(said.contains(way), "{way}: {said}");
    }
}
