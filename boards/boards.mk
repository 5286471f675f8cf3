# What is built for devices: `make BOARD=name`, and all that goes with it. Included by the Makefile.

BOARDS_ALL := $(sort $(patsubst boards/%/board.mk,%,$(wildcard boards/*/board.mk)))
# For the targets that take several: those to take.
BOARDS ?= $(BOARDS_ALL)
# Of the sources, for packages: the same commit gives the same bytes.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

unknown_boards := $(filter-out $(BOARDS_ALL),$(BOARD) $(BOARDS))
ifneq ($(unknown_boards),)
$(error there is no board '$(firstword $(unknown_boards))'; the boards are: $(BOARDS_ALL))
endif

ifneq ($(word 2,$(BOARD)),)
$(error BOARD is one board; several: make all-boards BOARDS="$(BOARD)")
endif

.PHONY: board package boards all-boards cross-setup test-boards test-boot

ifneq ($(BOARD),)
include boards/$(BOARD)/board.mk
OUT := target/boards/$(BOARD)
export BOARD OUT VERSION SOURCE_DATE_EPOCH
export TITLE TARGET INIT OPT_LEVEL DAEMON_PATH CONFIG_PATH PIDFILE OPKG_ARCH DEB_ARCH QEMU
.DEFAULT_GOAL := board

board: ## with BOARD=name: the static binary for that board, in target/boards/NAME/
	@cross/build $(OUT)/oneport
	@boards/check $(OUT)/oneport

package: board ## with BOARD=name: also .ipk, .deb, and the overlays, cpio.gz and squashfs
	@boards/package/all
else
board package:
	@echo "make $@ needs a board, as in: make BOARD=generic-x86_64 $@; the boards are: $(BOARDS_ALL)" >&2; exit 2
endif

boards: ## the boards, what each is, and what was built for it
	@boards/list $(BOARDS_ALL)

# What several boards are asked of. An empty list is a slip, and would pass for success.
each_board = @test -n "$(strip $(1))" || { echo "BOARDS is empty; the boards are: $(BOARDS_ALL)" >&2; exit 2; }; \
    for board in $(1); do $(MAKE) --no-print-directory BOARD=$$board BOARDS= package || exit 1; done

all-boards: ## every board's binary and packages, and the table in boards/README.md (BOARDS="one two": these)
	$(call each_board,$(BOARDS))
	@boards/table

cross-setup: ## what boards are built with: the linker and the standard libraries, in a cache outside the project
	@cross/setup

test-boards: ## builds boards, looks into their packages, and carries real traffic under qemu-user (BOARDS="one two")
	@tests/setup busybox:busybox-static dpkg-deb:dpkg cpio:cpio unsquashfs:squashfs-tools rsync:rsync \
	    /usr/lib/python3/dist-packages/kconfiglib.py:python3-kconfiglib \
	    unshare:util-linux mount:mount readelf:binutils \
	    $(addsuffix :qemu-user-static,$(sort $(shell sed -n 's/^QEMU *= *//p' $(BOARDS:%=boards/%/board.mk))))
	$(call each_board,$(BOARDS))
	ONEPORT_BOARDS="$(BOARDS)" $(CARGO) test --locked --test packages --test boards
	@boards/table

# Those that tests/boot/machine knows, unless others are asked for.
BOOT_BOARDS = $(if $(filter file,$(origin BOARDS)),malta-mipsel virt-armv7,$(BOARDS))

test-boot: ## boots the emulated boards with their own packages and tests them from outside (BOARDS="one two")
	@tests/boot/setup $(BOOT_BOARDS)
	$(call each_board,$(BOOT_BOARDS))
	$(CARGO) test --locked --test boot -- --exact --test-threads=1 --nocapture $(subst -,_,$(BOOT_BOARDS))
	@for board in $(BOOT_BOARDS); do boards/record $$board boot "$$(cat target/boards/$$board/boot.result)" || exit 1; done
	@boards/table
