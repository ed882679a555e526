# algo_ref: build with PGXS, test, lint.
#
#   make && make install && make installcheck     against the server of PG_CONFIG
#   make demo | test | lint | soak | bench        install what they need (see test/setup)
#
# Options: WERROR=1 (warnings are errors), CASSERT=1 (assertions in our code),
# VERSIONS="15 17 18" and SUITES="regress isolation tap" (what `make test` runs).

EXTENSION = algo_ref
EXTVERSION = 1.0
MODULE_big = algo_ref
PGFILEDESC = "algo_ref - migrations inside the server"

# The rooms, in the order of their parts in the extension's script.
rooms = common relationship revision schema autogenerate migrate bulk prefetch watch session

house := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
sources := $(sort $(wildcard $(house)/src/*.c $(house)/src/*/*.c))
sql_parts := $(foreach room,$(rooms),$(wildcard $(house)/src/$(room)/$(room).sql))
sql_tests := $(sort $(basename $(notdir $(wildcard $(house)/sql/*.sql))))

OBJS = $(patsubst $(house)/%.c,%.o,$(sources))
DATA = $(patsubst $(house)/%,%,$(sort $(wildcard $(house)/src/update/$(EXTENSION)--*--*.sql)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = $(OBJS:.o=.d) output_iso tmp_check tmp_check_iso

# What "make test" was asked for, before the names are taken for all tests.
asked_regress := $(if $(filter environment command,$(origin REGRESS)),$(REGRESS))
asked_isolation := $(if $(filter environment command,$(origin ISOLATION)),$(ISOLATION))

# install comes first, then room by room, then what belongs to no room.
room_tests = $(foreach room,$(rooms),$(filter $(room) $(room)_%,$(sql_tests)))
REGRESS = $(filter install,$(sql_tests)) $(room_tests) $(filter-out install $(room_tests),$(sql_tests))

ISOLATION = $(sort $(basename $(notdir $(wildcard $(house)/test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation

TAP_TESTS = $(if $(wildcard $(house)/test/t/*.pl),1)
ifeq ($(PROVE_TESTS),)
PROVE_TESTS = $(patsubst $(house)/%,%,$(sort $(wildcard $(house)/test/t/*.pl)))
endif

# The server's own macros and headers want the four exceptions (PG_FINALLY the
# last).
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-clobbered \
	$(if $(filter 1,$(WERROR)),-Werror) -MMD -MP
PG_CPPFLAGS = -I$(srcdir)/src $(if $(filter 1,$(CASSERT)),-DUSE_ASSERT_CHECKING=1)

.DEFAULT_GOAL = all

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

ifneq ($(PGXS),)
include $(PGXS)

# What was compiled with other flags or headers is compiled again; the bitcode
# follows its object, which knows the headers.
$(OBJS): $(house)/Makefile
$(OBJS:.o=.bc): %.bc: %.o
-include $(wildcard $(OBJS:.o=.d))

# A build outside the source tree needs the rooms' folders.
$(if $(VPATH),$(shell mkdir -p $(sort $(dir $(OBJS)))))
else
all install installcheck:
	@echo 'The headers of a PostgreSQL server are missing (asked $(PG_CONFIG)).' >&2
	@echo 'Install them (Debian: postgresql-server-dev-15), or name them: make PG_CONFIG=/path/to/pg_config' >&2
	@echo '"make demo" and "make test" install them by themselves.' >&2
	@exit 1
.PHONY: all install installcheck
endif

$(DATA_built): $(sql_parts) $(house)/Makefile
	cat $(sql_parts) > $@.new
	mv $@.new $@

.PHONY: demo test lint indent typedefs soak bench

demo:
	@exec bash $(house)/test/demo/run

test:
	@VERSIONS="$(VERSIONS)" SUITES="$(SUITES)" REGRESS="$(asked_regress)" ISOLATION="$(asked_isolation)" exec bash $(house)/test/run

soak:
	@exec bash $(house)/test/soak

bench:
	@exec bash $(house)/test/bench/run

# Layout, room direction, names.  Reads the objects, so it builds first.
lint: all
	@exec bash $(house)/test/lint/run $(CURDIR)

indent:
	@exec perl $(house)/test/lint/layout --write $(house)

# The type names that the layout has to know, from the preprocessed sources.
typedefs:
	@exec perl $(house)/test/lint/typedefs --write $(house)
