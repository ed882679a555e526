"""Alembic itself, asked in-process: no files, no database.

Its planner and its bookkeeping of the version rows run unchanged.  Only two
things are put in: where the revisions come from, and what a version row is
kept in.  One thing is put right: the order of a revision's dependencies, which
Alembic takes from a hash, is the declared one.
"""

import logging
import warnings

from alembic.runtime.migration import HeadMaintainer
from alembic.script.base import ScriptDirectory
from alembic.script.revision import Revision, RevisionMap

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


class Module:
    @staticmethod
    def upgrade():
        pass

    @staticmethod
    def downgrade():
        pass


class Script(Revision):
    module = Module
    doc = ""


class Directory(ScriptDirectory):
    """A ScriptDirectory over revisions in memory."""

    def __init__(self, revisions):
        scripts = [
            Script(r[0], tuple(r[1]) or None, dependencies=tuple(r[3]) or None,
                   branch_labels=tuple(r[2]) or None)
            for r in revisions
        ]
        self.revision_map = RevisionMap(lambda: iter(scripts))
        self.revision_map._revision_map
        for script in scripts:
            kept = set(script._normalized_resolved_dependencies)
            declared = dict.fromkeys(script._resolved_dependencies)
            script._normalized_resolved_dependencies = tuple(
                d for d in declared if d in kept
            )


class Heads(HeadMaintainer):
    """The version rows, kept in a set."""

    def _insert_version(self, version):
        assert version not in self.heads
        self.heads.add(version)

    def _delete_version(self, version):
        self.heads.remove(version)

    def _update_version(self, from_, to_):
        assert to_ not in self.heads
        self.heads.remove(from_)
        self.heads.add(to_)


class Oracle:
    def __init__(self, revisions):
        self.directory = Directory(revisions)

    def follow(self, steps, rows):
        heads = Heads(None, rows)
        result = []
        for step in steps:
            heads.update_to_step(step)
            result.append((step, set(heads.heads)))
        return result

    def upgrade(self, target, rows):
        if "," in target:
            target = tuple(target.split(","))
        steps = self.directory._upgrade_revs(target, tuple(rows))
        return [(s.revision.revision, h) for s, h in self.follow(steps, rows)]

    def downgrade(self, target, rows):
        steps = self.directory._downgrade_revs(target, tuple(rows))
        return [(s.revision.revision, h) for s, h in self.follow(steps, rows)]

    def stamp(self, target, rows):
        """(steps, rows at the end)"""
        steps = self.directory._stamp_revs(tuple(target.split(",")), tuple(rows))
        followed = self.follow(steps, rows)
        names = [s.to_[0] if s.to_ else s.from_[0] for s in steps]
        return names, followed[-1][1] if followed else set(rows)

    def resolve(self, text):
        return [
            r if isinstance(r, str) else r.revision
            for r in self.directory.get_revisions(text) if r is not None
        ]

    def heads(self):
        return list(self.directory.revision_map.heads)

    def bases(self):
        return list(self.directory.revision_map.bases)

    def current(self, rows):
        return {s.revision for s in self.directory.get_all_current(tuple(rows))}

    def branches(self):
        return [s.revision for s in self.directory.walk_revisions() if s.is_branch_point]

    def history(self, text):
        if text is None:
            text = ":"
        start, end = text.split(":")
        return [
            s.revision
            for s in self.directory.walk_revisions(base=start or "base", head=end or "heads")
        ]
