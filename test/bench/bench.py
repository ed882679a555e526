"""What the benchmarks share: databases, timing, medians, the printed table.

Every benchmark runs its contenders in turn within one run, against the server
that PGHOST and PGPORT name, and prints the median of the rounds together with
the ratio to the baseline.  Times are wall time of whole client processes, so
that no contender leaves its slow part out.
"""

import os
import statistics
import subprocess
import threading
import time

ROUNDS = int(os.environ.get("ROUNDS", "5"))


def psql(database, *args, stdin=None):
    """Run psql and return its standard output; stop on any error."""
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
               "-d", database, *args]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("%s\n%s" % (" ".join(command)[:200], done.stderr[-2000:]))
    return done.stdout.strip()


def create_database(name, template=None):
    """A new database, in place of one of the same name."""
    drop_database(name)
    psql("postgres", "-c", "CREATE DATABASE %s%s"
         % (name, " TEMPLATE %s" % template if template else ""))


def drop_database(name):
    psql("postgres", "-c", "DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)


def seconds(action):
    """Wall time of calling "action", or the time that it says itself."""
    start = time.perf_counter()
    said = action()
    return said if isinstance(said, float) else time.perf_counter() - start


def private_bytes(pid):
    """What a process has for itself: not the buffers, though only it may have touched some."""
    total = 0
    with open("/proc/%d/smaps" % pid) as file:
        for line in file:
            words = line.split()
            if len(words) > 1 and len(words[1]) == 4 and words[1][0] in "r-":
                is_private = words[1][3] == "p"
            elif is_private and line.startswith("Private_"):
                total += int(words[1]) * 1024
    return total


def memory_of(pid, action):
    """The most private memory that a process has while "action" goes on, and what it had before."""
    before = private_bytes(pid)
    peaks = [before]
    done = threading.Event()

    def watch():
        while not done.wait(0.002):
            peaks.append(private_bytes(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        action()
    finally:
        done.set()
        thread.join()
    return max(peaks), before


def run_command(*command, cwd=None, env=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise SystemExit("%s\n%s" % (" ".join(command), done.stderr[-2000:]))
    return done.stdout


class Contender:
    """A way to do the work: "prepare" is not timed, "work" is."""

    def __init__(self, name, work, prepare=None):
        self.name = name
        self.work = work
        self.prepare = prepare
        self.times = []

    def round(self):
        if self.prepare:
            self.prepare()
        self.times.append(seconds(self.work))

    def median(self):
        return statistics.median(self.times)


def compare(title, contenders, bounds=(), rounds=ROUNDS):
    """Run the contenders in turn and print their medians.

    "bounds" are (contender, baseline, most) triples: the ratio of medians that
    is wanted at most.  They are reported, never enforced: a time is no test.
    """
    for _ in range(rounds):
        for contender in contenders:
            contender.round()
    by_name = {contender.name: contender.median() for contender in contenders}
    print("\n%s (median of %d)" % (title, rounds))
    for name, median in by_name.items():
        print("  %-44s %10.1f ms" % (name, median * 1000))
    for name, baseline, most in bounds:
        report(name + " / " + baseline, by_name[name] / by_name[baseline], most)
    return by_name


def report(what, value, most, unit=""):
    verdict = "reached" if value <= most else "NOT reached"
    print("  %-60s %9.4g%s (wanted at most %g%s: %s)"
          % (what, value, unit, most, unit, verdict))
