TITLE = OpenWrt routers with MediaTek MT7621 and other little-endian MIPS32r2 systems
TARGET = mipsel-unknown-linux-musl
CPU = mips32r2
ENDIAN = little
FLOAT = soft
# The oldest Linux that is meant to work.
KERNEL_MIN = 4.4
INIT = procd
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = mipsel_24kc
DEB_ARCH = mipsel
QEMU = qemu-mipsel-static
