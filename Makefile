# The front door. Each target first sees to what the machine lacks, then hands over to `cargo xtask`.
#
#   make run        the whole house in the foreground, with the demonstration's settings, its home in .home;
#                   LISTEN=192.168.1.5 (or an IPv6 address) lets real phones reach it
#   make test       everything a change must pass (what .ci/run does)
#   make lint       the part of it that runs nothing
#   make fuzz       the fuzz targets; ten minutes shared out among them, FUZZ_SECONDS=60 for less
#   make differential  our readers of SIP and SDP beside those of two other stacks; no part of the gate
#   make mutants    every deliberate fault must turn its test red; MUTANTS="name name" chooses
#   make bench      what the house can bear, a table a subject, each figure beside its reference of the same
#                   run; BENCH="store media" chooses
#   make packaging  units, users and directories, made anew from configs/house.toml

export PATH := $(HOME)/.cargo/bin:$(PATH)
FUZZ_SECONDS ?= 600

.PHONY: run test bench lint fuzz differential mutants packaging
run:
	@sh appliance/xtask/ready.sh run
	@cargo xtask run
test:
	@sh appliance/xtask/ready.sh test
	@cargo xtask test --fuzz-seconds $(FUZZ_SECONDS)
lint:
	@sh appliance/xtask/ready.sh test
	@cargo xtask lint
fuzz:
	@sh appliance/xtask/ready.sh test
	@cargo xtask fuzz --seconds $(FUZZ_SECONDS)
differential:
	@sh appliance/xtask/ready.sh run
	@cargo xtask differential
mutants:
	@sh appliance/xtask/ready.sh test
	@cargo xtask mutants $(MUTANTS)
bench:
	@sh appliance/xtask/ready.sh bench
	@cargo xtask bench $(BENCH)
packaging:
	@sh appliance/xtask/ready.sh run
	@cargo xtask packaging
