#!/usr/bin/python3
"""Pairs of random schemas, judged: is the schema after the upgrade the declared one?

    random_pairs.py [--first SEED] [--pairs N] [--seconds N] [--list STATE] [--batch N]
                    [--reduce] [--show]

A pair is a random schema and what some random changes make of it (see
random_schema.py).  The first is built in one database, the second in another.
The first is migrated to the DDL of the second.  It is "equal" if pg_dump -s of
both is the same, check() finds nothing to do, schema_sql() of the second makes
a schema of the same fingerprint, and the downgrade brings the first dump back;
"refused" if an error says why not, in words for its reader; "needless" if a
step of the plan failed, or the plan was wrong and not emitted; and otherwise
"wrong".  Exits with 1 if a pair is wrong or needless.

The server is that of the libpq environment; psql and pg_dump come from PATH.
--reduce takes away what a pair to be listed does not need, --show prints the
DDL of the pairs.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

from dumps import by_schema, difference
from random_schema import pair

# what a plan refuses with a reason: the rest is ours to mend
REASONS = (r'column .* of relation .* already exists', r'cannot be changed in place', r'has the name of one of the server\'s own',
           r'cannot alter t\w+ .* because .* uses (it|its row type)',
           r'cannot alter type .* because it is the type of a typed table')

SETUP = r"""
CREATE EXTENSION algo_ref;
CREATE EXTENSION btree_gist;
CREATE SCHEMA judge;

-- Run statements one by one; which are refused, and why.
CREATE FUNCTION judge.load(place text, statements jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  refused jsonb := '{}';
  item record;
BEGIN
  EXECUTE format('CREATE SCHEMA %I', place);
  PERFORM set_config('search_path', place || ', public', false), set_config('check_function_bodies', 'off', false);
  FOR item IN SELECT * FROM jsonb_array_elements_text(statements) WITH ORDINALITY AS s (text, n) LOOP
    BEGIN
      EXECUTE item.text;
    EXCEPTION WHEN OTHERS THEN
      refused := refused || jsonb_build_object(item.n - 1, sqlerrm);
    END;
  END LOOP;
  RETURN refused;
END $$;

CREATE FUNCTION judge.migrate(place text, desired text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  id text;
  why jsonb := '{}';
  message text; detail text; hint text; context text; state text;
BEGIN
  PERFORM set_config('search_path', place || ', public', false);
  BEGIN
    id := algo_ref.autogenerate('pair', desired);
    why := why || '{"at": "upgrade"}';
    IF id IS NOT NULL THEN
      BEGIN
        PERFORM algo_ref.upgrade('head');
      EXCEPTION WHEN unsafe_new_enum_value_usage THEN
        RETURN jsonb_build_object('commit', id);
      END;
    END IF;
    RETURN jsonb_build_object('id', id);
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
      context = PG_EXCEPTION_CONTEXT, state = RETURNED_SQLSTATE;
    RETURN why || jsonb_build_object('state', state, 'message', message, 'detail', detail, 'hint', hint, 'context', context);
  END;
END $$;

-- Leave no trace of a revision but what it did.
CREATE FUNCTION judge.forget(place text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', place || ', public', false);
  IF EXISTS (SELECT FROM algo_ref.script) THEN
    PERFORM algo_ref.stamp('base', place);
    EXECUTE 'DROP TABLE IF EXISTS alembic_version';
    PERFORM algo_ref.delete_revision(revision) FROM algo_ref.script;
  END IF;
END $$;

-- After the upgrade: nothing is left to do, and the DDL that is printed makes the same.
CREATE FUNCTION judge.finish(place text, desired text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  result jsonb;
  wrong text;
BEGIN
  PERFORM set_config('search_path', place || ', public', false);
  BEGIN
    PERFORM algo_ref."check"(desired);
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS wrong = PG_EXCEPTION_DETAIL;
    wrong := 'check(): ' || sqlerrm || ' ' || wrong;
  END;
  SELECT jsonb_build_object('up', upgrade, 'down', downgrade, 'wrong', wrong) INTO result FROM algo_ref.script;
  PERFORM judge.forget(place);
  RETURN result;
END $$;

CREATE FUNCTION judge.printed(place text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  ddl text;
  wrong text;
BEGIN
  PERFORM set_config('search_path', 'copy_of_' || place || ', public', false);
  ddl := algo_ref.schema_sql(place);
  EXECUTE 'CREATE SCHEMA copy_of_' || place;
  EXECUTE 'SET check_function_bodies = off;' || ddl;
  IF algo_ref.fingerprint(place) <> algo_ref.fingerprint('copy_of_' || place) THEN
    wrong := 'schema_sql(): it makes something else';
  END IF;
  EXECUTE 'DROP SCHEMA copy_of_' || place || ' CASCADE';
  RETURN wrong;
EXCEPTION WHEN OTHERS THEN
  RETURN 'schema_sql(): ' || sqlerrm || E'\n' || coalesce(ddl, '');
END $$;

CREATE FUNCTION judge.back(place text, up text, down text, commits boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', place || ', public', false);
  PERFORM algo_ref.revision('pair', up, down);
  PERFORM algo_ref.stamp('head');
  IF commits THEN
    RETURN 'commit';
  END IF;
  BEGIN
    PERFORM algo_ref.downgrade('base');
  EXCEPTION WHEN unsafe_new_enum_value_usage THEN
    RETURN 'commit';
  END;
  RETURN '';
EXCEPTION WHEN OTHERS THEN
  RETURN 'downgrade: ' || sqlerrm;
END $$;

"""


class Broken(Exception):
    pass


def psql(database, script):
    """The lines that a script prints; each is one JSON value."""
    done = subprocess.run(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-d', database], input=script, capture_output=True, encoding='utf-8',
                          env={**os.environ, 'PGCLIENTENCODING': 'UTF8'})
    # a crash of the server
    if done.returncode != 0 or 'server closed the connection' in done.stderr or 'FATAL' in done.stderr:
        raise Broken(done.stderr[-2000:])
    return [json.loads(line) if line else None for line in done.stdout.splitlines()], done.stderr


def quoted(text):
    tag = '$x$'
    while tag in text:
        tag = tag[:-1] + 'x$'
    return tag + text + tag


def as_line(call):
    """A query whose only value becomes one line of JSON."""
    return 'SELECT to_json(%s);\n' % call


class Judge:
    def __init__(self, breaks=False):
        self.breaks = breaks
        psql('postgres', "SET client_min_messages = error; DROP DATABASE IF EXISTS pairs_template; CREATE DATABASE pairs_template TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';"
             "\nDO $$BEGIN CREATE ROLE gen_a; EXCEPTION WHEN duplicate_object THEN END$$;\nDO $$BEGIN CREATE ROLE \"gen B\"; EXCEPTION WHEN duplicate_object THEN END$$;")
        psql('pairs_template', 'SET client_min_messages = warning;' + SETUP)
        for role in ('gen_a', '"gen B"'):
            psql('pairs_template', 'GRANT ALL ON DATABASE pairs_template TO %s' % role)
        self.version = int(psql('postgres', 'SHOW server_version_num;')[0][0]) // 10000

    def close(self):
        psql('postgres', 'SET client_min_messages = error;' + ''.join('DROP DATABASE IF EXISTS %s;' % name for name in ('pairs_live', 'pairs_declared', 'pairs_template')))

    def create(self):
        """As separate commands: a database cannot be made in a transaction."""
        psql('postgres', 'SET client_min_messages = error;\n' + ''.join('DROP DATABASE IF EXISTS %s;\nCREATE DATABASE %s TEMPLATE pairs_template;\n' % (name, name)
                                                                       for name in ('pairs_live', 'pairs_declared')))

    def dump(self, database):
        done = subprocess.run(['pg_dump', '-s', '-n', 'pair_*', database], check=True, capture_output=True, encoding='utf-8',
                              env={**os.environ, 'PGCLIENTENCODING': 'UTF8'})
        return by_schema(done.stdout)

    def load(self, database, texts):
        """Run statements; those that the server takes, and errors of the others."""
        answers, errors = psql(database, 'SET client_min_messages = error;\n' + ''.join(as_line('judge.load(%s, %s)' % (quoted('pair_%d' % n), quoted(json.dumps(text))))
                                                                                         for n, text in enumerate(texts)))
        if len(answers) != len(texts):
            raise Broken(errors[-2000:])
        taken = [[statement for at, statement in enumerate(text) if str(at) not in refused] for text, refused in zip(texts, answers)]
        return taken, [list(refused.values()) for refused in answers]

    def judge(self, pairs):
        """[(state, why, first, second, problems)] of [(first, second)]"""
        self.create()
        firsts, refused_first = self.load('pairs_live', [first for first, _ in pairs])
        seconds, refused_second = self.load('pairs_declared', [second for _, second in pairs])
        wanted_before, wanted = self.dump('pairs_live'), self.dump('pairs_declared')
        texts = [';\n'.join(second) + ';\n' if second else 'CREATE SCHEMA IF NOT EXISTS pair_%d' % n for n, second in enumerate(seconds)]
        results = [['equal', '', first, second, refused] for first, second, refused in zip(firsts, seconds, map(lambda a, b: a + b, refused_first, refused_second))]

        printed, errors = psql('pairs_declared', 'SET client_min_messages = error;\n' + ''.join(as_line('judge.printed(%s)' % quoted('pair_%d' % n)) for n in range(len(pairs))))
        for result, wrong in zip(results, printed):
            if wrong:
                result[:2] = 'refused' if any(re.search(reason, wrong) for reason in REASONS) else 'wrong', wrong

        script = 'SET client_min_messages = error;\n'
        for n, text in enumerate(texts):
            place = quoted('pair_%d' % n)
            script += 'SELECT judge.migrate(%s, %s) AS answer \\gset\nSELECT :\'answer\'::jsonb ? \'commit\' AS commits, ' \
                ':\'answer\'::jsonb ->> \'message\' IS NULL AS works \\gset\n' % (place, quoted(text))
            script += "\\if :commits\nCALL algo_ref.deploy('head');\n\\endif\n"
            script += "\\if :works\nSELECT :'answer'::jsonb || coalesce(judge.finish(%s, %s), '{}');\n\\else\nSELECT :'answer'::jsonb;\n\\endif\n" % (place, quoted(text))
            script += 'SELECT judge.forget(%s) \\g /dev/null\n' % place
        answers, errors = psql('pairs_live', script)
        if self.breaks:
            psql('pairs_live', ''.join('CREATE TABLE pair_%d.too_much ();' % n for n in range(len(pairs))))
        if len(answers) != len(pairs):
            raise Broken(errors[-3000:])
        dumped = self.dump('pairs_live')
        for n, (result, answer) in enumerate(zip(results, answers)):
            place = 'pair_%d' % n
            if answer.get('message') is not None:
                self.refuse(result, answer)
                continue
            if dumped.get(place) != wanted.get(place):
                result[:2] = 'wrong', 'after the upgrade\n' + difference(wanted.get(place, []), dumped.get(place, [])) + '\n' + (answer.get('up') or '')
            elif answer.get('wrong'):
                result[:2] = 'wrong', answer['wrong'] + '\n' + (answer.get('up') or '')

        back = [n for n, (result, answer) in enumerate(zip(results, answers)) if result[0] == 'equal' and answer.get('up') is not None]
        script = 'SET client_min_messages = error;\n'
        for n in back:
            place = quoted('pair_%d' % n)
            script += 'SELECT judge.back(%s, %s, %s, %s) AS answer, false AS commits \\gset\n' % (place, quoted(answers[n]['up']), quoted(answers[n]['down']), 'commit' in answers[n])
            script += "SELECT :'answer' = 'commit' AS commits \\gset\n\\if :commits\nCALL algo_ref.revert('base');\n\\endif\nSELECT to_json(:'answer'::text);\n"
            script += 'SELECT judge.forget(%s) \\g /dev/null\n' % place
        downs, errors = psql('pairs_live', script)
        if len(downs) != len(back):
            raise Broken(errors[-3000:])
        dumped = self.dump('pairs_live')
        for n, answer in zip(back, downs):
            place = 'pair_%d' % n
            if answer not in (None, '', 'commit'):
                results[n][:2] = 'wrong', answer
            elif dumped.get(place) != wanted_before.get(place):
                results[n][:2] = 'wrong', 'after the downgrade\n' + difference(wanted_before.get(place, []), dumped.get(place, [])) + '\n' + answers[n]['down'] + errors
        return results

    @staticmethod
    def refuse(result, answer):
        why = '\n'.join(filter(None, [answer['state'] + ' ' + answer['message'], answer.get('detail'), answer.get('hint'),
                                       (answer.get('context') or '').split('\nSQL statement "')[0][:600]]))
        if answer.get('at'):
            state = 'wrong'
        elif any(re.search(reason, answer['message']) for reason in REASONS):
            state = 'refused'
        else:
            state = 'needless'
        if result[0] == 'equal' or state == 'wrong':
            result[:2] = state, why


def signature(state, why):
    """What two failures have in common that are the same."""
    line = re.sub(r'"[^"]*"|pair_\d+|\d+', '_', why.split('\n')[0])
    line = re.sub(r'(column|table|type|view|constraint|index|function|enum|domain|foreign key|sequence|policy|trigger) \S+', r'\1', line)
    rest = ''
    if line.startswith(('after the', '0A000 the', '_A_ the')) or 'does not lead' in line or 'written anew' in line:
        rest = ' '.join(re.sub(r'".*"', '_', why.split('\n')[1]).split(' ')[:2]) if '\n' in why else ''
    return state, line[:70], rest


def reduce(judge, first, second, wanted, batch):
    """What is left of a pair that still fails in that way."""
    def fails(candidates):
        found = []
        for start in range(0, len(candidates), batch):
            try:
                found += [signature(*result[:2]) == wanted for result in judge.judge(candidates[start:start + batch])]
            except Broken:
                found += [False] * len(candidates[start:start + batch])
        return found

    # what both have goes first, at once
    units = [('both', s) for s in first if s in second] + [('first', s) for s in first if s not in second] + [('second', s) for s in second if s not in first]

    def build(units):
        kept = set(units)
        return ([s for s in first if ('both', s) in kept or ('first', s) in kept], [s for s in second if ('both', s) in kept or ('second', s) in kept])

    size = max(1, len(units) // 4)
    while True:
        chunks = [units[at:at + size] for at in range(0, len(units), size)]
        candidates = [[u for u in units if u not in chunk] for chunk in chunks]
        verdicts = fails([build(c) for c in candidates])
        hits = [chunk for chunk, verdict in zip(chunks, verdicts) if verdict]
        if len(hits) > 1:
            # all of them together, if that works
            gone = [u for chunk in hits for u in chunk]
            together = [u for u in units if u not in gone]
            if fails([build(together)])[0]:
                units = together
                continue
        if hits:
            units = [u for u in units if u not in hits[0]]
            continue
        if size == 1:
            return build(units)
        size = max(1, size // 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--pairs', type=int, default=100)
    parser.add_argument('--seconds', type=float, default=0)
    parser.add_argument('--batch', type=int, default=25)
    parser.add_argument('--list', default='wrong,needless')
    parser.add_argument('--reduce', action='store_true')
    parser.add_argument('--show', action='store_true')
    parser.add_argument('--each', type=int, default=1, help='of one kind of failure, list that many')
    parser.add_argument('--break', dest='breaks', action='store_true', help='spoil each upgrade, to test the judge')
    options = parser.parse_args()
    judge = Judge(options.breaks)
    started = time.time()
    states = collections.Counter()
    reasons = collections.Counter()
    problems = collections.Counter()
    kinds = collections.Counter()
    examples = {}
    statements = 0
    try:
        for start in range(options.first, options.first + options.pairs, options.batch):
            if options.seconds and time.time() - started > options.seconds:
                break
            seeds = list(range(start, min(start + options.batch, options.first + options.pairs)))
            pairs = [pair(seed, judge.version) for seed in seeds]
            try:
                results = judge.judge(pairs)
            except Broken as error:
                print('broken: seeds %d to %d\n%s' % (seeds[0], seeds[-1], error), flush=True)
                states['wrong'] += len(seeds)
                time.sleep(5)
                continue
            for seed, (first, second), result in zip(seeds, pairs, results):
                state, why = result[:2]
                states[state] += 1
                statements += len(first) + len(second)
                for text in result[2]:
                    kinds[' '.join(re.sub(r'(UNIQUE|UNLOGGED|CONSTRAINT|ONLY) ', '', text).split(' ')[:2])] += 1
                for problem in result[4]:
                    problems[re.sub(r'"[^"]*"|\d+|\(.*\)', '_', problem)] += 1
                if state == 'equal':
                    continue
                mark = signature(state, why)
                reasons[mark] += 1
                examples.setdefault(mark, seed)
                if state in options.list.split(',') and reasons[mark] <= options.each:
                    first, second = result[2:4]
                    if options.reduce:
                        first, second = reduce(judge, first, second, mark, options.batch)
                        state, why = judge.judge([(first, second)])[0][:2]
                    print('%s: seed %d\n%s' % (state, seed, why))
                    if options.reduce or options.show:
                        print('---- first\n%s;\n---- second\n%s;' % (';\n'.join(first), ';\n'.join(second)))
                    print('', flush=True)
    finally:
        judge.close()
    for mark, count in sorted(reasons.items(), key=lambda item: (item[0][0], -item[1])):
        print('%4d %s (seed %d)' % (count, ' | '.join(filter(None, mark)), examples[mark]))
    if options.show:
        print('\n'.join('%4d left out: %s' % (count, problem) for problem, count in problems.most_common(40)))
        print(', '.join('%s %d' % (kind, count) for kind, count in kinds.most_common(40)))
    total = sum(states.values())
    print('%d pairs: %s; %.0f statements a pair, %.1f %% left out; %.0f s' %
          (total, ', '.join('%d %s' % (states[state], state) for state in ('equal', 'refused', 'needless', 'wrong')), statements / max(total, 1),
           100 * sum(problems.values()) / max(statements, 1), time.time() - started))
    return 1 if states['wrong'] or states['needless'] or not states['equal'] else 0


if __name__ == '__main__':
    sys.exit(main())
