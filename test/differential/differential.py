#!/usr/bin/env python3
"""Compare algo_ref's planner with Alembic and with the rules, on random graphs.

    differential.py [--first SEED] [--graphs N] [--questions N] [--seconds N]

Works on the database that PGDATABASE and the like name, as superuser; the
extension is there.  Prints each disagreement as a script that shows it, then
counts.  The status is 0 if there was none.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import time

import generate
from oracle import Oracle
from reference import Broken, Malformed, Reference, Refusal

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 200
REFUSALS = {"22023", "42704", "55000"}
BROKEN_GRAPH = {"42P17", "42704", "42710"}
SHOWN = 20


# asking the three


def ask_server(cases):
    """The answers of algo_ref to a batch of cases."""
    script = [open(os.path.join(HERE, "answer.sql")).read()]
    for revisions, _, questions in cases:
        text = json.dumps({"revisions": revisions, "questions": questions})
        assert "$case$" not in text
        script.append("SELECT pg_temp.answer($case$%s$case$);" % text)
    script.append("TRUNCATE algo_ref.script, algo_ref.head_summary;")
    run = subprocess.run(["psql", "-XAtq"], input="\n".join(script), capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit("psql failed: %s" % run.stderr)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(cases)
    return answers


def ask_reference(reference, question):
    """("refused", why) or ("answer", ...)"""
    kind, target, rows = question
    if isinstance(reference, Broken):
        return "refused", reference
    try:
        if kind in ("upgrade", "downgrade", "stamp"):
            return "answer", getattr(reference, kind)(target, rows)
        if kind in ("heads", "bases"):
            return "answer", getattr(reference, kind)
        if kind == "current":
            reference.check_rows(rows)
            applied = reference.current(reference.closure(rows))
            return "answer", [r for r in reference.ids if r in applied]
        if kind == "branches":
            order, _ = reference.history(None)
            return "answer", [r for r in order if len(reference.children[r]) > 1]
        return "answer", getattr(reference, kind)(target)
    except Refusal as refusal:
        return "refused", refusal


def ask_alembic(oracle, question):
    """The same; every exception is a refusal."""
    kind, target, rows = question
    if isinstance(oracle, Exception):
        return "refused", oracle
    try:
        if kind in ("upgrade", "downgrade", "stamp"):
            return "answer", getattr(oracle, kind)(target, rows)
        if kind in ("heads", "bases", "branches"):
            return "answer", getattr(oracle, kind)()
        if kind == "current":
            return "answer", oracle.current(rows)
        return "answer", getattr(oracle, kind)(target)
    except Exception as refusal:
        return "refused", refusal


# comparing


def disagreement(reference, question, expected, given):
    """Why the server's answer is not the expected one, or None."""
    kind, _, rows = question
    if "refused" in given:
        expected_codes = BROKEN_GRAPH if isinstance(reference, Broken) else REFUSALS
        if given["refused"] not in expected_codes:
            return "the error is none of a refusal"
        return None if expected[0] == "refused" else "refused"
    if expected[0] == "refused":
        return "not refused"
    answer, wanted = given["answer"], expected[1]
    if kind in ("upgrade", "downgrade"):
        if [step for step, _ in answer] != [step for step, _ in wanted]:
            return "other steps"
        if any(len(set(heads)) != len(heads) for _, heads in answer):
            return "a row twice"
        if [set(heads) for _, heads in answer] != [heads for _, heads in wanted]:
            return "other rows"
    elif kind == "stamp":
        steps, end = wanted
        if [step for step, _ in answer] != steps:
            return "other steps"
        if sorted(answer[-1][1] if answer else rows) != sorted(end):
            return "other rows"
    elif kind == "history":
        order, is_defined = wanted
        if is_defined and answer != order:
            return "other revisions"
        if sorted(answer) != sorted(order):
            return "other revisions"
        if not reference.is_valid_order(answer):
            return "not a valid order"
    elif answer != wanted:
        return "other revisions"
    return None


def alembic_differs(reference, question, expected, alembic):
    kind = question[0]
    if expected[0] == "refused" or alembic[0] == "refused":
        return expected[0] != alembic[0]
    if kind == "history":
        return expected[1][1] and expected[1][0] != alembic[1]
    if kind == "current":
        return set(expected[1]) != alembic[1]
    return expected[1] != alembic[1]


# Where Alembic is known to depart from the rules.  Each takes the reference, the
# question, the expected answer and Alembic's, and says whether that is the case
# here.  They are tried in this order.


def names_of(question):
    """The identifiers in a question, taken apart; malformed ones are left out."""
    kind, target, _ = question
    parts = (target or "").split(":" if kind == "history" else ",")
    parsed = []
    for part in parts:
        try:
            parsed.append(Reference.parse(part))
        except Malformed:
            pass
    return parsed


def refused_for(expected, *reasons):
    return expected[0] == "refused" and str(expected[1]) in reasons


def cannot_be_named(reference, branch):
    try:
        reference.branch(branch)
        return False
    except Refusal:
        return True


def has_rows_that_imply_each_other(reference, question, expected, alembic):
    rows = question[2] or []
    return (not isinstance(reference, Broken) and all(r in reference.position for r in rows)
            and any(x != y and x in reference.closures[y] for x in rows for y in rows))


def is_malformed(reference, question, expected, alembic):
    return isinstance(expected[1], Malformed)


def is_below_base(reference, question, expected, alembic):
    return refused_for(expected, "walked too far", "down from the base") and any(
        symbol == "base" and steps is not None and steps < 0
        for _, symbol, steps in names_of(question))


def is_unknown_branch(reference, question, expected, alembic):
    """Only where Alembic does not look: B@base, B@-N, in a downgrade, and where a
    history's end has nowhere to walk."""
    return refused_for(expected, "not found", "ambiguous") and any(
        branch is not None and cannot_be_named(reference, branch)
        and (symbol == "base" or symbol is None or question[0] == "downgrade"
             or (question[0] == "history" and steps is not None))
        for branch, symbol, steps in names_of(question))


def is_beside_branch(reference, question, expected, alembic):
    return (question[0] == "downgrade" and refused_for(expected, "not on that branch")
            and names_of(question)[0][2] is None)


def is_overlapping_stamp(reference, question, expected, alembic):
    return question[0] == "stamp" and refused_for(expected, "overlap")


def counts_from_script_heads(reference, question, expected, alembic):
    """"-N" in resolve and stamp, and as the start of a history."""
    names = names_of(question)
    if question[0] == "history":
        names = names[:1] if question[1] and not question[1].startswith(":") else []
    if question[0] not in ("resolve", "stamp", "history"):
        return False
    if not any(symbol is None and steps is not None and steps < 0 for _, symbol, steps in names):
        return False
    if question[0] == "resolve" and expected[0] == alembic[0] == "answer":
        return list(dict.fromkeys(r for r in alembic[1] if r != "base")) == expected[1]
    return True


def has_nested_parents(reference, question, expected, alembic):
    """A step r with x and y in below(r), y under x."""
    if question[0] not in ("upgrade", "downgrade") or expected[0] != "answer":
        return False
    nested = any(
        x != y and y in reference.closures[x]
        for r, _ in expected[1] for x in reference.below[r] for y in reference.below[r])
    if not nested:
        return False
    if alembic[0] == "refused":
        return isinstance(alembic[1], (KeyError, AssertionError))
    # the same steps, and the same rows but for those that other rows imply
    return ([r for r, _ in alembic[1]] == [r for r, _ in expected[1]]
            and all(reference.tips(theirs) == ours
                    for (_, theirs), (_, ours) in zip(alembic[1], expected[1])))


def is_stamp_of_several(reference, question, expected, alembic):
    """Several goals, or a branch: rows that are a goal or related to it only."""
    if question[0] != "stamp" or expected[0] != "answer":
        return False
    if alembic[0] == "refused" and not isinstance(alembic[1], (KeyError, AssertionError)):
        # it looks for x of B@x also without B, where x may stand for several
        return any(branch is not None and cannot_be_named(reference, symbol)
                   for branch, symbol, _ in names_of(question))
    several = "," in question[1] or len(expected[1][1]) > 1
    return several or any(branch is not None for branch, _, _ in names_of(question))


def is_history_under_effective_head(reference, question, expected, alembic):
    return (question[0] == "history" and expected[0] == "answer"
            and not expected[1][1] and isinstance(alembic[1], AssertionError))


EXCUSES = [
    (has_rows_that_imply_each_other, "rows that imply each other: tidied here"),
    (is_malformed, "takes a malformed identifier for something"),
    (is_below_base, "goes down from the base"),
    (is_unknown_branch, "does not look for the branch of B@base, B@-N, or in a downgrade"),
    (is_beside_branch, "goes down to a revision beside the branch"),
    (is_overlapping_stamp, "stamps goals that overlap"),
    (counts_from_script_heads, "-N outside of a plan, counted from the scripts' heads"),
    (has_nested_parents, "rows go wrong at a revision that stands on x and on what is under x"),
    (is_stamp_of_several, "a stamp drops or confuses rows (several goals, or a branch)"),
    (is_history_under_effective_head, "a history gives up where an effective head is above the start"),
]


def excuse(reference, question, expected, alembic):
    """The known way in which Alembic departs from the rules here, or None."""
    for is_so, reason in EXCUSES:
        if is_so(reference, question, expected, alembic):
            return reason
    return None


# reporting


def quote(text):
    return "NULL" if text is None else "'%s'" % text.replace("'", "''")


def array(items):
    return "ARRAY[%s]::text[]" % ", ".join(quote(i) for i in items)


def show(value):
    if isinstance(value, BaseException):
        return "refused: %s: %s" % (type(value).__name__, value)
    if isinstance(value, (set, frozenset)):
        return "{%s}" % ", ".join(sorted(value))
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(show(v) for v in value)
    return str(value)


def script_of(revisions, question):
    """SQL that asks the question in an empty database with the extension."""
    kind, target, rows = question
    lines = ["BEGIN;"]
    for name, parents, labels, dependencies in revisions:
        lines.append("SELECT algo_ref.revision('m', id => %s, revises => %s, branch_labels => %s, depends_on => %s);"
                     % (quote(name), array(parents), array(labels), array(dependencies)))
    if kind in ("upgrade", "downgrade", "stamp"):
        lines.append("SELECT * FROM algo_ref.plan(%s, '%s', %s);" % (quote(target), kind, array(rows)))
    elif kind == "current":
        for place, row in enumerate(rows, 1):
            lines.append("INSERT INTO algo_ref.version VALUES ('public', %s, %d, now());" % (quote(row), place))
        lines.append("SELECT * FROM algo_ref.current('public');")
    elif kind in ("heads", "bases", "branches"):
        lines.append("SELECT * FROM algo_ref.%s();" % kind)
    else:
        lines.append("SELECT * FROM algo_ref.%s(%s);" % (kind, quote(target)))
    return lines + ["ROLLBACK;"]


# checking the comparison itself


def mistakes(kind, expected):
    """Expectations that are wrong if the given one is right."""
    if expected[0] == "refused":
        yield "answer", ([], True) if kind == "history" else ([], set()) if kind == "stamp" else []
        return
    yield "refused", Refusal("mistake")
    value = expected[1]
    if kind in ("upgrade", "downgrade"):
        yield "answer", value + [("mistake", set())]
        if value:
            yield "answer", value[:-1]
            yield "answer", value[:-1] + [(value[-1][0], value[-1][1] | {"mistake"})]
        if len(value) > 1:
            yield "answer", [value[1], value[0]] + value[2:]
    elif kind == "stamp":
        yield "answer", (value[0] + ["mistake"], value[1])
        yield "answer", (value[0], value[1] | {"mistake"})
    elif kind == "history":
        yield "answer", (value[0] + ["mistake"], value[1])
        if len(value[0]) > 1 and value[1]:
            yield "answer", (value[0][::-1], True)
    else:
        yield "answer", value + ["mistake"]
        if len(value) > 1:
            yield "answer", value[::-1]


def check_mistakes(report, seed, case, answers):
    """Report each mistake that the comparison finds; count those it does not."""
    revisions, reference, questions = case
    for question, given in zip(questions, answers):
        expected = ask_reference(reference, question)
        for mistake in mistakes(question[0], expected):
            report.mistakes += 1
            what = disagreement(reference, question, mistake, given)
            if what:
                report.disagree(seed, "mistake: " + what, revisions, question,
                                [("algo_ref", given), ("wrong expectation", mistake[1])])


class Report:
    def __init__(self):
        self.graphs = 0
        self.broken = 0
        self.cycles = 0
        self.mistakes = 0
        self.questions = collections.Counter()
        self.refused = collections.Counter()
        self.steps = 0
        self.excuses = collections.Counter()
        self.disagreements = 0

    def disagree(self, seed, what, revisions, question, answers):
        self.disagreements += 1
        if self.disagreements > SHOWN:
            return
        print("-- seed %d: %s" % (seed, what))
        for line in script_of(revisions, question):
            print(line)
        for name, answer in answers:
            print("-- %s: %s" % (name, show(answer)))
        print(flush=True)

    def sum_up(self):
        print("%d graphs, %d of them broken, %d questions" % (self.graphs, self.broken, sum(self.questions.values())))
        for kind, count in sorted(self.questions.items()):
            print("  %-10s %7d questions, %7d refused" % (kind, count, self.refused[kind]))
        print("  %d steps planned" % self.steps)
        print("Alembic was not asked about %d graphs with a cycle: it may not notice, and never return"
              % self.cycles)
        print("Alembic differs from the rules, as is known:")
        for _, reason in EXCUSES:
            print("  %7d  %s" % (self.excuses[reason], reason))
        print("%d disagreements" % self.disagreements)


def is_cycle(reference):
    return isinstance(reference, Broken) and str(reference) == "cycle"


def compare_case(report, seed, case, answers):
    revisions, reference, questions = case
    report.graphs += 1
    report.broken += isinstance(reference, Broken)
    report.cycles += is_cycle(reference)
    try:
        # in a cycle that it does not notice, Alembic may never return
        oracle = reference if is_cycle(reference) else Oracle(revisions)
    except Exception as broken:
        oracle = broken
    for question, given in zip(questions, answers):
        expected = ask_reference(reference, question)
        alembic = ask_alembic(oracle, question)
        report.questions[question[0]] += 1
        report.refused[question[0]] += expected[0] == "refused"
        if expected[0] == "answer" and question[0] in ("upgrade", "downgrade"):
            report.steps += len(expected[1])
        all_three = [("algo_ref", given), ("the rules", expected[1]), ("Alembic", alembic[1])]
        what = disagreement(reference, question, expected, given)
        if what:
            report.disagree(seed, "algo_ref and the rules: " + what, revisions, question, all_three)
        if alembic_differs(reference, question, expected, alembic):
            reason = excuse(reference, question, expected, alembic)
            if reason:
                report.excuses[reason] += 1
            else:
                report.disagree(seed, "Alembic and the rules", revisions, question, all_three)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--graphs", type=int, default=5000)
    parser.add_argument("--questions", type=int, default=10)
    parser.add_argument("--mistakes", action="store_true",
                        help="expect what is wrong; every one has to be reported")
    parser.add_argument("--seconds", type=int, help="stop after this time, if earlier")
    options = parser.parse_args()
    report = Report()
    started = time.monotonic()
    for first in range(options.first, options.first + options.graphs, BATCH):
        seeds = range(first, min(first + BATCH, options.first + options.graphs))
        cases = [generate.make_case(seed, Reference, Broken, options.questions) for seed in seeds]
        for seed, case, answers in zip(seeds, cases, ask_server(cases)):
            work = check_mistakes if options.mistakes else compare_case
            work(report, seed, case, answers)
        if options.seconds and time.monotonic() - started > options.seconds:
            break
    if options.mistakes:
        print("%d of %d mistakes reported" % (report.disagreements, report.mistakes))
    else:
        report.sum_up()
    sys.exit(1 if report.disagreements else 0)


if __name__ == "__main__":
    main()
