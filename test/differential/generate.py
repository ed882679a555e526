"""Random graphs, and questions about them.  The same seed gives the same."""

import random

ALPHABET = "0123456789abcdef"
WORDS = ["billing", "bill", "billing_core", "auth", "author", "authors", "v1", "v2",
         "heads2", "header", "basement", "core", "co", "a", "feed", "beef", "deadbeef"]
MALFORMED = ["", "@", "@{0}", "{0}@", "{0}@{1}@{2}", "+", "-", "{0}+", "{0}-", "+1abc",
             "-1abc", "{0}+1abc", "++1", "+-1", "{0}+1+1", "+1@{0}", "{0}:{1}", ":{0}",
             "base-1", "{0}@base-1", "{0}@+", "{0}@+1x", " ", "@+1", "@head", "head@", "+ 1",
             "-1@head", "{0}@ "]


def make_id(random, taken, style):
    while True:
        if style == "short":
            name = "".join(random.choice("abc1") for _ in range(random.randint(1, 3)))
        elif style == "shared":
            name = random.choice(["ab", "abc", "abcd", "27c6", "feed", "bil", "1"]) + "".join(
                random.choice("ab") for _ in range(random.randint(0, 5)))
        elif style == "digits":
            name = str(random.randint(1, 99999))
        else:
            name = "".join(random.choice(ALPHABET) for _ in range(12))
        if name not in taken and name not in ("head", "heads", "base"):
            return name
        if random.random() < 0.2:
            style = "hex"


def make_graph(random):
    """(id, revises, labels, depends_on), in load order"""
    n = random.choice([2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 25])
    if random.random() < 0.005:
        n = random.randint(60, 150)
    base_chance = random.choice([0.02, 0.1, 0.25])
    merge_chance = random.choice([0.0, 0.1, 0.25])
    recent_chance = random.choice([0.3, 0.6, 0.85])
    dependency_chance = random.choice([0.0, 0.1, 0.3, 0.5])
    label_chance = random.choice([0.0, 0.1, 0.3])
    styles = random.choice([["hex"], ["short", "shared"], ["shared"],
                            ["hex", "short", "shared", "digits"]])
    taken, revisions, labels = set(), [], []
    for i in range(n):
        name = make_id(random, taken, random.choice(styles))
        taken.add(name)
        known = [r[0] for r in revisions]
        parents, dependencies, own = [], [], []
        if i > 0 and random.random() >= base_chance:
            unused = [k for k in known if not any(k in r[1] for r in revisions)]
            if len(known) > 1 and random.random() < merge_chance:
                pool = unused if len(unused) > 1 and random.random() < 0.85 else known
                parents = random.sample(pool, min(len(pool), random.choice([2, 2, 2, 3])))
            elif random.random() < recent_chance and unused:
                parents = [random.choice(unused)]
            else:
                parents = [random.choice(known)]
        if known and random.random() < dependency_chance:
            names = known + labels
            dependencies = random.sample(names, min(len(names), random.choice([1, 1, 2, 3])))
        if random.random() < label_chance:
            for _ in range(random.choice([1, 1, 2])):
                label = random.choice(WORDS)
                if random.random() < 0.2:
                    label = random.choice(known + [name])[:random.randint(1, 8)]
                if label not in taken:
                    taken.add(label)
                    own.append(label)
                    labels.append(label)
        revisions.append((name, parents, own, dependencies))
    if random.random() < 0.7:
        random.shuffle(revisions)
    return revisions


def spoil(random, revisions):
    """Add parents, dependencies and labels that are likely to be wrong."""
    spoilt = [(r[0], list(r[1]), list(r[2]), list(r[3])) for r in revisions]
    names = [r[0] for r in spoilt] + [label for r in spoilt for label in r[2]]
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        victim = random.choice(spoilt)
        kind = random.random()
        if kind < 0.35:
            parent = random.choice([r[0] for r in spoilt] + ["nosuch"])
            if parent not in victim[1]:
                victim[1].append(parent)
        elif kind < 0.75:
            dependency = random.choice(names + ["nosuch"])
            if dependency not in victim[3]:
                victim[3].append(dependency)
        elif victim[1] and kind < 0.9:
            victim[1][0] = random.choice(spoilt)[0]
            victim[1][:] = dict.fromkeys(victim[1])
        elif names:
            victim[2].append(random.choice(names))
    return spoilt


class Questions:
    def __init__(self, random, revisions, reference):
        self.random = random
        self.reference = reference
        self.ids = [r[0] for r in revisions]
        self.labels = [label for r in revisions for label in r[2]]

    def name(self):
        random = self.random
        kind = random.random()
        word = random.choice(self.labels) if self.labels and kind < 0.3 else random.choice(self.ids)
        if kind > 0.85:
            word = word[:random.randint(1, len(word))]
        elif kind > 0.83:
            word = random.choice(["nosuch", word + "x", "no", "0"])
        return word

    def absolute(self):
        random = self.random
        kind = random.random()
        word = self.name() if kind < 0.55 else random.choice(["head", "heads", "heads", "base"])
        if random.random() < (0.2 if kind < 0.55 else 0.45):
            word = self.name() + "@" + word
        return word

    def relative(self):
        random = self.random
        text = self.name() + "@" if random.random() < 0.35 else ""
        kind = random.random()
        if kind < 0.35:
            text += self.name()
        elif kind < 0.5:
            text += random.choice(["head", "heads", "base"])
        return text + random.choice("+-") + str(random.choice([0, 1, 1, 1, 1, 2, 2, 3, 4, 7]))

    def identifier(self, relative_chance):
        random = self.random
        if random.random() < 0.03:
            return random.choice(MALFORMED).format(self.name(), self.name(), self.name())
        return self.relative() if random.random() < relative_chance else self.absolute()

    def targets(self, relative_chance):
        if self.random.random() < 0.85:
            return self.identifier(relative_chance)
        return ",".join(self.absolute() for _ in range(self.random.choice([2, 2, 3])))

    def rows(self):
        """What some upgrades leave, in any order."""
        random = self.random
        chosen = random.sample(self.ids, min(len(self.ids), random.choice([0, 1, 1, 2, 2, 3, 4])))
        if self.reference is None or random.random() < 0.03:
            return chosen
        rows = sorted(self.reference.tips(self.reference.closure(chosen)))
        random.shuffle(rows)
        if random.random() < 0.01:
            rows.append("nosuchrow")
        return rows

    def ask(self):
        """(kind, target, rows); kinds are directions and names of functions."""
        random = self.random
        kind = random.choice(["upgrade"] * 5 + ["downgrade"] * 5 + ["stamp"] * 2 +
                             ["resolve"] * 3 + ["history"] * 2 +
                             ["current", random.choice(["heads", "bases", "branches"])])
        if kind in ("upgrade", "downgrade"):
            relative_chance = 0.5
            target = self.targets(relative_chance) if kind == "upgrade" else self.identifier(relative_chance)
            return [(kind, target, rows) for rows in self.orders(self.rows())]
        if kind == "stamp":
            return [(kind, self.targets(0.05), rows) for rows in self.orders(self.rows())]
        if kind == "current":
            return [(kind, None, self.rows())]
        if kind == "resolve":
            return [(kind, self.identifier(0.15), None)]
        if kind == "history":
            ends = [self.identifier(0.2) if random.random() < 0.8 else "" for _ in range(2)]
            text = ":".join(ends)
            if random.random() < 0.05:
                text = random.choice([None, ":", "", "::", ends[0], ends[0] + ":" + ends[1] + ":"])
            return [(kind, text, None)]
        return [(kind, None, None)]

    def orders(self, rows):
        if len(rows) == 2 and self.random.random() < 0.3:
            return [rows, rows[::-1]]
        return [rows]


def make_case(seed, reference_class, broken_class, questions):
    """(revisions, reference or the exception Broken, questions) of a seed"""
    source = random.Random("differential %d" % seed)
    revisions = make_graph(source)
    if source.random() < 0.08:
        revisions = spoil(source, revisions)
    try:
        reference = reference_class(revisions)
    except broken_class as broken:
        reference = broken
    is_broken = isinstance(reference, broken_class)
    maker = Questions(source, revisions, None if is_broken else reference)
    asked = []
    while len(asked) < questions:
        asked += maker.ask()
    return revisions, reference, asked
