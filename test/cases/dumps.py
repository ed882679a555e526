"""Dumps of pg_dump -s, compared without the order of statements and of columns."""
import re


def flat(statement):
    """Without parentheses that the parser does not keep: ((a AND b) AND c)."""
    stack = []
    at = 0
    while at < len(statement):
        if statement[at] in '\'"':
            at = statement.find(statement[at], at + 1)
            if at < 0:
                break
        elif statement[at] == '(':
            stack.append([at, None])
        elif statement[at] == ')' and stack:
            start, word = stack.pop()
            if word and start and statement[start - 1] == '(' and statement.startswith(word, at + 1):
                statement = statement[:start] + statement[start + 1:at] + statement[at + 1:]
                at -= 2
        elif stack:
            for word in (' AND ', ' OR '):
                if statement.startswith(word, at):
                    stack[-1][1] = word
        at += 1
    return statement


def statements_of(dump):
    """The statements of a dump, in a form that does not know their order."""
    found = []
    text = '\n'.join(line for line in dump.split('\n')
                     if not line.startswith(('--', 'SET ', 'SELECT pg_catalog.set_config', '\\')))
    for statement in re.split(r';\n\n+', text):
        statement = statement.strip().rstrip(';')
        if not statement or re.search(r'EXTENSION.* algo_ref\b', statement):
            continue
        if re.match(r'CREATE (UNLOGGED |FOREIGN )?TABLE|CREATE TYPE .* AS \(', statement):
            lines = statement.split('\n')
            statement = '\n'.join([lines[0]] + sorted(line.rstrip(',;') for line in lines[1:]))
        statement = re.sub(r'^WITH \((.*)\)$', lambda match: 'WITH (%s)' % ', '.join(sorted(match.group(1).split(', '))), statement, flags=re.M)
        statement = flat(statement)
        statement = re.sub(r'^(CREATE STATISTICS .* ON )(.*)( FROM )', lambda match: match.group(1) + ', '.join(sorted(match.group(2).split(', '))) + match.group(3), statement)
        found.extend(sorted(statement.split(';\n')) if statement.startswith(('GRANT', 'REVOKE')) else [statement])
    return sorted(found)


def by_schema(dump):
    """The statements of each schema in a dump."""
    parts = re.split(r'^--\n-- Name: .*; Type: .*; Schema: (.*); Owner: .*\n--\n', dump, flags=re.M)
    texts = {}
    for schema, text in zip(parts[1::2], parts[2::2]):
        texts.setdefault(schema, []).append(text)
    return {schema: sorted(statement for text in found for statement in statements_of(text))
            for schema, found in texts.items()}


def difference(wanted, got):
    return '\n'.join(['- ' + line for line in wanted if line not in got] +
                     ['+ ' + line for line in got if line not in wanted])
