SUMMARY = "EVerest modules for a charging station of several boards"
DESCRIPTION = "SatelliteAgent for satellite boards, SatelliteController and SystemAggregator for the main board."
HOMEPAGE = "https://github.com/remotechargeport/remotechargeport"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://src/${GO_IMPORT}/LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

GO_IMPORT = "github.com/remotechargeport/remotechargeport"
SRC_URI = "git://${GO_IMPORT}.git;protocol=https;branch=main;destsuffix=${BPN}-${PV}/src/${GO_IMPORT}"
S = "${WORKDIR}/${BPN}-${PV}"
# A commit or a tag in a distribution; AUTOREV always takes the newest.
SRCREV = "${AUTOREV}"
PV = "1.0+git"

inherit go-mod systemd useradd

# The modules come from the Go module proxy while the programs are built. Set
# GOPROXY to a mirror, or GOFLAGS to -mod=vendor with a vendored SRC_URI, for
# builds without network.
do_compile[network] = "1"

# Static: nothing on the board but the kernel.
export CGO_ENABLED = "0"

do_compile() {
    cd ${S}/src/${GO_IMPORT}
    for program in agent:SatelliteAgent controller:SatelliteController aggregator:SystemAggregator; do
        ${GO} build -trimpath -tags nethttpomithttp2 -ldflags '-s -w' \
            -o ${B}/boards/${program#*:} ./examples/${program%:*}
    done
}

do_install() {
    source=${S}/src/${GO_IMPORT}
    for module in SatelliteAgent SatelliteController SystemAggregator; do
        install -D -m 0755 ${B}/boards/$module ${D}${libexecdir}/everest/modules/$module/$module
    done
    for module in SatelliteAgent SatelliteController; do
        install -D -m 0644 $source/satellite/manifests/$module.yaml ${D}${libexecdir}/everest/modules/$module/manifest.yaml
    done
    install -D -m 0644 $source/aggregator/manifest.yaml ${D}${libexecdir}/everest/modules/SystemAggregator/manifest.yaml
    install -D -m 0644 $source/satellite/interfaces/satellite.yaml ${D}${datadir}/everest/interfaces/satellite.yaml
    for unit in evsatellite-agent.service evsatellite-agent.socket evsatellite-controller@.service evsatellite-aggregator.service; do
        install -D -m 0644 $source/doc/systemd/$unit ${D}${systemd_system_unitdir}/$unit
    done
}

# A board takes the package of its part; ${PN} itself is empty.
PACKAGES =+ "${PN}-common ${PN}-agent ${PN}-controller ${PN}-aggregator"
ALLOW_EMPTY:${PN} = "1"

FILES:${PN}-common = "${datadir}/everest/interfaces"
FILES:${PN}-agent = "${libexecdir}/everest/modules/SatelliteAgent ${systemd_system_unitdir}/evsatellite-agent.*"
FILES:${PN}-controller = "${libexecdir}/everest/modules/SatelliteController ${systemd_system_unitdir}/evsatellite-controller@.service"
FILES:${PN}-aggregator = "${libexecdir}/everest/modules/SystemAggregator ${systemd_system_unitdir}/evsatellite-aggregator.service"

RDEPENDS:${PN}-agent = "${PN}-common"
RDEPENDS:${PN}-controller = "${PN}-common"
RDEPENDS:${PN}-aggregator = "${PN}-common"

# EVerest's manager starts the modules. Who runs them standalone enables the units.
SYSTEMD_PACKAGES = "${PN}-agent ${PN}-controller ${PN}-aggregator"
SYSTEMD_SERVICE:${PN}-agent = "evsatellite-agent.service evsatellite-agent.socket"
SYSTEMD_SERVICE:${PN}-controller = "evsatellite-controller@.service"
SYSTEMD_SERVICE:${PN}-aggregator = "evsatellite-aggregator.service"
SYSTEMD_AUTO_ENABLE = "disable"

USERADD_PACKAGES = "${PN}-common"
USERADD_PARAM:${PN}-common = "--system --no-create-home --shell /sbin/nologin --user-group remotechargeport"

# -s -w leaves nothing for the packaging to strip.
INSANE_SKIP:${PN}-agent += "already-stripped"
INSANE_SKIP:${PN}-controller += "already-stripped"
INSANE_SKIP:${PN}-aggregator += "already-stripped"
