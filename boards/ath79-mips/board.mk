TITLE = OpenWrt routers with Atheros AR7xxx, AR9xxx, QCA9xxx and other big-endian MIPS32r2 systems
TARGET = mips-unknown-linux-musl
CPU = mips32r2
ENDIAN = big
FLOAT = soft
# The oldest Linux that is meant to work.
KERNEL_MIN = 4.4
INIT = procd
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = mips_24kc
# Debian has no big-endian MIPS any more.
DEB_ARCH =
QEMU = qemu-mips-static
