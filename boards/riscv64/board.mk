TITLE = any 64-bit RISC-V board
TARGET = riscv64gc-unknown-linux-musl
CPU = rv64gc
ENDIAN = little
FLOAT = hard
# The oldest Linux that is meant to work.
KERNEL_MIN = 4.20
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = riscv64_generic
DEB_ARCH = riscv64
QEMU = qemu-riscv64-static
