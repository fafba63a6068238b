//! What `--help` says behind the options: examples, and what they lead to.

pub const AFTER_HELP: &str = "\
Examples:
  fencepost                                       every bundled scenario
  fencepost run artemis                           all scenarios of one folder
  fencepost fuzz artemis/failback --time 10m      look for a seed that fails
  fencepost replay artemis/failback --seed 0x2a   see what happened
  fencepost shrink artemis/failback --seed 0x2a   reduce it to its cause

Exit codes:
  0   everything is as the scenario files expect
  1   anything that has no code of its own, such as a canary that caught nothing
  2   the command line or an environment variable is wrong
  4   nothing was selected
  10  a safety property was violated
  11  a liveness property was violated
  12  two runs of one seed differed, or a real process did what its actor does not do again
  13  inconclusive: something that should sometimes happen never did, an exploration was not
      finished, or the order of what real processes did cannot be told
  96  a scenario file is wrong
  130 interrupted

If several apply, a violation goes before the rest. Environment variables stand for options that are not given:
FENCEPOST_SEED, FENCEPOST_SEEDS, FENCEPOST_TIME and FENCEPOST_JOBS.";

pub const RUN_EXAMPLES: &str = "\
Examples:
  fencepost run                               every bundled scenario with its own seeds
  fencepost run artemis/failback my.toml      one by name, one from a file
  fencepost run artemis --seeds 5000          more seeds
  fencepost run --shard 2/4 --junit out.xml   the second quarter of the scenarios, in a CI job
  fencepost run --check-determinism           every seed twice

A scenario is never split between shards, because its verdict is about all of its seeds; `fuzz --shard` splits the seeds.
A canary stops at the first violation that it expects.";

pub const FUZZ_EXAMPLES: &str = "\
Examples:
  fencepost fuzz artemis/failback --seeds 100000
  fencepost fuzz scenarios/artemis/failback.toml --time 10m --shard 2/4
  fencepost fuzz artemis/failback --seeds 5000..10000 --keep
  fencepost fuzz artemis derby --time 8h --journal night.log

Without --seeds or --time, runs the scenario's own seeds. With --time alone, runs seeds from 0 on until the time is up.
The same seeds give the same trace hash, whatever --jobs is. Shards deal out the seeds in turn:
2/4 of 0..100 are 1, 5, 9 and so on. `fencepost merge` joins their journals.

A journal survives a crash and `kill -9`: give the same command again, and it goes on behind the
last seed that was written down. With --time, each time the command is given is one more such
time. A journal of other seeds, of other scenarios, or of a scenario or program that has changed
since is refused.";

pub const MERGE_EXAMPLES: &str = "\
Examples:
  fencepost fuzz artemis/failback --seeds 1000000 --shard 1/2 --journal 1.log
  fencepost fuzz artemis/failback --seeds 1000000 --shard 2/2 --journal 2.log
  fencepost merge 1.log 2.log --junit out.xml

The report, the trace hash and the exit code are those that the campaign would have had in one
piece. A shard that is missing or has not ended is an error that says what to type to finish it.
The scenarios must be where the shards found them, and must not have changed.";

pub const REPLAY_EXAMPLES: &str = "\
Examples:
  fencepost replay artemis/failback --seed 0x9e3779b97f4a7c15
  fencepost replay artemis/failback --seed 7 --all --html run.html
  fencepost replay --schedule shrunk.toml

The exit code is that of this one run: 0 if nothing was violated, 10 or 11 if something was, whatever the file expects.";

pub const EXPLORE_EXAMPLES: &str = "\
Examples:
  fencepost explore lease/steady --faults 2 --window 10s..13s
  fencepost explore artemis/failback --break cut=3s,drop --nodes alpha,beta
  fencepost explore lease sling --clean --time 60s --message-format json
  fencepost explore --clean --faults 1

The run in which nothing breaks but what the scenario's own steps break is taken at every event, and everything on the menu
is tried there: first one fault at a time, then every two, up to K. States that were seen before are not gone on from. So
what is found needs all its faults, and if nothing is found, nothing of what was enumerated can break the scenario.
A file narrows the menu in its table `[explore]`; of several scenarios, each certificate is one line.

The exit code is 0 if everything was tried and nothing violated, 10 or 11 if something was, whatever the file expects, and 13
if the time was up before, or if there was no place for any fault.";

pub const SHRINK_EXAMPLES: &str = "\
Examples:
  fencepost shrink artemis/failback --seed 0x9e3779b97f4a7c15
  fencepost shrink artemis/failback --seed 7 --out failback-7.toml
  fencepost replay --schedule failback-7.toml --html run.html

Leaves out faults, steps, commands and clients that the failure does not need, makes what is left short and round, and gives
every message the middling latency unless it matters that it was lost or late. What is left violates the same property. It
is written as a schedule, which says exactly what happens and holds whatever the seed would draw. Faults include the steps
of the scenario, commands and clocks that are off. A scenario with a defect is shrunk to a run that passes without it.

The exit code is 0 if a schedule was written, and 1 if the seed violates nothing.";

pub const REAL_EXAMPLES: &str = "\
Examples:
  fencepost real artemis/failover                                     as root: in network namespaces
  fencepost real lease/steady --network loopback --speed 10           as anybody, if nobody is parted
  fencepost real pvc/contention-after-death --speed 10 --html run.html

Each node is a process with sockets, a clock and a folder as its disk. Crashes kill it, pauses stop it, partitions let packets
vanish between network namespaces; a scenario that plans what cannot be done to real processes is refused. What they note is
merged, and the properties of the scenario are asked of it in every order that the clocks allow: what is violated in all of
them has happened. The latency, loss and disks of the scenario mean nothing here.

The exit code is 0 if nothing was violated, 10 or 11 if something was, whatever the file expects, 12 if an actor is no state
machine, and 13 if it cannot be told in which order things happened.";

pub const COMPARE_EXAMPLES: &str = "\
Examples:
  fencepost compare artemis/failover artemis/failback derby/failover        as root
  fencepost compare lease --network loopback

A scenario that should pass is run once in each world, a canary until it is caught there. Milestones are the marks that the
scenario asks for with `sometimes`. The exit code is 0 if all worlds come to what the file expects, with the milestones in one
order, and 1 if not.";

pub const NODE_EXAMPLES: &str = "\
Examples, each in a terminal of its own:
  fencepost node lease/steady alpha
  fencepost node lease/steady beta
  fencepost node lease/steady gamma

Says when its role changes and what marks it sets, until its actor stops or it is interrupted. It listens on the loopback
interface unless told otherwise; whoever can reach it there can speak to it, as nothing is encrypted.";

pub const DEFECTS_EXAMPLES: &str = "\
Examples:
  fencepost defects                     every defect of every system
  fencepost defects --system derby      those of one folder of scenarios
  fencepost defects --seeds 1000        each on more seeds than its scenario asks for
  fencepost defects --shrink            and how small each becomes
  fencepost defects --explore           and with how many faults exploration finds it

A defect is a bug of a protocol's history that a scenario can switch back on. Each has a canary, a scenario that switches it
on and expects the violation that it causes. The canary is run up to the first seed that shows it; then the same scenario
is run without the defect, on all of its seeds, and must not violate anything. A defect without a canary is an error.

With --explore, K is the smallest number of faults that show it when they are placed on the calm
run of the canary, at any event, as with `fencepost explore`: 0 if that run shows it by itself, and
`-` if it takes more than the canary's table `[explore]` allows, or what is not placed, such as an
odd clock. Each may take a minute; what takes longer is inconclusive.";

pub const LIST_EXAMPLES: &str = "\
Examples:
  fencepost list scenarios
  fencepost list invariants marks --protocol artemis";
