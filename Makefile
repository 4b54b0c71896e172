# mmvm: make run · test · bench · lab · check · fuzz · clean
#
# One file, no recursion. Sources are found by folder, so a new file needs no edit here.
#   B=DIR     build elsewhere        V=1  show commands
#   SETUP=no  do not look for missing packages
#   ARGS=...  for `make run` and `make lab`

B ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wundef -Wno-unused-parameter
COMMON := -std=gnu11 -g -O2 $(WARN) -Iinclude
DEP = -MMD -MP -MF $@.d

# As many jobs as processors, unless the caller says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc) --output-sync=none
endif

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

# ---- the host program -----------------------------------------------------------------------------------
# lz4.c is the guest's: the audit decompresses what it finds in the guest's memory.
VMM_SRC := $(wildcard vmm/*.c vmm/*/*.c devices/*.c) guestmm/lib/lz4.c
VMM_OBJ := $(VMM_SRC:%.c=$B/host/%.o)
VMM_CFLAGS := $(COMMON) -D_GNU_SOURCE -I. -Ivmm -pthread -fstack-protector-strong
VMM_LIBS := -lfdt -lseccomp -lpthread

# ---- the guest's reclaim policies, a third time: for mmvm policy ------------------------------------------
# One object, in which only the simulator's two functions are visible: the guest's names stay inside.
P_SRC := $(wildcard vmm/policy/guest/*.c guestmm/mm/reclaim/policy_*.c) $(addprefix guestmm/mm/reclaim/,lru.c lruvec.c workingset.c)
P_OBJ := $(P_SRC:%.c=$B/policy/%.o)
P_CFLAGS := $(COMMON) -DMMVM_GUEST -DMMVM_HOSTED -D_GNU_SOURCE -Itests/host -Iguestmm -Iguestmm/arch/x86/include -Ivmm -fno-strict-aliasing
P_ALL := $B/policy/guest_policies.o

# ---- the guest kernel -----------------------------------------------------------------------------------
G_SRC := $(wildcard guestmm/mm/*.c guestmm/mm/*/*.c guestmm/lib/*.c guestmm/kernel/*.c guestmm/init/*.c guestmm/fs/*.c guestmm/fs/*/*.c guestmm/drivers/*.c guestmm/tests/*.c guestmm/arch/x86/*.c)
G_ASM := $(wildcard guestmm/arch/x86/*.S)
G_OBJ := $(G_SRC:%.c=$B/guest/%.o) $(G_ASM:%.S=$B/guest/%.S.o)
G_CFLAGS := $(COMMON) -DMMVM_GUEST -Iguestmm -Iguestmm/arch/x86/include -ffreestanding -fno-pie -no-pie -mcmodel=kernel \
  -mno-red-zone -mgeneral-regs-only -mno-sse -fno-stack-protector -fcf-protection=none -fno-omit-frame-pointer \
  -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-common \
  -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections

# The vDSO runs in user mode, wherever it is mapped. Its image becomes part of the kernel (arch/x86/vdso_image.S).
VDSO_CFLAGS := $(COMMON) -Iguestmm/arch/x86/include -ffreestanding -fPIC -fvisibility=default -mno-sse -fno-stack-protector \
  -fcf-protection=none -fasynchronous-unwind-tables -fomit-frame-pointer -fno-common -Wno-missing-attributes
VDSO := $B/guest/vdso.so

# ---- programs for guest user mode -----------------------------------------------------------------------
U_PROG := $(patsubst user/%.c,%,$(filter-out user/rt%.c,$(wildcard user/*.c)))
U_ELF := $(U_PROG:%=$B/user/%)
U_CFLAGS := $(COMMON) -Iuser -ffreestanding -nostdlib -static -fno-pie -no-pie -mno-red-zone -mno-avx -fno-stack-protector \
  -fcf-protection=none -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns

# Programs as anybody would write them for Linux, with a C library: static, once with musl and once with glibc.
L_PROG := $(foreach p,$(notdir $(basename $(wildcard user/libc/*.c))),$B/user/$p.musl $B/user/$p.glibc)
L_CFLAGS := -std=gnu11 -g -O2 -Wall -Wextra -Werror -Wno-unused-parameter -D_GNU_SOURCE -static -pthread

# ---- mm/ and lib/ on the host, and everything else that is tested there ------------------------------------
H_SRC := $(wildcard guestmm/mm/*.c guestmm/mm/*/*.c guestmm/lib/*.c tests/host/*.c)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
H_OBJ := $(H_SRC:%.c=$B/hosted/%.o)
H_CFLAGS := $(COMMON) -O1 $(SAN) -D_GNU_SOURCE -DMMVM_GUEST -DMMVM_HOSTED -DHOST_RACES -Itests/host -Iguestmm -Iguestmm/arch/x86/include -fno-strict-aliasing
# tests/unit/mm_*.c, tests/model/*.c: one program each against the hosted memory manager
HM_TEST := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/unit/mm_*.c tests/model/*.c))
# tests/unit/vmm_*.c: one program each against the VMM's objects (all but main.c), sanitized
S_OBJ := $(patsubst %.c,$B/san/%.o,$(filter-out vmm/main.c,$(VMM_SRC)))
HV_TEST := $(patsubst tests/%.c,$B/tests/%,$(wildcard tests/unit/vmm_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(wildcard tests/fuzz/*.c))

# Packages are looked at once a build folder, before anything is compiled.
SETUP ?= yes
$B/.setup: images/packages.txt images/setup.sh
	@mkdir -p $(@D)
	$Q[ "$(SETUP)" = no ] || sh images/setup.sh
	@touch $@

all: $B/mmvm $B/images/guestmm.elf $(U_ELF)

$B/policy/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC [P]  $<"
	$Q$(CC) $(P_CFLAGS) $(DEP) -c -o $@ $<
$(P_ALL): $(P_OBJ)
	@echo "  LD [P]  $@"
	$Qld -r -o $@ $^
	$Qobjcopy --keep-global-symbol=policy_guest_name --keep-global-symbol=policy_guest_run $@
$B/mmvm: $(VMM_OBJ) $(P_ALL)
	@echo "  LD      $@"
	$Q$(CC) -o $@ $^ $(VMM_LIBS)
$B/host/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC      $<"
	$Q$(CC) $(VMM_CFLAGS) $(DEP) -c -o $@ $<

$B/images/guestmm.elf: $(G_OBJ) guestmm/arch/x86/guestmm.lds
	@mkdir -p $(@D); echo "  LD      $@"
	$Q$(CC) -nostdlib -static -no-pie -Wl,--build-id=none,-z,max-page-size=4096,-z,noexecstack,--gc-sections,-T,guestmm/arch/x86/guestmm.lds -o $@ $(G_OBJ) -lgcc
$B/guest/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC [G]  $<"
	$Q$(CC) $(G_CFLAGS) $(DEP) -c -o $@ $<
$(VDSO): guestmm/arch/x86/vdso/vdso.c guestmm/arch/x86/vdso/vdso.lds guestmm/arch/x86/include/arch/vdso.h | $B/.setup
	@mkdir -p $(@D); echo "  CC [D]  $<"
	$Q$(CC) $(VDSO_CFLAGS) -c -o $@.o $<
	$Qld -shared -soname linux-vdso.so.1 --hash-style=both --build-id=none --eh-frame-hdr -z noexecstack -z max-page-size=4096 \
	  -Bsymbolic --no-undefined -T guestmm/arch/x86/vdso/vdso.lds -o $@.full $@.o
	$Qobjcopy -S $@.full $@
$B/guest/guestmm/arch/x86/vdso_image.S.o: $(VDSO)
$B/guest/guestmm/arch/x86/vdso_image.S.o: G_CFLAGS += -Wa,-I$(dir $(VDSO))
$B/guest/%.S.o: %.S | $B/.setup
	@mkdir -p $(@D); echo "  AS [G]  $<"
	$Q$(CC) $(G_CFLAGS) -D__ASSEMBLY__ $(DEP) -c -o $@ $<

$B/user/%: user/%.c $(wildcard user/rt*.c user/rt*.S user/*.h) | $B/.setup
	@mkdir -p $(@D); echo "  CC [U]  $<"
	$Q$(CC) $(U_CFLAGS) -o $@ $< $(wildcard user/rt*.c user/rt*.S) -lgcc

$B/user/%.musl: user/libc/%.c $(wildcard user/libc/*.h) | $B/.setup
	@mkdir -p $(@D); echo "  CC [L]  $@"
	$Qmusl-gcc $(L_CFLAGS) -o $@ $<
$B/user/%.glibc: user/libc/%.c $(wildcard user/libc/*.h) | $B/.setup
	@mkdir -p $(@D); echo "  CC [L]  $@"
	$Q$(CC) $(L_CFLAGS) -o $@ $<

$B/hosted/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC [H]  $<"
	$Q$(CC) $(H_CFLAGS) $(DEP) -c -o $@ $<
$(HM_TEST): $B/tests/%: $B/hosted/tests/%.o $(H_OBJ)
	@mkdir -p $(@D); echo "  LD [H]  $@"
	$Q$(CC) $(SAN) -o $@ $^ -lcunit $(LIBS_OF_TEST)
# our LZ4 beside the distribution's
$B/tests/model/lz4: LIBS_OF_TEST := -llz4
# ext2 on the host's page cache, for its model and damaged disks
$B/tests/model/ext2: $(patsubst %.c,$B/hosted/%.o,$(wildcard guestmm/fs/ext2/*.c) guestmm/fs/inode.c)
$B/san/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC [S]  $<"
	$Q$(CC) $(VMM_CFLAGS) -O1 $(SAN) $(DEP) -c -o $@ $<
$(HV_TEST): $B/tests/%: $B/san/tests/%.o $(S_OBJ) $(P_ALL)
	@mkdir -p $(@D); echo "  LD [S]  $@"
	$Q$(CC) $(SAN) -o $@ $^ -lcunit $(VMM_LIBS)

# libFuzzer targets are built with clang: tests/fuzz/mm_*.c against mm/, vmm_*.c against the VMM, others against devices/.
Z_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
Z_CFLAGS := -g -O1 -std=gnu11 $(Z_SAN) -fsanitize=fuzzer-no-link -Iinclude -D_GNU_SOURCE
Z_HOSTED := -DMMVM_GUEST -DMMVM_HOSTED -Itests/host -Iguestmm -Iguestmm/arch/x86/include -fno-strict-aliasing
Z_MM := $(H_SRC:%.c=$B/fuzzobj/hosted/%.o)
Z_VMM := $(patsubst %.c,$B/fuzzobj/vmm/%.o,$(filter-out vmm/main.c,$(VMM_SRC)))
$B/fuzzobj/hosted/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC [Z]  $<"
	$Qclang $(Z_CFLAGS) $(Z_HOSTED) $(DEP) -c -o $@ $<
$B/fuzzobj/vmm/%.o: %.c | $B/.setup
	@mkdir -p $(@D); echo "  CC [Z]  $<"
	$Qclang $(Z_CFLAGS) -I. -Ivmm -pthread $(DEP) -c -o $@ $<
# Each target has its rule by name: of two patterns that fit, make prefers the one whose objects are there already.
$(filter $B/fuzz/mm_%,$(FUZZ)): $B/fuzz/mm_%: $B/fuzzobj/hosted/tests/fuzz/mm_%.o $(Z_MM)
	@mkdir -p $(@D); echo "  LD [Z]  $@"
	$Qclang $(Z_SAN) -fsanitize=fuzzer -o $@ $^
$(filter $B/fuzz/vmm_%,$(FUZZ)): $B/fuzz/vmm_%: $B/fuzzobj/vmm/tests/fuzz/vmm_%.o $(Z_VMM) $(P_ALL)
	@mkdir -p $(@D); echo "  LD [Z]  $@"
	$Qclang $(Z_SAN) -fsanitize=fuzzer -o $@ $^ $(VMM_LIBS)
$(filter-out $B/fuzz/mm_% $B/fuzz/vmm_%,$(FUZZ)): $B/fuzz/%: $B/fuzzobj/vmm/tests/fuzz/%.o $(patsubst %.c,$B/fuzzobj/vmm/%.o,$(wildcard devices/*.c))
	@mkdir -p $(@D); echo "  LD [Z]  $@"
	$Qclang $(Z_SAN) -fsanitize=fuzzer -o $@ $^ -lpthread

# Runs the tests with limits that a busy machine does not change.
$B/tests/limit: tests/limit.c vmm/machine/own_time.c vmm/machine/own_time.h | $B/.setup
	@mkdir -p $(@D); echo "  CC      $<"
	$Q$(CC) $(COMMON) -D_GNU_SOURCE -Ivmm -o $@ tests/limit.c vmm/machine/own_time.c

# The chaos kernel: a hostile guest (tests/vm/chaos.sh)
$B/tests/chaos.elf: tests/chaos/chaos.c tests/chaos/chaos.lds $(wildcard include/mmvm/*.h) | $B/.setup
	@mkdir -p $(@D); echo "  CC [G]  $<"
	$Q$(CC) $(COMMON) -O1 -Wno-missing-prototypes -ffreestanding -nostdlib -static -fno-pie -no-pie -mcmodel=kernel -mno-red-zone \
	  -mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing \
	  -fno-tree-loop-distribute-patterns -Wl,--build-id=none,-z,max-page-size=4096,-z,noexecstack,-T,tests/chaos/chaos.lds -o $@ $<

unit: $(HM_TEST) $(HV_TEST) $B/tests/limit $B/tests/chaos.elf
fuzzers: $(FUZZ)
programs: $(L_PROG)
setup: $B/.setup

# ---- the commands of the README ---------------------------------------------------------------------------
-include images/images.mk

run: all lab-image
	$B/mmvm run $(ARGS)
test: all unit fuzzers programs lab-image
	tests/run $B
# The guest's tests where KVM has VMX, which Bochs emulates: all, or ONLY="swap thp"
test-vmx: all lab-image
	tests/vmx/bochs.py $B mmvm test --accel kvm $(addprefix -k ,$(ONLY))
# Debian's own programs in the lab: tests/debian/run.sh; ONLY="redis fio": these
test-programs: all lab-image $B/tests/limit
	tests/debian/run.sh $B $(ONLY)
# The stress of groups and nodes at length: ROUNDS=60 is about an hour on each number of CPUs
ROUNDS ?= 60
test-long: all programs lab-image $B/tests/limit
	ROUNDS=$(ROUNDS) STEPS=60 WORKERS=10 tests/stress/groups.sh $B
# Whom the OOM killer chooses, in all generated cases, against Linux
CASES ?= 200
test-oomtable: all programs lab-image $B/tests/limit
	CASES=$(CASES) tests/vm/oomtable.sh $B
bench: all lab-image
	$B/mmvm bench $(ARGS)
# Misses of every reclaim policy against OPT (doc/policy.md)
policy-table: all lab-image
	@tests/bench/policy_table.sh $B
# The same with the example policy of doc/new-policy.md
policy-example: all lab-image
	@tests/bench/policy_example.sh $B
# Any command of mmvm inside the lab: make lab ARGS="run --memory 24M"
lab: all lab-image
	$B/mmvm $(firstword $(ARGS)) --accel lab $(wordlist 2,99,$(ARGS))
# Fuzz at length: FUZZ_SECONDS each
FUZZ_SECONDS ?= 600
# SHARD=K/N: every N-th target, from the K-th on. FUZZ_ONLY=NAME: one of them.
SHARD ?= 1/1
FUZZ_ONLY ?=
fuzz: fuzzers
	@k=$(word 1,$(subst /, ,$(SHARD))); n=$(word 2,$(subst /, ,$(SHARD))); i=0; for f in $(FUZZ); do t=$$(basename $$f); \
	  i=$$((i + 1)); [ $$(((i - k) % n)) = 0 ] || continue; [ -z "$(FUZZ_ONLY)" ] || [ "$(FUZZ_ONLY)" = $$t ] || continue; \
	  mkdir -p $B/corpus/$$t tests/fuzz/corpus/$$t; echo "  FUZZ    $$t"; \
	  $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $B/corpus/$$t tests/fuzz/corpus/$$t || exit 1; done

# Planted bugs (doc/mutation.md): does each get caught, with the right words?
ONLY ?=
mutation: all unit lab-image
	tests/mutation/run.py $B --shard $(SHARD) $(if $(ONLY),--only $(ONLY))

# Format, warnings as errors under clang as well, cppcheck.
ALL_C = $(shell find vmm devices guestmm include user tests images -name '*.[ch]')
# What clang says is asked for each file once, as long as neither it nor a header has changed. gcc's flags that clang
# does not know are left out.
NO_CLANG := -mgeneral-regs-only -no-pie -fno-tree-loop-distribute-patterns -fno-sanitize-recover=undefined $(SAN)
# vmm_park.c replaces atomics by calls of its own, as only gcc takes it.
CHECKED := $(patsubst %.c,$B/check/vmm/%.ok,$(VMM_SRC) $(filter-out tests/unit/vmm_park.c,$(wildcard tests/unit/vmm_*.c)) tests/limit.c \
    $(filter-out tests/fuzz/mm_%,$(wildcard tests/fuzz/*.c))) \
  $(patsubst %.c,$B/check/guest/%.ok,$(G_SRC)) \
  $(patsubst %.c,$B/check/host/%.ok,$(wildcard tests/host/*.c tests/unit/mm_*.c tests/model/*.c tests/fuzz/mm_*.c)) \
  $(patsubst %.c,$B/check/policy/%.ok,$(wildcard vmm/policy/guest/*.c)) $B/check/chaos/tests/chaos/chaos.ok \
  $B/check/vdso/guestmm/arch/x86/vdso/vdso.ok \
  $(patsubst %.c,$B/check/user/%.ok,$(wildcard user/*.c)) \
  $(patsubst %.c,$B/check/libc/%.ok,$(wildcard user/libc/*.c images/lab_init.c) tests/examples/system_call.c)
clang_check = @mkdir -p $(@D); clang $(filter-out $(NO_CLANG),$(1)) -Wno-missing-field-initializers -fsyntax-only -MMD -MP -MF $@.d -MT $@ $< && touch $@
$B/check/vmm/%.ok: %.c | $B/.setup ; $(call clang_check,$(VMM_CFLAGS) -include devices/locking.h -Wthread-safety)
$B/check/guest/%.ok: %.c | $B/.setup ; $(call clang_check,$(G_CFLAGS) -mno-mmx -mno-sse2)
$B/check/host/%.ok: %.c | $B/.setup ; $(call clang_check,$(H_CFLAGS) -Wno-sign-compare -Wno-format-security)
$B/check/policy/%.ok: %.c | $B/.setup ; $(call clang_check,$(P_CFLAGS))
$B/check/chaos/%.ok: %.c | $B/.setup ; $(call clang_check,$(filter-out -DMMVM_GUEST,$(G_CFLAGS)) -Wno-missing-prototypes -Wno-gnu-variable-sized-type-not-at-end)
$B/check/vdso/%.ok: %.c | $B/.setup ; $(call clang_check,$(filter-out -Wno-missing-attributes,$(VDSO_CFLAGS)))
$B/check/user/%.ok: %.c | $B/.setup ; $(call clang_check,$(U_CFLAGS) -Wno-string-concatenation)
$B/check/libc/%.ok: %.c | $B/.setup ; $(call clang_check,$(L_CFLAGS))
CPPCHECK = cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j2 --enable=warning,portability --max-configs=1 \
  --suppress=missingIncludeSystem --suppressions-list=tests/cppcheck.txt --cppcheck-build-dir=$B/check/cppcheck
check: all $(CHECKED)
	@echo "  INCLUDES"; tests/check_includes
	@echo "  DOC"; $B/mmvm report --schema | diff -u doc/result.md - && tests/check_docs
	@echo "  PLANTED BUGS"; tests/mutation/run.py $B --check
	@echo "  FORMAT"; clang-format --dry-run -Werror $(ALL_C)
	@mkdir -p $B/check/cppcheck
	@echo "  CPPCHECK vmm"; $(CPPCHECK) -Iinclude -I. -Ivmm vmm devices images/lab_init.c tests/limit.c
	@echo "  CPPCHECK guest"; $(CPPCHECK) -DMMVM_GUEST -Iinclude -Iguestmm -Iguestmm/arch/x86/include guestmm
	@echo "  CPPCHECK tests"; $(CPPCHECK) -DMMVM_GUEST -Iinclude -I. -Ivmm -Itests/host -Iguestmm -Iguestmm/arch/x86/include tests user

# ---- installing -------------------------------------------------------------------------------------------
# The program and what it needs (the guest's kernel and programs, the lab's image) lie together in lib/mmvm;
# bin/mmvm is a link to it. Manual pages and completion come from the program's own option tables.
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR = $(DESTDIR)$(PREFIX)/lib/mmvm
install: all lab-image
	install -d $(LIBDIR)/images $(LIBDIR)/user $(LIBDIR)/lab $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/doc/mmvm/doc
	install -m 755 -s $B/mmvm $(LIBDIR)/mmvm
	ln -sfn ../lib/mmvm/mmvm $(DESTDIR)$(PREFIX)/bin/mmvm
	install -m 755 $B/images/guestmm.elf $(LIBDIR)/images/
	install -m 755 $(U_ELF) $(LIBDIR)/user/
	for f in vmlinux initrd release; do [ ! -e $B/lab/$$f ] || install -m 644 $B/lab/$$f $(LIBDIR)/lab/ || exit 1; done
	[ ! -e $B/lab/lab_init ] || install -m 755 $B/lab/lab_init $(LIBDIR)/lab/
	install -m 644 images/lab.sh images/linux_bench.c $(LIBDIR)/lab/
	$B/mmvm man $(DESTDIR)$(PREFIX)/share/man/man1
	$B/mmvm completion >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/mmvm
	install -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/mmvm/
	install -m 644 doc/*.md $(DESTDIR)$(PREFIX)/share/doc/mmvm/doc/
uninstall:
	rm -rf $(LIBDIR) $(DESTDIR)$(PREFIX)/bin/mmvm $(DESTDIR)$(PREFIX)/share/man/man1/mmvm*.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mmvm $(DESTDIR)$(PREFIX)/share/doc/mmvm

# A Debian package of the same.
VERSION = $(shell $B/mmvm --version | sed 's/^mmvm \([0-9.]*\).*/\1/')
deb: all lab-image
	rm -rf $B/deb && mkdir -p $B/deb/DEBIAN
	$(MAKE) --no-print-directory install SETUP=no DESTDIR=$(abspath $B)/deb PREFIX=/usr
	gzip -9n $B/deb/usr/share/man/man1/*.1
	sed -e 's/@VERSION@/$(VERSION)/' -e "s/@SIZE@/$$(du -sk $B/deb/usr | cut -f1)/" images/deb-control >$B/deb/DEBIAN/control
	dpkg-deb --root-owner-group --build $B/deb $B/mmvm_$(VERSION)_amd64.deb

# Pages of doc/ that the program writes.
docs: all
	$B/mmvm report --schema >doc/result.md
	tests/check_docs --write

clean:
	rm -rf $B

.PHONY: mutation test-vmx install uninstall deb docs all unit fuzzers programs setup run test test-programs test-long test-oomtable bench policy-table policy-example lab fuzz check clean lab-image
-include $(shell find $B -path $B/debian -prune -o -type f -name '*.d' -print 2>/dev/null)
