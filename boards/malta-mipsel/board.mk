TITLE = the emulated MIPS Malta board, which make test-boot boots
TARGET = mipsel-unknown-linux-musl
CPU = 24Kf
ENDIAN = little
FLOAT = soft
# The oldest Linux that is meant to work.
KERNEL_MIN = 4.4
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = mipsel_24kc
DEB_ARCH = mipsel
QEMU = qemu-mipsel-static
