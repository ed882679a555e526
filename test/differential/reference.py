"""The planning rules, written down plainly and slowly.

A second opinion next to Alembic's: it follows the rules word by word, with sets
and lists only, and holds what is asked for where Alembic is wrong.
A refusal is the exception Refusal; everything else is a mistake in here.
"""

import re

BASE = None
RESERVED = ("head", "heads", "base")
RELATIVE = re.compile(r"(?:([^@+\-:,]+)@)?(\w+)?([+-][0-9]+)")
ABSOLUTE = re.compile(r"(?:([^@+\-:,]+)@)?([^@+\-:,]+)")


class Refusal(Exception):
    pass


class Broken(Refusal):
    """The graph is none."""


class Malformed(Refusal):
    """The identifier is none; Alembic takes some of these for something."""


def unique(items):
    return list(dict.fromkeys(items))


class Reference:
    """The graph; revisions are (id, revises, labels, depends_on) in load order."""

    def __init__(self, revisions):
        self.check_graph(revisions)
        self.ids = [r[0] for r in revisions]
        self.position = {r: i for i, r in enumerate(self.ids)}
        self.revises = {r[0]: list(r[1]) for r in revisions}
        self.owner = {label: r[0] for r in revisions for label in r[2]}
        self.children = {r: [c for c in self.ids if r in self.revises[c]] for r in self.ids}
        self.deps = {
            r[0]: unique(self.owner.get(d, d) for d in r[3]) for r in revisions
        }
        self.dependents = {
            r: [c for c in self.ids if r in self.revises[c] or r in self.deps[c]]
            for r in self.ids
        }
        self.below = {}
        for r in self.ids:
            inherited = {
                d for a in self.reach([r], self.revises) - {r} for d in self.deps[a]
            }
            self.below[r] = unique(
                self.revises[r] + [d for d in self.deps[r] if d not in inherited]
            )
        self.heads = [r for r in self.ids if not self.children[r]]
        self.real_heads = [r for r in self.ids if not self.dependents[r]]
        self.bases = [r for r in self.ids if not self.revises[r]]
        self.closures = {r: self.reach([r], self.below) for r in self.ids}
        self.labels = {r: set() for r in self.ids}
        for label, owner in self.owner.items():
            for r in self.spread(owner):
                self.labels[r].add(label)

    @staticmethod
    def check_graph(revisions):
        """Raise Broken for what is no graph: every question is refused then."""
        ids = {r[0] for r in revisions}
        owner = {}
        for name, _, labels, _ in revisions:
            for label in labels:
                if label in ids or label in owner:
                    raise Broken("label used twice")
                owner[label] = name
        above = {}
        for name, parents, _, dependencies in revisions:
            if any(p not in ids for p in parents):
                raise Broken("no such parent")
            if any(d not in ids and d not in owner for d in dependencies):
                raise Broken("no such dependency")
            above[name] = set(parents) | {owner.get(d, d) for d in dependencies}
        while above:
            free = [name for name, under in above.items() if not under]
            if not free:
                raise Broken("cycle")
            for name in free:
                del above[name]
            for under in above.values():
                under.difference_update(free)

    # sets

    @staticmethod
    def reach(start, links):
        found, todo = set(), list(start)
        while todo:
            r = todo.pop()
            if r not in found:
                found.add(r)
                todo.extend(links[r])
        return found

    def closure(self, revisions):
        return set().union(*(self.closures[r] for r in revisions))

    def lineage(self, r):
        return self.reach([r], self.revises) | self.reach([r], self.children)

    def kin(self, r):
        return self.closures[r] | self.reach([r], self.dependents)

    def spread(self, owner):
        carriers = self.reach([owner], self.children)
        if all(len(self.dependents[r]) <= 1 and len(self.revises[r]) <= 1 for r in carriers):
            r = owner
            while len(self.revises[r]) == 1:
                r = self.revises[r][0]
                if len(self.dependents[r]) > 1 or len(self.revises[r]) > 1:
                    break
                carriers.add(r)
        return carriers

    def tips(self, applied):
        return {
            x for x in applied
            if not any(x in self.closures[y] for y in applied if y != x)
        }

    def current(self, applied):
        return {x for x in applied if not any(c in applied for c in self.children[x])}

    # naming

    def branch(self, word):
        if word in self.position:
            return word
        if word in self.owner:
            return self.owner[word]
        return self.lookup(word)

    def lookup(self, word, branch=None):
        lineage = self.lineage(self.branch(branch)) if branch is not None else set(self.ids)
        if word in self.position:
            found = word
        elif word in self.owner:
            found = self.owner[word]
        else:
            names = [(i, i) for i in self.ids] + list(self.owner.items())
            matches = [
                r for name, r in names
                if len(name) > 3 and name.startswith(word) and r in lineage
            ]
            if len(matches) != 1:
                raise Refusal("not found" if not matches else "ambiguous")
            found = matches[0]
        if found not in lineage:
            raise Refusal("not on that branch")
        return found

    @staticmethod
    def parse(text):
        """(branch, symbol, steps); steps is None if absolute."""
        match = RELATIVE.fullmatch(text)
        if match:
            return match.group(1), match.group(2), int(match.group(3))
        match = ABSOLUTE.fullmatch(text)
        if match:
            return match.group(1), match.group(2), None
        raise Malformed(text)

    def resolve(self, text):
        branch, symbol, steps = self.parse(text)
        if steps is not None:
            if symbol is not None or steps >= 0:
                raise Refusal("relative")
            heads = self.real_heads
            if branch is not None:
                self.branch(branch)
                heads = [h for h in heads if branch in self.labels[h]]
            ends = [self.walk(h, steps) for h in heads]
            return unique(e for e in ends if e is not BASE)
        if symbol == "base":
            if branch is not None:
                self.branch(branch)
            return []
        if symbol in ("head", "heads"):
            if branch is not None:
                lineage = self.lineage(self.branch(branch))
                heads = [h for h in self.heads if h in lineage]
            else:
                heads = self.heads if symbol == "head" else self.real_heads
            if symbol == "head" and len(heads) > 1:
                raise Refusal("several heads")
            return list(heads)
        return [self.lookup(symbol, branch)]

    def resolve_one(self, text):
        found = self.resolve(text)
        if len(found) > 1:
            raise Refusal("several")
        return found[0] if found else BASE

    def walk(self, here, steps, branch=None, clip=False):
        lineage = self.lineage(self.branch(branch)) if branch is not None else set(self.ids)
        for _ in range(min(abs(steps), len(self.ids) + 2)):
            if steps > 0:
                nexts = self.bases if here is BASE else self.children[here]
                nexts = [n for n in nexts if n in lineage]
            elif here is BASE:
                nexts = []
            else:
                nexts = self.revises[here] or [BASE]
            if not nexts:
                if clip:
                    return here
                raise Refusal("walked too far")
            if len(nexts) > 1:
                raise Refusal("ambiguous walk")
            here = nexts[0]
        return here

    # planning: a list of (revision, set of rows after it)

    def check_rows(self, rows):
        for row in rows:
            if row not in self.position:
                raise Refusal("unknown row")

    def check_overlap(self, goals):
        for goal in goals:
            for other in goals:
                if goal != other and goal in self.closures[other]:
                    raise Refusal("overlap")

    def upgrade_goals(self, target, rows, clip=False):
        goals = []
        for text in target.split(","):
            branch, symbol, steps = self.parse(text)
            if steps is None:
                goals += self.resolve(text)
                continue
            if branch is not None:
                self.branch(branch)
            if steps > 0 and symbol is None:
                starts = list(rows)
                if branch is not None:
                    lineage = self.lineage(self.branch(branch))
                    starts = [r for r in rows if r in lineage]
                    if not starts:
                        members = self.closure(rows) & lineage
                        under = {b for m in members for b in self.below[m]}
                        starts = sorted(members - under)
                if len(starts) > 1:
                    raise Refusal("ambiguous upgrade")
                goal = self.walk(starts[0] if starts else BASE, steps, branch, clip)
            elif steps > 0:
                goal = self.walk(self.resolve_one(symbol), steps, branch, clip)
            elif symbol is None:
                raise Refusal("cannot go down")
            else:
                start = self.resolve_one(symbol if branch is None else branch + "@" + symbol)
                if start is BASE and steps < 0:
                    raise Refusal("down from the base")
                goal = self.walk(start, steps, clip=clip)
            if goal is BASE:
                raise Refusal("ends at the base")
            goals.append(goal)
        return unique(goals)

    def upgrade(self, target, rows):
        self.check_rows(rows)
        tips = self.tips(self.closure(rows))
        goals = self.upgrade_goals(target, [r for r in rows if r in tips])
        self.check_overlap(goals)
        chosen = self.closure(goals) - self.closure(rows)
        order = self.descend(chosen, goals)
        assert set(order) == chosen, "upgrade left something out"
        return self.run(reversed(order), rows, True)

    def downgrade(self, target, rows):
        self.check_rows(rows)
        if "," in target:
            raise Refusal("one target only")
        branch, symbol, steps = self.parse(target)
        if branch is not None:
            lineage = self.lineage(self.branch(branch))
        if steps is None:
            goal = self.resolve_one(symbol)
            if branch is not None and goal is not BASE and goal not in lineage:
                raise Refusal("not on that branch")
        elif steps >= 0:
            if symbol is None:
                raise Refusal("cannot go up")
            goal = self.walk(self.resolve_one(symbol), steps, branch)
            if goal is BASE:
                raise Refusal("not above the base")
        elif symbol is not None:
            start = self.resolve_one(symbol if branch is None else branch + "@" + symbol)
            goal = self.walk(start, steps)
        elif branch is None:
            if not rows:
                raise Refusal("no rows")
            branch = rows[0]
            goal = self.walk(rows[0], steps)
        else:
            starts = [r for r in rows if r in lineage]
            if not starts:
                starts = [r for r in self.current(self.closure(rows)) if r in lineage]
            if len(starts) != 1:
                raise Refusal("not one row on that branch")
            goal = self.walk(starts[0], steps)

        roots = self.bases if goal is BASE else self.children[goal]
        if branch is not None and len(roots) > 1:
            ancestors = self.reach([self.branch(branch)], self.revises)
            roots = [r for r in roots if r in ancestors]
            if not roots:
                raise Refusal("that branch does not pass the goal")
        chosen = self.reach(roots, self.dependents) & self.closure(rows)
        if goal is not BASE and not chosen and goal not in rows:
            raise Refusal("nothing to go down to")
        order = self.descend(chosen, rows)
        assert set(order) == chosen, "downgrade left something out"
        return self.run(order, rows, False)

    def run(self, order, rows, up):
        applied = self.closure(rows)
        steps = []
        for r in order:
            applied = applied | {r} if up else applied - {r}
            steps.append((r, self.tips(applied)))
        return steps

    def stamp(self, target, rows):
        """(steps, rows at the end); the steps of the base are the rows taken away."""
        self.check_rows(rows)
        goals, gone, is_base = [], set(), False
        for text in target.split(","):
            branch, symbol, steps = self.parse(text)
            if steps is None and symbol == "base":
                is_base = True
                gone |= set(self.ids) if branch is None else self.kin(self.branch(branch))
            else:
                goals += self.resolve(text)
        goals = unique(goals)
        if not goals and is_base:
            return [r for r in rows if r in gone], {r for r in rows if r not in gone}
        if not goals and self.ids:
            raise Refusal("stands for no revision")
        self.check_overlap(goals)
        kin = set().union(*(self.kin(g) for g in goals))
        steps = [g for g in goals if g not in rows]
        if not steps and any(r in kin and r not in goals for r in rows):
            steps = goals[:1]
        return steps, {r for r in rows if r not in kin} | set(goals)

    def history(self, text):
        """(revisions, whether their order is defined)"""
        if text is None:
            text = ":"
        if text.count(":") != 1:
            raise Refusal("not a range")
        start, end = text.split(":")
        starts = self.resolve(start) if start else []
        ends = self.upgrade_goals(end or "heads", starts, clip=True)
        is_defined = True
        if "@" in start:
            branch = start.split("@")[0]
            if branch in self.position:
                if len(self.labels[branch]) != 1:
                    raise Refusal("not one label")
                branch = next(iter(self.labels[branch]))
            ends = [e for e in ends if branch in self.labels[e]]
            if not ends and not starts and end in ("", "heads"):
                # all heads of the branch are effective ones
                is_defined = False
                ends = [h for h in self.heads if branch in self.labels[h]]
                ends = [e for e in ends if e in self.tips(self.closure(ends))]
        above = self.closure(ends)
        if any(s not in above for s in starts):
            raise Refusal("not on one path")
        self.check_overlap(ends)
        self.check_overlap(starts)
        chosen = (above - self.closure(starts)) | set(starts)
        if starts:
            chosen &= self.reach(starts, self.children)
        order = self.descend(chosen, ends)
        if set(order) == chosen:
            return order, is_defined
        return order + sorted(chosen - set(order)), False

    def is_valid_order(self, order):
        """No revision comes before one that stands on it."""
        return not any(
            order[j] != order[i] and order[i] in self.closures[order[j]]
            for i in range(len(order)) for j in range(i + 1, len(order))
        )

    def descend(self, chosen, heads):
        pending = sorted({h for h in heads if h in chosen}, key=self.position.get)
        output = []
        i = 0
        while pending:
            candidate = pending[i]
            for j, other in enumerate(pending):
                if j != i and candidate in self.closures[other]:
                    i = j
                    break
            else:
                if candidate not in output:
                    output.append(candidate)
                more = [
                    x for x in self.below[candidate]
                    if x in chosen and x not in output and x not in pending
                ]
                if more:
                    pending[i] = more[0]
                    pending.extend(more[1:])
                else:
                    del pending[i]
                    i = max(i - 1, 0)
        return output
