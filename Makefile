# trayd: one non-recursive makefile. `make help` lists what it can do.
#
# Everything is built under build/VARIANT/. A folder becomes one static library; server/main.c, gadget/main.c and
# images/main.c become the three programs; each tests/unit/test_*.c becomes a program of its own, linked with all of them.

VARIANT ?= release
B := build/$(VARIANT)
CC ?= gcc
PYTHON ?= python3
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
VERSION := $(shell cat VERSION)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '%-5s %s\n' $(1) $(2))

# ---- flags -------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
DEFINES := -D_GNU_SOURCE -DTRAYD_VERSION='"$(VERSION)"' -I. -I$(B)/gen
HARDENING_WANTED := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
	-ftrivial-auto-var-init=zero -fstrict-flex-arrays=3 -fzero-init-padding-bits=all
LINK_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack

FLAGS_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_coverage := -O0 -g --coverage
FLAGS_faults := -O1 -g -DTRAYD_FAULTS
FLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
ifeq ($(FLAGS_$(VARIANT)),)
$(error VARIANT must be release, asan, tsan, coverage, faults or fuzz, not "$(VARIANT)")
endif

# What reads strangers' bytes is in trayd-helper alone (images/helper.h); the tests have it too.
HELPER_LIBS := -lcurl -larchive -lz
LIBS := -lmicrohttpd -ljansson -lconfig -lsqlite3 -lgnutls -lunistring -lcap -lpthread -lm

# Which hardening flags this compiler knows is asked once, and kept beside the objects.
-include $(B)/probed.mk
CFLAGS ?=
ALL_CFLAGS = -std=gnu17 -fPIE $(DEFINES) $(WARNINGS) $(if $(WERROR),-Werror) $(FLAGS_$(VARIANT)) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = $(FLAGS_$(VARIANT)) $(LINK_HARDENING) $(LDFLAGS)

$(B)/probed.mk: Makefile
	@mkdir -p $(@D)
	@for f in $(HARDENING_WANTED); do \
		if echo 'int main(void){return 0;}' | $(CC) -Werror $$f -x c -o /dev/null - 2>/dev/null; then found="$$found $$f"; fi; \
	done; echo "HARDENING :=$$found" > $@

# ---- sources -----------------------------------------------------------------------------------------------------

FOLDERS := base gadget images api server
sources = $(filter-out $(1)/main.c,$(wildcard $(1)/*.c))
objects = $(patsubst %.c,$(B)/%.o,$(call sources,$(1)))
API_GEN := $(B)/gen/api_routes.c
WEB_GEN := $(B)/gen/web_assets.c
GEN_OBJECTS := $(API_GEN:.c=.o) $(WEB_GEN:.c=.o)
LIBRARIES := $(B)/server.a $(B)/api.a $(B)/gadget.a $(B)/images.a $(B)/base.a
PROGRAMS := $(B)/trayd $(B)/trayd-gadget $(B)/trayd-helper
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SOURCES))
TOOL_SOURCES := $(wildcard tests/vm/*_tool.c tests/bench/*_tool.c)
TOOLS := $(patsubst %.c,$(B)/tests/%,$(notdir $(TOOL_SOURCES))) $(B)/tests/random_tool

.PHONY: all help
all: $(PROGRAMS) ## build the two programs (VARIANT=release, asan, tsan, coverage or faults)

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

$(B)/%.o: %.c Makefile $(B)/probed.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(B)/gen/%.o: $(B)/gen/%.c
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(API_GEN): api/openapi.json api/gen_routes.py
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(PYTHON) api/gen_routes.py api/openapi.json $@

$(WEB_GEN): web/gen_assets.py $(wildcard web/*.html web/*.css web/*.js web/*.svg)
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(PYTHON) web/gen_assets.py web $@

define library
$(B)/$(1).a: $(call objects,$(1)) $(2)
	@rm -f $$@
	$(call say,AR,$$@)
	$(Q)ar rcs $$@ $$^
endef
$(foreach f,base gadget images,$(eval $(call library,$(f),)))
$(eval $(call library,api,$(API_GEN:.c=.o)))
$(eval $(call library,server,$(WEB_GEN:.c=.o)))

$(B)/trayd: $(B)/server/main.o $(LIBRARIES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIBRARIES) $(LIBS)

$(B)/trayd-gadget: $(B)/gadget/main.o $(B)/gadget.a $(B)/base.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lconfig -lcap -lm

# The model checker puts itself in the place of the daemon and the clock around the real reattach.c.
comma := ,
WRAPPED := clock_boot_ms loop_timer_set daemon_release_deferred daemon_tell_system state_file_save
$(B)/tests/test_function_model: private LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(WRAPPED))

$(B)/trayd-helper: $(B)/images/main.o $(B)/images.a $(B)/base.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--as-needed -o $@ $^ -ljansson -lunistring -lgnutls $(HELPER_LIBS) -lm

$(B)/tests/%: $(B)/tests/unit/%.o $(LIBRARIES) $(B)/trayd-helper
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--as-needed -o $@ $< $(LIBRARIES) $(LIBS) $(HELPER_LIBS) -lcmocka

define link_tool
@mkdir -p $(@D)
$(call say,LD,$@)
$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lconfig -lcap -lm
endef
$(B)/tests/%_tool: $(B)/tests/vm/%_tool.o $(B)/gadget.a $(B)/base.a
	$(link_tool)

$(B)/tests/%_tool: $(B)/tests/bench/%_tool.o $(B)/gadget.a $(B)/base.a
	$(link_tool)

$(B)/tests/random_tool: $(patsubst %.c,$(B)/%.o,$(wildcard tests/random/*.c)) $(B)/base.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lpthread

# The fuzzers, for VARIANT=fuzz with clang (tests/fuzz/run); each is linked with all libraries.
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(FUZZERS): $(B)/%: $(B)/tests/fuzz/fuzz_%.o $(LIBRARIES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIBRARIES) $(LIBS) $(HELPER_LIBS)

$(B)/record: $(B)/tests/fuzz/record.o $(B)/images.a $(B)/base.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- running, testing, installing --------------------------------------------------------------------------------

.PHONY: run test unit lint fuzz vm random faults bench-eject bench-upload bench-many model install uninstall clean need-build need-run need-test for-guests

need-build need-run need-test: need-%:
	@tests/need $*

# As root beside a USB device controller the drives appear there; anywhere else the appliance is a virtual machine
# with both ends of the cable in it.
run: need-run ## build, and run trayd: on this machine's UDC, or else in a virtual machine
	@$(MAKE) -s all
	@if [ "$$(id -u)" = 0 ] && [ -n "$$(ls -A /sys/class/udc 2>/dev/null)" ]; then \
		exec $(B)/trayd --config etc/trayd.conf; \
	else exec tests/vm/appliance --bin $(B); fi

test: need-build need-test ## everything, from lint to real kernels in virtual machines
	@$(MAKE) -s for-guests
	@$(MAKE) -s VARIANT=asan all
	@tests/run_all.py

unit: $(UNIT_TESTS) ## the unit tests of this VARIANT
	@tests/run-unit $(UNIT_TESTS)

lint: ## the static checks
	@tests/lint/run

bench-upload: all ## 5 GiB by PUT, by tus with ten interruptions and from a URL that breaks off; the memory and CPU that it takes
	@tests/bench/upload.py

bench-many: all ## the start, lists and searches with 10 000 images
	@tests/bench/many.py

fuzz: ## the fuzzers of the parsers, a minute each
	@tests/fuzz/run 60

vm: for-guests ## the tests on real kernels alone
	@tests/run_all.py vm

faults: for-guests ## kill trayd-gadget at every step there is, simulated and on real kernels; takes hours
	@tests/run_all.py faults

# What the guest scripts run: the programs, their tools, and the build that can be killed at each fault point.
for-guests: all $(TOOLS)
	@$(MAKE) -s VARIANT=faults all build/faults/tests/build_tool

random: all $(TOOLS) ## ten minutes of random operations on a real kernel (SEED=1, MINUTES=10, KERNEL=6.12)
	@tests/vm/run --kernel $(or $(KERNEL),6.12) --timeout $$(($(or $(MINUTES),10) * 180 + 600)) tests/vm/scripts/random.sh $(or $(SEED),1) $$(($(or $(MINUTES),10) * 60))

bench-eject: need-build need-test ## how media are ejected, measured on real kernels; rewrites docs/ejecting.md; takes an hour
	@$(MAKE) -s all $(B)/tests/eject_tool
	@tests/bench/bench_eject.py

model: $(B)/tests/test_drive_model $(B)/tests/test_function_model ## the model checkers with three operations at a time; takes minutes and gigabytes
	TRAYD_MODEL_OPS=3 $(B)/tests/test_drive_model
	TRAYD_MODEL_OPS=3 $(B)/tests/test_function_model

install: all ## install under PREFIX=/usr/local, configuration under SYSCONFDIR=/etc (DESTDIR is honoured)
	install -D -m 0755 $(B)/trayd $(DESTDIR)$(PREFIX)/bin/trayd
	install -D -m 0755 $(B)/trayd-helper $(DESTDIR)$(PREFIX)/libexec/trayd-helper
	install -D -m 0755 $(B)/trayd-gadget $(DESTDIR)$(PREFIX)/sbin/trayd-gadget
	[ -e $(DESTDIR)$(SYSCONFDIR)/trayd/trayd.conf ] || install -D -m 0644 etc/trayd.conf $(DESTDIR)$(SYSCONFDIR)/trayd/trayd.conf
	install -d $(DESTDIR)/lib/systemd/system
	for unit in trayd trayd-gadget; do \
		sed 's|@PREFIX@|$(PREFIX)|g; s|@SYSCONFDIR@|$(SYSCONFDIR)|g' etc/$$unit.service.in > $(DESTDIR)/lib/systemd/system/$$unit.service; done
	install -D -m 0644 etc/sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/trayd.conf
	install -D -m 0644 etc/tmpfiles.conf $(DESTDIR)/usr/lib/tmpfiles.d/trayd.conf

uninstall: ## remove what install put there, but for the configuration
	rm -f $(DESTDIR)$(PREFIX)/bin/trayd $(DESTDIR)$(PREFIX)/sbin/trayd-gadget $(DESTDIR)$(PREFIX)/libexec/trayd-helper \
		$(DESTDIR)/lib/systemd/system/trayd.service $(DESTDIR)/lib/systemd/system/trayd-gadget.service \
		$(DESTDIR)/usr/lib/sysusers.d/trayd.conf $(DESTDIR)/usr/lib/tmpfiles.d/trayd.conf

clean: ## remove what was built (downloaded kernels and the appliance's images stay)
	rm -rf build
