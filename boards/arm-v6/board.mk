TITLE = Raspberry Pi 1 and Zero, and other ARMv6 boards
TARGET = arm-unknown-linux-musleabi
CPU = arm1176jzf-s
ENDIAN = little
FLOAT = soft
# The oldest Linux that is meant to work.
KERNEL_MIN = 3.9
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = arm_arm1176jzf-s_vfp
DEB_ARCH = armel
QEMU = qemu-arm-static
