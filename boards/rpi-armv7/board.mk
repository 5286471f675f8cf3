TITLE = Raspberry Pi 2 and 3 with a 32-bit system, and other ARMv7 boards
TARGET = armv7-unknown-linux-musleabihf
CPU = armv7-a+vfpv3-d16
ENDIAN = little
FLOAT = hard
# The oldest Linux that is meant to work.
KERNEL_MIN = 3.9
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = arm_cortex-a7_neon-vfpv4
DEB_ARCH = armhf
QEMU = qemu-arm-static
