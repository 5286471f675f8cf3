include $(sort $(wildcard $(BR2_EXTERNAL_ONEPORT_PATH)/package/*/*.mk))
