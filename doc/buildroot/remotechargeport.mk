################################################################################
#
# remotechargeport
#
################################################################################

# A tag or a commit in a product; main always is the newest.
REMOTECHARGEPORT_VERSION = main
REMOTECHARGEPORT_SITE = $(call github,remotechargeport,remotechargeport,$(REMOTECHARGEPORT_VERSION))
REMOTECHARGEPORT_LICENSE = Apache-2.0
REMOTECHARGEPORT_LICENSE_FILES = LICENSE
REMOTECHARGEPORT_GOMOD = github.com/remotechargeport/remotechargeport

# Static: nothing on the board but the kernel.
REMOTECHARGEPORT_GO_ENV = CGO_ENABLED=0
REMOTECHARGEPORT_TAGS = nethttpomithttp2
REMOTECHARGEPORT_LDFLAGS = -s -w

ifeq ($(BR2_PACKAGE_REMOTECHARGEPORT_AGENT),y)
REMOTECHARGEPORT_BUILD_TARGETS += examples/agent
REMOTECHARGEPORT_MODULES += SatelliteAgent:agent:satellite/manifests/SatelliteAgent.yaml
REMOTECHARGEPORT_UNITS += evsatellite-agent.service evsatellite-agent.socket
endif

ifeq ($(BR2_PACKAGE_REMOTECHARGEPORT_CONTROLLER),y)
REMOTECHARGEPORT_BUILD_TARGETS += examples/controller
REMOTECHARGEPORT_MODULES += SatelliteController:controller:satellite/manifests/SatelliteController.yaml
REMOTECHARGEPORT_UNITS += evsatellite-controller@.service
endif

ifeq ($(BR2_PACKAGE_REMOTECHARGEPORT_AGGREGATOR),y)
REMOTECHARGEPORT_BUILD_TARGETS += examples/aggregator
REMOTECHARGEPORT_MODULES += SystemAggregator:aggregator:aggregator/manifest.yaml
REMOTECHARGEPORT_UNITS += evsatellite-aggregator.service
endif

define REMOTECHARGEPORT_INSTALL_MODULE
	$(INSTALL) -D -m 0755 $(@D)/bin/$(word 2,$(1)) $(TARGET_DIR)/usr/libexec/everest/modules/$(word 1,$(1))/$(word 1,$(1))
	$(INSTALL) -D -m 0644 $(@D)/$(word 3,$(1)) $(TARGET_DIR)/usr/libexec/everest/modules/$(word 1,$(1))/manifest.yaml

endef

define REMOTECHARGEPORT_INSTALL_TARGET_CMDS
	$(foreach module,$(REMOTECHARGEPORT_MODULES),$(call REMOTECHARGEPORT_INSTALL_MODULE,$(subst :, ,$(module))))
	$(INSTALL) -D -m 0644 $(@D)/satellite/interfaces/satellite.yaml $(TARGET_DIR)/usr/share/everest/interfaces/satellite.yaml
endef

define REMOTECHARGEPORT_INSTALL_INIT_SYSTEMD
	$(foreach unit,$(REMOTECHARGEPORT_UNITS),$(INSTALL) -D -m 0644 $(@D)/doc/systemd/$(unit) $(TARGET_DIR)/usr/lib/systemd/system/$(unit)$(sep))
endef

define REMOTECHARGEPORT_USERS
	remotechargeport -1 remotechargeport -1 * - - - EVerest modules
endef

$(eval $(golang-package))
