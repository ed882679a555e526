#!/usr/bin/python3
"""Prefetch against nested SQL, on random schemas.

    oracle.py [--first SEED] [--schemas N] | psql

prints a script that makes N schemas with random tables, keys and rows, calls
algo_ref.prefetch_query() with random paths, and compares what it returns, as
text, with a query that is written here, from what the schema was made of and
not from what is found in it: row_to_json() of nested subselects.  It ends with
the number of calls and those that differ, and their seeds.

A relationship is spelled in one of the ways that name it: by constraint,
column, table or association table.  Calls run under several planner settings,
so that each way to read a level has its turn.
"""
import argparse
import random

NAMES = ('users', 'posts', 'comments', 'tags', 'Odd Name', 'order', 'x"y', 'état', 'a.b', 'items', 'link', 'node', 'select',
         'it\'s', 'semi;colon', 'par(en)', 'co:lon', 'ex!cl', 'st*ar', 'back\\slash')
# literals of each type; the first ones can be keys
KEYS = {
    'integer': ['%d' % number for number in (1, 2, 3, -4, 5, 7, 2147483647)],
    'bigint': ['%d' % number for number in (1, 20, 300, -9223372036854775808, 4, 5)],
    'smallint': ['1', '2', '3', '-32768', '9', '10'],
    'text': ["'a'", "'b'", "'ünï'", "''", "'it''s'", "E'tab\\there'", "'日本'"],
    'character varying(10)': ["'a'", "'b'", "'c d'", "'\"q\"'", "'\\'"],
    'uuid': ["'11111111-1111-1111-1111-%012d'" % number for number in range(6)],
    'date': ["'2020-01-%02d'" % day for day in range(1, 7)],
    'numeric': ['1.5', '2', '-3.25', '100000000000000000000', '0.0001'],
    'timestamp with time zone': ["'2020-01-01 00:00:%02d.5+00'" % second for second in range(6)],
    'name': ["'a'", "'b'", "'c'"],
    'oid': ['1', '2', '4000000000'],
}
VALUES = dict(KEYS)
VALUES.update({
    'boolean': ['true', 'false'],
    'real': ['1.5', "'NaN'", "'Infinity'", '-0.1', '1e-20'],
    'double precision': ['1.1', "'-Infinity'", "'NaN'", '1e300', '0.30000000000000004'],
    'numeric(8,2)': ['1.50', '-2.25', "'NaN'", '0'],
    'timestamp without time zone': ["'2020-02-29 12:34:56.789'", "'infinity'", "'0044-03-15 00:00:00 BC'"],
    'time without time zone': ["'12:34:56.7'", "'24:00:00'"],
    'time with time zone': ["'12:34:56+02'"],
    'interval': ["'1 day 02:03:04'", "'-1 mon'", "'1.5 seconds'"],
    'json': ["'{\"a\": [1, null]}'", "' [1,  2]'", "'\"\\u00e9\"'", "'null'"],
    'jsonb': ["'{\"b\": 1, \"a\": {}}'", "'[true]'", "'\"x\"'"],
    'bytea': ["'\\x00ff'", "''"],
    'integer[]': ["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"],
    'text[]': ["'{a,\"b\\\"c\",NULL,\"\"}'", "'{}'"],
    'character(4)': ["'ab'", "''"],
    'mood': ["'sad'", "'it''s'"],
    'mood[]': ["'{sad,it''s}'"],
    'positive': ['5', '77'],
    'pair': ["'(1,x)'", "'(,\"a \"\"q\"\"\")'", "'(,)'"],
    'pair[]': ["'{\"(1,x)\",\"(2,)\"}'"],
    'int4range': ["'[1,5)'", "'empty'", "'(,3]'"],
    'inet': ["'10.0.0.1/8'", "'::1'"],
    'bit(3)': ["B'101'"],
    'point': ["'(1,2)'", "'(NaN,0)'"],
    '"char"': ["'a'", "''"],
    'tsvector': ["'a:1 b'"],
    'money': ["'12.34'"],
    'xml': ["'<a b=\"c\"/>'"],
    'cash_text': ["'€ 5'"],
})
TEXTS = ["E'line\\nbreak'", "E'\\x01\\x1f'", "E'quote\" back\\\\ slash/'", "repeat('long ünï', 300)", "E'\\u2028'", "'😀'", "'</script>'"]


def quote(name):
    return '"%s"' % name.replace('"', '""')


def dollar(text):
    assert '$q$' not in text
    return '$q$%s$q$' % text


class Column:
    def __init__(self, name, type_):
        self.name, self.type = name, type_


class Key:
    """A foreign key."""

    def __init__(self, name, table, columns, target, target_columns, is_unique):
        self.name, self.table, self.columns = name, table, columns
        self.target, self.target_columns, self.is_unique = target, target_columns, is_unique


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = []
        self.primary = []
        self.unique = []        # lists of columns
        self.keys = []
        self.extra = ''         # of CREATE TABLE
        self.children = []      # partitions, inheriting tables
        self.is_link = False


class Edge:
    """A relationship, as a table sees it."""

    def __init__(self, kind, name, pin, target, join, count=None):
        self.kind, self.name, self.pin, self.target, self.join = kind, name, pin, target, join


class Node:
    """A step of a path."""

    def __init__(self, edge, table):
        self.edge, self.table = edge, table
        self.alias = None
        self.columns = None
        self.where = None
        self.order = []
        self.limit = None
        self.inner = False
        self.depth = 0
        self.count = False
        self.children = []

    def key(self):
        return self.alias or self.edge.name + ('_count' if self.count else '')


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seed = seed
        self.tables = []
        self.renamed = 0
        self.script = []
        self.names = list(NAMES)
        self.random.shuffle(self.names)
        self.serial = 0

    def chance(self, one_in):
        return self.random.randrange(one_in) == 0

    def pick(self, among):
        return self.random.choice(list(among))

    def name(self):
        self.serial += 1
        if self.names and not self.chance(6):
            return self.names.pop()
        return 't%d' % self.serial

    # schema

    def column(self, table, type_=None):
        taken = [column.name for column in table.columns]
        while True:
            name = self.pick(('id', 'name', 'value', 'Odd', 'a b', 'kind', 'x"', 'ü', 'at', 'order', 'n', 'data', 'note')) + \
                self.pick(('', '', '1', '2', '_id'))
            if name not in taken:
                break
        column = Column(name, type_ or self.pick(VALUES))
        table.columns.append(column)
        return column

    def make_table(self):
        table = Table(self.name())
        for _ in range(1 if not self.chance(4) else 2):
            table.primary.append(self.column(table, self.pick(KEYS)))
        for _ in range(self.random.randrange(5)):
            self.column(table)
        if self.chance(3):
            table.unique.append([self.column(table, self.pick(KEYS))])
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            targets = self.tables + [table]
            self.make_key(table, self.pick(targets))
        if not self.chance(5):
            self.column(table, 'text')
        self.random.shuffle(table.columns)
        self.tables.append(table)
        return table

    def make_key(self, table, target, is_unique=None):
        wanted = self.pick([target.primary] + target.unique)
        columns = []
        for column in wanted:
            columns.append(self.column(table, column.type))
        if is_unique is None:
            is_unique = self.chance(5) and not table.extra
        key = Key('fk_%d' % len([key for other in self.tables + [table] for key in other.keys]) + self.pick(('', '_Odd "x"', '_key')),
                  table, columns, target, wanted, is_unique)
        table.keys.append(key)
        return key

    def make_link(self):
        sides = [table for table in self.tables if not table.is_link]
        if not sides:
            return
        table = Table(self.name())
        table.is_link = True
        first = self.make_key(table, self.pick(sides), False)
        second = self.make_key(table, self.pick(sides), False)
        table.primary = first.columns + second.columns
        if self.chance(4):
            # the same two may be linked more than once
            table.primary = table.primary + [self.column(table, 'integer')]
        if self.chance(2):
            self.column(table)
        self.tables.append(table)

    def ddl(self):
        for table in self.tables:
            parts = ['%s %s%s' % (quote(column.name), self.type_name(column.type), '') for column in table.columns]
            parts.append('PRIMARY KEY (%s)' % names(table.primary))
            parts += ['UNIQUE (%s)' % names(columns) for columns in table.unique]
            parts += ['UNIQUE (%s)' % names(key.columns) for key in table.keys if key.is_unique]
            partition = ''
            if self.chance(8) and not table.unique and not any(key.is_unique for key in table.keys):
                partition = ' PARTITION BY HASH (%s)' % quote(table.primary[0].name)
            self.script.append('CREATE TABLE %s (%s)%s;' % (quote(table.name), ', '.join(parts), partition))
            if partition:
                for number in range(2):
                    self.script.append('CREATE TABLE %s PARTITION OF %s FOR VALUES WITH (MODULUS 2, REMAINDER %d);' % (
                        quote('%s_%d' % (table.name, number)), quote(table.name), number))
            elif self.chance(10) and not table.is_link:
                child = table.name + ' child'
                self.script.append('CREATE TABLE %s () INHERITS (%s);' % (quote(child), quote(table.name)))
                table.children.append(child)
        for table in self.tables:
            for key in table.keys:
                self.script.append('ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s);' % (
                    quote(table.name), quote(key.name), names(key.columns), quote(key.target.name), names(key.target_columns)))
                if self.chance(2):
                    self.script.append('CREATE INDEX ON %s (%s);' % (quote(table.name), names(key.columns)))

    @staticmethod
    def type_name(type_):
        return 'public.' + type_ if type_.split('[')[0] in ('mood', 'positive', 'pair', 'cash_text') else type_

    # rows

    def rows(self):
        """Rows whose keys are there, or NULL: of each table a number of tries, of which those that fit stay."""
        size = self.random.choice((3, 8, 8, 20, 60, 150))
        made = {}
        self.script.append('SET session_replication_role = replica;')
        for table in self.tables:
            rows, taken = [], [set() for _ in range(1 + len(table.unique) + len(table.keys))]
            made[table] = rows
            for number in range(self.random.randint(0, size) if not self.chance(3) else size):
                row = {}
                for key in table.keys:
                    targets = made.get(key.target, [])
                    # to itself: also to rows that come later, and in circles
                    if targets and not self.chance(5) or key.columns[0] in table.primary:
                        if not targets:
                            break
                        target = self.pick(targets)
                        for column, other in zip(key.columns, key.target_columns):
                            row[column] = target[other]
                    else:
                        for column in key.columns:
                            row[column] = 'NULL'
                else:
                    for column in table.columns:
                        if column not in row:
                            row[column] = self.value(column, number, column in table.primary or any(column in other for other in table.unique))
                    fits = True
                    for seen, columns in zip(taken, [table.primary] + table.unique + [key.columns for key in table.keys]):
                        value = tuple(row[column] for column in columns)
                        is_key = columns is table.primary or columns in table.unique or any(
                            key.is_unique and columns is key.columns for key in table.keys)
                        if is_key and 'NULL' not in value:
                            fits = fits and value not in seen
                    if not fits:
                        continue
                    for seen, columns in zip(taken, [table.primary] + table.unique + [key.columns for key in table.keys]):
                        seen.add(tuple(row[column] for column in columns))
                    rows.append(row)
        for table in self.tables:
            rows = made[table]
            for key in table.keys:
                if key.target is table and rows and not key.is_unique and not any(column in table.primary for column in key.columns):
                    # circles
                    for row in rows:
                        if self.chance(3):
                            target = self.pick(rows)
                            for column, other in zip(key.columns, key.target_columns):
                                row[column] = target[other]
            for row in rows:
                place = self.pick(table.children) if table.children and self.chance(4) and self.is_free(table, row, made) else table.name
                self.script.append('INSERT INTO %s (%s) VALUES (%s);' % (
                    quote(place), names(table.columns), ', '.join(row[column] for column in table.columns)))
        self.script.append('SET session_replication_role = origin;')
        if not self.chance(4):
            self.script.append('ANALYZE;')

    @staticmethod
    def is_free(table, row, made):
        """Nothing refers to the row: what inherits has no keys to refer to."""
        for other, rows in made.items():
            for key in other.keys:
                if key.target is table:
                    value = [row[column] for column in key.target_columns]
                    if any([candidate[column] for column in key.columns] == value for candidate in rows):
                        return False
        return True

    def value(self, column, number, is_key):
        if is_key:
            values = KEYS[column.type]
            if column.type in ('integer', 'bigint', 'numeric', 'oid') and number >= len(values):
                return '%d' % (number + 1000)
            if column.type in ('text',) and number >= len(values):
                return "'t%d'" % number
            return values[number % len(values)]
        if self.chance(5):
            return 'NULL'
        values = VALUES[column.type] + (TEXTS if column.type == 'text' else [])
        return self.pick(values)

    # paths

    def edges(self, table):
        found = []
        for other in self.tables:
            for key in other.keys:
                if other is table:
                    column = key.columns[0].name if len(key.columns) == 1 else None
                    # "at" may mean at_id, too
                    if any(own.columns[0].name == '%s_id' % column for own in table.keys if len(own.columns) == 1):
                        column = None
                    name = column if column and self.chance(2) else key.name
                    # the name of a key of a table to itself is of both directions
                    if key.target is table:
                        name = column
                    if name:
                        found.append(Edge('one', name, key.name if self.chance(3) else None, key.target,
                                          lambda a, b, key=key: equal(a, key.columns, b, key.target_columns)))
                # a column of the table's own keys goes before the other table's name
                if key.target is table and not any(own.columns[0].name in (other.name, other.name + '_id') for own in table.keys):
                    kind = 'one' if key.is_unique else 'many'
                    found.append(Edge(kind, other.name, key.name, other,
                                      lambda a, b, key=key: equal(a, key.target_columns, b, key.columns)))
            if other.is_link:
                for near, far in (other.keys, other.keys[::-1]):
                    # what pins it may be a column of another key
                    if near.target is table and far.target is not table and \
                            not any(column.name == other.name for one in self.tables for key in one.keys for column in key.columns) and \
                            not any(own.columns[0].name in (far.target.name, far.target.name + '_id') for own in table.keys):
                        found.append(Edge('many', far.target.name, other.name, far.target,
                                          lambda a, b, near=near, far=far, other=other:
                                          'EXISTS (SELECT FROM %s l WHERE %s AND %s)' % (
                                              quote(other.name), equal('l', near.columns, a, near.target_columns),
                                              equal('l', far.columns, b, far.target_columns))))
        return found

    def node(self, edge, depth):
        node = Node(edge, edge.target)
        if self.chance(2):
            node.alias = 'r%d' % self.random.randrange(1000)
        if edge.kind == 'many' and self.chance(8):
            node.count = True
        if self.chance(3) and not node.count:
            columns = list(edge.target.columns)
            self.random.shuffle(columns)
            node.columns = columns[:self.random.randint(1, len(columns))]
        if self.chance(4):
            node.where = self.condition(edge.target)
        if edge.kind == 'many' and not node.count:
            if self.chance(3):
                column = self.pick([column for column in edge.target.columns if column.type in KEYS])
                node.order = [(column, self.pick(('', ' desc', ' asc')) + self.pick(('', ' nulls first', ' nulls last')))]
            if self.chance(4):
                node.limit = self.random.randint(0, 4)
        # the first none of them are none
        if not node.count and node.limit != 0 and self.chance(8):
            node.inner = True
        if not node.count and depth > 0 and not self.chance(3):
            node.children = self.nodes(edge.target, depth - 1, [column.name for column in node.columns or edge.target.columns])
            # whether what is left out counts for the limit would be another question
            if node.limit is not None:
                for child in node.children:
                    child.inner = False
        return node

    def nodes(self, table, depth, taken):
        nodes = []
        taken = set(taken)
        edges = self.edges(table)
        self.random.shuffle(edges)
        for edge in edges[:self.random.choice((1, 1, 2, 3))]:
            node = self.node(edge, depth)
            if edge.target is table and self.chance(2) and not node.count:
                node.depth = self.random.randint(1, 4)
                node.inner = False
                if self.chance(2):
                    node.children = []
                for child in node.children:
                    child.inner = child.inner and node.limit is None
            if node.key() in taken or (node.depth and node.key() in [column.name for column in table.columns]):
                node.alias = 'u%d' % len(taken)
            if node.depth and node.key() in [column.name for column in table.columns]:
                continue
            taken.add(node.key())
            nodes.append(node)
            # at each depth it stands beside what is followed from there
            for child in node.children if node.depth else []:
                if child.key() == node.key():
                    self.renamed += 1
                    child.alias = 'again%d' % self.renamed
        return nodes

    def condition(self, table):
        column = self.pick(table.columns)
        test = self.pick(('IS NOT NULL', 'IS NULL')) if column.type not in KEYS else \
            self.pick(('IS NOT NULL', '>= ' + self.pick(KEYS[column.type]), '<> ' + self.pick(KEYS[column.type])))
        return (column, test)

    # as a path

    def step(self, node, plain=False):
        edge = node.edge
        text = quote(edge.name)
        if node.alias:
            text = quote(node.alias) + ':' + text
        if edge.pin:
            text += '!' + quote(edge.pin)
        if node.inner:
            text += '!inner'
        if node.depth:
            text += '*%d' % node.depth
        if not plain:
            sections = []
            if node.columns is not None:
                sections.append(', '.join(quote(column.name) for column in node.columns))
            if node.where:
                sections.append('where: %s %s' % (quote(node.where[0].name), node.where[1]))
            if node.order:
                sections.append('order: ' + ', '.join(quote(column.name) + how for column, how in node.order))
            if node.limit is not None:
                sections.append('limit: %d' % node.limit)
            if sections:
                text += '(%s)' % '; '.join(sections)
        if node.count:
            text += '.count()'
        return text

    def paths(self, nodes, before=''):
        found = []
        for node in nodes:
            if not node.children:
                found.append(before + self.step(node))
            for number, path in enumerate(self.paths(node.children)):
                found.append(before + self.step(node, plain=number > 0 and self.chance(2)) + '.' + path)
        return found

    # as SQL

    def fields(self, columns, nodes, a, above=(), chain=None):
        parts = ['%s.%s AS %s' % (a, quote(column.name), quote(column.name)) for column in columns]
        # "above" is what the next rows of a recursion are below
        parts += ['%s AS %s' % (self.value_of(node, a, above if node is chain else []), quote(node.key())) for node in nodes]
        return ', '.join(parts)

    def row(self, node, b, above):
        columns = node.columns if node.columns is not None else node.table.columns
        children = node.children
        deeper = None
        if node.depth > 1:
            deeper = Node(node.edge, node.table)
            deeper.__dict__.update(node.__dict__)
            deeper.depth -= 1
            children = [deeper] + children
        return '(SELECT row_to_json(r) FROM (SELECT %s) r)' % self.fields(columns, children, b, above, deeper)

    def conditions(self, node, a, b, above):
        parts = [node.edge.join(a, b)]
        if node.where:
            parts.append('(%s.%s %s)' % (b, quote(node.where[0].name), node.where[1]))
        parts += self.inner_conditions(node.children, b)
        return ' AND '.join(parts)

    def inner_conditions(self, nodes, b):
        parts = []
        for child in nodes:
            if child.inner:
                c = self.alias()
                parts.append('EXISTS (SELECT FROM %s %s WHERE %s)' % (quote(child.table.name), c, self.conditions(child, b, c, [])))
        return parts

    def alias(self):
        self.serial += 1
        return 'a%d' % self.serial

    def value_of(self, node, a, above):
        b = self.alias()
        source = '%s %s WHERE %s' % (quote(node.table.name), b, self.conditions(node, a, b, above))
        if node.count:
            return '(SELECT count(*) FROM %s)' % source
        row = self.row(node, b, above + [a])
        # what is above itself already
        cut = ' OR '.join([equal(ancestor, node.table.primary, b, node.table.primary) for ancestor in above + [a]]
                          if node.depth else ['false'])
        if node.edge.kind == 'one':
            return '(SELECT %s FROM %s AND NOT (%s))' % (row, source, cut)
        order = ['%s.%s%s' % (b, quote(column.name), how) for column, how in node.order]
        order += ['%s.%s' % (b, quote(column.name)) for column in node.table.primary]
        limit = '' if node.limit is None else ' LIMIT %d' % node.limit
        return ("(SELECT ('[' || coalesce(string_agg(j::text, ',' ORDER BY n), '') || ']')::json FROM (SELECT j, cut, row_number() OVER () AS n "
                "FROM (SELECT %s AS j, %s AS cut FROM %s ORDER BY %s%s) o) n WHERE NOT cut)" % (row, cut, source, ', '.join(order), limit))

    def call(self, number):
        table = self.pick([table for table in self.tables])
        columns = list(table.columns)
        if self.chance(3):
            self.random.shuffle(columns)
            columns = columns[:self.random.randint(1, len(columns))]
        nodes = self.nodes(table, self.random.choice((0, 1, 1, 2, 3)), [column.name for column in columns])
        where = []
        if self.chance(4):
            column, test = self.condition(table)
            where.append('q.%s %s' % (quote(column.name), test))
        limit = ' LIMIT %d' % self.random.randint(0, 12) if self.chance(5) and not any(node.inner for node in nodes) else ''
        order = ', '.join('q.' + quote(column.name) for column in table.primary)
        query = 'SELECT %s FROM %s q%s ORDER BY %s%s' % (
            ', '.join('q.' + quote(column.name) for column in columns), quote(table.name),
            ' WHERE ' + ' AND '.join(where) if where else '', order, limit)
        oracle = 'SELECT (SELECT row_to_json(r) FROM (SELECT %s) r) FROM %s q' % (self.fields(columns, nodes, 'q'), quote(table.name))
        conditions = where + self.inner_conditions(nodes, 'q')
        if conditions:
            oracle += ' WHERE ' + ' AND '.join(conditions)
        oracle += ' ORDER BY %s%s' % (order, limit)
        paths = self.paths(nodes)
        if len(paths) > 1 and self.chance(3):
            # the same once more changes nothing
            paths.append(paths[0])
        setting = self.pick(('', '', 'enable_indexscan', 'enable_seqscan', 'enable_hashjoin', 'enable_bitmapscan'))
        if setting:
            self.script.append('SET %s = off;' % setting)
        self.script.append('SELECT public.judge(%d, %d, %s, ARRAY[%s]::text[], %s);' % (
            self.seed, number, dollar(query), ', '.join(dollar(path) for path in paths), dollar(oracle)))
        if setting:
            self.script.append('RESET %s;' % setting)

    def make(self):
        for _ in range(self.random.randint(1, 4)):
            self.make_table()
        for _ in range(self.random.randrange(3)):
            self.make_link()
        self.script.append('CREATE SCHEMA random; SET search_path = random;')
        self.ddl()
        self.rows()
        for number in range(6):
            self.call(number)
        self.script.append('SET search_path = public; DROP SCHEMA random CASCADE;')
        return '\n'.join(self.script)


def names(columns):
    return ', '.join(quote(column.name) for column in columns)


def equal(a, columns, b, others):
    return '(%s)' % ' AND '.join('%s.%s = %s.%s' % (a, quote(column.name), b, quote(other.name))
                                 for column, other in zip(columns, others))


SETUP = r"""
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
SET standard_conforming_strings = on;
DROP EXTENSION IF EXISTS algo_ref CASCADE;
CREATE EXTENSION algo_ref;
CREATE TYPE mood AS ENUM ('sad', 'it''s');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN cash_text AS text COLLATE "C";
CREATE TABLE calls (seed int, call int, query text, paths text[], outcome text, wanted text);
CREATE FUNCTION judge(seed int, call int, query text, paths text[], oracle text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  got text;
  wanted text;
BEGIN
  EXECUTE 'SELECT string_agg(j::text, chr(10)) FROM (' || oracle || ') AS o (j)' INTO wanted;
  BEGIN
    SELECT string_agg(j::text, chr(10)) INTO got FROM algo_ref.prefetch_query(query, paths) j;
  EXCEPTION WHEN OTHERS THEN
    got := sqlstate || ' ' || sqlerrm;
  END;
  INSERT INTO public.calls VALUES (seed, call, query, paths, got, wanted);
END $$;
\o /dev/null
"""
RESULT = r"""
\o
\pset format unaligned
\pset tuples_only on
SELECT format(E'seed %s, call %s\n  %s\n  %s\n  got    %s\n  wanted %s', seed, call, query, paths, left(outcome, 2000), left(wanted, 2000))
FROM calls WHERE outcome IS DISTINCT FROM wanted ORDER BY seed, call LIMIT 20;
SELECT count(*) || ' calls, ' || count(*) FILTER (WHERE outcome IS DISTINCT FROM wanted) || ' differ, ' ||
  count(*) FILTER (WHERE outcome IS NOT NULL) || ' with rows' FROM calls;
DROP TABLE calls;
DROP FUNCTION judge;
DROP TYPE mood, pair;
DROP DOMAIN positive, cash_text;
DROP EXTENSION algo_ref;
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--schemas', type=int, default=100)
    options = parser.parse_args()
    print(SETUP)
    for seed in range(options.first, options.first + options.schemas):
        print(Maker(seed).make())
    print(RESULT)


if __name__ == '__main__':
    main()
