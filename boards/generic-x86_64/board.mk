TITLE = any 64-bit PC or virtual machine
TARGET = x86_64-unknown-linux-musl
CPU = x86-64
ENDIAN = little
FLOAT = hard
# The oldest Linux that is meant to work.
KERNEL_MIN = 3.9
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = x86_64
DEB_ARCH = amd64
QEMU = qemu-x86_64-static
