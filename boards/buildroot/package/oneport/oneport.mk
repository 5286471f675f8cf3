################################################################################
#
# oneport
#
################################################################################

# The checkout that this external tree is a part of.
ONEPORT_SITE = $(BR2_EXTERNAL_ONEPORT_PATH)/../..
ONEPORT_SITE_METHOD = local
ONEPORT_LICENSE = MIT
ONEPORT_LICENSE_FILES = LICENSE
ONEPORT_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude=/target --exclude=/fuzz/target

ONEPORT_BOARD = $(call qstrip,$(BR2_PACKAGE_ONEPORT_BOARD))
ONEPORT_CONFIG = $(or $(call qstrip,$(BR2_PACKAGE_ONEPORT_CONFIG)),$(@D)/docs/examples/single-port.cfg)

define ONEPORT_BUILD_CMDS
	$(MAKE) -C $(@D) BOARD=$(ONEPORT_BOARD) board
endef

define ONEPORT_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/boards/$(ONEPORT_BOARD)/oneport $(TARGET_DIR)/usr/sbin/oneport
	$(INSTALL) -D -m 0644 $(ONEPORT_CONFIG) $(TARGET_DIR)/etc/oneport.cfg
endef

define ONEPORT_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/boards/init/busybox/S50oneport $(TARGET_DIR)/etc/init.d/S50oneport
endef

define ONEPORT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/boards/init/systemd/oneport.service $(TARGET_DIR)/usr/lib/systemd/system/oneport.service
endef

$(eval $(generic-package))
