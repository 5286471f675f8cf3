TITLE = Kirkwood boxes (SheevaPlug, old NAS) and other ARMv5TE boards
TARGET = armv5te-unknown-linux-musleabi
CPU = arm926ej-s
ENDIAN = little
FLOAT = soft
# The oldest Linux that is meant to work.
KERNEL_MIN = 3.9
INIT = busybox
OPT_LEVEL = z
DAEMON_PATH = /usr/sbin/oneport
CONFIG_PATH = /etc/oneport.cfg
PIDFILE = /var/run/oneport.pid
OPKG_ARCH = arm_xscale
DEB_ARCH = armel
QEMU = qemu-arm-static
