TITLE = any 64-bit ARM board
TARGET = aarch64-unknown-linux-musl
CPU = armv8-a
ENDIAN = little
FLOAT = hard
# The oldest Linux that is meant to work.
KERNEL_MIN = 4.1
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = aarch64_generic
DEB_ARCH = arm64
QEMU = qemu-aarch64-static
